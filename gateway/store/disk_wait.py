"""Telling whether reading a file had to wait for the disk, so that the next is read beside the event loop.

What is in memory is read in microseconds, and a thread for it is far dearer. A long time alone says little: on a busy
machine others are let run in between. Only who waits gives up the processor of his own accord.
"""

from __future__ import annotations

import resource
import time

_WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


class DiskWait:
    """Watches what the calling thread does from now on."""

    __slots__ = ("_longest_s", "_started", "_waits")

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._waits = resource.getrusage(_WHO).ru_nvcsw
        self._started = time.perf_counter()

    def is_long(self) -> bool:
        """Whether more than `longest_s` seconds have passed since, and the thread has waited for something."""
        return time.perf_counter() - self._started > self._longest_s and resource.getrusage(_WHO).ru_nvcsw > self._waits
