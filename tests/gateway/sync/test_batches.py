from __future__ import annotations

from collections.abc import Sequence

import pytest

from connectors.api import errors
from connectors.api.types import BatchResult, MessageRef
from gateway.sync.batches import MAX_RATE_WAIT_S, in_batches

LIMIT = 3


def refs(count: int) -> list[MessageRef]:
    return [MessageRef(f"m{number}") for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT, 2 * LIMIT + 1])
async def test_every_ref_is_sent_once_in_batches_of_the_limit(count: int) -> None:
    batches: list[list[MessageRef]] = []

    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        batches.append(list(batch))
        return BatchResult(done=dict.fromkeys(batch))

    outcome = await in_batches(refs(count), LIMIT, call)
    assert [ref for batch in batches for ref in batch] == refs(count)
    assert all(len(batch) <= LIMIT for batch in batches)
    assert len(batches) == -(-count // LIMIT)
    assert set(outcome.done) == set(refs(count))


async def test_a_failing_batch_leaves_the_earlier_done_and_fails_the_rest() -> None:
    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        if MessageRef("m3") in batch:
            raise errors.Rejected("no")
        return BatchResult(done=dict.fromkeys(batch))

    outcome = await in_batches(refs(8), LIMIT, call)
    assert set(outcome.done) == set(refs(3))
    assert set(outcome.failed) == set(refs(8)) - set(refs(3))
    assert isinstance(outcome.error, errors.Rejected)


async def test_only_the_batch_that_was_sent_is_of_unknown_outcome() -> None:
    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        raise errors.OutcomeUnknown("lost")

    outcome = await in_batches(refs(5), LIMIT, call)
    assert outcome.is_unknown
    assert [isinstance(outcome.failed[ref], errors.OutcomeUnknown) for ref in refs(5)] == [True] * 3 + [False] * 2


async def test_a_request_to_slow_down_is_obeyed_and_the_batch_repeated() -> None:
    calls = 0

    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise errors.RateLimited("slow", retry_after_s=0)
        return BatchResult(done=dict.fromkeys(batch))

    outcome = await in_batches(refs(2), LIMIT, call)
    assert calls == 2
    assert set(outcome.done) == set(refs(2))


async def test_a_client_is_not_kept_waiting_longer_than_the_bound() -> None:
    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        raise errors.RateLimited("slow", retry_after_s=MAX_RATE_WAIT_S + 1)

    outcome = await in_batches(refs(2), LIMIT, call)
    assert set(outcome.failed) == set(refs(2))


async def test_what_the_connector_has_waited_itself_counts_towards_the_bound() -> None:
    now = 0.0
    calls = 0

    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        nonlocal now, calls
        calls += 1
        now += MAX_RATE_WAIT_S / 2
        raise errors.RateLimited("slow", retry_after_s=0)

    outcome = await in_batches(refs(2), LIMIT, call, now=lambda: now)
    assert set(outcome.failed) == set(refs(2))
    assert calls == 3
