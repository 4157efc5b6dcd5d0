"""What a folder held when it was last seen."""

from __future__ import annotations

import pytest

from connectors.api.types import Cursor, MessageRef
from connectors.maildir import filename
from connectors.maildir import snapshot as snapshot_module
from connectors.maildir.keywords import Keywords
from connectors.maildir.snapshot import Entry, Snapshot

A, B = MessageRef("1.a"), MessageRef("2.b")


def entry(name: str) -> Entry:
    return Entry(name, 1_500_000_000_123_456_789, 10, None)


def test_a_cursor_is_answered_by_what_happened_since() -> None:
    snapshot = Snapshot()
    snapshot.put(A, entry("1.a:2,"))
    cursor = snapshot.cursor
    assert snapshot.changed_since(cursor) == []
    snapshot.put(B, entry("2.b:2,"))
    snapshot.put(A, entry("1.a:2,S"))
    snapshot.drop(B)
    assert snapshot.changed_since(cursor) == [B, A]


def test_the_digest_depends_on_what_is_there_and_not_on_how_it_came_to_be() -> None:
    first, second = Snapshot(), Snapshot()
    first.put(A, entry("1.a:2,S"))
    first.put(B, entry("2.b:2,"))
    second.put(B, entry("2.b:2,F"))
    second.put(A, entry("1.a:2,S"))
    assert second.changed_since(first.cursor) is None
    second.put(B, entry("2.b:2,"))
    assert second.changed_since(first.cursor) == []
    second.set_keywords(Keywords(("Foo",)))
    assert second.changed_since(first.cursor) is None


@pytest.mark.parametrize("cursor", ["", "x", "a:b:c", "::", "x:1:0"])
def test_a_cursor_of_unknown_origin_is_answered_by_everything(cursor: str) -> None:
    snapshot = Snapshot()
    snapshot.put(A, entry("1.a:2,"))
    assert snapshot.changed_since(Cursor(cursor)) is None


def test_the_journal_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_module, "JOURNAL_LIMIT", 10)
    snapshot = Snapshot()
    first = snapshot.cursor
    for number in range(100):
        snapshot.put(MessageRef(f"{number}.x"), entry(f"{number}.x:2,"))
    late = snapshot.cursor
    snapshot.drop(MessageRef("5.x"))
    assert snapshot.changed_since(first) is None
    assert snapshot.changed_since(late) == ["5.x"]


def test_only_messages_with_the_letter_change_with_the_keywords() -> None:
    snapshot = Snapshot()
    snapshot.put(A, entry("1.a:2,a"))
    snapshot.put(B, entry("2.b:2,b"))
    cursor = snapshot.cursor
    snapshot.set_keywords(Keywords(("Foo",)))
    assert snapshot.changed_since(cursor) == [A]
    assert snapshot.state(A).flags == frozenset({"Foo"})


def test_dates_are_in_utc_to_the_microsecond() -> None:
    snapshot = Snapshot()
    snapshot.put(A, entry("1.a:2,"))
    date = snapshot.state(A).internal_date
    assert date is not None
    assert date.isoformat() == "2017-07-14T02:40:00.123456+00:00"


def test_messages_of_one_moment_are_in_the_order_of_their_whole_names() -> None:
    snapshot = Snapshot()
    names = [
        f"{second}.M{micros}P1.{host}:2,"
        for second in (1_700_000_001, 1_700_000_000)
        for micros in (5, 1_000_000, 999_999, 123_456_789, 0)
        for host in ("b", "a")
    ]
    for name in names:
        snapshot.put(MessageRef(name.removesuffix(":2,")), Entry(name, 0, 1, 1))
    expected = sorted(names, key=lambda name: filename.order(name, 0))
    assert [snapshot.entries[ref].name for ref in snapshot.refs()] == expected


def test_what_only_we_have_renamed_is_an_echo() -> None:
    snapshot = Snapshot()
    snapshot.put(A, entry("1.a:2,"))
    snapshot.put(B, entry("2.b:2,"))
    cursor = snapshot.cursor
    snapshot.put_flags(A, "1.a:2,F")
    snapshot.put_flags(A, "1.a:2,FS")
    snapshot.put_flags(B, "2.b:2,S")
    assert snapshot.changed_since(cursor) == [A, B]
    assert snapshot.echoes_since(cursor) == {A, B}
    snapshot.put(B, entry("2.b:2,RS"))
    assert snapshot.echoes_since(cursor) == {A}
    snapshot.drop(A)
    assert snapshot.echoes_since(cursor) == frozenset()


def test_a_message_that_has_just_come_is_no_echo() -> None:
    snapshot = Snapshot()
    cursor = snapshot.cursor
    snapshot.put(A, entry("1.a:2,"))
    snapshot.put_flags(A, "1.a:2,S")
    assert snapshot.echoes_since(cursor) == frozenset()


def test_there_are_no_echoes_once_the_letters_mean_something_else() -> None:
    snapshot = Snapshot()
    snapshot.put(A, entry("1.a:2,"))
    cursor = snapshot.cursor
    snapshot.put_flags(A, "1.a:2,a")
    snapshot.set_keywords(Keywords(("Foo",)))
    assert snapshot.echoes_since(cursor) == frozenset()
    assert snapshot.echoes_since(Cursor("x:1:0")) == frozenset()
