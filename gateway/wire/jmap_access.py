"""The command of JMAPACCESS and its answer (RFC 9698)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.wire.strings import quote


@dataclass(frozen=True, slots=True)
class GetJmapAccess:
    """Asks where the same mail is to be had by JMAP."""


def jmap_access(url: str) -> bytes:
    """`* JMAPACCESS "https://example.com/.well-known/jmap"`."""
    return b"* JMAPACCESS %b\r\n" % quote(url.encode("utf-8", "replace"))
