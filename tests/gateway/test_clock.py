"""The system's clock, and the one that tests move by hand."""

from __future__ import annotations

from datetime import UTC, timedelta

from gateway.clock import SystemClock
from tests.manual_clock import ManualClock


def test_the_time_of_day_knows_its_zone() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_monotonic_time_does_not_go_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock()
    start = clock.now()
    assert (clock.now(), clock.monotonic()) == (start, 0.0)
    clock.advance(1.5)
    assert (clock.now(), clock.monotonic()) == (start + timedelta(seconds=1.5), 1.5)
    clock.set_back(10)
    assert (clock.now(), clock.monotonic()) == (start - timedelta(seconds=8.5), 1.5)
