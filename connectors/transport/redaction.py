"""Texts of a server made fit for logs and operators."""

from __future__ import annotations

import re
from collections.abc import Iterable

EXCERPT_CHARS = 300

_SCHEMES = re.compile(r"(?i)\b(bearer|basic|digest|negotiate)\s+[^\s\"',;<>]+")
_QUERY = re.compile(r"\?[^\s\"'<>)\]}]*=[^\s\"'<>)\]}]*")
_FIELD = re.compile(
    r"(?i)(\"?[\w-]*(?:token|secret|password|passwd|authorization|cookie|api_?key|signature)\"?\s*[:=]\s*)"
    r"(\"[^\"]*\"?|[^\s,;&}\"']+)"
)
_LONG = re.compile(r"[A-Za-z0-9+/_=.~-]{40,}")


def excerpt(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the beginning of an error's body on one line, without anything that is or looks like a secret."""
    text = body[: 8 * EXCERPT_CHARS].decode("utf-8", "replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _SCHEMES.sub(r"\1 ***", text)
    text = _FIELD.sub(r"\1***", text)
    text = _QUERY.sub("?***", text)
    text = _LONG.sub("***", text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "..."
