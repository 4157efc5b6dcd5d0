from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
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
from tests.gateway.sync.appending import (
    DATE,
    LAYOUTS,
    append,
    appending_stack,
    open_intents,
)
from tests.stack import INBOX, SeenOnly, Stack, message, next_changes, running_stack, until_held


@pytest.fixture(params=[False, True], ids=["asked", "prepared"])
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    async with appending_stack(tmp_path, is_prepared=request.param) as running:
        yield running


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_is_appended_is_at_the_backend_with_flags_and_date(stack: Stack, layout: str) -> None:
    backend = await stack.add_account("work", layout=layout)
    assert await append(stack, flags=("\\Seen", "\\Deleted", "$x")) == 1
    (stored,) = backend.messages(INBOX)
    assert (stored.data, stored.internal_date) == (message(1), DATE)
    view = await stack.open()
    assert view.flag_rows([1])[0].flags == b"(\\Deleted \\Seen $x \\Recent)"
    assert await open_intents(stack) == []


async def test_the_same_message_may_be_appended_twice_on_purpose(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    assert [await append(stack), await append(stack)] == [1, 2]
    assert len(backend.messages(INBOX)) == 2


async def test_a_refused_append_leaves_no_intent(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.storage_limit = 10
    with pytest.raises(MailError) as refused:
        await append(stack)
    assert refused.value.kind is ErrorKind.OVER_QUOTA
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


async def test_flags_that_only_we_hold_are_kept_when_only_a_reading_tells_the_uid(tmp_path: Path) -> None:
    async with running_stack(tmp_path, {"work": SeenOnly(has_uids=True)}) as stack:
        backend = await stack.add_account("work", layout="folders", uids=True)
        view = await stack.open()
        gate = backend.faults.hold(Operation.APPEND)
        appending = asyncio.create_task(append(stack, 1, ("\\Seen", "\\Flagged", "Work")))
        await gate.reached()
        # It comes first, so that the appended message does not follow on what is known.
        backend.deliver(INBOX, message(2))
        backend.faults.release(Operation.APPEND)
        assert await appending == 2
        await until_held(view, 2)
        assert view.flag_rows([2])[0].flags == b"(\\Flagged \\Seen Work \\Recent)"


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
        backends["work"].journal.expire_cursors()
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
