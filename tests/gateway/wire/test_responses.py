"""Values of responses: rendering nested data, expanding sets."""

import pytest

from gateway.wire.response_reader import ResponseReader
from gateway.wire.responses import Atom, CopyUid, FetchData, Nested, expand, render
from gateway.wire.sequence_set import SequenceSet

RENDERED: list[tuple[Nested, bytes]] = [
    (None, b"NIL"),
    (7, b"7"),
    (b"", b'""'),
    (b'a "b" \\', b'"a \\"b\\" \\\\"'),
    (b"gr\xfc\xdfe", b"{5}\r\ngr\xfc\xdfe"),
    (b"a\r\nb", b"{4}\r\na\r\nb"),
    (b"NIL", b'"NIL"'),
    (b"12", b'"12"'),
    (Atom(b"x"), b"x"),
    ((), b"()"),
    ((b"a", None, (1, (b"b",)), ((),)), b'("a" NIL (1 ("b")) (()))'),
]


@pytest.mark.parametrize(("value", "data"), RENDERED)
def test_nested_data_is_rendered(value: Nested, data: bytes) -> None:
    assert render(value) == data


@pytest.mark.parametrize(("value", "data"), RENDERED)
def test_what_is_rendered_reads_back_the_same(value: Nested, data: bytes) -> None:
    reader = ResponseReader()
    reader.feed(b"* 1 FETCH (ENVELOPE %b)\r\n" % data)
    event = reader.next_event()
    assert isinstance(event, FetchData)
    assert event.envelope == value
    assert render(event.envelope) == data


def test_deep_data_is_rendered_without_recursion() -> None:
    value: Nested = ()
    for _ in range(50_000):
        value = (value,)
    assert render(value) == b"(" * 50_001 + b")" * 50_001


def test_sets_expand_in_the_order_written_each_range_ascending() -> None:
    assert expand(SequenceSet(((5, 5), (3, 1))), 10) == [5, 1, 2, 3]


def test_a_set_beyond_the_limit_or_with_a_star_does_not_expand() -> None:
    assert expand(SequenceSet(((1, 4294967295),)), 1000) is None
    assert expand(SequenceSet(((1, 0),)), 1000) is None


def test_copyuid_pairs_up_or_not_at_all() -> None:
    source = SequenceSet(((304, 304), (319, 320)))
    assert CopyUid(1, source, SequenceSet(((7, 9),))).pairs() == [(304, 7), (319, 8), (320, 9)]
    assert CopyUid(1, source, SequenceSet(((7, 8),))).pairs() is None
