"""Who is told when an account changes (RFC 8620 section 7)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

REMEMBERED = 1000
Changed = dict[str, dict[str, str]]


class Dropped(Exception):
    """The stand-in was told to cut its push connections."""


@dataclass(frozen=True, slots=True)
class Event:
    """New states by account and type, and the id of the server's state with them."""

    id: str
    changed: Changed

    def document(self) -> dict[str, object]:
        return {"@type": "StateChange", "changed": self.changed}


class Subscription:
    """One client that is told. What it has not taken yet is merged, so that it never holds much.

    `types` of None means all.
    """

    def __init__(self, account_ids: Collection[str], types: Collection[str] | None) -> None:
        self.account_ids = frozenset(account_ids)
        self.types = None if types is None else frozenset(types)
        self._pending: Changed = {}
        self._id = ""
        self._is_dropped = False
        self.is_retired = False
        self._ready = asyncio.Event()

    def offer(self, event: Event) -> None:
        for account_id, states in event.changed.items():
            wanted = {name: state for name, state in states.items() if self.types is None or name in self.types}
            if account_id in self.account_ids and wanted:
                self._pending.setdefault(account_id, {}).update(wanted)
                self._id = event.id
                self._ready.set()

    def drop(self) -> None:
        self._is_dropped = True
        self._ready.set()

    def retire(self) -> None:
        """Let whoever waits for the next event go, without one."""
        self.is_retired = True
        self._ready.set()

    async def next(self, timeout_s: float | None) -> Event | None:
        """Wait for the next event; None after `timeout_s` without one, and once retired.

        Raises:
            Dropped.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return None
        if self._is_dropped:
            raise Dropped
        if self.is_retired:
            return None
        self._ready.clear()
        event, self._pending = Event(self._id, self._pending), {}
        return event


class PushHub:
    """Numbers each change of the server's state and passes it on."""

    def __init__(self) -> None:
        self._number = 0
        self._log: deque[Event] = deque(maxlen=REMEMBERED)
        self.subscriptions: set[Subscription] = set()

    @property
    def state_id(self) -> str:
        return f"p{self._number}"

    def publish(self, changed: Changed) -> None:
        self._number += 1
        event = Event(self.state_id, changed)
        self._log.append(event)
        for subscription in self.subscriptions:
            subscription.offer(event)

    def replay(self, subscription: Subscription, since: str) -> bool:
        """Offer what happened after `since`; False if that state is not known."""
        known = {event.id for event in self._log} | {self.state_id}
        is_start = since == "p0" and len(self._log) == self._number
        if since not in known and not is_start:
            return False
        start = int(since.removeprefix("p"))
        for event in self._log:
            if int(event.id.removeprefix("p")) > start:
                subscription.offer(event)
        return True

    def drop_all(self) -> None:
        """Cut every push connection there is now."""
        for subscription in self.subscriptions:
            subscription.drop()
