"""The octets of a message wherever they are: in memory or mapped from a file. Nothing here copies a message whole."""

from __future__ import annotations

import mmap

Buffer = bytes | memoryview | mmap.mmap
"""A message. A memoryview must be contiguous octets (format B)."""

_WINDOW = 1 << 18


def take(buffer: Buffer, start: int, end: int) -> bytes:
    """Return the octets from `start` up to `end`."""
    return bytes(buffer[start:end])


def find(buffer: Buffer, needle: bytes, start: int, end: int) -> int:
    """Return where `needle` first lies within `start`..`end`, or -1.

    Only `bytes` has a search that runs at memory speed in CPython 3.11, so the other kinds are searched window by
    window in copies that overlap by the needle's length.
    """
    if isinstance(buffer, bytes):
        return buffer.find(needle, start, end)
    overlap = len(needle) - 1
    for low in range(start, end, _WINDOW):
        found = take(buffer, low, min(low + _WINDOW + overlap, end)).find(needle)
        if found >= 0:
            return low + found
    return -1


def count_lines(buffer: Buffer, start: int, end: int) -> int:
    """Return the number of line feeds from `start` up to `end`; an unfinished last line does not count."""
    if isinstance(buffer, bytes):
        return buffer.count(b"\n", start, end)
    return sum(take(buffer, low, min(low + _WINDOW, end)).count(b"\n") for low in range(start, end, _WINDOW))
