from __future__ import annotations

from bench.scenarios import hits


def test_signs_of_life_are_no_hits() -> None:
    answer = b'* OK [INPROGRESS ("b7q" NIL NIL)] Still working on it\r\n* SEARCH 1 22\r\nb7q OK Search completed\r\n'
    assert hits(answer) == [b"*", b"SEARCH", b"1", b"22"]
