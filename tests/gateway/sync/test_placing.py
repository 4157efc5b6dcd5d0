"""The quick way of a first listing leads to the same rows as the long one, and is taken only where it may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from connectors.api.columns import StateColumns
from connectors.api.types import MessageRef, MessageState
from gateway.store import mailboxes, messages, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.listed import refs_after
from gateway.store.mailboxes import MailboxRow
from gateway.sync import mailbox_sync
from gateway.sync.apply import insert
from gateway.sync.context import AccountContext, policy_of
from gateway.sync.mailbox_sync import LISTED_PAGE, list_mailbox
from gateway.sync.placing import place_new, place_unknown
from gateway.sync.reconcile import reconcile
from tests.stack import INBOX, Stack, message

WHEN = datetime(2026, 11, 3, 12, tzinfo=timezone(timedelta(hours=1)))
STATES = [
    MessageState(MessageRef("b"), flags=frozenset({"\\Seen"}), uid=9, internal_date=WHEN, size=100),
    MessageState(MessageRef("a"), flags=frozenset({"\\Deleted", "$x"}), uid=4, size=7),
    MessageState(MessageRef("c"), flags=frozenset(), uid=11, internal_date=WHEN),
]


@pytest.fixture
async def context(stack: Stack) -> AccountContext:
    await stack.add_account()
    await stack.engine().wait_for_tree(10)
    await stack.engine().wait_until_read((await _inbox(stack)).id, 10)
    return stack.engine().context


async def _inbox(stack: Stack) -> MailboxRow:
    rows = await stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, 1))
    return next(row for row in rows if row.path == INBOX)


async def place(stack: Stack, context: AccountContext, page: Sequence[MessageState]) -> bool:
    row = await _inbox(stack)
    with context.guard.reading() as mark:
        return await stack.store.write(lambda tx: place_new(tx, context, row, page, mark))


async def placed(stack: Stack) -> list[tuple[Any, ...]]:
    """Return the rows of INBOX without modseq and ids of messages."""
    row = await _inbox(stack)

    async def body(tx: Transaction) -> list[tuple[Any, ...]]:
        refs = dict(await refs_after(tx, row.id, 0, 1000))
        return [
            (refs[uid], uid, flags, keywords, date, zone, size, exact)
            for uid, _, flags, keywords, _, date, zone, size, exact, *_ in await placements.load(tx, row.id)
        ]

    return await stack.store.read(body)


SEEN, DELETED = FlagSet.of(["\\Seen"]).bits, FlagSet.of(["\\Deleted"]).bits
EXPECTED = [
    ("a", 4, DELETED, "$x", None, None, 7, 1),
    ("b", 9, SEEN, "", int(WHEN.timestamp()), 60, 100, 1),
    ("c", 11, 0, "", int(WHEN.timestamp()), 60, None, 0),
]


async def test_a_page_of_states_is_placed_by_ascending_uid(stack: Stack, context: AccountContext) -> None:
    assert await place(stack, context, STATES)
    assert await placed(stack) == EXPECTED
    assert await stack.check() == []


async def test_a_page_of_columns_is_placed_by_ascending_uid(stack: Stack, context: AccountContext) -> None:
    columns = StateColumns(
        [state.ref for state in STATES],
        [state.flags or frozenset() for state in STATES],
        [int(WHEN.timestamp()), None, int(WHEN.timestamp())],
        [60, 0, 60],
        [100, 7, -1],
        [9, 4, 11],
    )
    assert list(columns) == STATES
    assert await place(stack, context, columns)
    assert await placed(stack) == EXPECTED


async def test_flags_the_backend_does_not_hold_are_left_out_as_by_the_long_way(
    stack: Stack, context: AccountContext
) -> None:
    row = replace(await _inbox(stack), storable_flags=frozenset({"\\Seen"}), any_keyword=False)
    with context.guard.reading() as mark:
        assert await stack.store.write(lambda tx: place_new(tx, context, row, STATES, mark))
    expected = {
        state.ref: policy_of(row).merge(state.flags or frozenset(), FlagSet())
        for state in reconcile({}, STATES, policy_of(row)).inserts.values()
    }
    assert {ref: FlagSet(bits, words) for ref, _, bits, words, *_ in await placed(stack)} == expected


@pytest.mark.parametrize(
    "odd",
    [
        replace(STATES[0], email_id="M1"),
        replace(STATES[0], thread_id="T1"),
        replace(STATES[0], content_changed=True),
        replace(STATES[0], flags=None),
        replace(STATES[0], size_is_exact=False),
        replace(STATES[0], uid=None),
        replace(STATES[0], ref=MessageRef("a")),
        replace(STATES[0], ref=MessageRef("\udc80")),
        replace(STATES[0], ref=MessageRef("x\0y")),
        replace(STATES[0], flags=frozenset({"caf\u00e9"})),
    ],
)
async def test_what_columns_do_not_hold_goes_the_long_way(
    stack: Stack, context: AccountContext, odd: MessageState
) -> None:
    assert not await place(stack, context, [*STATES[1:], odd])
    assert await placed(stack) == []


async def test_what_is_known_goes_the_long_way(stack: Stack, context: AccountContext) -> None:
    row = await _inbox(stack)
    scope = context.scope_of(row)
    await stack.store.write(lambda tx: messages.upsert_messages(tx, 1, scope, [messages.MessageValues("c", size=3)]))
    assert not await place(stack, context, STATES)
    assert await placed(stack) == []


async def test_what_may_be_older_than_a_write_goes_the_long_way(stack: Stack, context: AccountContext) -> None:
    row = await _inbox(stack)
    with context.guard.reading() as mark:
        with context.guard.writing(["x"]):
            assert not await stack.store.write(lambda tx: place_new(tx, context, row, STATES, mark))
        assert not await stack.store.write(lambda tx: place_new(tx, context, row, STATES, mark))
    with context.guard.reading() as mark:
        assert await stack.store.write(lambda tx: place_new(tx, context, row, STATES, mark))


async def test_a_mailbox_that_is_gone_takes_nothing(stack: Stack, context: AccountContext) -> None:
    row = replace(await _inbox(stack), id=999)
    with context.guard.reading() as mark:
        assert not await stack.store.write(lambda tx: place_new(tx, context, row, STATES, mark))


async def test_a_listing_again_removes_what_is_gone_and_keeps_the_uids_of_the_rest(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_sync, "REFS_AT_ONCE", 3)
    monkeypatch.setattr(mailbox_sync, "PAGE", 2)
    backend = await stack.add_account()
    refs = [backend.deliver(INBOX, message(number)) for number in range(10)]
    view = await stack.open()
    assert list(view.uids) == list(range(1, 11))
    for ref in refs[2:9:2]:
        backend.remove(INBOX, ref)
    backend.deliver(INBOX, message(10))
    await list_mailbox(stack.engine().context, await _inbox(stack))
    assert [uid for _, uid, *_ in await placed(stack)] == [1, 2, 4, 6, 8, 10, 11]
    assert await stack.check() == []


async def test_a_first_listing_takes_a_few_statements_for_each_page(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = LISTED_PAGE + 10
    flags = [frozenset({"\\Seen"})] * count
    refs = [MessageRef(f"r{number}") for number in range(count)]
    page = StateColumns(refs, flags, [0] * count, [0] * count, [1] * count, None)

    async def listing(_: object) -> AsyncIterator[Sequence[MessageState]]:
        yield page

    await stack.add_account()
    context = stack.engine().context
    await stack.engine().wait_for_tree(10)
    row = await _inbox(stack)
    await stack.engine().wait_until_read(row.id, 10)
    monkeypatch.setattr(context.account.connector, "listing", listing)
    writes: list[str] = []
    me = asyncio.current_task()
    plain = stack.store.write

    async def counted(body: Any) -> Any:
        if asyncio.current_task() is me:
            writes.append(body.__qualname__.partition(".")[0])
        return await plain(body)

    monkeypatch.setattr(stack.store, "write", counted)
    await list_mailbox(context, row)
    # Two pages of placements, and the cursor.
    assert writes == ["_apply_states", "_apply_states", "list_mailbox"]
    assert (await _inbox(stack)).messages == count


async def test_what_this_listing_has_placed_is_not_placed_again(stack: Stack, context: AccountContext) -> None:
    row = await _inbox(stack)
    with context.guard.reading() as mark:
        for placed_before, is_placed in (({MessageRef("c")}, False), ({MessageRef("d")}, True)):
            found = await stack.store.write(
                lambda tx, known=placed_before: place_new(tx, context, row, STATES, mark, known)  # type: ignore[misc]
            )
            assert found is is_placed


# -- what a write of ours has made -------------------------------------------------------------------------------------

MADE = [
    MessageState(MessageRef("n1"), flags=frozenset({"\\Seen"}), internal_date=WHEN, size=100),
    MessageState(MessageRef("n2"), flags=frozenset({"$x"}), internal_date=WHEN, size=7),
]
NONE_LOCAL = {state.ref: FlagSet() for state in MADE}


async def place_after_write(
    stack: Stack,
    context: AccountContext,
    states: Sequence[MessageState] = MADE,
    local: dict[MessageRef, FlagSet] | None = None,
) -> dict[MessageRef, int] | None:
    row, flags = await _inbox(stack), NONE_LOCAL if local is None else local
    return await stack.store.write(lambda tx: place_unknown(tx, context, row, states, flags))


async def test_what_a_write_has_made_is_placed_as_by_the_long_way(stack: Stack, context: AccountContext) -> None:
    assert await place_after_write(stack, context) == {"n1": 1, "n2": 2}
    quick = await placed(stack)
    row = await _inbox(stack)
    assert (row.uidnext, row.messages, row.unseen, row.octets) == (3, 2, 1, 107)
    await stack.store.write(lambda tx: placements.remove_placements(tx, row.id, [1, 2]))
    states = [replace(state, ref=MessageRef(f"m{number}")) for number, state in enumerate(MADE, 1)]
    policy, now = policy_of(row), context.clock.now()
    await stack.store.write(lambda tx: insert(tx, 1, context.scope_of(row), row, states, policy, now))
    assert [one[2:] for one in await placed(stack)] == [one[2:] for one in quick]
    assert await stack.check() == []


@pytest.mark.parametrize("what", ["local flags", "known", "gone", "mailbox gone", "nothing"])
async def test_what_a_write_has_made_goes_the_long_way_if_there_is_more_to_it(
    stack: Stack, context: AccountContext, what: str
) -> None:
    row, states, local = await _inbox(stack), MADE, NONE_LOCAL
    scope = context.scope_of(row)
    with context.guard.receiving():
        if what == "local flags":
            local = {**NONE_LOCAL, MessageRef("n2"): FlagSet.of(["\\Deleted"])}
        elif what == "known":
            values = [messages.MessageValues("n2", size=3)]
            await stack.store.write(lambda tx: messages.upsert_messages(tx, 1, scope, values))
        elif what == "gone":
            context.guard.told_gone(row.id, [MessageRef("n1")])
        elif what == "mailbox gone":
            gone = replace(row, id=row.id + 1000)
            assert await stack.store.write(lambda tx: place_unknown(tx, context, gone, MADE, local)) is None
            return
        else:
            states = []
        assert await place_after_write(stack, context, states, local) is None
    assert await placed(stack) == []


@pytest.mark.parametrize(("first", "expected"), [(1, {"n1": 1, "n2": 2}), (2, None)])
async def test_uids_that_a_write_has_made_follow_on_those_that_are_known(
    stack: Stack, first: int, expected: dict[MessageRef, int] | None
) -> None:
    await stack.add_account(layout="folders", uids=True)
    await stack.engine().wait_for_tree(10)
    await stack.engine().wait_until_read((await _inbox(stack)).id, 10)
    states = [replace(state, uid=first + number) for number, state in enumerate(MADE)]
    assert await place_after_write(stack, stack.engine().context, states) == expected
