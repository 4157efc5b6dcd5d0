"""What a client appends is what is read back for ever, whatever the backend makes of it."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.store import placements
from gateway.store.body_folder import BodyWriter
from gateway.sync.sweep import sweep
from gateway.wire.commands import StoreAction
from tests.gateway.sync.varying import LAYOUTS, append, append_octets, evict, octets, rows, varying_account
from tests.stack import INBOX, Stack, message, running_stack, until_held

WITHOUT_ID = b"Date: Wed, 06 May 2020 07:08:09 +0000\r\nFrom: alex@example.org\r\nSubject: No id\r\n\r\nText\n\n\xff"
ALL = Needs(date=True, size=True, envelope=True, structure=True, header=True)


def kept(stack: Stack) -> list[int]:
    context = stack.engine().context
    return context.cache.kept.ids(context.account_id)


async def remove(view: View, uid: int) -> None:
    await view.store([uid], StoreAction.ADD, ("\\Deleted",))
    await view.expunge([uid])


async def free_kept(stack: Stack) -> None:
    """Sweep twice: the first leaves messages that may be on their way to another mailbox."""
    for _ in range(2):
        await sweep(stack.engine().context, lambda: True)


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_was_appended_is_read_back_after_cache_pressure_and_a_restart(tmp_path: Path, layout: str) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await varying_account(stack, layout)
        assert await append_octets(stack, WITHOUT_ID) == 1
        view = await stack.open()
        assert await octets(view, 1) == WITHOUT_ID
        evict(stack)
        assert await octets(view, 1) == WITHOUT_ID
        row = (await rows(view, ALL))[1]
        assert (row.size, row.header) == (len(WITHOUT_ID), WITHOUT_ID[: WITHOUT_ID.index(b"Text")])
        assert row.envelope is not None
        assert b"No id" in row.envelope
        assert stack.engine().context.cache.kept.octets > len(WITHOUT_ID)
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        evict(stack)
        view = await stack.open()
        assert await octets(view, 1) == WITHOUT_ID
        assert await stack.check() == []
    # Nothing was ever read from the backend.
    calls = backend.faults.calls
    assert (calls[Operation.FETCH], calls[Operation.FETCH_MANY], calls[Operation.OUTLINES]) == (0, 0, 0)


async def test_a_search_for_text_looks_at_what_was_appended(stack: Stack) -> None:
    backend = await varying_account(stack)
    await append(stack)
    view = await stack.open()
    ids = [view._mailbox.columns.entry(0).message_id]
    assert await stack.engine().bodies.at_hand(ids) == set(ids)
    assert backend.faults.calls[Operation.SEARCH_TEXT] == 0


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_lost_answer_is_settled_without_comparing_octets(stack: Stack, layout: str) -> None:
    backend = await varying_account(stack, layout)
    backend.deliver(INBOX, message(0))
    await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append(stack) == 2
    assert len(backend.messages(INBOX)) == 2
    assert await octets(await stack.open(), 2) == message(1)
    assert await stack.check() == []


async def test_a_lost_answer_of_a_message_without_id_is_settled_by_its_other_fields(stack: Stack) -> None:
    backend = await varying_account(stack)
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append_octets(stack, WITHOUT_ID) == 1
    assert await octets(await stack.open(), 1) == WITHOUT_ID
    assert len(backend.messages(INBOX)) == 1


async def test_a_message_that_came_meanwhile_is_not_taken_for_the_appended_one(stack: Stack) -> None:
    backend = await varying_account(stack)
    backend.deliver(INBOX, message(0))
    await stack.open()
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    gate = backend.faults.hold(Operation.APPEND)
    appending = asyncio.create_task(append(stack))
    await gate.reached()
    backend.deliver(INBOX, message(2))
    gate.release()
    with pytest.raises(MailError) as caught:
        await appending
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert kept(stack) == []
    assert len(backend.messages(INBOX)) == 2


async def test_an_append_cut_off_by_the_end_of_the_process_is_bound_at_the_next_start(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await varying_account(stack)
        await stack.open()
        backend.faults.fail_after_doing(Operation.APPEND)
        backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
        with pytest.raises(MailError) as caught:
            await append(stack)
        assert caught.value.kind is ErrorKind.OUTCOME_UNKNOWN
    backend.faults._before.clear()
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        view = await stack.open()
        await until_held(view, 1)
        # The repetition is answered with the message that is there.
        assert await append(stack) == view.uids[0]
        await until_held(await stack.open(), 1)
        again = await stack.open()
        assert await octets(again, again.uids[0]) == message(1)
        assert len(backend.messages(INBOX)) == 1
        assert await stack.check() == []


async def test_a_message_served_before_its_append_was_answered_gets_a_new_uid(stack: Stack) -> None:
    backend = await varying_account(stack)
    view = await stack.open()
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    appending = asyncio.create_task(append(stack))
    await gate.reached()
    await until_held(view, 1)
    assert (await octets(view, 1)).startswith(b"X-Composed")
    gate.release()
    assert await appending == 2
    await until_held(view, 1)
    assert list(view.uids) == [2]
    assert await octets(view, 2) == message(1)
    assert await stack.check() == []


async def test_a_read_that_is_overtaken_by_the_append_gives_what_was_appended(stack: Stack) -> None:
    backend = await varying_account(stack)
    view = await stack.open()
    answer = backend.faults.hold(Operation.APPEND, is_after=True)
    appending = asyncio.create_task(append(stack))
    await answer.reached()
    await until_held(view, 1)
    download = backend.faults.hold(Operation.FETCH, is_after=True)
    reading = asyncio.create_task(octets(view, 1))
    await download.reached()
    answer.release()
    assert await appending == 1
    download.release()
    assert await reading == message(1)
    assert list(view.uids) == [1]


async def test_what_is_refused_is_not_kept(stack: Stack) -> None:
    backend = await varying_account(stack)
    backend.faults.fail_next(Operation.APPEND, errors.Rejected("no"))
    with pytest.raises(MailError):
        await append(stack)
    assert kept(stack) == []


async def test_nothing_is_sent_to_the_backend_that_cannot_be_kept(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await varying_account(stack)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(BodyWriter, "write", full)
        with pytest.raises(MailError) as caught:
            await append(stack)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert backend.faults.calls[Operation.APPEND] == 0
    assert await append(stack) == 1


@pytest.mark.parametrize("is_move", [False, True], ids=["copy", "move"])
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_copy_of_what_was_appended_has_the_same_octets(stack: Stack, layout: str, is_move: bool) -> None:
    await varying_account(stack, layout)
    await append(stack)
    view = await stack.open()
    outcome = await view.copy([1], "Archive", is_move=is_move)
    assert outcome.pairs == [(1, 1)]
    archive = await stack.open("Archive")
    evict(stack)
    assert await octets(archive, 1) == message(1)
    told = (await rows(archive, ALL))[1]
    assert (told.size, told.header) == (len(message(1)), message(1)[: message(1).index(b"This")])
    assert len(kept(stack)) == 1
    assert await stack.check() == []


async def test_kept_octets_outlive_a_sweep_while_their_message_is_between_mailboxes(stack: Stack) -> None:
    """A backend may tell that a message has left a mailbox before it tells that it has come to another."""
    await varying_account(stack, "items")
    await append(stack)
    context = stack.engine().context
    view = await stack.open()
    message_id = view._mailbox.columns.entry(0).message_id
    view.close()
    mailbox_id = view.mailbox_id
    await context.store.write(lambda tx: placements.remove_placements(tx, mailbox_id, [1]))
    await sweep(context, lambda: True)
    assert len(kept(stack)) == 1
    assert context.spared == {message_id}
    await sweep(context, lambda: True)
    assert kept(stack) == []
    assert context.spared == set()


@pytest.mark.parametrize("layout", ["folders", "items"])
async def test_a_copy_of_another_message_is_what_is_read_of_it_first(stack: Stack, layout: str) -> None:
    backend = await varying_account(stack, layout)
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    first = await octets(view, 1)
    envelope = (await rows(view, ALL))[1].envelope
    assert (await view.copy([1], "Archive", is_move=False)).pairs == [(1, 1)]
    archive = await stack.open("Archive")
    told = (await rows(archive, ALL))[1]
    mine = await octets(archive, 1)
    assert mine != first
    assert (told.size, told.envelope) == (len(mine), envelope)
    assert mine.startswith(told.header or b"-")


async def test_kept_octets_go_with_the_last_message_that_has_them(stack: Stack) -> None:
    await varying_account(stack, "folders")
    await append(stack)
    view = await stack.open()
    await view.copy([1], "Archive", is_move=False)
    user = await stack.user()
    archive = await user.open("Archive", is_read_only=False)
    await remove(view, 1)
    view.catch_up(allow_expunge=True)
    await free_kept(stack)
    assert await octets(archive, 1) == message(1)
    await remove(archive, 1)
    await free_kept(stack)
    assert kept(stack) == []
    assert stack.engine().context.cache.kept.octets == 0


async def test_kept_octets_of_an_account_that_is_no_more_go_at_the_next_start(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        await varying_account(stack)
        await append(stack)
        account_id = stack.engine().context.account_id
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        cache = stack.engine().context.cache
        await asyncio.to_thread(cache.kept.keep_accounts, {account_id + 1})
        assert cache.kept.octets == 0


async def test_an_account_at_a_backend_that_keeps_octets_keeps_nothing_here(stack: Stack) -> None:
    backend: MemoryBackend = await stack.add_account("work", layout="items")
    await append(stack)
    assert kept(stack) == []
    assert len(backend.messages(INBOX)) == 1
    view = await stack.open()
    assert [row[0] for row in await stack.store.read(lambda tx: placements.load(tx, view._mailbox.id))] == [1]


async def test_octets_of_a_message_that_was_served_before_are_not_replaced_by_an_append(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await varying_account(stack)
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    first = await octets(view, 1)
    # As backends do that hold no message twice.
    monkeypatch.setattr(MemoryBackend, "add", lambda *_: ref)
    assert await append(stack) == 1
    assert await octets(view, 1) == first
    assert kept(stack) == []
