from __future__ import annotations

from connectors.transport.retry_after import MAX_RETRY_AFTER_S
from connectors.transport.throttle import Hold
from tests.connectors.transport.jumping_clock import JumpingClock


def test_a_hold_passes_with_time_and_is_never_shortened() -> None:
    clock = JumpingClock()
    hold = Hold(clock)
    assert hold.remaining_s == 0
    hold.extend(10)
    hold.extend(3)
    clock.advance(4)
    assert hold.remaining_s == 6
    clock.advance(7)
    assert hold.remaining_s == 0


def test_a_hold_is_bounded() -> None:
    hold = Hold(JumpingClock())
    hold.extend(1e12)
    assert hold.remaining_s == MAX_RETRY_AFTER_S
