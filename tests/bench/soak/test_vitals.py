from __future__ import annotations

import os

import pytest

from bench.soak.vitals import Life, Sample


def life(*memory_mb: float) -> Life:
    return Life(1, [Sample(10.0 * number, mb, 50) for number, mb in enumerate(memory_mb)])


@pytest.mark.parametrize(
    ("memory", "is_flat"),
    [
        ([200, 90, 90, 91, 90, 92, 91, 90, 91, 92, 90, 91], True),
        ([80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190], False),
        ([50, 60, 70, 90, 95, 96, 96, 96, 97, 97, 97, 97], True),
        ([50, 400], True),
    ],
)
def test_memory_is_flat_if_it_does_not_grow_after_the_first_part(memory: list[float], is_flat: bool) -> None:
    assert life(*memory).is_flat is is_flat


def test_a_running_process_is_looked_at() -> None:
    mine = Life(os.getpid())
    sample = mine.look(1.0)
    assert sample is not None
    assert sample.rss_mb > 5
    assert sample.open_files >= 3
    assert mine.figures()["samples"] == 1


def test_a_process_that_has_ended_gives_nothing() -> None:
    ended = Life(2**22 + 1)
    assert ended.look(1.0) is None
    assert ended.figures() == {"pid": 2**22 + 1, "samples": 0}
