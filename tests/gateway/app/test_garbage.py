from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from gateway.app import garbage
from gateway.app.garbage import CHECK_S, GROWTH_BLOCKS, LONG_S, QUIET_SHARE, GarbageWatch


class Node:
    """Refers to itself if asked to: then only the collector frees it."""

    def __init__(self) -> None:
        self.other: Node | None = None

    def close_circle(self) -> None:
        self.other = self


class Figures:
    """The processor time and the pieces of memory that the watch is told of."""

    def __init__(self) -> None:
        self.processor_s = 0.0
        self.step_s = 0.0
        self.blocks = 1_000_000

    def read_processor_s(self) -> float:
        self.processor_s += self.step_s
        return self.processor_s

    def read_blocks(self) -> int:
        return self.blocks


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
async def watch(figures: Figures) -> Iterator[GarbageWatch]:  # type: ignore[misc]
    # No look but those of the test.
    gc.disable()
    watch = GarbageWatch(figures.read_processor_s, figures.read_blocks)
    with watch.watching():
        yield watch
    gc.enable()


def full_look(figures: Figures, taking_s: float) -> None:
    figures.step_s = taking_s
    gc.collect()
    figures.step_s = 0.0


def circle() -> weakref.ref[Node]:
    node = Node()
    node.close_circle()
    return weakref.ref(node)


def circle_set_apart(figures: Figures) -> weakref.ref[Node]:
    """Return garbage that was in use when a long full look set apart what there was."""
    node = Node()
    full_look(figures, LONG_S * 2)
    node.close_circle()
    return weakref.ref(node)


async def test_what_a_short_full_look_leaves_is_looked_at_again(watch: GarbageWatch, figures: Figures) -> None:
    node = Node()
    full_look(figures, LONG_S / 2)
    node.close_circle()
    left = weakref.ref(node)
    del node
    full_look(figures, LONG_S / 2)
    assert left() is None


async def test_what_a_long_full_look_leaves_is_set_apart(watch: GarbageWatch, figures: Figures) -> None:
    node = Node()
    before = gc.get_freeze_count()
    full_look(figures, LONG_S * 2)
    assert gc.get_freeze_count() > before
    assert not any(found is node for found in gc.get_objects())


async def test_what_came_since_is_looked_at(watch: GarbageWatch, figures: Figures) -> None:
    full_look(figures, LONG_S * 2)
    left = circle()
    full_look(figures, LONG_S * 2)
    assert left() is None


async def test_what_is_set_apart_is_freed_when_nothing_refers_to_it(watch: GarbageWatch, figures: Figures) -> None:
    node = Node()
    full_look(figures, LONG_S * 2)
    left = weakref.ref(node)
    del node
    assert left() is None


async def test_a_circle_that_was_set_apart_is_found_when_memory_has_doubled(
    watch: GarbageWatch, figures: Figures
) -> None:
    left = circle_set_apart(figures)
    watch.check()
    assert left() is not None
    figures.blocks += GROWTH_BLOCKS + 1
    watch.check()
    assert left() is None


async def test_memory_has_to_double_again_for_the_next_look(watch: GarbageWatch, figures: Figures) -> None:
    figures.blocks = 2 * GROWTH_BLOCKS
    watch.look_at_everything()
    left = circle_set_apart(figures)
    figures.blocks += GROWTH_BLOCKS + 1
    watch.check()
    assert left() is not None
    figures.blocks += GROWTH_BLOCKS
    watch.check()
    assert left() is None


async def test_a_busy_loop_is_not_held_until_there_is_twice_as_much(watch: GarbageWatch, figures: Figures) -> None:
    left = circle_set_apart(figures)
    figures.blocks += GROWTH_BLOCKS + 1
    figures.processor_s += CHECK_S * QUIET_SHARE * 2
    watch.check()
    assert left() is not None
    figures.blocks += GROWTH_BLOCKS
    figures.processor_s += CHECK_S * QUIET_SHARE * 2
    watch.check()
    assert left() is None


async def test_nothing_is_looked_for_where_nothing_was_missed(
    watch: GarbageWatch, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    monkeypatch.setattr(watch, "look_at_everything", lambda: looks.append(None))
    figures.blocks += 10 * GROWTH_BLOCKS
    watch.check()
    assert not looks


async def test_the_young_are_looked_at_however_few_they_are(
    watch: GarbageWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.stop()
    monkeypatch.setattr(garbage, "YOUNG_S", 0.001)
    left = circle()
    watch.start()
    freed = asyncio.Event()
    again = circle()
    weakref.finalize(again() or Node(), freed.set)
    await asyncio.wait_for(freed.wait(), 10)
    assert left() is None


async def test_afterwards_the_interpreter_does_as_before() -> None:
    thresholds, callbacks = gc.get_threshold(), list[Callable[..., object]](gc.callbacks)
    with GarbageWatch().watching():
        assert gc.get_threshold() != thresholds
        assert len(gc.callbacks) == len(callbacks) + 1
    assert gc.get_threshold() == thresholds
    assert gc.callbacks == callbacks
