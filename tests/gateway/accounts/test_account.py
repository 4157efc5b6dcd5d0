from __future__ import annotations

import asyncio

import pytest

from connectors.api import errors
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import MemoryConnector
from connectors.memory.faults import Operation
from gateway.accounts.account import LOGIN_PAUSE_S, Account, AccountHealth
from gateway.store.accounts import AccountState
from tests.manual_clock import ManualClock


class Told:
    """Collects what an account says of itself."""

    def __init__(self) -> None:
        self.states: list[AccountHealth] = []

    async def __call__(self, health: AccountHealth) -> None:
        self.states.append(health)


def account(backend: MemoryBackend, clock: ManualClock, told: Told | None = None) -> Account:
    return Account(1, "work", MemoryConnector(backend), clock, told)


async def test_concurrent_users_open_the_connector_once() -> None:
    backend = MemoryBackend(Layout.FOLDERS)
    told = Told()
    one = account(backend, ManualClock(), told)
    await asyncio.gather(*(one.open() for _ in range(5)))
    assert backend.faults.calls[Operation.OPEN] == 1
    assert told.states == [AccountHealth(AccountState.ACTIVE)]
    await one.close()


async def test_an_unreachable_backend_is_tried_again_at_the_next_use() -> None:
    backend, told = MemoryBackend(Layout.FOLDERS), Told()
    one = account(backend, ManualClock(), told)
    backend.faults.fail_next(Operation.OPEN, errors.Unavailable("refused"))
    with pytest.raises(errors.Unavailable):
        await one.open()
    await one.open()
    assert told.states == [AccountHealth(AccountState.UNAVAILABLE, "refused"), AccountHealth(AccountState.ACTIVE)]
    await one.close()


async def test_whoever_waits_for_an_attempt_shares_its_failure() -> None:
    # A silent server costs each attempt a time-out: one after the other, they would keep the last one waiting for all.
    backend = MemoryBackend(Layout.FOLDERS)
    one = account(backend, ManualClock())
    gate = backend.faults.hold(Operation.OPEN)
    waiting = [asyncio.ensure_future(one.open()) for _ in range(5)]
    await gate.reached()
    backend.faults.fail_next(Operation.OPEN, errors.Unavailable("silent"))
    gate.release()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["silent"] * 5
    assert backend.faults.calls[Operation.OPEN] == 1
    await one.open()
    assert one.is_open
    await one.close()


async def test_refused_credentials_are_not_tried_again_for_a_while() -> None:
    backend, clock = MemoryBackend(Layout.FOLDERS), ManualClock()
    one = account(backend, clock)
    backend.faults.fail_next(Operation.OPEN, errors.AuthExpired("wrong password"))
    for _ in range(3):
        with pytest.raises(errors.AuthExpired, match="wrong password"):
            await one.open()
    assert backend.faults.calls[Operation.OPEN] == 1
    clock.advance(LOGIN_PAUSE_S)
    await one.open()
    assert one.is_open
    await one.close()


async def test_an_error_of_one_message_leaves_the_account_open() -> None:
    one = account(MemoryBackend(Layout.FOLDERS), ManualClock())
    await one.open()
    await one.failed(errors.Rejected("this message"))
    assert one.is_open
    await one.close()


async def test_what_has_been_removed_is_no_trouble_of_the_account(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    one = account(MemoryBackend(Layout.FOLDERS), ManualClock(), told)
    await one.open()
    for _ in range(3):
        await one.failed(errors.NotFound("mailbox 'Old' is gone"))
    assert not caplog.records
    await one.failed(errors.Rejected("this message"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert one.is_open
    await one.close()
