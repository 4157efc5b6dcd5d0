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
    """Run two tests more at the same time than there are processors: two fifths of a run on two of them is waiting."""
    return len(os.sched_getaffinity(0)) + 2


LENGTHY = (
    "tests/e2e/test_kill_points.py",
    "tests/e2e/test_transcript.py",
    "tests/e2e/test_gmail_quota.py",
    "tests/e2e/test_graph_requests.py",
    "tests/e2e/test_backend_faults.py",
    "tests/e2e/test_http_faults.py",
    "tests/gateway/mailbox/test_model",
)
"""Begun first, lest one of them be all that is left to wait for at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the lengthy tests before the others, and leave the order as it is else."""
    items.sort(key=lambda item: not item.nodeid.startswith(LENGTHY))


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
