"""A message that came in by another door than Graph, found there: among those that are new in its folder since.

It cannot carry a mark of ours, as its octets must stay what they are. It is looked for by its Message-ID, or, where it
has none, among what was created of late, by date and subject. Of several that are new, the one is taken that has the
UID that IMAP has told (MAPI 0x0E23, the article number), or else the right date, a size that is near, and that came
last.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from connectors.api.errors import Rejected
from connectors.api.types import MailboxRef
from connectors.graph.addressing import read_date
from connectors.graph.charsets import decode_words
from connectors.graph.client import GraphClient
from connectors.graph.flags import LAST_VERB, OWN_FLAGS, SELECT, SIZE, expand, property_of, size_of
from connectors.graph.folders import folder_path
from connectors.graph.items import decode_items
from connectors.graph.mime import MAX_HEADER_OCTETS, Buffer, header_end, read_fields
from connectors.graph.structs import Message, Page

ARTICLE: Final = "Integer 0x0E23"
"""The UID by which a message has at Exchange's IMAP server; not kept for ever."""

_EXPAND: Final = expand(LAST_VERB, OWN_FLAGS, SIZE, ARTICLE)
_SELECT: Final = f"{SELECT},createdDateTime,sentDateTime,subject"
_USUAL_ID: Final = re.compile(r"<[!-;=?-~]{1,500}>")
_SKEW: Final = timedelta(minutes=5)
"""By so much at most are the clocks here and at Exchange thought to differ."""

_SAME: Final = timedelta(seconds=1)
_PAGE: Final = 50
_MOST: Final = 1000
"""Messages of one Message-ID, or new ones, that are looked at."""

_SUBJECT_CHARS: Final = 100
_BLANKS: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a message is recognised by. `begun`: when its storing began; `message_id` is None if it is of no use."""

    message_id: str | None
    subject: str
    sent: datetime | None
    received: datetime
    octets: int
    begun: datetime

    @classmethod
    def of(cls, buffer: Buffer, received: datetime, begun: datetime) -> Likeness:
        """Read it from a message."""
        fields: dict[str, bytes] = {}
        for name, value in read_fields(buffer[: min(header_end(buffer, 0, len(buffer)), MAX_HEADER_OCTETS)]):
            fields.setdefault(name, value)
        message_id = fields.get("message-id", b"").decode("latin-1").strip()
        return cls(
            message_id if _USUAL_ID.fullmatch(message_id) else None,
            _plain(decode_words(fields.get("subject", b""))),
            read_date(fields["date"]) if "date" in fields else None,
            received.replace(microsecond=0),
            len(buffer),
            begun,
        )

    def by_date(self) -> Likeness:
        """Return it without the Message-ID."""
        return replace(self, message_id=None)

    def fits(self, message: Message) -> bool:
        """Tell whether a message that is new may be this one."""
        if self.message_id is not None:
            return True
        has_date = _is_near(message.received_date_time, self.received) or _is_near(message.sent_date_time, self.sent)
        return has_date and _plain(message.subject or "") == self.subject

    def best(self, messages: Iterable[Message], uid: int | None) -> Message | None:
        """Return the message that it is most likely to be; `uid` is what IMAP has called it."""

        def rank(message: Message) -> tuple[bool, bool, int, datetime]:
            size = size_of(message)
            return (
                uid is not None and property_of(message, ARTICLE) == str(uid),
                _is_near(message.received_date_time, self.received),
                -abs(size - self.octets) if size is not None else -self.octets,
                message.created_date_time or datetime.min.replace(tzinfo=UTC),
            )

        return max(filter(self.fits, messages), key=rank, default=None)


async def messages_like(client: GraphClient, mailbox: MailboxRef, likeness: Likeness) -> dict[str, Message]:
    """Return by their ids the messages in the folder among which such a message would be.

    Raises:
        Rejected: this mailbox cannot be searched so (ErrorRestrictionTooComplex); by date it may.
        NotFound: there is no such folder.
    """
    if likeness.message_id is not None:
        text = likeness.message_id.replace("'", "''")
        query = [("$filter", f"internetMessageId eq '{text}'")]
    else:
        since = (likeness.begun - _SKEW).astimezone(UTC)
        query = [("$filter", f"createdDateTime ge {since:%Y-%m-%dT%H:%M:%SZ}"), ("$orderby", "createdDateTime desc")]
    return {message.id: message for message in await _all(client, mailbox, query)}


async def searchable(client: GraphClient, mailbox: MailboxRef, likeness: Likeness) -> tuple[Likeness, frozenset[str]]:
    """Return what to look by, and the ids of what is there by that already.

    Raises:
        ConnectorError: there would be no finding the message.
    """
    try:
        return likeness, frozenset(await messages_like(client, mailbox, likeness))
    except Rejected:
        if likeness.message_id is None:
            raise
    likeness = likeness.by_date()
    return likeness, frozenset(await messages_like(client, mailbox, likeness))


async def _all(client: GraphClient, mailbox: MailboxRef, query: Sequence[tuple[str, str]]) -> list[Message]:
    found: list[Message] = []
    asked = [*query, ("$select", _SELECT), ("$expand", _EXPAND), ("$top", str(_PAGE))]
    pages = client.pages(f"{folder_path(mailbox)}/messages", query=asked, page_size=_PAGE, reply=Page[msgspec.Raw])
    assert isinstance(pages, AsyncGenerator)
    async with contextlib.aclosing(pages):
        async for page in pages:
            found += decode_items(page.value, Message)
            if len(found) >= _MOST:
                break
    return found


def _is_near(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= _SAME


def _plain(text: str) -> str:
    """Return as much of a subject as all keep of it, on one line."""
    return _BLANKS.sub(" ", text).strip()[:_SUBJECT_CHARS]
