"""Recognising a message that a store has altered in the ways that stores do: what they add, which line ends they make.

Some give a draft the Message-ID, Date and MIME-Version it lacks, note in trace fields how it came, fold fields anew or
make all line ends CRLF. What somebody has written is never altered by that: such fields and the text are compared
whole, and a field that is there is never taken for one that was added.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_HEADER_OCTETS: Final = 64 * 1024
MAX_MARKS: Final = 200
"""Of a message with a larger header, or more fields that stores add too, no more than the octets are compared."""

ADDED_OCTETS: Final = 16 * 1024
"""As much at most is taken to be added, beside what line ends make."""

_ADDED_ONCE: Final = frozenset(
    {b"message-id", b"date", b"mime-version", b"from", b"sender", b"content-type", b"content-transfer-encoding"}
)
"""Stores add these where they are missing, and only there."""

_TRACE: Final = frozenset({b"received", b"return-path", b"delivered-to"})
"""Stores add these to any message, and fields beginning with `X-` too."""

_FIELD_END: Final = re.compile(rb"\n(?![ \t])")


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a message is known again by.

    `digest` is the SHA-256 of the octets. `essence` is one of the text and of the fields that no store adds, None if
    that is not to be compared. `marks` stand for the other fields, each its name, a space and a hash of its value.
    `slack` is by how many octets at most the message may have come to differ in size.
    """

    digest: bytes
    essence: bytes | None = None
    marks: tuple[str, ...] = ()
    slack: int = 0

    def became(self, other: Likeness) -> bool:
        """Tell whether `other` is what a store may have made of this message."""
        if self.digest == other.digest:
            return True
        if self.essence is None or self.essence != other.essence:
            return False
        mine, others = Counter(self.marks), Counter(other.marks)
        if mine - others:
            return False
        taken = {mark.partition(" ")[0].encode() for mark in mine} & _ADDED_ONCE
        return not any(mark.partition(" ")[0].encode() in taken for mark in others - mine)

    def possible_sizes(self, size: int) -> range:
        """Return the sizes that the message, of `size` octets, may have come to have."""
        return range(max(size - self.slack, 0), size + self.slack + 1)

    def encode(self) -> dict[str, object]:
        """Return everything but the digest, fit for JSON."""
        essence = None if self.essence is None else self.essence.hex()
        return {"essence": essence, "marks": list(self.marks), "slack": self.slack}

    @classmethod
    def decode(cls, digest: bytes, encoded: object) -> Likeness:
        """Return what `encode` gave; with anything else there are the octets to compare."""
        match encoded:
            case {"essence": str(essence), "marks": [*marks], "slack": int(slack)}:
                return cls(digest, bytes.fromhex(essence), tuple(map(str, marks)), slack)
        return cls(digest)


class Portrait:
    """Makes the likeness of a message whose octets come in pieces; little of it is in memory."""

    def __init__(self) -> None:
        self._octets = hashlib.sha256()
        self._text = hashlib.sha256()
        self._header = bytearray()
        self._is_in_header = True
        self._cut = b""
        self._lines = 0
        self._empty_lines = 0

    def feed(self, data: bytes) -> None:
        """Take the next octets."""
        self._octets.update(data)
        data = self._cut + data
        # Whether a CR ends a line by itself the next octet tells.
        self._cut = b"\r" if data.endswith(b"\r") else b""
        self._take(data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n"))

    def finish(self) -> Likeness:
        """Return the likeness; nothing may be fed after it."""
        self._take(b"\n" if self._cut else b"")
        digest, slack = self._octets.digest(), self._lines + ADDED_OCTETS
        kept: list[bytes] = []
        marks: list[str] = []
        for key, value in _fields(bytes(self._header)):
            if key in _ADDED_ONCE or key in _TRACE or key.startswith(b"x-"):
                marks.append(f"{key.decode('latin-1')} {hashlib.sha256(value).hexdigest()[:32]}")
            else:
                kept.append(hashlib.sha256(key + b":" + value).digest())
        if len(self._header) > MAX_HEADER_OCTETS or len(marks) > MAX_MARKS:
            return Likeness(digest)
        essence = hashlib.sha256(b"".join(sorted(kept)) + self._text.digest()).digest()
        return Likeness(digest, essence, tuple(sorted(marks)), slack)

    def _take(self, data: bytes) -> None:
        """Take octets whose line ends are all LF."""
        self._lines += data.count(b"\n")
        if self._is_in_header:
            data = self._take_header(data)
        # Empty lines in the end count for nothing: some stores add one, others take it off.
        text = data.rstrip(b"\n")
        if text:
            for start in range(0, self._empty_lines, 1 << 16):
                self._text.update(b"\n" * min(self._empty_lines - start, 1 << 16))
            self._empty_lines = 0
            self._text.update(text)
        self._empty_lines += len(data) - len(text)

    def _take_header(self, data: bytes) -> bytes:
        """Take octets of the header; return what is behind it."""
        seen = len(self._header)
        self._header += data
        # The empty line of a message without fields is its first one.
        end = 0 if self._header.startswith(b"\n") else self._header.find(b"\n\n", max(seen - 1, 0)) + 1
        if end or self._header.startswith(b"\n"):
            text = bytes(self._header[end + 1 :])
            del self._header[end:]
        elif len(self._header) > MAX_HEADER_OCTETS:
            text = b""
        else:
            return b""
        self._is_in_header = False
        return text


def _fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and value of each field, without what folding may alter; a line that is no field has no name."""
    for field in _FIELD_END.split(header.rstrip(b"\n")):
        name, colon, value = field.partition(b":")
        if field:
            yield (name.strip().lower(), b" ".join(value.split())) if colon else (b"", field)


def likeness_of(data: bytes) -> Likeness:
    """Return the likeness of a message that is in memory."""
    portrait = Portrait()
    portrait.feed(data)
    return portrait.finish()
