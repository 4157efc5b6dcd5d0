from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.updating import CannotUpdate, Change, UpdatingSearch, lasting
from gateway.mailbox.view import View
from gateway.wire import search as k
from gateway.wire.commands import StoreAction
from gateway.wire.gmail import SystemLabel
from gateway.wire.sequence_set import MAX_NUMBER, SequenceSet
from gateway.wire.sort import SortCriterion, SortField
from tests.stack import INBOX, Stack, message

SET = SequenceSet.parse
UNSEEN = k.HasFlag("\\Seen", is_set=False)
NEWEST_FIRST = (SortCriterion(SortField.ARRIVAL, is_reversed=True),)


async def opened(stack: Stack, count: int = 6) -> View:
    backend = await stack.add_account("work", layout="folders")
    for number in range(count):
        backend.deliver(INBOX, message(number))
    return await stack.open()


async def test_messages_come_into_the_result_and_leave_it(stack: Stack) -> None:
    view = await opened(stack)
    updating = view.updating(UNSEEN, await view.search(UNSEEN))
    assert await updating.look_at([2, 3]) == []
    await view.store([2, 3, 5], StoreAction.ADD, ["\\Seen"])
    # Only what it is asked to look at is found out.
    assert await updating.look_at([2, 3]) == [Change(False, 0, [2, 3])]
    assert 5 in updating
    assert updating.remove([1, 2, 77]) == [Change(False, 0, [1])]
    await view.store([2], StoreAction.REMOVE, ["\\Seen"])
    assert await updating.look_at([2, 5]) == [Change(False, 0, [5]), Change(True, 0, [2])]
    assert [uid for uid in range(1, 7) if uid in updating] == [2, 4, 6]


async def test_in_a_sorted_result_they_have_their_places(stack: Stack) -> None:
    view = await opened(stack)
    order = await view.sorter.sorted_numbers(await view.find(UNSEEN), NEWEST_FIRST, is_uid=True)
    updating = view.updating(UNSEEN, order, NEWEST_FIRST)
    await view.store([2, 3, 5], StoreAction.ADD, ["\\Seen"])
    first, last = [order.index(uid) + 1 for uid in (2, 5)]
    changes = await updating.look_at([2, 3, 5])
    assert {uid for change in changes for uid in change.uids} == {2, 3, 5}
    assert {change.is_added for change in changes} == {False}
    await view.store([2, 3, 5], StoreAction.REMOVE, ["\\Seen"])
    changes = await updating.look_at([2, 3, 5])
    assert {uid: change.position for change in changes for uid in change.uids[:1]}.items() <= {
        2: first,
        3: order.index(3) + 1,
        5: last,
    }.items()


@given(order=st.permutations(range(1, 60)), gone=st.sets(st.integers(1, 70)))
def test_places_of_what_leaves_count_what_is_left(order: list[int], gone: set[int]) -> None:
    updating = UpdatingSearch(None, UNSEEN, order, object())  # type: ignore[arg-type]  # neither is asked
    left = list(order)
    for change in updating.remove(gone):
        start = change.position - 1
        assert left[start : start + len(change.uids)] == list(change.uids)
        del left[start : start + len(change.uids)]
    assert left == [uid for uid in order if uid not in gone]
    assert not any(uid in updating for uid in gone)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        (k.InSequence(SET(b"2:3")), k.InUids(SET(b"3:4"))),
        (k.InSequence(SET(b"4:*")), k.InUids(SET(b"5:6"))),
        (k.InSequence(SET(b"$")), k.InUids(SET(b"4"))),
        (k.InUids(SET(b"$")), k.InUids(SET(b"4"))),
        (k.InUids(SET(b"3,9:12")), k.InUids(SET(b"3,9:12"))),
        (k.InUids(SET(b"*:3")), k.InUids(SequenceSet(((3, MAX_NUMBER),)))),
        (
            k.Or(k.Not(k.InSequence(SET(b"1"))), k.And((k.Fuzzy(k.InSequence(SET(b"1"))), UNSEEN))),
            k.Or(k.Not(k.InUids(SET(b"2"))), k.And((k.Fuzzy(k.InUids(SET(b"2"))), UNSEEN))),
        ),
        (k.HeaderContains("from", "x"), k.HeaderContains("from", "x")),
    ],
)
async def test_what_a_key_means_now_stays(stack: Stack, key: k.SearchKey, meant: k.SearchKey) -> None:
    view = await opened(stack)
    await view.expunge([1], only_deleted=False)
    view.catch_up(allow_expunge=True)
    assert lasting(key, view, [4]) == meant


@pytest.mark.parametrize(
    "key",
    [
        k.BodyContains("x"),
        k.Not(k.TextContains("x")),
        k.Or(UNSEEN, k.Within(5, is_younger=True)),
        k.And((UNSEEN, k.GmailRaw("x"))),
        k.Fuzzy(k.BodyContains("x")),
        k.HasLabel(SystemLabel.IMPORTANT),
        k.InUids(SET(b"*")),
        k.InUids(SET(b"1,9:*")),
    ],
)
async def test_what_cannot_be_kept_up_to_date(stack: Stack, key: k.SearchKey) -> None:
    view = await opened(stack)
    with pytest.raises(CannotUpdate):
        lasting(key, view, [])


async def test_everything_is_meant_in_an_empty_mailbox(stack: Stack) -> None:
    view = await opened(stack, 0)
    assert lasting(k.InUids(SET(b"1:*")), view, []) == k.InUids(SequenceSet(((1, MAX_NUMBER),)))
    with pytest.raises(CannotUpdate):
        lasting(k.InUids(SET(b"5:*")), view, [])
