from __future__ import annotations

import asyncio

import pytest

from gateway.sync import polling
from gateway.sync.polling import UNWATCHED_S, Polling

Pauses = list[float]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """Collects what is slept for; nothing takes any time."""
    slept: Pauses = []

    class Steady:
        def __init__(self, interval_s: float) -> None:
            self.interval_s = interval_s

        def next_s(self) -> float:
            slept.append(self.interval_s)
            return 0.0

    monkeypatch.setattr(polling, "Pace", Steady)
    return slept


async def test_an_account_that_nobody_has_open_is_looked_at_seldom(pauses: Pauses) -> None:
    timer = Polling(None)
    await timer.pause(5.0)
    assert pauses == [UNWATCHED_S]


async def test_one_that_somebody_has_open_is_looked_at_as_the_connector_advises(pauses: Pauses) -> None:
    timer = Polling(None)
    timer.watch(is_watched=True)
    await timer.pause(5.0)
    assert pauses == [5.0]
    timer.watch(is_watched=False)
    await timer.pause(5.0)
    assert pauses == [5.0, UNWATCHED_S]


async def test_opening_a_mailbox_ends_the_long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "UNWATCHED_S", 3600.0)
    timer = Polling(None)
    waiting = asyncio.create_task(timer.pause(0.0))
    await asyncio.sleep(0)
    timer.watch(is_watched=True)
    async with asyncio.timeout(10):
        await waiting


@pytest.mark.parametrize("interval_s", [5.0, 300.0])
async def test_what_the_operator_has_set_is_kept_to(pauses: Pauses, interval_s: float) -> None:
    await Polling(interval_s).pause(7.0)
    assert pauses == [interval_s]


async def test_a_backend_that_is_looked_at_seldom_anyway_is_not_looked_at_more_often(pauses: Pauses) -> None:
    await Polling(None).pause(300.0)
    assert pauses == [300.0]
