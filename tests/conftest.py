"""What holds for every test."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator

import pytest

# Whoever switches this off must not have each of some hundred gateways that tests start compile itself anew: that took
# a fifth of the time of a run. Set here, it holds for the tests themselves and for every process they start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run half as many tests again at the same time as there are processors: two fifths of a run is waiting."""
    return (len(os.sched_getaffinity(0)) * 3 + 1) // 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage away from the half a million objects that tests are, which live as long as it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
