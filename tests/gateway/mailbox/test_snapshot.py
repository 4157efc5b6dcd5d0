from __future__ import annotations

from typing import TypeVar

import pytest

from gateway.mailbox.snapshot import BadSequence
from gateway.mailbox.view import View
from gateway.store import placements
from gateway.store.transaction import Body
from gateway.wire.commands import StoreAction
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.mailbox.opened import opened, refs
from tests.stack import INBOX, Stack, eventually, message, next_changes, until_held

T = TypeVar("T")


async def test_expunged_messages_keep_their_numbers_until_the_client_is_told(stack: Stack) -> None:
    view = await opened(stack)
    stack.backends["work"].remove(INBOX, refs(stack)[1])
    await eventually(view, lambda: set(view._expunged), bool)
    assert view.catch_up(allow_expunge=False).is_empty
    assert list(view.uids) == [1, 2, 3, 4, 5]
    assert [row.uid for row in view.flag_rows([2])] == [2]
    told = view.catch_up(allow_expunge=True)
    assert told.expunged == [(2, 2)]
    assert list(view.uids) == [1, 3, 4, 5]
    assert view.flag_rows([2]) == []
    assert not view._mailbox.ghosts


async def test_each_expunge_line_counts_those_before_it(stack: Stack) -> None:
    view = await opened(stack)
    for ref in [refs(stack)[index] for index in (0, 1, 3)]:
        stack.backends["work"].remove(INBOX, ref)
    await eventually(view, lambda: len(view._expunged), lambda count: count == 3)
    assert view.catch_up(allow_expunge=True).expunged == [(1, 1), (1, 2), (2, 4)]


async def test_exists_is_told_while_expunges_are_held_back(stack: Stack) -> None:
    view = await opened(stack, 2)
    backend = stack.backends["work"]
    backend.remove(INBOX, refs(stack)[0])
    backend.deliver(INBOX, message(9))
    told = await next_changes(view, allow_expunge=False)
    assert told.exists == 3
    final = await eventually(view, lambda: view.catch_up(allow_expunge=True), lambda told: bool(told.expunged))
    assert final.expunged == [(1, 1)]
    assert list(view.uids) == [2, 3]


async def test_a_message_that_came_and_went_unseen_is_not_told(stack: Stack) -> None:
    view = await opened(stack, 1)
    backend = stack.backends["work"]
    gone = backend.deliver(INBOX, message(7))
    other = await stack.open()
    await eventually(other, lambda: list(other._mailbox.columns.uids), lambda uids: 2 in uids)
    backend.remove(INBOX, gone)
    await eventually(other, lambda: list(other._mailbox.columns.uids), lambda uids: 2 not in uids)
    assert view.catch_up(allow_expunge=True).is_empty
    backend.deliver(INBOX, message(8))
    assert (await next_changes(view)).exists == 2
    assert list(view.uids) == [1, 3]


async def test_what_a_session_does_itself_is_not_told_to_it_again(stack: Stack) -> None:
    view = await opened(stack)
    other = await stack.open()
    await view.store([1, 2], StoreAction.ADD, ["\\Seen"])
    assert view.catch_up(allow_expunge=True).is_empty
    assert [row.uid for row in other.catch_up(allow_expunge=True).flagged] == [1, 2]


async def test_changes_since_a_modseq(stack: Stack) -> None:
    view = await opened(stack)
    before = view.highestmodseq
    await view.store([3], StoreAction.ADD, ["\\Seen"])
    assert view.changed_since(before) == [3]
    assert view.changed_since(before, [1, 2]) == []


async def test_the_first_session_alone_sees_recent(stack: Stack) -> None:
    view = await opened(stack, 2)
    assert view.recent == 2
    other = await stack.open()
    assert other.recent == 0
    stack.backends["work"].deliver(INBOX, message(9))
    await next_changes(view)
    await next_changes(other)
    assert (view.recent, other.recent) in ((3, 0), (2, 1))


async def test_examine_leaves_recent_for_others(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.deliver(INBOX, message(1))
    reader = await stack.open(is_read_only=True)
    assert reader.recent == 1
    assert (await stack.open()).recent == 1


@pytest.mark.parametrize(
    ("text", "is_uid", "found"),
    [
        (b"1:*", False, [11, 12, 13]),
        (b"*", False, [13]),
        (b"3:1", False, [11, 12, 13]),
        (b"1:*", True, [11, 12, 13]),
        (b"99:*", True, [13]),
        (b"1:11,13", True, [11, 13]),
        (b"50", True, []),
    ],
)
async def test_sets_are_resolved_against_what_the_client_knows(
    stack: Stack, text: bytes, is_uid: bool, found: list[int]
) -> None:
    view = await opened(stack, 13)
    await view.store(list(range(1, 11)), StoreAction.ADD, ["\\Deleted"])
    await view.expunge()
    view.catch_up(allow_expunge=True)
    assert view.select_uids(SequenceSet.parse(text), is_uid=is_uid) == found


async def test_a_sequence_number_never_told_is_refused(stack: Stack) -> None:
    view = await opened(stack, 2)
    with pytest.raises(BadSequence):
        view.select_uids(SequenceSet.parse(b"1:3"), is_uid=False)


async def test_highestmodseq_does_not_run_ahead_of_expunges_not_told(stack: Stack) -> None:
    view = await opened(stack, 3)
    before = view.highestmodseq
    stack.backends["work"].remove(INBOX, refs(stack)[1])
    await eventually(view, lambda: set(view._expunged), bool)
    view.catch_up(allow_expunge=False)
    assert view.highestmodseq == before
    view.catch_up(allow_expunge=True)
    assert view.highestmodseq > before


async def test_what_others_changed_is_told_after_a_silent_store_of_the_same_message(stack: Stack) -> None:
    view, other = await opened(stack), await stack.open()
    await other.store([1], StoreAction.ADD, ["\\Flagged"])
    await eventually(view, lambda: view._changed.among([1]), bool)
    await view.store([1], StoreAction.ADD, ["\\Seen"])
    assert [row.flags for row in view.catch_up(allow_expunge=True).flagged] == [b"(\\Flagged \\Seen \\Recent)"]


async def test_a_message_that_goes_between_two_reads_does_not_come_back(stack: Stack) -> None:
    view = await opened(stack, 2)
    await view.store([1], StoreAction.ADD, ["\\Seen"])
    mailbox, store = view._mailbox, stack.store
    read_bulk = store.read_bulk
    mailbox.modseq -= 1

    async def read_then_remove(body: Body[T]) -> T:
        found = await read_bulk(body)
        await store.write(lambda tx: placements.remove_placements(tx, mailbox.id, [1]))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "read_bulk", read_then_remove)
        await mailbox.refresh()
    assert not view.is_defunct
    assert view.catch_up(allow_expunge=True).expunged == [(1, 1)]
    await mailbox.refresh()
    assert 1 not in mailbox.columns.uids


async def test_uidnext_is_not_above_a_message_that_is_still_being_read(stack: Stack) -> None:
    view = await opened(stack, 2)
    mailbox, store = view._mailbox, stack.store
    read_bulk = store.read_bulk
    seen: list[int] = []

    async def open_then_read(body: Body[T]) -> T:
        if mailbox.row.uidnext == 4 and not seen:
            late = View("INBOX", mailbox, view._engine, view._transfer, is_read_only=True)
            seen.extend((len(late.uids), late.uidnext))
            late.close()
        return await read_bulk(body)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "read_bulk", open_then_read)
        stack.backends["work"].deliver(INBOX, message(7))
        await eventually(view, lambda: list(mailbox.columns.uids), lambda uids: uids == [1, 2, 3])
    assert seen == [2, 3]
    assert view.uidnext == 3
    await until_held(view, 3)
    assert view.uidnext == 4


async def test_views_that_are_told_of_the_same_share_their_numbers(stack: Stack) -> None:
    view, other = await opened(stack, 3), await stack.open()
    assert view.uids is other.uids
    stack.backends["work"].deliver(INBOX, message(9))
    await eventually(view, lambda: len(view._mailbox.columns), lambda count: count == 4)
    assert view.catch_up(allow_expunge=True).exists == 4
    assert list(other.uids) == [1, 2, 3]
    assert other.catch_up(allow_expunge=True).exists == 4
    assert view.uids is other.uids
    stack.backends["work"].remove(INBOX, refs(stack)[1])
    stack.backends["work"].deliver(INBOX, message(8))
    await eventually(view, lambda: list(view._mailbox.columns.uids), lambda uids: uids == [1, 3, 4, 5])
    # Who is not told of the new one has other numbers.
    assert view.catch_up(allow_expunge=True, allow_new=False).expunged == [(2, 2)]
    assert list(view.uids) == [1, 3, 4]
    for one in (view, other):
        one.catch_up(allow_expunge=True)
    assert list(view.uids) == [1, 3, 4, 5]
    assert view.uids is other.uids
    await other.expunge([3], only_deleted=False)
    await eventually(view, lambda: view.catch_up(allow_expunge=True), lambda told: bool(told.expunged))
    other.catch_up(allow_expunge=True)
    assert list(view.uids) == [1, 4, 5]
    assert view.uids is other.uids


async def test_what_a_silent_store_of_many_did_is_told_to_others_only(stack: Stack) -> None:
    view, other = await opened(stack, 40), await stack.open()
    await view.store(list(range(5, 38)), StoreAction.ADD, ["\\Flagged", "Blue"])
    assert view.catch_up(allow_expunge=True).flagged == []
    told = other.catch_up(allow_expunge=True).flagged
    assert [row.uid for row in told] == list(range(5, 38))
    assert {row.modseq for row in told} == {view.highestmodseq}
    assert await stack.check() == []


async def test_the_modseq_does_not_run_ahead_of_flags_that_are_left_to_be_told(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.mailbox.snapshot.FLAG_ROWS", 4)
    view, other = await opened(stack, 10), await stack.open()
    before = view.highestmodseq
    await other.store(list(other.uids), StoreAction.ADD, ["\\Flagged"])
    told: list[int] = []
    for has_more in (True, True, False):
        assert view.highestmodseq == before
        changes = view.catch_up(allow_expunge=True)
        assert changes.has_more is has_more
        told += [row.uid for row in changes.flagged]
    assert sorted(told) == list(view.uids)
    other.catch_up(allow_expunge=True)
    assert view.highestmodseq == other.highestmodseq > before
