"""Flags and keywords (RFC 9051 section 2.3.2 and section 9: `flag`, `flag-list`)."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.wire.strings import is_atom

SEEN = "\\Seen"
ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
RECENT = "\\Recent"

SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)
"""Those a client can set, in the order they are listed to clients."""

_CANONICAL = {flag.lower(): flag for flag in (*SYSTEM_FLAGS, RECENT)}


def canonical(flag: str) -> str:
    """Return a system flag in its usual case, any other flag unchanged (keywords keep the case they were given)."""
    return _CANONICAL.get(flag.lower(), flag) if flag.startswith("\\") else flag


def is_valid_keyword(flag: str) -> bool:
    """Tell whether `flag` is a `flag-keyword`: an atom, so no backslash in front."""
    return flag.isascii() and is_atom(flag.encode("ascii"))


def is_valid_flag(flag: str) -> bool:
    """Tell whether `flag` is a `flag-perm`: a keyword, backslash and atom, or `\\*`."""
    return flag == "\\*" or is_valid_keyword(flag.removeprefix("\\"))


def format_flags(flags: Iterable[str]) -> bytes:
    """Return a `flag-list` in the order given; what is no flag by grammar, from a lax backend, is left out."""
    return b"(%b)" % b" ".join(flag.encode("ascii") for flag in flags if is_valid_flag(flag))
