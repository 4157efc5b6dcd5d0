from __future__ import annotations

import itertools

import pytest

from gateway.wire.response_reader import ResponseReader
from gateway.wire.response_rows import FetchColumns, RowDecoder, RowReader
from gateway.wire.responses import ExistsData, FetchData

ITEMS = {
    b"UID": b"UID 7",
    b"FLAGS": b"FLAGS (\\Seen $x)",
    b"INTERNALDATE": b'INTERNALDATE " 3-Nov-2026 12:00:00 +0100"',
    b"RFC822.SIZE": b"RFC822.SIZE 4321",
}
NOON = 1793703600
"""3 November 2026, 12:00 at +0100."""


def line(number: int, *items: bytes) -> bytes:
    return b"* %d FETCH (%b)\r\n" % (number, b" ".join(items or ITEMS.values()))


@pytest.mark.parametrize("order", [pytest.param(o, id=b"-".join(o).decode()) for o in itertools.permutations(ITEMS)])
def test_lines_are_read_in_whatever_order_the_server_has(order: tuple[bytes, ...]) -> None:
    reader = RowReader()
    data = b"".join(line(number, *(ITEMS[name] for name in order)) for number in range(1, 4))
    rows, octets = reader.take(data)
    assert octets == len(data)
    assert RowDecoder().decode(rows, reader.order) == FetchColumns(
        [7] * 3, [frozenset({"\\Seen", "$x"})] * 3, [NOON] * 3, [60] * 3, [4321] * 3
    )


@pytest.mark.parametrize(
    "other",
    [
        b"* 3 EXISTS\r\n",
        line(2, b"UID 8", b"FLAGS ()"),
        line(2, *ITEMS.values(), b"MODSEQ (5)"),
        line(2, b"UID 8", b"UID 9", b"FLAGS ()", b"RFC822.SIZE 1"),
        line(2, b"UID 8", b"FLAGS ()", b'INTERNALDATE "x"', b"RFC822.SIZE {1}\r\n1"),
        line(2, *ITEMS.values())[:-2],
        line(2, *ITEMS.values())[:-9],
        b"",
    ],
)
def test_rows_end_where_a_line_is_anything_else(other: bytes) -> None:
    reader = RowReader()
    data = line(1) + other
    rows, octets = reader.take(data)
    assert len(rows) == 1
    assert octets == len(line(1))
    assert reader.take(other) == ([], 0)


def test_a_line_with_an_item_twice_teaches_nothing() -> None:
    reader = RowReader()
    assert reader.take(line(1, b"UID 8", b"UID 9", b"FLAGS ()", b"RFC822.SIZE 1")) == ([], 0)
    assert reader.order == ()
    assert len(reader.take(line(1))[0]) == 1


def decoded(*dates: bytes) -> FetchColumns:
    return RowDecoder().decode([(b"1", b"", date, b"1") for date in dates], tuple(ITEMS))


def test_dates_put_together_of_known_parts_are_right() -> None:
    columns = decoded(
        b" 3-Nov-2026 12:00:00 +0100",
        b"04-Nov-2026 13:00:01 -0330",
        b" 3-Nov-2026 13:00:01 -0330",
        b"04-Nov-2026 12:00:00 +0100",
        b"3-Nov-2026 12:00:00 +0100",
    )
    assert columns.seconds == [NOON, NOON + 86400 + 3601 + 16200, NOON + 3601 + 16200, NOON + 86400, NOON]
    assert columns.zones == [60, -210, -210, 60, 60]


@pytest.mark.parametrize("text", [b"", b"30-Feb-2026 12:00:00 +0100", b" 3-Nov-2026 25:00:00 +0100", b"yesterday"])
def test_what_is_no_date_is_unknown(text: bytes) -> None:
    columns = decoded(b" 3-Nov-2026 12:00:00 +0100", text, b" 3-Nov-2026 12:00:00 +0100")
    assert columns.seconds == [NOON, None, NOON]
    assert columns.zones == [60, 0, 60]


def test_recent_is_left_out_and_system_flags_are_spelled_as_usual() -> None:
    rows = [(b"1", b"\\RECENT \\seen $Label", b"", b"1")]
    assert RowDecoder().decode(rows, tuple(ITEMS)).flags == [frozenset({"\\Seen", "$Label"})]


def test_nothing_is_no_columns() -> None:
    assert RowDecoder().decode([], ()) == FetchColumns([], [], [], [], [])


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_rows_and_events_together_are_all_that_was_sent(size: int) -> None:
    data = b"".join(
        line(number, b"UID %d" % number, *list(ITEMS.values())[1:]) if number % 5 else b"* %d EXISTS\r\n" % number
        for number in range(1, 51)
    )
    reader = ResponseReader()
    uids: list[int] = []
    others: list[int] = []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        while (event := reader.next_event()) is not None:
            if isinstance(event, FetchData):
                assert event.uid is not None
                uids.append(event.uid)
            else:
                assert isinstance(event, ExistsData)
                others.append(event.count)
            rows = reader.take_rows()
            uids += RowDecoder().decode(rows, reader.row_order).uids
    assert uids == [number for number in range(1, 51) if number % 5]
    assert others == list(range(5, 51, 5))
    assert reader.is_between_responses


def test_no_row_is_taken_inside_a_literal() -> None:
    reader = ResponseReader()
    reader.feed(line(1))
    assert len(reader.take_rows()) == 1
    reader.feed(b"* 2 FETCH (BODY[] {%d}\r\n" % (2 * len(line(1))))
    assert reader.next_event() is None
    reader.feed(line(1) * 2 + b")\r\n")
    assert reader.take_rows() == []
    event = reader.next_event()
    assert isinstance(event, FetchData)
    assert event.sections == {b"BODY[]": line(1) * 2}
