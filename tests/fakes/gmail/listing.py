"""Pages of messages: by labels, by search, without Spam and Trash unless asked for, newest first."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.fakes.gmail.errors import invalid
from tests.fakes.gmail.index import Key
from tests.fakes.gmail.mailbox import Mailbox, Message
from tests.fakes.gmail.search import Query, parse

MAX_RESULTS = 500
_ASIDE = frozenset({"SPAM", "TRASH"})
# Of long results Gmail tells some number near 200, and of short ones the truth or nearly so.
_LONG_ESTIMATE = 201


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for. `labels`: a message must have all of them."""

    labels: tuple[str, ...]
    search: str
    include_aside: bool

    def token(self, last: Message) -> str:
        """Return the token of the page after `last`. It names a place in this listing, and fits no other."""
        return _encode(f"{self._digest()}:{last.date_ms}:{last.number}")

    def position(self, token: str) -> Key:
        """Return the place a token names. Raises ApiError (400) if it is not of this listing."""
        digest, *place = _decode(token).split(":")
        if digest != self._digest() or len(place) != 2 or not all(part.lstrip("-").isdecimal() for part in place):
            raise invalid("Invalid pageToken")
        return int(place[0]), int(place[1])

    def _digest(self) -> str:
        return hashlib.sha256(repr((sorted(self.labels), self.search, self.include_aside)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: at most the number asked for; `token` of the next one, or None; the estimate of the whole."""

    messages: list[Message]
    token: str | None
    estimate: int


def page_of(mailbox: Mailbox, listing: Listing, limit: int, token: str | None, now: datetime) -> Page:
    """Return a page of `listing`. Messages may come and go between pages: the token is a place, not a number."""
    before = listing.position(token) if token is not None else None
    found = list(itertools.islice(_walk(mailbox, listing, before, now), limit + 1))
    shown = found[:limit]
    following = listing.token(shown[-1]) if len(found) > limit else None
    estimate = len(shown) if token is None and following is None else _LONG_ESTIMATE
    return Page(shown, following, estimate)


def _walk(mailbox: Mailbox, listing: Listing, before: Key | None, now: datetime) -> Iterator[Message]:
    query = parse(listing.search, mailbox, now) if listing.search else Query(lambda message: True)
    wanted = frozenset(listing.labels)
    named = frozenset() if mailbox.quirks.list_hides_unless_asked else wanted
    hidden = frozenset() if listing.include_aside or query.everywhere else _ASIDE - named
    for message in _candidates(mailbox, listing, query, before):
        if wanted <= message.labels and not hidden & message.labels and query.matches(message):
            yield message


def _candidates(mailbox: Mailbox, listing: Listing, query: Query, before: Key | None) -> Iterator[Message]:
    if query.message_id is not None:
        known = sorted(mailbox.with_message_id(query.message_id), key=lambda message: message.key, reverse=True)
        return (message for message in known if before is None or message.key < before)
    rarest = min(listing.labels, key=mailbox.index.count, default=None)
    return (mailbox.messages[number] for _, number in mailbox.index.newest_first(rarest, before))


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        raise invalid("Invalid pageToken") from None
