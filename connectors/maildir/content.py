"""The octets of a message file, with the line ends that IMAP needs.

A Maildir file usually has bare LF line ends; Dovecot and we serve it with CRLF. A file known to have none, or stored by
this connector to be kept as it is, is served as it lies on disk.
"""

from __future__ import annotations

import asyncio
import os
import re
import weakref
from collections.abc import AsyncIterator
from contextlib import ExitStack

from connectors.api.errors import Unavailable
from connectors.api.types import BytesContent, MessageContent

READ_OCTETS = 1 << 19  # doubled at worst by the conversion: a piece is at most 1 MiB
WHOLE_OCTETS = 1 << 18
HEADER_OCTETS = 1 << 14

_HEADER_END = re.compile(rb"(?:\A|\n)\r?\n")


def to_crlf(data: bytes) -> bytes:
    """Return the data with every bare LF made a CRLF. A CR at the end must not be parted from its LF."""
    # To look for a single octet is much faster than for two, and most files have no CR.
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    return data.replace(b"\n", b"\r\n")


def count_bare_lf(data: bytes, previous: bytes) -> int:
    """Return how many LF in `data` have no CR before them; `previous` is what comes before `data`."""
    bare = data.count(b"\n") - (data.count(b"\r\n") if b"\r" in data else 0)
    return bare - 1 if data.startswith(b"\n") and previous.endswith(b"\r") else bare


def crlf_size(descriptor: int, stored: int) -> int:
    """Return the size in octets that the first `stored` octets of a file have with CRLF line ends."""
    bare, offset, previous = 0, 0, b""
    while offset < stored:
        data = os.pread(descriptor, min(READ_OCTETS, stored - offset), offset)
        if not data:
            break
        bare += count_bare_lf(data, previous)
        offset += len(data)
        previous = data
    return offset + bare


def read_small(path: str, stored: int, *, is_verbatim: bool) -> MessageContent | None:
    """Return the content of a message file of `stored` octets, read at once. Blocks.

    None if it is large, or has another size than that: then `open_content` finds out what there is.
    """
    if stored > WHOLE_OCTETS:
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, stored + 1)
    finally:
        os.close(descriptor)
    if len(data) != stored:
        return None
    return BytesContent(data if is_verbatim else to_crlf(data))


def open_content(path: str, *, is_verbatim: bool) -> MessageContent:
    """Open a message file; small ones are read at once, big ones as they are asked for. Blocks.

    Once this has returned, the file may be renamed and removed: the content stays readable.
    """
    with ExitStack() as held:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        held.callback(os.close, descriptor)
        stored = os.fstat(descriptor).st_size
        if stored <= WHOLE_OCTETS:
            data = _read(descriptor, stored, 0)
            return BytesContent(data if is_verbatim else to_crlf(data))
        size = stored if is_verbatim else crlf_size(descriptor, stored)
        content = FileContent(descriptor, stored, size)
        weakref.finalize(content, held.pop_all().close)
        return content


def read_header(path: str, *, is_verbatim: bool) -> tuple[bytes, int | None]:
    """Return the header block of a message file, and the size in octets if the whole file had to be read. Blocks."""
    with open(path, "rb", buffering=0) as file:
        want = HEADER_OCTETS
        data = b""
        while True:
            more = file.read(want)
            data += more
            is_whole = not more
            # The CR of an unfinished line end waits for its LF.
            text = data if is_verbatim else to_crlf(data if is_whole else data.removesuffix(b"\r"))
            end = _HEADER_END.search(text)
            if end is not None or is_whole:
                is_whole = is_whole or os.fstat(file.fileno()).st_size == len(data)
                size = len(data if is_verbatim else to_crlf(data)) if is_whole else None
                return text[: end.end()] if end is not None else text, size
            want = len(data)


class FileContent:
    """A big message in an open file. The descriptor is closed when the content is forgotten."""

    __slots__ = ("__weakref__", "_descriptor", "_stored", "size")

    def __init__(self, descriptor: int, stored: int, size: int) -> None:
        self._descriptor = descriptor
        self._stored = stored
        self.size = size

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the octets in pieces of at most 1 MiB.

        Raises:
            Unavailable: the file was changed in place, which nobody may do to a Maildir.
        """
        is_verbatim = self.size == self._stored
        offset, held = 0, b""
        while offset < self._stored:
            length = min(READ_OCTETS, self._stored - offset)
            data = await asyncio.to_thread(self._read, length, offset)
            offset += len(data)
            if is_verbatim:
                yield data
                continue
            data = held + data
            held = b"\r" if data.endswith(b"\r") and offset < self._stored else b""
            if piece := to_crlf(data.removesuffix(held) if held else data):
                yield piece

    def _read(self, length: int, offset: int) -> bytes:
        # A method, so that the descriptor stays open while a thread reads that nobody waits for any more.
        return _read(self._descriptor, length, offset)


def _read(descriptor: int, length: int, offset: int) -> bytes:
    pieces = []
    while length > 0:
        data = os.pread(descriptor, length, offset)
        if not data:
            raise Unavailable("a message file became shorter while it was read")
        pieces.append(data)
        length -= len(data)
        offset += len(data)
    return b"".join(pieces)
