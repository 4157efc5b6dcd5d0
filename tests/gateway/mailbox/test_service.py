from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from connectors.memory.faults import Operation
from gateway.mailbox.service import ENGINES_AT_ONCE, MailSettings
from gateway.store import accounts, users
from gateway.store.accounts import AccountRow
from gateway.store.database import Transaction
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, PATIENT_S, Stack, message, running_stack, until_held

MANY = 3 * ENGINES_AT_ONCE


async def add_accounts(stack: Stack) -> list[AccountRow]:
    """Add accounts that nobody has started yet."""

    async def body(tx: Transaction) -> list[AccountRow]:
        user = await users.add_user(tx, "alex", None)
        names = [f"account {number}" for number in range(MANY)]
        return [await accounts.add_account(tx, user.id, name, "memory", {"backend": name}) for name in names]

    return await stack.store.write(body)


@asynccontextmanager
async def held_at_the_first(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Let the accounts start, and hold that up at the first one for as long as this is entered."""
    engine_of, let_go = stack.service.engine_of, asyncio.Event()
    reached = asyncio.Event()

    async def hold(row: AccountRow) -> object:
        reached.set()
        await let_go.wait()
        return await engine_of(row)

    monkeypatch.setattr(stack.service, "engine_of", hold)
    starting = asyncio.ensure_future(stack.service.start_accounts())
    await reached.wait()
    monkeypatch.setattr(stack.service, "engine_of", engine_of)
    yield
    let_go.set()
    await starting


async def test_others_have_their_turn_while_many_accounts_start(stack: Stack) -> None:
    await add_accounts(stack)
    running: list[int] = []

    def look() -> None:
        running.append(len(stack.service.engines()))
        if running[-1] < MANY:
            asyncio.get_running_loop().call_soon(look)

    look()
    await stack.service.start_accounts()
    assert running[-1] <= MANY == len(stack.service.engines())
    assert all(later - earlier <= ENGINES_AT_ONCE for earlier, later in pairwise(running))
    assert len(running) > MANY // ENGINES_AT_ONCE


async def test_an_account_that_is_changed_while_many_start_works_with_the_change(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = (await add_accounts(stack))[-1]
    settings: dict[str, object] = {"backend": "another"}
    async with held_at_the_first(stack, monkeypatch):
        await stack.store.write(
            lambda tx: accounts.set_settings(tx, last.id, "memory", settings, is_declared=False, is_primary=False)
        )
        # As a session does that finds it changed.
        early = await stack.service.engine_of(replace(last, settings=settings))
    assert early is not None
    assert stack.service.running_engine(last.id) is early


async def test_an_account_that_is_removed_while_many_start_is_not_started(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = (await add_accounts(stack))[-1]
    async with held_at_the_first(stack, monkeypatch):
        await stack.store.write(lambda tx: accounts.remove_account(tx, last.id))
    assert stack.service.running_engine(last.id) is None
    assert len(stack.service.engines()) == MANY - 1


async def test_a_mailbox_opened_while_its_account_is_started_anew_can_be_written_to(tmp_path: Path) -> None:
    settings = MailSettings(fresh_age_s=0.0, fresh_wait_s=0.1)
    async with running_stack(tmp_path, mail=settings) as stack:
        backend = await stack.add_account("work")
        backend.deliver(INBOX, message(1))
        await until_held(await stack.open(), 1)
        gate = backend.faults.hold(Operation.CHANGES)
        opening = asyncio.create_task(stack.open())
        await gate.reached()
        await stack.service.forget_account(stack.engine().context.account_id)
        await stack.service.start()
        backend.faults.release(Operation.CHANGES)
        view = await opening
        assert (await view.store([1], StoreAction.ADD, ["\\Seen"])).error is None
        assert backend.messages(INBOX)[0].flags == {"\\Seen"}


async def test_an_account_started_anew_watches_what_is_open(stack: Stack) -> None:
    await stack.add_account("work")
    before = await stack.open()
    old = stack.engine()
    await stack.service.forget_account(before.account_id)
    await stack.service.start()
    # The session that had it open has not left it yet.
    after = await stack.open()
    assert before.is_defunct
    assert stack.engine() is not old
    assert stack.engine().demand.interest == {after.mailbox_id}


async def test_nobody_waits_for_an_account_that_is_not_worked_on_any_more(stack: Stack) -> None:
    backend = await stack.add_account("work")
    view = await stack.open()
    engine, gate = stack.engine(), backend.faults.hold(Operation.CHANGES)
    waiting = asyncio.create_task(engine.wait_until_read(view.mailbox_id, 10 * PATIENT_S))
    await gate.reached()
    await stack.service.forget_account(view.account_id)
    async with asyncio.timeout(PATIENT_S):
        assert not await waiting
        assert not await engine.wait_until_read(view.mailbox_id, 10 * PATIENT_S)
