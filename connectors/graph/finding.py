"""Messages that this connector has made, found again: by a mark of their own, or by Message-ID.

Every message that is made out of JSON carries the hash of the octets it was made from and a number drawn for this one
attempt. So when the answer to a creation is lost, it can be seen whether the message is there, and another message of
the same octets is not taken for it.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from connectors.api.errors import Rejected
from connectors.api.types import MailboxRef
from connectors.graph.client import GraphClient
from connectors.graph.flags import SELECT, expand, property_of
from connectors.graph.folders import folder_path
from connectors.graph.items import decode_items
from connectors.graph.structs import Message, Page

MARK: Final = "String {6f0d4b1c-93a7-4e58-8d2b-51c7e09a3f64} Name AppendHash"

_MOST: Final = 50
"""Messages of one Message-ID in one folder that are looked at."""

REPEATED_WITHIN_S: Final = 900.0
"""For so long an APPEND of the same octets is taken for a repetition of one whose outcome is unknown."""

_MAX_ATTEMPTS: Final = 200
_MAX_REMAINS: Final = 200


def new_mark(digest: str) -> str:
    """Return the mark of one attempt to store octets of that digest."""
    return f"{digest[:32]}-{uuid.uuid4().hex[:16]}"


async def find_marked(client: GraphClient, folder: str, mark: str, message_id: str | None) -> Message | None:
    """Return the message of the folder with that mark, as it is there now; None if there is none.

    By its Message-ID, where it has one, it is found in no time; by the mark alone Exchange has to look at all messages,
    but then it is also found if Exchange has given it another Message-ID.

    Raises:
        ConnectorError: it could not be looked for.
    """
    filters = [] if message_id is None else [f"internetMessageId eq {_quoted(message_id)}"]
    filters.append(f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARK}' and ep/value eq '{mark}')")
    refusals: list[Rejected] = []
    for condition in filters:
        try:
            found = await _filtered(client, folder, condition)
        except Rejected as error:
            # Some filters are too much for some mailboxes (ErrorRestrictionTooComplex, InefficientFilter).
            refusals.append(error)
            continue
        for message in found:
            if property_of(message, MARK) == mark:
                return message
    if len(refusals) == len(filters):
        raise refusals[0]
    return None


async def _filtered(client: GraphClient, folder: str, condition: str) -> Sequence[Message]:
    query = [("$filter", condition), ("$select", SELECT), ("$expand", expand(MARK)), ("$top", str(_MOST))]
    path = f"{folder_path(folder)}/messages"
    pages = client.pages(path, query=query, page_size=_MOST, reply=Page[msgspec.Raw])
    assert isinstance(pages, AsyncGenerator)
    async with contextlib.aclosing(pages):
        async for page in pages:
            return decode_items(page.value, Message)
    return []


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A creation in `folder`, begun at `begun` seconds, of which it is not known whether it was done."""

    folder: str
    mark: str
    message_id: str | None
    begun: float


class Unsettled:
    """What was left open or lying about by appends that failed; it is put right by the next ones.

    Not kept beyond the process: then the gateway finds out by itself what became of an APPEND.
    """

    def __init__(self) -> None:
        self._attempts: dict[tuple[MailboxRef, str], list[Attempt]] = {}
        self._remains: dict[str, None] = {}

    def leave_open(self, mailbox: MailboxRef, digest: str, attempt: Attempt) -> None:
        """Note that it is not known whether octets of that digest were stored in the mailbox."""
        self._attempts.setdefault((mailbox, digest), []).append(attempt)
        while len(self._attempts) > _MAX_ATTEMPTS:
            del self._attempts[next(iter(self._attempts))]

    def open_for(self, mailbox: MailboxRef, digest: str, now: float) -> list[Attempt]:
        """Return the attempts that are open for these octets in the mailbox; `now` is in seconds.

        After a while it is no repetition any more, but another message of the same octets.
        """
        attempts = self._attempts.get((mailbox, digest), ())
        return [attempt for attempt in attempts if now - attempt.begun <= REPEATED_WITHIN_S]

    def settle(self, mailbox: MailboxRef, digest: str) -> None:
        """Note that it is known by now what became of the attempts."""
        self._attempts.pop((mailbox, digest), None)

    def leave_behind(self, ref: str) -> None:
        """Note that a message that is not whole is there and has to be deleted."""
        self._remains[ref] = None
        while len(self._remains) > _MAX_REMAINS:
            del self._remains[next(iter(self._remains))]

    def remains(self) -> list[str]:
        """Return the messages that have to be deleted."""
        return list(self._remains)

    def cleared(self, ref: str) -> None:
        """Note that the message is gone."""
        self._remains.pop(ref, None)
