"""Calling a connector's batch operations for any number of messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from connectors.api import errors
from connectors.api.types import BatchResult, MessageRef, MessageState

MAX_RATE_WAIT_S = 30.0
"""How long a client is kept waiting for a backend that asks to slow down; after that the rest of the batch fails."""


@dataclass(slots=True)
class Outcome:
    """What became of each ref, over all batches. `error` is the last failure, for the answer to the client."""

    done: dict[MessageRef, MessageState | None] = field(default_factory=dict)
    missing: set[MessageRef] = field(default_factory=set)
    failed: dict[MessageRef, errors.ConnectorError] = field(default_factory=dict)

    @property
    def error(self) -> errors.ConnectorError | None:
        return next(reversed(self.failed.values()), None)

    @property
    def is_unknown(self) -> bool:
        return any(isinstance(error, errors.OutcomeUnknown) for error in self.failed.values())

    def add(self, result: BatchResult) -> None:
        self.done.update(result.done)
        self.missing.update(result.missing)
        self.failed.update(result.failed)


async def in_batches(
    refs: Sequence[MessageRef],
    limit: int,
    call: Callable[[Sequence[MessageRef]], Awaitable[BatchResult]],
    *,
    now: Callable[[], float] | None = None,
) -> Outcome:
    """Run `call` over the refs, at most `limit` at a time.

    A batch that fails as a whole fails its refs and all that follow; what was done before stays done. A request to slow
    down is obeyed and the batch repeated, up to `MAX_RATE_WAIT_S` in all, the time included that the connector spent on
    calls that ended so. `now` gives seconds that only grow; the loop's own if left out.
    """
    outcome = Outcome()
    now = now or asyncio.get_running_loop().time
    waited_s = 0.0
    start = 0
    while start < len(refs):
        batch = refs[start : start + limit]
        begun = now()
        try:
            outcome.add(await call(batch))
        except errors.RateLimited as error:
            waited_s += now() - begun + error.retry_after_s
            if waited_s <= MAX_RATE_WAIT_S:
                await asyncio.sleep(error.retry_after_s)
                continue
            outcome.failed.update(dict.fromkeys(refs[start:], error))
            break
        except errors.ConnectorError as error:
            unsent = errors.Unavailable(error.operator_text, client_text=error.client_text)
            is_unknown = isinstance(error, errors.OutcomeUnknown)
            outcome.failed.update(dict.fromkeys(refs[start + limit :], unsent if is_unknown else error))
            outcome.failed.update(dict.fromkeys(batch, error))
            break
        start += limit
    return outcome
