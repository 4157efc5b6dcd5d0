"""What of an account's synchronisation goes before what, at the backend (see `connectors.api.priority`).

Whatever the synchronisation asks of the backend goes behind what sessions ask for, with these exceptions. A reading
that a session waits for is INTERACTIVE, a first listing too; so are, from that moment on, the readings under way, since
they stand in its way and often are the very ones. The changes of which the backend tells by itself while somebody has a
mailbox open are INTERACTIVE, as a client in IDLE waits for them. So is settling what was left open, which may hold back
the next write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from connectors.api.priority import Priority, Turn, prioritised


class Turns:
    """The pieces of work under way."""

    def __init__(self) -> None:
        self._under_way: set[Turn] = set()
        self.hurried = asyncio.Event()

    @contextlib.contextmanager
    def take(self, *, is_awaited: bool) -> Iterator[None]:
        """Do a piece of work in the background, or as something that is waited for; `hurry` may still change that."""
        with prioritised(Priority.INTERACTIVE if is_awaited else Priority.BACKGROUND) as turn:
            self._under_way.add(turn)
            try:
                yield
            finally:
                self._under_way.discard(turn)

    @property
    def are_awaited(self) -> bool:
        """Whether something is under way that a session waits for."""
        return any(turn.priority is Priority.INTERACTIVE for turn in self._under_way)

    def hurry(self) -> None:
        """Take note that a session has begun to wait; from then on `hurried` is set."""
        self.hurried.set()
        for turn in self._under_way:
            turn.hurry()
