"""The tokens in nextLink and deltaLink: opaque to a client, and good only as they were given."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

from tests.fakes.graph.errors import misuse


def seal(state: dict[str, Any]) -> str:
    """Return a token that holds `state`."""
    data = zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 1)
    return base64.urlsafe_b64encode(_check(data) + data).decode().rstrip("=")


def unseal(token: str) -> dict[str, Any]:
    """Return what a token holds. Raises ApiError (400) for one that was not given like that."""
    try:
        octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if octets[:6] != _check(octets[6:]):
            raise ValueError("changed")
        state: dict[str, Any] = json.loads(zlib.decompress(octets[6:]))
    except (ValueError, zlib.error):
        raise misuse("ErrorInvalidUrlQuery", "Badly formed token.") from None
    return state


def _check(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=6, key=b"tests.fakes.graph").digest()
