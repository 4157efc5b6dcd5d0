"""The few sentences of IMAP that storing a message takes, and the strict reading of their answers. No I/O.

Source: RFC 3501 (mailbox names 5.1.3, responses 7), RFC 4315 (APPENDUID), RFC 7888 (LITERAL+ and LITERAL-), RFC 7889
(APPENDLIMIT), and Microsoft's XOAUTH2.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.api.credentials import BearerCredential

_STATUS: Final = re.compile(
    rb"(OK|NO|BAD|BYE|PREAUTH)(?: (?:\[([!-\\^-~]+)(?: ([^\x00\r\n\]]*))?\] ?)?([^\x00\r\n]*))?", re.IGNORECASE
)
_UNTAGGED: Final = re.compile(rb"\* ([A-Za-z][!-~]*|[0-9]{1,10} [A-Za-z]+)(?: ([^\x00\r\n]*))?")
_LIST: Final = re.compile(rb'\([^()"]*\) (?:(NIL)|"(?:\\(["\\])|([^"\\]))") (?:"(?:[^"\\]|\\["\\])*"|[^\s"{}]+)', re.I)
_LIST_WITH_LITERAL: Final = re.compile(rb'(\* LIST \([^()"]*\) (?:NIL|"(?:\\["\\]|[^"\\])") )\{([0-9]{1,5})\}', re.I)
_APPENDUID: Final = re.compile(r"[1-9][0-9]{0,9} ([1-9][0-9]{0,9})")
_SHIFTED: Final = re.compile(r"[^\x20-\x7e]+")
_SPECIAL: Final = re.compile(rb'(["\\])')
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SMALL_LITERAL: Final = 4096


class Malformed(ValueError):
    """What came is no IMAP, or nothing that was asked for."""


@dataclass(frozen=True, slots=True)
class Status:
    """OK, NO, BAD, BYE or PREAUTH. `code` is the response code in upper case, empty if there is none."""

    word: str
    code: str = ""
    argument: str = ""
    text: str = ""

    @property
    def shown(self) -> str:
        """What the server said, for an operator."""
        code = f"[{' '.join(filter(None, (self.code, self.argument)))}] " if self.code else ""
        return "".join(char if char.isprintable() else " " for char in f"{self.word} {code}{self.text}"[:300]).strip()

    @property
    def appended_uid(self) -> int | None:
        """The UID of APPENDUID, if it was told."""
        match = _APPENDUID.fullmatch(self.argument) if self.code == "APPENDUID" else None
        return int(match[1]) if match else None

    @property
    def capabilities(self) -> frozenset[str] | None:
        """The capabilities in the code, if it is that of capabilities."""
        return frozenset(self.argument.upper().split()) if self.code == "CAPABILITY" else None


@dataclass(frozen=True, slots=True)
class Untagged:
    """An untagged response: its word in upper case, with a number before it perhaps, and the rest of the line."""

    word: str
    rest: bytes


def read_status(octets: bytes) -> Status:
    """Read what follows the tag.

    Raises:
        Malformed: it is no status.
    """
    match = _STATUS.fullmatch(octets)
    if match is None:
        raise Malformed(f"no status: {octets[:80]!r}")
    word, code, argument, text = (each.decode("utf-8", "replace") if each else "" for each in match.groups())
    return Status(word.upper(), code.upper(), argument, text)


def read_untagged(line: bytes) -> Untagged:
    """Read a line that begins with an asterisk.

    Raises:
        Malformed: it is no untagged response.
    """
    match = _UNTAGGED.fullmatch(line)
    if match is None:
        raise Malformed(f"no response: {line[:80]!r}")
    return Untagged(match[1].decode("ascii").upper(), match[2] or b"")


def literal_of(line: bytes) -> tuple[bytes, int] | None:
    """Return the line up to the literal that it ends with and the literal's octets, or None: only LIST may have one.

    Texts may end with `{12}` as well, and mean nothing by it.
    """
    match = _LIST_WITH_LITERAL.fullmatch(line)
    return (match[1], int(match[2])) if match else None


def read_delimiter(rest: bytes) -> str | None:
    """Return the delimiter that an untagged LIST tells; None if mailboxes have no hierarchy.

    Raises:
        Malformed: it is no answer to LIST.
    """
    match = _LIST.fullmatch(rest)
    if match is None:
        raise Malformed(f"no answer to LIST: {rest[:80]!r}")
    delimiter: bytes | None = match[2] or match[3]
    return None if match[1] or delimiter is None else delimiter.decode("latin-1")


def mailbox_name(path: tuple[str, ...], delimiter: str | None) -> bytes:
    """Return the name of a mailbox as a quoted string, in modified UTF-7.

    Raises:
        ValueError: a component holds the delimiter, or there is none and it takes one.
    """
    if delimiter is None and len(path) > 1:
        raise ValueError("the server has no hierarchy of mailboxes")
    if delimiter is not None and any(delimiter in component for component in path):
        raise ValueError(f"a name that holds {delimiter} cannot be said by IMAP")
    return quoted(_SHIFTED.sub(_shift, (delimiter or "").join(path).replace("&", "&-")).encode("ascii"))


def _shift(match: re.Match[str]) -> str:
    text = match[0].encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace").encode("utf-16-be")
    coded = binascii.b2a_base64(text, newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{coded.decode('ascii')}-"


def quoted(octets: bytes) -> bytes:
    """Return printable ASCII as a quoted string."""
    return b'"' + _SPECIAL.sub(rb"\\\1", octets) + b'"'


def date_time(when: datetime) -> bytes:
    """Return an INTERNALDATE, in UTC, whose years have four digits."""
    utc = when.astimezone(UTC)
    return f'"{utc.day:2d}-{_MONTHS[utc.month - 1]}-{utc.year:04d} {utc:%H:%M:%S} +0000"'.encode("ascii")


def literal(octets: int, capabilities: frozenset[str]) -> tuple[bytes, bool]:
    """Return how a literal of that length is announced, and whether the server has to be waited for before it."""
    is_free = "LITERAL+" in capabilities or ("LITERAL-" in capabilities and octets <= _SMALL_LITERAL)
    return (b"{%d+}" % octets, False) if is_free else (b"{%d}" % octets, True)


def append_limit(capabilities: frozenset[str]) -> int | None:
    """Return how many octets a message may have; None if that is not told."""
    for name in capabilities:
        if name.startswith("APPENDLIMIT=") and name[12:].isdecimal():
            return int(name[12:])
    return None


def xoauth2(credential: BearerCredential) -> bytes:
    """Return the only message of XOAUTH2, in base64.

    Raises:
        ValueError: user name or token hold a control character.
    """
    user, token = credential.username, credential.token.reveal()
    if any(char in user + token for char in "\0\1\r\n"):
        raise ValueError("the user name or the token holds a control character")
    return base64.b64encode(f"user={user}\1auth=Bearer {token}\1\1".encode())
