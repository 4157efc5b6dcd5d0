"""Reading bodies before they are asked for: many in one request, where a client takes one message after another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.api.types import MessageRef
from gateway.mailbox.columns import UNKNOWN
from gateway.store import messages
from gateway.sync.bodies import Wanted

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

WINDOW = 64
"""Messages read ahead at a time."""

LOW_WATER = 16
"""So many before the end of what was read ahead, the next window begins."""

UNKNOWN_OCTETS = 64 << 10
"""What a message of unknown size is taken to weigh: mail of people and machines is mostly lighter, and a window full of
such messages weighs no more than the limit."""

WINDOW_OCTETS = 4 << 20
"""What a window may weigh; a larger message is read when it is its turn, alone."""


class ReadAhead:
    """What one view expects to be asked for next. A client that picks single messages here and there costs nothing."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._expected: Sequence[int] = ()
        self._last_uid = 0
        self._ahead_to = 0

    def expect(self, uids: Sequence[int], all_uids: Sequence[int]) -> None:
        """Take note of a FETCH of bodies: of several messages, or of the one behind the last, as if going on."""
        first = bisect_right(all_uids, self._last_uid)
        follows = bool(uids) and self._last_uid > 0 and first < len(all_uids) and all_uids[first] == uids[0]
        if not follows:
            self._ahead_to = 0
        if len(uids) > 1:
            self._expected = uids
        elif follows:
            self._expected = all_uids[first : first + WINDOW + LOW_WATER]
        else:
            self._expected = ()
        if uids:
            self._last_uid = uids[-1]

    async def reached(self, uid: int) -> None:
        """Read the next window if the client has come near the end of the last."""
        if self._engine.context.account.capabilities.local_bodies:
            return
        start = bisect_left(self._expected, uid)
        end = bisect_right(self._expected, self._ahead_to)
        if start >= len(self._expected) or end - start > LOW_WATER:
            return
        window = self._expected[max(start, end) : max(start, end) + WINDOW]
        if not window:
            return
        self._ahead_to = window[-1]
        light = self._light(window)
        ids = [message_id for message_id in light if not self._is_cached(message_id)]
        if len(ids) > 1:
            store = self._engine.context.store
            refs = await store.read(lambda tx: messages.refs_by_ids(tx, ids))
            wanted = [Wanted(message_id, MessageRef(refs[message_id])) for message_id in ids if message_id in refs]
            await self._engine.bodies.read_ahead(self._mailbox.row, wanted)

    def _light(self, uids: Sequence[int]) -> list[int]:
        """Return the messages that fit into the window's weight."""
        light: list[int] = []
        octets = 0
        for uid in uids:
            entry = self._mailbox.find(uid)
            if entry is None:
                continue
            weight = UNKNOWN_OCTETS if entry.size == UNKNOWN else entry.size
            if weight <= WINDOW_OCTETS - octets:
                octets += weight
                light.append(entry.message_id)
        return light

    def _is_cached(self, message_id: int) -> bool:
        context = self._engine.context
        return context.cache.has(context.account_id, message_id)
