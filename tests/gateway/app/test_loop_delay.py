from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.app.loop_delay import INTERVAL_S, WARNING_PAUSE_S, LoopDelayProbe


def test_the_worst_delay_stays() -> None:
    probe = LoopDelayProbe()
    probe.note(0.002, 1.0)
    probe.note(0.04, 2.0)
    probe.note(0.003, 3.0)
    assert list(probe.worst.lines())[-1] == "imap_gateway_loop_delay_worst_seconds 0.04"
    assert list(probe.histogram.lines())[-1] == "imap_gateway_loop_delay_seconds_count 3"


def test_a_delay_above_the_bound_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    probe = LoopDelayProbe(warn_s=0.05)
    with caplog.at_level(logging.WARNING):
        probe.note(0.05, 10.0)
        assert not caplog.records
        probe.note(0.08, 11.0)
        assert [record.getMessage() for record in caplog.records] == [
            "the event loop was held up 1 times, for at most 80 ms"
        ]
        probe.note(0.3, 12.0)
        probe.note(0.06, 13.0)
        assert len(caplog.records) == 1
        probe.note(0.001, 11.0 + WARNING_PAUSE_S)
        assert caplog.records[1].getMessage() == "the event loop was held up 2 times, for at most 300 ms"


async def test_what_holds_the_loop_is_seen() -> None:
    now_s = 100.0
    looked = asyncio.Event()

    def now() -> float:
        looked.set()
        return now_s

    probe = LoopDelayProbe(now=now)
    probe.start()
    # While the timer runs, as much time passes as if something had held the loop for 0.2 s.
    looked.clear()
    now_s += INTERVAL_S + 0.2
    await looked.wait()
    probe.stop()
    assert list(probe.worst.lines())[-1] == "imap_gateway_loop_delay_worst_seconds 0.2"


async def test_a_probe_that_was_stopped_looks_no_more() -> None:
    looks = 0

    def now() -> float:
        nonlocal looks
        looks += 1
        return 1.0

    probe = LoopDelayProbe(now=now)
    probe.start()
    probe.stop()
    looked = looks
    await asyncio.sleep(3 * INTERVAL_S)
    assert looks == looked
