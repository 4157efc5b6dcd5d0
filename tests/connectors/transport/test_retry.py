from __future__ import annotations

import pytest

from connectors.api.errors import OutcomeUnknown, Unavailable
from connectors.transport.messages import Effect
from connectors.transport.retry import RetryPolicy, Trouble, error_for

PERHAPS_DONE = {Trouble.FAILED, Trouble.SILENT, Trouble.LOST, Trouble.UNUSABLE}


@pytest.mark.parametrize("trouble", Trouble)
def test_a_write_is_repeated_only_if_nothing_was_done(trouble: Trouble) -> None:
    may = RetryPolicy().may_repeat(trouble, Effect.WRITE, 1)
    assert may is (trouble in {Trouble.UNSENT, Trouble.THROTTLED})


@pytest.mark.parametrize("effect", [Effect.READ, Effect.IDEMPOTENT_WRITE])
@pytest.mark.parametrize("trouble", Trouble)
def test_what_may_be_done_twice_is_repeated_unless_that_is_of_no_use(trouble: Trouble, effect: Effect) -> None:
    may = RetryPolicy().may_repeat(trouble, effect, 1)
    assert may is (trouble not in {Trouble.UNREACHABLE, Trouble.UNUSABLE})


def test_attempts_are_counted() -> None:
    policy = RetryPolicy(attempts=3)
    assert [policy.may_repeat(Trouble.LOST, Effect.READ, failed) for failed in (1, 2, 3)] == [True, True, False]
    assert [policy.may_repeat(Trouble.SILENT, Effect.READ, failed) for failed in (1, 2)] == [True, False]


def test_delays_double_up_to_a_bound_and_vary() -> None:
    policy = RetryPolicy(first_s=1.0, max_s=5.0, jitter=0.5)
    assert [policy.delay(failed, 0.0) for failed in (1, 2, 3, 4, 5000)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert policy.delay(1, 1.0) == 0.5
    assert policy.delay(4, 0.5) == 3.75


@pytest.mark.parametrize("trouble", Trouble)
def test_the_outcome_of_a_write_is_unknown_if_it_was_perhaps_done(trouble: Trouble) -> None:
    kind = OutcomeUnknown if trouble in PERHAPS_DONE else Unavailable
    assert type(error_for(trouble, Effect.WRITE, "it broke")) is kind
    assert type(error_for(trouble, Effect.READ, "it broke")) is Unavailable
    assert error_for(trouble, Effect.READ, "it broke").operator_text == "it broke"
