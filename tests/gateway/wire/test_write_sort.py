from __future__ import annotations

from gateway.wire.write_sort import CLOSE, OPEN, SPACE, sort, thread


def test_sort() -> None:
    assert sort([2, 3, 6]) == b"* SORT 2 3 6\r\n"
    assert sort([]) == b"* SORT\r\n"
    assert sort([5, 2], 917162500) == b"* SORT 5 2 (MODSEQ 917162500)\r\n"


def test_thread() -> None:
    assert thread([OPEN, 0, SPACE, 1, CLOSE], [7, 9]) == b"* THREAD (7 9)\r\n"
    assert thread([], []) == b"* THREAD\r\n"
