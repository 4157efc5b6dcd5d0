"""Watches on mailboxes, and the topic and pull subscription through which Gmail tells of changes."""

from __future__ import annotations

import asyncio
import base64
import functools
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any, Final

from tests.fakes.gmail.errors import ApiError, invalid, not_found
from tests.fakes.gmail.mailbox import Mailbox
from tests.fakes.gmail.options import Clock, FakeOptions

WATCH_LIFETIME: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Watch:
    """One user's standing order for notifications."""

    labels: frozenset[str]
    excludes: bool
    expires_s: float

    def covers(self, changed: frozenset[str]) -> bool:
        """Tell whether a change to a message with these labels is told."""
        return not self.labels or bool(self.labels & changed) != self.excludes


@dataclass(slots=True)
class _Waiting:
    data: bytes
    id: str
    published: str
    attempts: int = 0
    hidden_until_s: float = 0.0
    ack_id: str = ""


@dataclass(slots=True)
class PubSub:
    """The subscription's backlog and the users' watches.

    `dropped` counts notifications above the rate; `waited_for` is set once a pull waits.
    """

    options: FakeOptions
    clock: Clock
    watches: dict[str, Watch] = field(default_factory=dict)
    can_publish: bool = True
    dropped: int = 0
    waited_for: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _backlog: dict[str, _Waiting] = field(default_factory=dict)
    _last_s: dict[str, float] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _is_closing: bool = False

    def follow(self, mailbox: Mailbox) -> None:
        """Notice the changes of a mailbox."""
        mailbox.listeners.append(functools.partial(self._changed, mailbox))

    def watch(self, mailbox: Mailbox, asked: dict[str, Any]) -> dict[str, Any]:
        """Start or renew a watch; return the WatchResponse. One notification goes out at once."""
        self._check_topic(asked.get("topicName", ""))
        expires = self.clock.now() + WATCH_LIFETIME
        behaviour = asked.get("labelFilterBehavior", asked.get("labelFilterAction", "include"))
        labels = frozenset(asked.get("labelIds", ()))
        end_s = self.clock.monotonic() + WATCH_LIFETIME.total_seconds()
        self.watches[mailbox.address] = Watch(labels, behaviour == "exclude", end_s)
        self.publish(mailbox)
        return {"historyId": str(mailbox.history.current), "expiration": str(int(expires.timestamp() * 1000))}

    def stop(self, mailbox: Mailbox) -> None:
        """End the watch, if there is one."""
        self.watches.pop(mailbox.address, None)

    def publish(self, mailbox: Mailbox) -> None:
        """Send a notification with the mailbox's present historyId."""
        payload = {"emailAddress": mailbox.address, "historyId": mailbox.history.current}
        published = self.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        number = str(next(self._numbers))
        self._backlog[number] = _Waiting(json.dumps(payload).encode(), number, published)
        self._last_s[mailbox.address] = self.clock.monotonic()
        self._news.set()

    async def pull(self, subscription: str, limit: int, is_immediate: bool) -> dict[str, Any]:
        """Return a PullResponse: what is due, waiting for it unless `is_immediate`. Raises ApiError."""
        self._check_subscription(subscription)
        if limit <= 0:
            raise ApiError(
                400, "badRequest", "You have passed an invalid argument to the service (argument=max_messages)."
            )
        try:
            async with asyncio.timeout(self.options.pull_wait_s):
                while not (due := self._due(limit)) and not is_immediate and not self._is_closing:
                    self.waited_for.set()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            due = []
        return {"receivedMessages": [self._handed_out(each) for each in due]} if due else {}

    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None:
        """Drop messages that were handed out; ids that are old or unknown are ignored."""
        self._check_subscription(subscription)
        for each in [each for each in self._backlog.values() if each.ack_id in ack_ids]:
            del self._backlog[each.id]

    def set_deadline(self, subscription: str, ack_ids: list[str], seconds: int) -> None:
        """Move the deadline of messages handed out; 0 hands them out again at once."""
        self._check_subscription(subscription)
        for each in self._backlog.values():
            if each.ack_id in ack_ids:
                each.hidden_until_s = self.clock.monotonic() + seconds
        self._news.set()

    @property
    def backlog(self) -> int:
        """How many messages are not acknowledged."""
        return len(self._backlog)

    def open(self) -> None:
        """Let pulls wait, from now on."""
        self._is_closing = False

    def close(self) -> None:
        """Let those who wait go, and let nobody wait any more."""
        self._is_closing = True
        self._news.set()

    def _changed(self, mailbox: Mailbox, labels: frozenset[str]) -> None:
        watch = self.watches.get(mailbox.address)
        now = self.clock.monotonic()
        if watch is None or watch.expires_s <= now or not watch.covers(labels):
            return
        rate = self.options.notifications_per_s
        if rate and now - self._last_s.get(mailbox.address, -1e9) < 1 / rate:
            # At most one a second for each user; what is above is dropped, not kept (guide "Push notifications").
            self.dropped += 1
            return
        self.publish(mailbox)

    def _due(self, limit: int) -> list[_Waiting]:
        now = self.clock.monotonic()
        return [each for each in self._backlog.values() if each.hidden_until_s <= now][:limit]

    def _handed_out(self, waiting: _Waiting) -> dict[str, Any]:
        waiting.attempts += 1
        waiting.ack_id = f"ack-{waiting.id}-{waiting.attempts}"
        waiting.hidden_until_s = self.clock.monotonic() + self.options.ack_deadline_s
        message = {
            "data": base64.b64encode(waiting.data).decode(),
            "messageId": waiting.id,
            "publishTime": waiting.published,
        }
        return {"ackId": waiting.ack_id, "message": message}

    def _check_topic(self, name: str) -> None:
        if not name.startswith(f"projects/{self.options.project}/topics/"):
            raise invalid(f"Invalid topicName does not match projects/{self.options.project}/topics/*")
        if name != self.options.topic_name:
            raise ApiError(404, "notFound", f"Resource not found (resource={name.rpartition('/')[2]}).")
        if not self.can_publish:
            text = f"Error sending test message to Cloud PubSub {name} : User not authorized to perform this action."
            raise ApiError(403, "forbidden", text)

    def _check_subscription(self, name: str) -> None:
        if name != self.options.subscription_name:
            raise not_found()
