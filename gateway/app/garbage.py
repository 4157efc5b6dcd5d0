"""When the collector of garbage looks at what, so that no look holds the event loop for long.

CPython frees nearly everything as soon as nothing refers to it. Only what refers to itself in a circle is left to the
collector, which looks at the young often and at everything now and then. That takes a fifth of a microsecond for each
object there is, nothing else runs meanwhile, and next to nothing is found: code breaks its circles. A process with a
thousand accounts has a million objects: a quarter of a second.

    young objects            looked at by the interpreter as ever, and every `YOUNG_S` seconds
    full look                as ever too; once one takes more than `LONG_S`, what it leaves is set apart
    what is set apart        is freed as ever when nothing refers to it, but full looks pass it by
    a look at everything     when memory has doubled since the last one, in a quiet moment

So a full look has before it what came since the one before, and a circle is missed only if it was set apart while it
was in use. Those are found by the look at everything, which is the only one that takes long. In a process in which
circles are broken it never comes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger(__name__)

LONG_S = 0.005
"""A full look that takes more than this of a processor's time sets apart what it leaves."""

GROWTH_BLOCKS = 3_000_000
"""So many pieces of memory more than there were, some 200 MB, are the least that everything is looked at for."""

YOUNG_S = 1.0
"""How often the young are looked at, however few. The interpreter counts what is made less what is freed: where one
object takes the place of another, a hundred thousand may come before it looks."""

CHECK_S = 10.0
"""How often it is seen whether memory has grown."""

QUIET_SHARE = 0.2
"""A loop that worked for no more than this share of the time since the last check has a quiet moment."""

_YOUNG, _MIDDLE, _OLD = 700, 5, 1
"""The first two are those of CPython up to 3.12. With 10 for the third three times as much comes between full looks."""


class GarbageWatch:
    """Says when garbage is looked for, from `start` to `stop`. One for a process, used in its event loop.

    `processor_s` gives the processor time of the thread it is called in, `blocks` how many pieces of memory are in use.
    """

    def __init__(
        self,
        processor_s: Callable[[], float] = time.thread_time,
        blocks: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._processor_s = processor_s
        self._blocks = blocks
        self._thresholds = gc.get_threshold()
        self._began_s = 0.0
        self._is_set_apart = False
        self._blocks_then = 0
        self._worked_s = 0.0
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for as long as this is entered.

        Enter it when all modules are there and nothing else is: they stay, and are set apart at once.
        """
        self.start()
        try:
            yield
        finally:
            self.stop()

    def start(self) -> None:
        """Begin to watch."""
        self._thresholds = gc.get_threshold()
        gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
        gc.callbacks.append(self._looked)
        self.look_at_everything()
        self._wait()

    def stop(self) -> None:
        """Leave it to the interpreter again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gc.callbacks.remove(self._looked)
        gc.set_threshold(*self._thresholds)

    def look_at_everything(self) -> int:
        """Free all circles that nothing refers to, and set the rest apart; return how many objects were freed."""
        gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        # CPython puts a full look off until what came since the last one is a quarter of what that one left. It is to
        # count from nothing, since what is set apart is not looked at.
        gc.collect()
        self._is_set_apart = False
        self._blocks_then = self._blocks()
        return found

    def check(self) -> None:
        """Look at everything if memory has grown and nobody is kept waiting by it; called every `CHECK_S` seconds."""
        now_s = self._processor_s()
        is_quiet = now_s - self._worked_s <= QUIET_SHARE * CHECK_S
        self._worked_s = now_s
        grown, most = self._blocks() - self._blocks_then, max(GROWTH_BLOCKS, self._blocks_then)
        # Where all looks were short nothing was missed. A process that is never quiet is not to grow for ever.
        if self._is_set_apart and grown > (most if is_quiet else 2 * most):
            found = self.look_at_everything()
            taken_s = self._processor_s() - now_s
            log.info("memory had grown: %d objects of garbage found in %.0f ms", found, taken_s * 1000)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(YOUNG_S, self._tick)

    def _tick(self) -> None:
        gc.collect(1)
        self._ticks += 1
        if self._ticks * YOUNG_S >= CHECK_S:
            self._ticks = 0
            self.check()
        self._wait()

    def _looked(self, phase: str, info: Mapping[str, int]) -> None:
        """Take note of a look, in whatever thread the interpreter makes it."""
        if info["generation"] != 2:  # the oldest
            return
        if phase == "start":
            self._began_s = self._processor_s()
        elif self._processor_s() - self._began_s > LONG_S:
            gc.freeze()
            self._is_set_apart = True
