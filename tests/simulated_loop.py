"""An event loop on which what happens depends on a seed alone: time passes only while all wait, threads take turns.

Whatever is given to a thread is carried out some turns of the loop later, and its end is noticed some turns after that;
how many the seed says. So every order that threads may come in can come up, and comes up again with the same seed.
Sets are the exception: the order of what is in them depends on addresses and on `PYTHONHASHSEED`.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
START_S = 1000.0
TEMPERS = ((0,), (0, 0, 0, 1, 3, 10), (0, 1, 5, 30), (1, 2, 3))
"""Turns of the loop that threads may take to begin, and again to be noticed; on one loop they are of one temper."""


def run_simulated(seed: int, main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a loop of its own."""
    state = random.getstate()
    random.seed(f"chance {seed}")
    try:
        with asyncio.Runner(loop_factory=lambda: SimulatedLoop(seed)) as runner:
            return runner.run(main)
    finally:
        random.setstate(state)


class SimulatedClock:
    """The time of the loop on which it is made, and of day; sleeping lets it pass at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._skipped_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic() - START_S)

    def monotonic(self) -> float:
        return self._loop.time() + self._skipped_s

    async def sleep(self, seconds: float) -> None:
        self.skip(seconds)
        await asyncio.sleep(0)

    def skip(self, seconds: float) -> None:
        """Let so much time have passed."""
        self._skipped_s += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Jumps to the next timer where another selector would wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will happen any more")
        self.now_s += max(timeout, 0.0)
        return super().select(0)


@dataclass(slots=True)
class _Queue:
    """What one executor is to do, and what it has done without anybody having noticed; both in order."""

    waiting: deque[Callable[[], Callable[[], None]]] = field(default_factory=deque)
    ended: deque[Callable[[], None]] = field(default_factory=deque)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """See the module. Nothing outside the process may be waited for on it."""

    def __init__(self, seed: int) -> None:
        self._jumping = _JumpingSelector()
        self._chance = random.Random(f"loop {seed}")
        self._dawdling = self._chance.choice(TEMPERS)
        self._queues: dict[Executor, _Queue] = {}
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()

        def work() -> Callable[[], None]:
            if future.cancelled():
                return lambda: None
            try:
                # Its own thread does it, as it may hold on to things; but the loop stands still meanwhile.
                result = executor.submit(func, *args).result() if executor is not None else func(*args)
            except Exception as error:
                return lambda failure=error: None if future.done() else future.set_exception(failure)  # type: ignore[misc]
            return lambda: None if future.done() else future.set_result(result)

        # The threads of the loop's own executor are many, and nothing keeps them in order.
        queue = _Queue() if executor is None else self._queues.setdefault(executor, _Queue())
        queue.waiting.append(work)
        if len(queue.waiting) == 1:
            self._later(lambda: self._begin(queue))
        return future

    def _begin(self, queue: _Queue) -> None:
        ending = queue.waiting[0]()
        queue.ended.append(ending)
        self._later(lambda: self._notice(queue, ending))
        queue.waiting.popleft()
        if queue.waiting:
            self._later(lambda: self._begin(queue))

    def _notice(self, queue: _Queue, ending: Callable[[], None]) -> None:
        while ending in queue.ended:
            queue.ended.popleft()()

    def _later(self, callback: Callable[[], None]) -> None:
        self._after(self._chance.choice(self._dawdling), callback)

    def _after(self, turns: int, callback: Callable[[], None]) -> None:
        if turns:
            self.call_soon(self._after, turns - 1, callback)
        else:
            self.call_soon(callback)
