"""What becomes of the parts of a message: their octets without transfer encoding, as files that Graph attaches."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from connectors.graph.charsets import unpadded
from connectors.graph.mime import Buffer, Entity

_WINDOW: Final = 1 << 18
_CHUNK: Final = 1 << 20
_MAX_LINE: Final = 1 << 16
_OTHERS: Final = bytes(
    octet for octet in range(256) if octet not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)
_PADDING: Final = re.compile(rb"=+")


@dataclass(frozen=True)
class Octets:
    """Octets of a message from `start` to `end`, behind those of `prefix`, decoded from their transfer encoding.

    What is in no encoding that is known stays as it is. A content of the contract: `size` costs a reading.
    """

    buffer: Buffer
    start: int
    end: int
    encoding: str = "7bit"
    prefix: bytes = b""

    @classmethod
    def of_body(cls, buffer: Buffer, entity: Entity) -> Octets:
        """Return the body of a part, decoded."""
        return cls(buffer, entity.body_start, entity.end, entity.encoding)

    @cached_property
    def size(self) -> int:
        """The exact number of octets that `chunks` yields."""
        return sum(len(piece) for piece in self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield the octets in order, in pieces of some hundred KB."""
        if self.prefix:
            yield self.prefix
        match self.encoding:
            case "base64":
                yield from _from_base64(self._windows())
            case "quoted-printable":
                yield from _from_quoted_printable(self._windows())
            case _:
                yield from self._windows()

    def first(self, limit: int) -> bytes:
        """Return at most `limit` octets from the beginning."""
        found = bytearray()
        for piece in self.pieces():
            found += piece
            if len(found) >= limit:
                break
        return bytes(found[:limit])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the octets in order; they are decoded beside the event loop."""
        pieces = self.pieces()
        while chunk := await asyncio.to_thread(_gathered, pieces):
            yield chunk

    def _windows(self) -> Iterator[bytes]:
        for low in range(self.start, self.end, _WINDOW):
            yield self.buffer[low : min(low + _WINDOW, self.end)]


def _gathered(pieces: Iterator[bytes]) -> bytes:
    """Take pieces up to about 768 KB; no more than the MiB that a chunk may have."""
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) >= _CHUNK - 2 * _WINDOW:
            break
    return bytes(found)


def _from_base64(windows: Iterator[bytes]) -> Iterator[bytes]:
    """Decode base64; characters that do not belong are passed over, and padding in the middle begins anew."""
    pending = b""
    for window in windows:
        runs = _PADDING.split(pending + window.translate(None, _OTHERS))
        for run in runs[:-1]:
            yield unpadded(run)
        usable = len(runs[-1]) // 4 * 4
        yield binascii.a2b_base64(runs[-1][:usable])
        pending = runs[-1][usable:]
    yield unpadded(pending)


def _from_quoted_printable(windows: Iterator[bytes]) -> Iterator[bytes]:
    """Decode quoted-printable line by line; of a line that never ends, what cannot be in the middle of a character."""
    pending = b""
    for window in windows:
        pending += window
        cut = pending.rfind(b"\n") + 1
        if not cut and len(pending) > _MAX_LINE:
            sign = pending.rfind(b"=", len(pending) - 3)
            cut = sign if sign >= 0 else len(pending)
        yield binascii.a2b_qp(pending[:cut])
        pending = pending[cut:]
    yield binascii.a2b_qp(pending)


@dataclass(frozen=True)
class Part:
    """A file to be attached. `content_id` is without brackets; `is_inline` says that the body shows it."""

    name: str
    content_type: str
    octets: Octets
    content_id: str = ""
    is_inline: bool = False

    def described(self) -> dict[str, object]:
        """Return it as Graph's `fileAttachment` without content."""
        described: dict[str, object] = {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": self.name,
            "contentType": self.content_type,
            "isInline": self.is_inline,
        }
        return described | ({"contentId": self.content_id} if self.content_id else {})

    def as_json(self) -> dict[str, object]:
        """Return it as Graph's `fileAttachment`, which has its content in base64."""
        octets = b"".join(self.octets.pieces())
        return {**self.described(), "contentBytes": base64.b64encode(octets).decode("ascii")}

    @property
    def json_octets(self) -> int:
        """About how much `as_json` makes in a request; never less."""
        return (self.octets.size + 2) // 3 * 4 + 400 + 6 * (len(self.name) + len(self.content_type))
