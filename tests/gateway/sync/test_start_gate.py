from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.memory.connector import MemoryConnector
from gateway.store import accounts, users
from gateway.sync import start_gate
from gateway.sync.start_gate import AT_ONCE, StartGate
from tests.stack import PATIENT_S, Stack, running_stack


class Runner:
    """Something that goes through the gate and stays until it is told to go on."""

    def __init__(self, gate: StartGate) -> None:
        self.hurried = asyncio.Event()
        self.inside = asyncio.Event()
        self.go_on = asyncio.Event()
        self.task = asyncio.create_task(self._run(gate))

    async def _run(self, gate: StartGate) -> None:
        async with gate.turn(self.hurried):
            self.inside.set()
            await self.go_on.wait()

    async def finish(self) -> None:
        self.go_on.set()
        await self.task


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_only_so_many_go_at_once_and_in_order() -> None:
    gate = StartGate(2)
    runners = [Runner(gate) for _ in range(4)]
    await settle()
    assert [runner.inside.is_set() for runner in runners] == [True, True, False, False]
    await runners[1].finish()
    await settle()
    assert [runner.inside.is_set() for runner in runners] == [True, True, True, False]
    for runner in runners:
        await runner.finish()


async def test_one_that_a_session_waits_for_goes_at_once_and_takes_no_place() -> None:
    gate = StartGate(1)
    first, second, third = (Runner(gate) for _ in range(3))
    await settle()
    third.hurried.set()
    await settle()
    assert third.inside.is_set()
    assert not second.inside.is_set()
    await third.finish()
    await settle()
    assert not second.inside.is_set()
    await first.finish()
    await settle()
    assert second.inside.is_set()
    await second.finish()


async def test_one_that_takes_long_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_gate, "HOLD_S", 0.0)
    gate = StartGate(1)
    first, second = Runner(gate), Runner(gate)
    async with asyncio.timeout(PATIENT_S):
        await second.inside.wait()
    assert not first.task.done()
    await first.finish()
    await second.finish()
    # The place was given back once.
    third, fourth = Runner(StartGate(1)), Runner(gate)
    await settle()
    assert fourth.inside.is_set()
    await third.finish()
    await fourth.finish()


async def test_one_that_is_cancelled_in_the_queue_or_inside_leaves_its_place() -> None:
    gate = StartGate(1)
    runners = [Runner(gate) for _ in range(3)]
    await settle()
    for runner in runners[:2]:
        runner.task.cancel()
    await asyncio.gather(*(runner.task for runner in runners[:2]), return_exceptions=True)
    await settle()
    assert runners[2].inside.is_set()
    await runners[2].finish()


async def test_a_process_opens_few_accounts_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening: set[int] = set()
    most = opened = 0
    all_opened = asyncio.Event()
    plain = MemoryConnector.open

    async def open_slowly(connector: MemoryConnector) -> None:
        nonlocal most, opened
        opening.add(id(connector))
        most = max(most, len(opening))
        await settle()
        await plain(connector)
        opening.discard(id(connector))
        opened += 1
        if opened == 3 * AT_ONCE:
            all_opened.set()

    monkeypatch.setattr(MemoryConnector, "open", open_slowly)
    async with running_stack(tmp_path) as stack:
        await _add_accounts(stack, 3 * AT_ONCE)
        async with asyncio.timeout(PATIENT_S):
            await all_opened.wait()
    assert 0 < most <= AT_ONCE


async def _add_accounts(stack: Stack, count: int) -> None:
    async def body(tx: Any) -> None:
        user = await users.add_user(tx, "alex", None)
        for number in range(count):
            await accounts.add_account(tx, user.id, f"a{number}", "memory", {"backend": f"a{number}"})

    await stack.store.write(body)
    await stack.service.start()
