"""Bounded waiting for something that has no event of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STEP_S = 0.05


def eventually(probe: Callable[[], T], accept: Callable[[T], bool] = bool, *, within_s: float = 10.0) -> T:
    """Call `probe` until `accept` likes its value, and return that value.

    Raises:
        AssertionError: `within_s` seconds went by; says what the last value was.
    """
    end = time.monotonic() + within_s
    while True:
        value = probe()
        if accept(value):
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {within_s} s; the last value was {value!r}")
        time.sleep(_STEP_S)


def equals(wanted: object) -> Callable[[object], bool]:
    """Accept a value that equals `wanted`."""
    return lambda value: value == wanted
