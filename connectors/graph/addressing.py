"""Address fields and the Date field of a message, read so that nothing broken in one takes the others with it."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.graph.charsets import decode_words, storable

MAX_ADDRESSES: Final = 500
"""Of one field: Exchange Online takes no message for more (recipient limit); the header is kept as text beside it."""

_MAX_NAME: Final = 256
_MAX_ADDRESS: Final = 320
_MAX_OCTETS: Final = 4096

_TOKEN: Final = re.compile(
    rb"\"(?:[^\"\\]++|\\.)*+\"|[ \t]++|[<>,;:()\"]|[^ \t<>,;:()\"]++",
    re.DOTALL,
)
_TOKEN_WITHOUT_QUOTES: Final = re.compile(rb"[ \t]++|[<>,;:()\"]|[^ \t<>,;:()\"]++")
_QUOTED: Final = re.compile(rb"\"((?:[^\"\\]++|\\.)*+)\"", re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_MARK: Final = re.compile(rb"[()]|\\.", re.DOTALL)
_ADDRESS: Final = re.compile(
    r"[^\s@<>\"(),:;\\\x00-\x1f\x7f]+@[^\s@<>\"(),:;\\\x00-\x1f\x7f]+|\"[^\"\\]+\"@[^\s@<>\",;]+"
)
_ROUTE: Final = re.compile(r"@[^:]*:")
_ZONE_COMMENT: Final = re.compile(r"\([^()]*\)")
_FIRST_YEAR: Final = 1601
"""Times of MAPI are counted from then (MS-DTYP, FILETIME)."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address, and the name that goes with it; empty if there is none."""

    name: str
    address: str

    def as_json(self) -> dict[str, object]:
        """Return it as Graph's `recipient`."""
        return {"emailAddress": {"name": self.name or self.address, "address": self.address}}


def read_addresses(value: bytes) -> list[Mailbox]:
    """Return the addresses of a field, those in groups too; what has no local part and domain is left out.

    Time is linear in the length. Names of groups and comments that do not stand for a name are lost.
    """
    found: list[Mailbox] = []
    for piece in _pieces(value):
        mailbox = piece.mailbox()
        if mailbox is not None:
            found.append(mailbox)
            if len(found) >= MAX_ADDRESSES:
                break
    return found


@dataclass(slots=True)
class _Piece:
    """What stands between two separators: the words of a name, and what is in angle brackets."""

    words: bytes = b""
    angle: bytes | None = None
    comment: bytes = b""

    def mailbox(self) -> Mailbox | None:
        if self.angle is not None:
            address = _ROUTE.sub("", _text(self.angle), count=1)
            name = _QUOTED.sub(_unquoted, self.words)
        else:
            address, name = self._bare(), self.comment
        address = "".join(address.split()) if '"' not in address else address.strip()
        if len(address) > _MAX_ADDRESS or _ADDRESS.fullmatch(address) is None:
            return None
        return Mailbox(" ".join(storable(decode_words(name)).split())[:_MAX_NAME], address)

    def add(self, token: bytes, *, is_in_angle: bool) -> None:
        """Take one more word; of what is longer than any address the end is dropped."""
        if is_in_angle:
            self.angle = ((self.angle or b"") + token)[:_MAX_OCTETS]
        elif self.angle is None:
            self.words = (self.words + token)[:_MAX_OCTETS]

    def _bare(self) -> str:
        """Return an address without brackets; of several words the one with an at sign."""
        text = _text(self.words).strip()
        if _ADDRESS.fullmatch(text):
            return text
        return next((word for word in text.split() if "@" in word.strip("@")), text)


def _text(octets: bytes) -> str:
    return storable(octets.decode("utf-8", "replace")).strip()


def _pieces(value: bytes) -> Iterator[_Piece]:
    piece, is_in_angle = _Piece(), False
    position, takes_comments, pattern = 0, True, _TOKEN
    while position < len(value):
        match = pattern.match(value, position)
        if match is None:
            return
        position, token = match.end(), match[0]
        if token == b"(" and not is_in_angle:
            end = _comment_end(value, match.start()) if takes_comments else 0
            takes_comments = end > 0
            if end:
                piece.comment = _QUOTED_PAIR.sub(rb"\1", value[match.end() : end - 1])
                position = end
        elif token == b"<":
            piece.angle, is_in_angle = b"", True
        elif token == b">":
            is_in_angle = False
        elif token in (b",", b";") and not (is_in_angle and token == b"," and (piece.angle or b"").startswith(b"@")):
            yield piece
            piece, is_in_angle = _Piece(), False
        elif token == b":" and not is_in_angle:
            # The name of a group has come to its end.
            piece = _Piece()
        elif token == b'"':
            # It never ends; nor does any after it, which are not to be sought to the end one by one.
            pattern = _TOKEN_WITHOUT_QUOTES
        elif token not in (b"(", b")"):
            piece.add(token, is_in_angle=is_in_angle)
    yield piece


def _unquoted(match: re.Match[bytes]) -> bytes:
    return _QUOTED_PAIR.sub(rb"\1", match[1])


def _comment_end(value: bytes, start: int) -> int:
    """Return the offset behind the comment, whose parentheses nest; 0 if it never ends."""
    depth = 0
    for match in _COMMENT_MARK.finditer(value, start):
        depth += {b"(": 1, b")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return 0


def read_date(value: bytes) -> datetime | None:
    """Return the time of a Date field; None if it cannot be read, or not be held by MAPI."""
    text = _ZONE_COMMENT.sub(" ", value[:200].decode("latin-1"))
    try:
        found = email.utils.parsedate_to_datetime(text)
        found = (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if found.year >= _FIRST_YEAR else None


def system_time(moment: datetime) -> str:
    """Return a time as an extended property of type SystemTime, in whole seconds (RFC 9051 section 2.3.3)."""
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"
