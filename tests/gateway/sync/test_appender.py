from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent, MailboxRef, MessageState
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import MemoryConnector
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.store import intents, mailboxes
from gateway.store.mailboxes import MailboxRow
from gateway.sync import appender
from gateway.wire.commands import StoreAction
from tests.manual_clock import ManualClock
from tests.stack import INBOX, Stack, message, next_changes, running_stack, until_held

DATE = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
BOX = ("Box",)
DRAFT = b"Subject: to do\n\nText\n"
LAYOUTS = ["folders", "items", "labels"]


async def append(stack: Stack, number: int = 1, flags: tuple[str, ...] = ()) -> int:
    return (await (await stack.user()).append("INBOX", BytesContent(message(number)), flags, DATE)).uid


async def append_octets(stack: Stack, data: bytes) -> int:
    return (await (await stack.user()).append("INBOX", BytesContent(data), (), DATE)).uid


def as_stored(data: bytes) -> bytes:
    """Return what a backend makes of a message without Message-ID."""
    return b"Message-ID: <CA1@mail.example>\r\n" + data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


async def box_row(stack: Stack) -> MailboxRow:
    account_id = stack.engine().context.account_id
    rows = await stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))
    return next(row for row in rows if row.path == BOX)


async def open_intents(stack: Stack) -> list[intents.IntentRow]:
    account_id = stack.engine().context.account_id
    return await stack.store.read(lambda tx: intents.pending(tx, account_id))


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_is_appended_is_at_the_backend_with_flags_and_date(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    assert await append(stack, flags=("\\Seen", "\\Deleted", "$x")) == 1
    (stored,) = backend.messages(INBOX)
    assert (stored.data, stored.internal_date) == (message(1), DATE)
    view = await stack.open()
    assert view.flag_rows([1])[0].flags == b"(\\Deleted \\Seen $x \\Recent)"
    assert await open_intents(stack) == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_lost_answer_is_settled_by_looking(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    backend.deliver(INBOX, message(0))
    await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append(stack) == 2
    assert len(backend.messages(INBOX)) == 2
    assert await open_intents(stack) == []
    assert await stack.check() == []


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_flags_are_kept_whatever_becomes_of_the_answer(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    view = await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append(stack, flags=("\\Seen", "\\Deleted", "$x")) == 1
    await until_held(view, 1)
    assert view.flag_rows([1])[0].flags == b"(\\Deleted \\Seen $x \\Recent)"


async def test_flags_are_kept_if_only_the_repetition_is_answered(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    view = await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    with pytest.raises(MailError):
        await append(stack, flags=("\\Deleted",))
    backend.faults._before.clear()
    assert await append(stack, flags=("\\Deleted",)) == 1
    assert len(backend.messages(INBOX)) == 1
    await until_held(view, 1)
    assert view.flag_rows([1])[0].flags == b"(\\Deleted \\Recent)"


@pytest.mark.parametrize("is_down", [False, True])
async def test_a_lost_answer_is_settled_though_the_backend_alters_the_message(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, is_down: bool
) -> None:
    """As Gmail does with drafts: fields that are missing are added, and line ends are CRLF."""
    backend = await stack.add_account("work", layout="labels")
    backend.deliver(INBOX, message(0))
    await stack.open()
    add = MemoryBackend.add
    monkeypatch.setattr(MemoryBackend, "add", lambda self, box, data, *rest: add(self, box, as_stored(data), *rest))
    backend.faults.fail_after_doing(Operation.APPEND)
    if is_down:
        # Another one like it comes meanwhile.
        backend.deliver(INBOX, DRAFT.replace(b"to do", b"to do soon"))
        backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
        with pytest.raises(MailError):
            await append_octets(stack, DRAFT)
        backend.faults._before.clear()
    uid = await append_octets(stack, DRAFT)
    stored = [each.data for each in backend.messages(INBOX)]
    assert stored.count(as_stored(DRAFT)) == 1
    assert uid == len(stored)
    assert await open_intents(stack) == []
    # That one was answered: the next is a message of its own.
    assert await append_octets(stack, DRAFT) == len(stored) + 1
    assert await stack.check() == []


async def test_another_message_is_not_taken_for_one_that_did_not_arrive(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    for other in (DRAFT.replace(b"Text", b"Test"), b"To: bo@example.org\n" + DRAFT, DRAFT.replace(b" to do", b" done")):
        backend.deliver(INBOX, as_stored(other))
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError) as refused:
        await append_octets(stack, DRAFT)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert await append_octets(stack, DRAFT) == 4
    assert len(backend.messages(INBOX)) == 4


async def test_a_message_that_arrives_after_it_was_looked_for_is_the_answer_to_its_repetition(stack: Stack) -> None:
    """The connection was given up while the backend was still at it."""
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError) as refused:
        await append_octets(stack, DRAFT)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    backend.deliver(INBOX, as_stored(DRAFT))
    # While that cannot be seen, nothing is stored either.
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    with pytest.raises(MailError) as unknown:
        await append_octets(stack, DRAFT)
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    backend.faults._before.clear()
    assert await append_octets(stack, DRAFT) == 1
    assert len(backend.messages(INBOX)) == 1
    # Only that one is answered again.
    assert await append_octets(stack, DRAFT) == 2


async def test_what_arrives_long_after_is_a_message_of_its_own(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await stack.add_account("work", layout="labels")
    view = await stack.open()
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError):
        await append_octets(stack, DRAFT)
    backend.deliver(INBOX, as_stored(DRAFT))
    await until_held(view, 1)
    monkeypatch.setattr(appender, "ANSWER_AGAIN_S", -1)
    assert await append_octets(stack, DRAFT) == 2


async def test_of_two_that_could_be_it_the_very_same_octets_are_taken(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="labels")
    await stack.open()
    backend.deliver(INBOX, as_stored(DRAFT))
    backend.faults.fail_after_doing(Operation.APPEND)
    assert await append_octets(stack, DRAFT) == 2
    assert [each.data for each in backend.messages(INBOX)] == [as_stored(DRAFT), DRAFT]


async def test_an_append_that_did_not_arrive_is_refused_and_can_be_repeated(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    await stack.open()
    backend.faults.fail_next(Operation.APPEND, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError) as refused:
        await append(stack)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert await open_intents(stack) == []
    assert await append(stack) == 1
    assert len(backend.messages(INBOX)) == 1


async def test_a_lost_answer_is_settled_though_what_happened_before_is_being_written(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading leaves out what is being written in another mailbox, and all that comes after it."""
    backend = await stack.add_account("work", layout="labels")
    backend.page_size = 1
    backend.create_mailbox(BOX)
    backend.deliver(BOX, message(0))
    stack.engine().request_tree()
    view = await stack.open("Box")
    await until_held(view, 1)
    gate = backend.faults.hold(Operation.STORE_FLAGS, is_after=True)
    storing = asyncio.ensure_future(view.store([1], StoreAction.ADD, ["\\Seen"]))
    await gate.reached()
    guard = stack.engine().context.guard
    written = guard.written

    async def answer_and_wait() -> None:
        backend.faults.release(Operation.STORE_FLAGS, is_after=True)
        await written()

    monkeypatch.setattr(guard, "written", answer_and_wait)
    backend.faults.fail_after_doing(Operation.APPEND)
    try:
        assert await append(stack) == 1
    finally:
        backend.faults.release(Operation.STORE_FLAGS, is_after=True)
        await storing
    assert len(backend.messages(INBOX)) == 1
    assert await open_intents(stack) == []


async def test_an_append_is_not_said_to_have_failed_if_its_mailbox_vanishes_while_it_is_looked_for(
    stack: Stack,
) -> None:
    backend = await stack.add_account("work", layout="labels", reports_tree=True)
    backend.create_mailbox(BOX)
    stack.engine().request_tree()
    await stack.open("Box")
    answer = backend.faults.hold(Operation.APPEND, is_after=True)
    backend.faults.fail_after_doing(Operation.APPEND)
    appending = asyncio.ensure_future((await stack.user()).append("Box", BytesContent(message(1)), (), DATE))
    await answer.reached()
    await stack.engine()._resync(await box_row(stack))
    reading = backend.faults.hold(Operation.CHANGES)
    backend.faults.release(Operation.APPEND, is_after=True)
    await reading.reached()
    backend.delete_mailbox(BOX)
    backend.faults.release(Operation.CHANGES)
    with pytest.raises(MailError) as unknown:
        await appending
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    assert await stack.check() == []


async def test_a_repeated_append_finds_what_the_first_stored(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    await stack.open()
    backend.faults.fail_after_doing(Operation.APPEND)
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    with pytest.raises(MailError) as unknown:
        await append(stack)
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    backend.faults._before.clear()
    assert await append(stack) == 1
    assert len(backend.messages(INBOX)) == 1
    assert await open_intents(stack) == []


async def test_the_same_message_may_be_appended_twice_on_purpose(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    assert [await append(stack), await append(stack)] == [1, 2]
    assert len(backend.messages(INBOX)) == 2


async def test_after_a_restart_a_message_that_arrived_is_the_answer_to_its_repetition(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account("work", layout="folders")
        await stack.open()
        backend.faults.fail_after_doing(Operation.APPEND)
        backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
        with pytest.raises(MailError):
            await append(stack)
    backend.faults._before.clear()
    async with running_stack(tmp_path, backends=stack.backends) as stack:
        await stack.open()
        assert await append(stack) == 1
        assert len(backend.messages(INBOX)) == 1
        # Only the lost one is answered again: the next is a message of its own.
        assert await append(stack) == 2


async def test_a_refused_append_leaves_no_intent(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.storage_limit = 10
    with pytest.raises(MailError) as refused:
        await append(stack)
    assert refused.value.kind is ErrorKind.OVER_QUOTA
    assert await open_intents(stack) == []


async def test_an_append_whose_client_hangs_up_is_settled_and_answered_to_its_repetition(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    await stack.open()
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    appending = asyncio.create_task(append(stack))
    await gate.reached()
    appending.cancel()
    await asyncio.gather(appending, return_exceptions=True)
    backend.faults.release(Operation.APPEND, is_after=True)
    await asyncio.gather(*stack.engine()._writes)
    assert await append(stack) == 1
    assert len(backend.messages(INBOX)) == 1
    assert await open_intents(stack) == []


async def test_an_append_whose_uid_cannot_be_read_is_not_said_to_have_failed(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders", uids=True)
    await stack.open()
    gate = backend.faults.hold(Operation.CHANGES)
    backend.deliver(INBOX, message(7))
    await gate.reached()
    backend.faults.fail_next(Operation.CHANGES, *[errors.Unavailable("down")] * 50)
    appending = asyncio.create_task(append(stack))
    backend.faults.release(Operation.CHANGES)
    with pytest.raises(MailError) as unknown:
        await appending
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    backend.faults._before.clear()
    assert await append(stack) == 2
    assert len(backend.messages(INBOX)) == 2
    assert await open_intents(stack) == []


# -- a backend that does not keep the date -----------------------------------------------------------------------------


async def dates(stack: Stack, name: str = "INBOX") -> dict[int, bytes]:
    view = await stack.open(name)
    found = {}
    async for block in view.fetch(list(view.uids), Needs(date=True)):
        found.update({row.uid: row.internal_date for row in block})
    return found


WANTED = b'" 6-May-2020 09:08:09 +0200"'
ASKED = DATE.astimezone(timezone(timedelta(hours=2)))


def forgetful(layout: Layout, *, is_sparse: bool = False) -> MemoryBackend:
    backend = MemoryBackend(layout, is_sparse=is_sparse, keeps_dates=False)
    backend.clock = lambda: datetime(2024, 1, 1, tzinfo=UTC)
    return backend


@pytest.mark.parametrize("layout", [Layout.FOLDERS, Layout.ITEMS, Layout.LABELS])
@pytest.mark.parametrize("is_lost", [False, True])
async def test_the_date_asked_for_is_kept_for_ever(tmp_path: Path, layout: Layout, is_lost: bool) -> None:
    backends = {"work": forgetful(layout)}
    async with running_stack(tmp_path, backends) as stack:
        await stack.add_account("work")
        assert await dates(stack) == {}
        if is_lost:
            backends["work"].faults.fail_after_doing(Operation.APPEND)
        await (await stack.user()).append("INBOX", BytesContent(message(1)), (), ASKED)
        assert await dates(stack) == {1: WANTED}
        view = await stack.open()
        await view.copy([1], "Archive", is_move=False)
        backends["work"].expire_cursors()
        backends["work"].set_flags(INBOX, backends["work"].messages(INBOX)[0].ident, frozenset({"\\Seen"}))
        await next_changes(view)
    async with running_stack(tmp_path, backends) as stack:
        assert await dates(stack) == {1: WANTED}
        assert await dates(stack, "Archive") == {1: WANTED}


@pytest.mark.parametrize("layout", [Layout.FOLDERS, Layout.LABELS])
async def test_the_date_asked_for_is_kept_if_the_sync_is_quicker(stack: Stack, layout: Layout) -> None:
    stack.backends["work"] = backend = forgetful(layout)
    await stack.add_account("work")
    view = await stack.open()
    gate = backend.faults.hold(Operation.APPEND, is_after=True)
    user = await stack.user()
    appending = asyncio.create_task(user.append("INBOX", BytesContent(message(1)), (), ASKED))
    await gate.reached()
    await until_held(view, 1)
    gate.release()
    await appending
    rows = [row async for block in view.fetch([1], Needs(date=True)) for row in block]
    assert [row.internal_date for row in rows] == [WANTED]


async def test_a_message_that_was_known_before_keeps_the_date_that_clients_know(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.backends["work"] = backend = forgetful(Layout.LABELS)
    known = backend.deliver(("Archive",), message(1))
    await stack.add_account("work")
    before = await dates(stack, "Archive")
    await dates(stack)

    async def append(self: MemoryConnector, mailbox: MailboxRef, *_: object) -> MessageState:
        # As Gmail does, which drops duplicates by their Message-ID.
        box = backend.by_ref(mailbox)
        backend.copy(backend.mailbox(("Archive",)), known, box)
        return backend.state(box.messages[known], box)

    monkeypatch.setattr(MemoryConnector, "append", append)
    await (await stack.user()).append("INBOX", BytesContent(message(1)), (), ASKED)
    assert await dates(stack) == before == await dates(stack, "Archive")


@pytest.mark.parametrize("wrong_s", [0, 365 * 24 * 3600], ids=["right clock", "clock that was ahead"])
async def test_an_answer_that_was_lost_long_ago_is_not_given(tmp_path: Path, wrong_s: int) -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=wrong_s))
    async with running_stack(tmp_path, clock=clock) as stack:
        backend = await stack.add_account("work")
        await stack.open()
        account_id = stack.engine().context.account_id
        # As an earlier process left it, which found out what became of an append that nobody waited for any more.
        payload = {"mailbox": (await stack.open()).mailbox_id, "uidnext": 1, "size": 0, "newest": 0}
        digest = hashlib.sha256(message(1)).digest()
        await append(stack)
        intent = await stack.store.write(lambda tx: intents.record(tx, account_id, "append", payload, digest))
        await stack.store.write(lambda tx: intents.set_state(tx, intent, f"{appender.STORED}1"))
    clock.set_back(wrong_s)
    clock.advance(24 * 3600)
    async with running_stack(tmp_path, {"work": backend}, clock=clock) as stack:
        assert await append(stack) == 2
        assert len(backend.messages(INBOX)) == 2
