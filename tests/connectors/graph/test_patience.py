"""What is asked for again, and for how long."""

from __future__ import annotations

import pytest

from connectors.api.errors import RateLimited, Unavailable
from connectors.graph.errors import Refusal
from connectors.graph.patience import FAILURES, MAX_WAIT_S, PAUSES, Patience, limited, may_repeat
from connectors.transport.messages import Effect

THROTTLED = Refusal(429, retry_after_s=5.0)
FAILED = Refusal(503)


@pytest.mark.parametrize(
    ("status", "reads", "writes"),
    [
        (400, False, False),
        (404, False, False),
        (412, False, False),
        (429, True, True),
        (500, True, False),
        (502, True, False),
        (503, True, False),
        (504, True, False),
        (507, False, False),
        (509, True, True),
    ],
)
def test_throttled_calls_are_repeated_and_failed_ones_unless_they_may_be_done(
    status: int, reads: bool, writes: bool
) -> None:
    assert may_repeat(Refusal(status), Effect.READ) == reads
    assert may_repeat(Refusal(status), Effect.IDEMPOTENT_WRITE) == reads
    assert may_repeat(Refusal(status), Effect.WRITE) == writes


@pytest.mark.parametrize(("refusal", "attempts"), [(THROTTLED, PAUSES.attempts), (FAILED, FAILURES)])
def test_attempts_are_counted(refusal: Refusal, attempts: int) -> None:
    patience, made = Patience(), 1
    while patience.refuse() and patience.bears(refusal, 0.5):
        patience.wait(0.5)
        made += 1
    assert made == attempts


def test_waits_are_added_up() -> None:
    patience = Patience()
    patience.refuse()
    assert patience.bears(THROTTLED, MAX_WAIT_S)
    patience.wait(MAX_WAIT_S - 1)
    assert patience.bears(THROTTLED, 1)
    assert not patience.bears(THROTTLED, 2)


def test_what_is_not_waited_out_tells_how_long_to_wait() -> None:
    error = limited(Refusal(429), "a call", Effect.READ, 42.0)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 42.0
    assert isinstance(limited(FAILED, "a call", Effect.READ, 42.0), Unavailable)
