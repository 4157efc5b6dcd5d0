"""The commands of METADATA and the names of what they read and set (RFC 5464)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_NAME_OCTETS = 1024

_NAME = re.compile(rb"(/[^\x00-\x1f*%/\x7f-\xff]+){2,}")
_ROOTS = ("/private/", "/shared/")


def fold_entry(data: bytes) -> str:
    """Return the form in which names of entries are kept and compared: without regard to case.

    Raises:
        ValueError: it is no name of an entry (RFC 5464 section 3.2).
    """
    if len(data) > MAX_NAME_OCTETS or not _NAME.fullmatch(data):
        raise ValueError("not a name of an entry")
    name = data.decode("ascii").lower()
    if not name.startswith(_ROOTS):
        raise ValueError("an entry begins with /private/ or /shared/")
    return name


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GETMETADATA; `mailbox` is empty for the server's annotations. `entries` are folded.

    `depth` is how many levels below each entry are wanted, None for all. `max_octets`: longer values are left out.
    """

    mailbox: str
    entries: tuple[str, ...]
    depth: int | None = 0
    max_octets: int | None = None


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """SETMETADATA; a value of None removes the entry. `mailbox` is empty for the server's annotations."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]
