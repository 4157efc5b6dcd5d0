from __future__ import annotations

import asyncio

from connectors.api.priority import Priority, current_priority, prioritised


def test_a_task_is_interactive_unless_it_says_otherwise() -> None:
    assert Priority.CURRENT.resolve() is Priority.INTERACTIVE


def test_an_explicit_priority_stands_above_that_of_the_task() -> None:
    with prioritised(Priority.BACKGROUND):
        assert Priority.INTERACTIVE.resolve() is Priority.INTERACTIVE
        assert Priority.CURRENT.resolve() is Priority.BACKGROUND
    assert Priority.CURRENT.resolve() is Priority.INTERACTIVE


async def test_tasks_inherit_the_priority_of_the_one_that_made_them() -> None:
    async def seen() -> Priority:
        return Priority.CURRENT.resolve()

    with prioritised(Priority.BACKGROUND):
        task = asyncio.create_task(seen())
    assert await task is Priority.BACKGROUND


def test_current_within_a_block_changes_nothing() -> None:
    with prioritised(Priority.BACKGROUND), prioritised(Priority.CURRENT):
        assert current_priority() is Priority.BACKGROUND


async def test_work_that_somebody_begins_to_wait_for_is_interactive_from_then_on() -> None:
    asked: list[Priority] = []
    go_on = asyncio.Event()

    async def work() -> None:
        asked.append(current_priority())
        await go_on.wait()
        asked.append(Priority.CURRENT.resolve())

    with prioritised(Priority.BACKGROUND) as turn:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
    turn.hurry()
    go_on.set()
    await task
    assert asked == [Priority.BACKGROUND, Priority.INTERACTIVE]


def test_hurrying_one_piece_of_work_leaves_the_others_as_they_were() -> None:
    with prioritised(Priority.BACKGROUND):
        with prioritised(Priority.BACKGROUND) as inner:
            inner.hurry()
            assert current_priority() is Priority.INTERACTIVE
        assert current_priority() is Priority.BACKGROUND
