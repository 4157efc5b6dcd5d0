from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.api import errors
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.store import placements
from gateway.store.transaction import Transaction
from gateway.wire.commands import StoreAction
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.mailbox.opened import opened, refs
from tests.stack import INBOX, Stack, eventually, message, next_changes, until_held


async def test_a_message_gone_but_not_told_is_still_fetched(stack: Stack) -> None:
    view = await opened(stack)
    async for _ in view.fetch([2], Needs(envelope=True)):
        pass
    stack.backends["work"].remove(INBOX, refs(stack)[1])
    await eventually(view, lambda: set(view._expunged), bool)
    rows = [row async for block in view.fetch([1, 2, 3], Needs(envelope=True)) for row in block]
    assert [row.sequence_number for row in rows] == [1, 2, 3]


async def test_unchangedsince_leaves_what_others_changed(stack: Stack) -> None:
    view, other = await opened(stack), await stack.open()
    before = view.max_modseq([1, 2])
    await other.store([1], StoreAction.ADD, ["\\Flagged"])
    outcome = await view.store([1, 2], StoreAction.ADD, ["\\Seen"], before)
    assert outcome.modified == [1]
    assert view.flag_rows([2])[0].flags == b"(\\Seen \\Recent)"
    assert b"\\Seen" not in view.flag_rows([1])[0].flags


async def test_a_write_to_a_message_that_is_gone_is_done_to_no_other_in_its_place(stack: Stack) -> None:
    view = await opened(stack, 4)
    stack.backends["work"].remove(INBOX, refs(stack)[1])
    await eventually(view, lambda: set(view._expunged), bool)
    # The client has not been told, and has left out the third.
    await view.store([1, 2, 4], StoreAction.ADD, ["\\Flagged"])
    assert [b"\\Flagged" in row.flags for row in view.flag_rows([1, 3, 4])] == [True, False, True]
    outcome = await view.copy([1, 2, 4], "Archive", is_move=True)
    assert [uid for uid, _ in outcome.pairs] == [1, 4]
    view.catch_up(allow_expunge=True)
    assert list(view.uids) == [3]


async def test_storing_what_is_there_raises_no_modseq(stack: Stack) -> None:
    view = await opened(stack)
    await view.store([1], StoreAction.ADD, ["\\Seen"])
    highest = view.highestmodseq
    await view.store([1], StoreAction.ADD, ["\\Seen"])
    assert view.highestmodseq == highest


async def test_vanished_uids_are_known_exactly_or_all_that_are_missing(stack: Stack) -> None:
    view = await opened(stack)
    before = view.highestmodseq
    await view.store([2, 5], StoreAction.ADD, ["\\Deleted"])
    await view.expunge()
    view.catch_up(allow_expunge=True)
    assert (await view.vanished_since(before, None)).to_bytes() == b"2,5"
    assert (await view.vanished_since(before, SequenceSet.parse(b"3:*"))).to_bytes() == b"5"
    assert (await view.vanished_since(view.highestmodseq, None)).to_bytes() == b""
    assert (await view.vanished_since(0, None)).to_bytes() == b"2,5"


async def test_a_uid_that_was_never_given_out_has_not_vanished(stack: Stack) -> None:
    view = await opened(stack)
    await view.store([2], StoreAction.ADD, ["\\Deleted"])
    await view.expunge()
    view.catch_up(allow_expunge=True)
    top = view.uidnext - 1
    known = SequenceSet.parse(b"1:%d,4294967290:4294967295" % (top + 100))
    assert (await view.vanished_since(0, known)).to_bytes() == b"2"
    assert (await view.vanished_since(0, SequenceSet.parse(b"%d:4294967295" % (top + 1)))).to_bytes() == b""


async def test_a_read_only_view_refuses_every_write(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.deliver(INBOX, message(1))
    view = await stack.open(is_read_only=True)
    assert view.permanent_flags == ()
    for write in (
        view.store([1], StoreAction.ADD, ["\\Seen"]),
        view.expunge(),
        view.copy([1], "Archive", is_move=True),
    ):
        with pytest.raises(MailError) as refused:
            await write
        assert refused.value.kind is ErrorKind.READ_ONLY


async def test_a_message_the_backend_refuses_is_named_and_the_others_are_done(stack: Stack) -> None:
    view = await opened(stack, 3)
    stack.backends["work"].faults.refused[refs(stack)[1]] = errors.Denied("locked")
    outcome = await view.store([1, 2, 3], StoreAction.ADD, ["\\Seen"])
    assert outcome.failed == [2]
    assert outcome.error is not None
    assert [b"\\Seen" in row.flags for row in view.flag_rows([1, 2, 3])] == [True, False, True]


async def test_a_copy_of_unknown_outcome_shows_up_by_itself(stack: Stack) -> None:
    view = await opened(stack, 2)
    archive = await stack.open("Archive")
    stack.backends["work"].faults.fail_after_doing(Operation.COPY)
    outcome = await view.copy([1, 2], "Archive", is_move=False)
    assert outcome.failed == [1, 2]
    assert outcome.error is not None
    assert outcome.error.kind is ErrorKind.OUTCOME_UNKNOWN
    assert (await next_changes(archive)).exists == 2


async def test_flags_lists_the_keywords_in_use(stack: Stack) -> None:
    view = await opened(stack, 1)
    await view.store([1], StoreAction.ADD, ["ProjectX"])
    assert "ProjectX" in view.defined_flags
    assert "$Forwarded" in view.permanent_flags


async def test_a_message_left_alone_by_unchangedsince_is_told_when_another_gave_it_the_same_flags(
    stack: Stack,
) -> None:
    view, other = await opened(stack), await stack.open()
    before = view.max_modseq([1])
    gate = stack.backends["work"].faults.hold(Operation.STORE_FLAGS, is_after=True)
    first = asyncio.create_task(other.store([1], StoreAction.ADD, ["\\Seen"]))
    await gate.reached()
    second = asyncio.create_task(view.store([1], StoreAction.ADD, ["\\Seen"], before))
    await asyncio.sleep(0)
    stack.backends["work"].faults.release(Operation.STORE_FLAGS, is_after=True)
    await first
    assert (await second).modified == [1]
    assert [row.uid for row in view.catch_up(allow_expunge=True).flagged] == [1]


async def test_dates_no_client_can_show_are_replaced(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    for date in (
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=1))),
    ):
        backend.deliver(INBOX, message(1), internal_date=date)
    view = await stack.open()
    rows = [row async for block in view.fetch([1, 2], Needs(date=True)) for row in block]
    assert rows[0].internal_date == b'"13-Aug-1982 00:00:00 +0000"'
    assert rows[1].internal_date.startswith((b'"31-Dec-9999', b'"13-Aug-1982'))


async def test_a_client_is_told_if_a_store_did_not_do_what_it_was_to(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    await until_held(view, 1)
    gate = backend.faults.hold(Operation.STORE_FLAGS)
    backend.faults.hold(Operation.CHANGES)
    storing = asyncio.create_task(view.store([1], StoreAction.ADD, ["\\Seen", "\\Deleted"]))
    await gate.reached()
    # It leaves and comes back, unseen by anybody but this command.
    archive = backend.mailbox(("Archive",))
    backend.move(backend.mailbox(INBOX), ref, archive)
    gate.release()
    await storing
    backend.move(archive, ref, backend.mailbox(INBOX))
    backend.faults.release(Operation.CHANGES)
    (row,) = view.catch_up(allow_expunge=True).flagged
    assert (row.uid, row.flags) == (1, b"(\\Recent)")


async def test_a_flag_is_known_in_every_mailbox_once_it_is_acknowledged(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await stack.add_account(layout="labels")
    backend.deliver(INBOX, message(1))
    inbox = await stack.open()
    await inbox.copy([1], "Archive", is_move=False)
    archive = await stack.open("Archive")
    # Whoever learns of it by the change bus does so later.
    monkeypatch.setattr(stack.service.bus, "publish", lambda _: None)
    await archive.store([1], StoreAction.ADD, ["\\Seen"])
    assert [row.flags for row in inbox.catch_up(allow_expunge=True).flagged] == [b"(\\Seen \\Recent)"]


async def test_flags_that_are_stored_are_not_read_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await opened(stack, 20)
    read: list[int] = []
    changed_since = placements.changed_since

    async def counted(tx: Transaction, mailbox_id: int, modseq: int) -> list[placements.PlacementRow]:
        rows = await changed_since(tx, mailbox_id, modseq)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(placements, "changed_since", counted)
    await view.store(list(view.uids), StoreAction.ADD, ["\\Answered"])
    await view.store([3, 7], StoreAction.REMOVE, ["\\Answered"])
    rows = view.flag_rows(view.uids)
    assert [row.uid for row in rows if b"\\Answered" not in row.flags] == [3, 7]
    assert sum(read) == 0


async def test_storing_what_is_there_already_changes_nothing(stack: Stack) -> None:
    view = await opened(stack, 3)
    await view.store([1, 2, 3], StoreAction.ADD, ["\\Seen"])
    before = view.highestmodseq
    stack.backends["work"].faults.fail_next(Operation.STORE_FLAGS, errors.Unavailable("not to be asked"))
    outcome = await view.store([1, 2, 3], StoreAction.ADD, ["\\Seen"])
    assert outcome.error is None
    assert view.highestmodseq == before
