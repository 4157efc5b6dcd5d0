"""The commands of ACL and the rights they speak of (RFC 4314)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Right(enum.Enum):
    """RFC 4314 section 2.1, in the order in which they are usually written."""

    LOOKUP = "l"
    READ = "r"
    KEEP_SEEN = "s"
    WRITE = "w"
    INSERT = "i"
    POST = "p"
    CREATE = "k"
    DELETE_MAILBOX = "x"
    DELETE_MESSAGES = "t"
    EXPUNGE = "e"
    ADMINISTER = "a"


LETTERS = frozenset(right.value for right in Right) | frozenset("cd0123456789")
"""What may stand in a list of rights; `c` and `d` are those of RFC 2086."""


def format_rights(rights: frozenset[Right]) -> bytes:
    """Return the letters, with those of RFC 2086 for clients that know no others (RFC 4314 section 2.1.1)."""
    letters = [right.value for right in Right if right in rights]
    if rights & {Right.CREATE, Right.DELETE_MAILBOX}:
        letters.append("c")
    if rights & {Right.EXPUNGE, Right.DELETE_MESSAGES}:
        letters.append("d")
    return "".join(letters).encode("ascii")


@dataclass(frozen=True, slots=True)
class GetAcl:
    mailbox: str


@dataclass(frozen=True, slots=True)
class MyRights:
    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights:
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class SetAcl:
    """SETACL, or DELETEACL if `rights` is None. `rights` may begin with `+` or `-`."""

    mailbox: str
    identifier: str
    rights: str | None
