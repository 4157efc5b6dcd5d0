"""The responses of SORT and THREAD, as finished octets (RFC 5256 section 4)."""

from __future__ import annotations

from collections.abc import Sequence

OPEN, CLOSE, SPACE = -1, -2, -3
"""What stands between the messages in the tokens of a THREAD response."""

_MARKS = {OPEN: b"(", CLOSE: b")", SPACE: b" "}


def sort(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """`* SORT 2 3 6 (MODSEQ n)`."""
    listed = " ".join(map(str, numbers)).encode("ascii")
    tail = b"" if modseq is None else b" (MODSEQ %d)" % modseq
    return b"* SORT%b%b%b\r\n" % (b" " if numbers else b"", listed, tail)


def thread(tokens: Sequence[int], numbers: Sequence[int]) -> bytes:
    """`* THREAD (2)(3 6 (4 23)(44 7 96))`.

    Tokens are places in `numbers`, which has what each message is called, and the marks between them.
    """
    pieces = [_MARKS[token] if token < 0 else b"%d" % numbers[token] for token in tokens]
    return b"* THREAD%b%b\r\n" % (b" " if pieces else b"", b"".join(pieces))
