"""Small bodies that are at hand, read together with those that are asked for next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.mailbox.columns import UNKNOWN, Entry
from gateway.sync.small_bodies import BATCH_MESSAGES, BATCH_OCTETS, SMALL_OCTETS

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine


class NearBodies:
    """The bodies of one FETCH that goes from message to message; little more than a batch of them in memory."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine) -> None:
        self._mailbox = mailbox
        self._bodies = engine.bodies
        self._entries: Sequence[Entry] = ()
        self._places: dict[int, int] = {}
        self._read: dict[int, bytes] = {}
        self._looked_to = 0

    def expect(self, entries: Sequence[Entry]) -> None:
        """Take note of the messages that are asked for next, in that order."""
        self._entries = entries
        self._places = {entry.message_id: place for place, entry in enumerate(entries)}
        self._read.clear()
        self._looked_to = 0

    async def take(self, entry: Entry) -> bytes | None:
        """Return the octets of one of them; None if it is large, not at hand, or not as large as it is known to be."""
        place = self._places.get(entry.message_id)
        if place is not None and place >= self._looked_to:
            batch = self._batch(place)
            self._looked_to = place + max(1, len(batch))
            self._read = await self._bodies.small.read(self._mailbox.row, batch) if batch else {}
        data = self._read.pop(entry.message_id, None)
        return data if data is not None and len(data) == entry.size else None

    def _batch(self, start: int) -> list[int]:
        """Return the messages from `start` on that are known to be small and are light together."""
        batch: list[int] = []
        octets = 0
        for entry in self._entries[start : start + BATCH_MESSAGES]:
            octets += entry.size
            if entry.size == UNKNOWN or entry.size > SMALL_OCTETS or (batch and octets > BATCH_OCTETS):
                break
            batch.append(entry.message_id)
        return batch
