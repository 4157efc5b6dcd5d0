from __future__ import annotations

import asyncio

from connectors.transport.priority import Priority, current_priority, prioritised


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
        assert current_priority.get() is Priority.BACKGROUND
