"""An event loop in a thread of its own: servers written with asyncio, for tests that block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Self, TypeVar

from tests.servers.fault_proxy import FaultProxy, fault_proxy
from tests.servers.faults import WAIT_S, Fault, Gate, Rule, When, anything

T = TypeVar("T")


class LoopThread:
    """Runs what it is given in its loop. Use as a context manager: what was entered is left at the end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers")
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait(self._stack.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * WAIT_S)

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter the context until the end of the thread."""
        return self.wait(self._stack.enter_async_context(context))

    def call(self, function: Callable[[], T]) -> T:
        """Call it in the loop, where whatever belongs to the loop may be touched."""

        async def work() -> T:
            return function()

        return self.wait(work())


class BlockingProxy:
    """A fault proxy in the loop of another thread; see `FaultProxy`."""

    def __init__(self, thread: LoopThread, host: str, port: int) -> None:
        self._thread = thread
        self._proxy: FaultProxy = thread.enter(fault_proxy(host, port))

    @property
    def url(self) -> str:
        return self._proxy.url

    def fail(self, fault: Fault, *, when: When = anything, times: int | None = 1, skip: int = 0) -> BlockingRule:
        rule = self._thread.call(lambda: self._proxy.fail(fault, when=when, times=times, skip=skip))
        return BlockingRule(self._thread, rule)

    def count(self, when: When = anything) -> int:
        """Return how many requests of this kind have arrived."""
        return self._thread.call(lambda: self._proxy.count(when))

    def gate(self) -> BlockingGate:
        return BlockingGate(self._thread)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections, and reset those there are, inside the block."""
        context = self._proxy.refusing()
        self._thread.wait(_awaited(context.__aenter__()))
        try:
            yield
        finally:
            self._thread.wait(_awaited(context.__aexit__(None, None, None)))

    @contextlib.contextmanager
    def failing(self, fault: Fault, when: When = anything) -> Iterator[None]:
        """Let the fault befall every such request inside the block; those that are still caught in it end with it."""
        rule = self.fail(fault, when=when, times=None)
        try:
            yield
        finally:
            rule.cancel()
            self._thread.call(lambda: self._proxy.drop_connections(when))


class BlockingRule:
    """See `Rule`."""

    def __init__(self, thread: LoopThread, rule: Rule[Any, Any]) -> None:
        self._thread = thread
        self._rule = rule

    @property
    def hits(self) -> int:
        return self._rule.hits.value

    def wait_for_hits(self, count: int = 1) -> None:
        """Return once so many requests have met the fault."""
        self._thread.wait(self._rule.hits.reach(count))

    def cancel(self) -> None:
        self._thread.call(self._rule.cancel)


class BlockingGate:
    """See `Gate`; `gate` itself is for the fault."""

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self.gate = Gate()

    def wait_for_arrivals(self, count: int = 1) -> None:
        """Return once requests have stopped here so often."""
        self._thread.wait(self.gate.arrived.reach(count))

    def let_on(self, times: int = 1) -> None:
        self._thread.call(lambda: self.gate.let_on(times))

    def open(self) -> None:
        self._thread.call(self.gate.open)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
