"""Who waits for a request: a person, or nobody yet."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from contextvars import ContextVar


class Priority(enum.Enum):
    """INTERACTIVE goes before BACKGROUND; CURRENT is whichever the running task has set, see `prioritised`."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"
    CURRENT = "current"

    def resolve(self) -> Priority:
        """Return INTERACTIVE or BACKGROUND."""
        return current_priority.get() if self is Priority.CURRENT else self


current_priority: ContextVar[Priority] = ContextVar("current_priority", default=Priority.INTERACTIVE)
"""The priority of what the running task asks for. A task inherits it from the one that made it."""


@contextlib.contextmanager
def prioritised(priority: Priority) -> Iterator[None]:
    """Give everything asked for within the block this priority."""
    token = current_priority.set(priority.resolve())
    try:
        yield
    finally:
        current_priority.reset(token)
