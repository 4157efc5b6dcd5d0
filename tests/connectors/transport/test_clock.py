from __future__ import annotations

from datetime import UTC

from connectors.transport.clock import LoopClock


async def test_the_clock_of_the_machine_goes_on() -> None:
    clock = LoopClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now().tzinfo is UTC
