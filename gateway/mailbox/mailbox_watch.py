"""Watching the figures of mailboxes that are not selected, for NOTIFY (RFC 5465 section 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.mailbox.namespace import MailboxStatus
from gateway.mailbox.service import MailService
from gateway.mailbox.statuses import read_statuses
from gateway.mailbox.user_mail import UserMail
from gateway.sync.bus import MailboxChanged
from gateway.wire.notify import Event

MAX_MAILBOXES = 1000
"""So many mailboxes are watched for one session."""


class TooMuch(Exception):
    """More is to be watched than one session may."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A mailbox, what is wanted of it, and what the client was told last; None if that is nothing."""

    name: str
    events: frozenset[Event]
    told: MailboxStatus | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A mailbox whose figures have changed; `now` and what they were."""

    mailbox: Watched
    now: MailboxStatus


class MailboxWatch:
    """The mailboxes one session is to be told of. However often one changes, it is looked at once. Close it."""

    def __init__(self, service: MailService, on_change: Callable[[], None]) -> None:
        self._service = service
        self._on_change = on_change
        self._watched: dict[int, Watched] = {}
        self._stops: dict[int, Callable[[], None]] = {}
        self._changed: dict[int, None] = {}

    @property
    def has_news(self) -> bool:
        """Whether a mailbox may have changed."""
        return bool(self._changed)

    def watch(self, wanted: Mapping[int, Watched]) -> None:
        """Watch these mailboxes, given by id, and no others. Those that are watched already keep what was told.

        Raises:
            TooMuch: they are more than `MAX_MAILBOXES`.
        """
        if len(wanted) > MAX_MAILBOXES:
            raise TooMuch
        for mailbox_id in self._stops.keys() - wanted.keys():
            self._stops.pop(mailbox_id)()
            del self._watched[mailbox_id]
            self._changed.pop(mailbox_id, None)
        for mailbox_id, one in wanted.items():
            known = self._watched.get(mailbox_id)
            self._watched[mailbox_id] = one if known is None else replace(one, told=known.told)
            if known is None:
                self._stops[mailbox_id] = self._service.bus.subscribe(mailbox_id, self._note)
                # Whatever is in it already is news.
                self._changed[mailbox_id] = None

    async def take_stock(self, user: UserMail) -> Sequence[Moved]:
        """Take the figures as they are now for known and return them; call it after the first `watch`.

        Raises:
            MailError: no account could be listed yet.
        """
        self._changed.clear()
        by_name = {one.name: mailbox_id for mailbox_id, one in self._watched.items()}
        stock: list[Moved] = []
        for name, now in (await user.statuses(list(by_name), needs_recent=False)).items():
            one = self._watched[by_name[name]]
            self._watched[by_name[name]] = replace(one, told=now)
            stock.append(Moved(one, now))
        return stock

    async def moved(self) -> Sequence[tuple[int, Moved]]:
        """Return the mailboxes that may have changed, by id, with their figures before and now, in one read."""
        ids, self._changed = list(self._changed), {}
        claimed, store = dict.fromkeys(ids, 0), self._service.store
        found = {}
        if ids:
            found = await read_statuses(store, claimed, lambda _: 0, needs_size=False, needs_recent=False)
        moved: list[tuple[int, Moved]] = []
        for mailbox_id, now in found.items():
            one = self._watched.get(mailbox_id)
            if one is not None:
                self._watched[mailbox_id] = replace(one, told=now)
                moved.append((mailbox_id, Moved(one, now)))
        return moved

    def close(self) -> None:
        """Watch nothing more."""
        for stop in self._stops.values():
            stop()
        self._stops.clear()
        self._watched.clear()
        self._changed.clear()

    def _note(self, change: MailboxChanged) -> None:
        self._changed[change.mailbox_id] = None
        self._on_change()


def account_ids(user: UserMail) -> Iterable[int]:
    """Return the ids of the user's accounts that can be used."""
    return [engine.context.account.id for engine in user.running_engines()]
