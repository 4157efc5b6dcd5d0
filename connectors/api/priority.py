"""Who waits for what is asked of a backend: a person, or nobody yet."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from contextvars import ContextVar


class Priority(enum.Enum):
    """INTERACTIVE goes before BACKGROUND; CURRENT is whichever the running task has, see `prioritised`."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"
    CURRENT = "current"

    def resolve(self) -> Priority:
        """Return INTERACTIVE or BACKGROUND, as it is now."""
        return current_turn().priority if self is Priority.CURRENT else self


class Turn:
    """The priority of one piece of work. Somebody may come to wait for it while it runs."""

    __slots__ = ("_priority",)

    def __init__(self, priority: Priority) -> None:
        self._priority = priority

    @property
    def priority(self) -> Priority:
        """INTERACTIVE or BACKGROUND."""
        return self._priority

    def hurry(self) -> None:
        """Make whatever this work asks for from now on INTERACTIVE; what it has asked for already keeps its place."""
        self._priority = Priority.INTERACTIVE


_current: ContextVar[Turn | None] = ContextVar("current_turn", default=None)


def current_turn() -> Turn:
    """Return the turn of the running task: its own, or its maker's; without any, an INTERACTIVE one."""
    return _current.get() or Turn(Priority.INTERACTIVE)


def current_priority() -> Priority:
    """Return the priority of what the running task asks for."""
    return current_turn().priority


@contextlib.contextmanager
def prioritised(priority: Priority) -> Iterator[Turn]:
    """Give everything asked for within the block, and by the tasks made in it, this priority.

    CURRENT changes nothing: the turn is that of the task.
    """
    turn = current_turn() if priority is Priority.CURRENT else Turn(priority)
    token = _current.set(turn)
    try:
        yield turn
    finally:
        _current.reset(token)
