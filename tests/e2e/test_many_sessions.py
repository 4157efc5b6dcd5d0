"""Twenty sessions work on one mailbox, while it is changed at the server as well; whatever each is told is true.

Plain sessions, some with CONDSTORE and some with QRESYNC. `tests.e2e.told` checks every single response; in the end
each session's view, put together from nothing but responses, is what the server has.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.many_sessions import MAILBOX, OTHER, Session, World, held
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message
from tests.e2e.settling import settled
from tests.e2e.stage_pool import StagePool

SESSIONS = 20
OUTSIDERS = 2
SETTLE_S = 30.0
SECONDS = [
    pytest.param(5.0, id="short"),
    pytest.param(60.0, id="long", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
]


@pytest.fixture
def stage(stages: StagePool, is_direct: bool, tmp_path: Path) -> Iterator[Stage]:
    """An account whose user may have as many connections as it takes."""
    (account,) = stages.accounts(1)
    if is_direct:
        yield account.stage(account.backend)
        return
    gateway = GatewayProcess(tmp_path / "gateway", [account], connections=SESSIONS + 10)
    gateway.start()
    yield account.stage(gateway.endpoint(account.login))
    gateway.stop()


@pytest.mark.parametrize("seconds", SECONDS)
def test_whatever_a_session_is_told_is_true(stage: Stage, seconds: float) -> None:
    with RawClient.logged_in(stage.back) as back:
        back.ok(f'CREATE "{OTHER}"')
        back.append_many(MAILBOX, [message(number) for number in range(1, 81)])
    settled(stage, MAILBOX, OTHER)
    counts = asyncio.run(_work_and_compare(stage, seconds))
    assert min(counts.values()) > 0


async def _work_and_compare(stage: Stage, seconds: float) -> Counter[str]:
    world = World()
    sessions = [
        Session(f"session {number}", stage.front, world, is_condstore=number % 3 > 0, is_qresync=number % 3 == 2)
        for number in range(SESSIONS)
    ]
    outside = [
        Session(f"outside {number}", stage.back, world, is_condstore=False, is_qresync=False)
        for number in range(OUTSIDERS)
    ]
    try:
        await asyncio.gather(*(session.start() for session in (*sessions, *outside)))
        until = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for session in (*sessions, *outside):
                group.create_task(session.work(until))
        await _agree(stage, sessions)
    finally:
        for session in (*sessions, *outside):
            session.close()
    counts: Counter[str] = Counter()
    for session in sessions:
        counts.update(session.counts)
    return counts


async def _agree(stage: Stage, sessions: list[Session]) -> None:
    """Wait until the front shows what the back has, and a NOOP has told every session so."""
    end = asyncio.get_running_loop().time() + SETTLE_S
    while True:
        front, back = await _both(stage.front, stage.back)
        for session in sessions:
            await session.noop()
        found = [line for session in sessions for line in session.differences(front)]
        if front == back and not found:
            return
        if asyncio.get_running_loop().time() > end:
            assert front == back
            assert not found
        await asyncio.sleep(0.2)


async def _both(front: Endpoint, back: Endpoint) -> tuple[dict[int, frozenset[str]], dict[int, frozenset[str]]]:
    return await held(front), await held(back)
