from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from connectors.api.columns import StateColumns
from connectors.api.types import MessageRef, MessageState

SEEN = frozenset({"\\Seen"})
NOON = int(datetime(2026, 11, 3, 12, tzinfo=UTC).timestamp())
PAGE = StateColumns(
    [MessageRef("5"), MessageRef("7"), MessageRef("9")],
    [SEEN, frozenset(), SEEN],
    [NOON, None, 0],
    [60, 0, 0],
    [100, 200, -1],
    [5, 7, 9],
)


def test_columns_are_states_when_they_are_looked_at_one_by_one() -> None:
    assert list(PAGE) == [
        MessageState(
            MessageRef("5"),
            flags=SEEN,
            uid=5,
            internal_date=datetime(2026, 11, 3, 13, tzinfo=timezone(timedelta(hours=1))),
            size=100,
        ),
        MessageState(MessageRef("7"), flags=frozenset(), uid=7, size=200),
        MessageState(MessageRef("9"), flags=SEEN, uid=9, internal_date=datetime(1970, 1, 1, tzinfo=UTC)),
    ]
    assert PAGE[0].internal_date is not None
    assert PAGE[0].internal_date.utcoffset() == timedelta(hours=1)


def test_a_slice_is_columns_again() -> None:
    part = PAGE[1:]
    assert isinstance(part, StateColumns)
    assert len(part) == 2
    assert list(part) == list(PAGE)[1:]


def test_a_backend_without_uids_gives_none() -> None:
    page = StateColumns([MessageRef("a")], [SEEN], [NOON], [0], [1])
    assert page[0].uid is None
    assert page[:1][0].uid is None
