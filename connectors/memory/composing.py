"""Serving a message the way a backend does that keeps no octets: composed anew from what it knows, each time."""

from __future__ import annotations


def composed(data: bytes, number: int) -> bytes:
    """Return the message as the `number`-th reading gives it: the same mail in octets that no other reading gives."""
    return b"X-Composed: %d\r\n" % number + data


def retold_header(data: bytes) -> bytes:
    """Return the header block, with its closing empty line, in other octets but with the same fields and values."""
    return b"".join(_retold(line) for line in header_block(data).splitlines(keepends=True))


def header_block(data: bytes) -> bytes:
    """Return the octets up to and with the first empty line; all of them if there is none."""
    if data.startswith(b"\r\n"):
        return data[:2]
    end = data.find(b"\r\n\r\n")
    return data if end < 0 else data[: end + 4]


def _retold(line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    is_continued = line.startswith((b" ", b"\t"))
    return line if is_continued or not colon else name.upper() + colon + value
