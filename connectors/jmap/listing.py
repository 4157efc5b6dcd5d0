"""Listing messages: pages of Email/query, each with its Email/get in the same request (RFC 8620 section 3.7).

The list may be altered between two pages. So each page begins with the last message of the page before: as long as it
is where it was, nothing behind it has moved. If it is not, the reading goes back to where messages are that have been
read, and goes on behind them. Messages that come twice do no harm; none that stays is left out. (Anchors would do the
same, but servers have been seen to get them wrong, and a destroyed anchor needs all this again.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.api.errors import NotFound, Unavailable
from connectors.api.types import MailboxRef, MessageState
from connectors.jmap.calls import referring
from connectors.jmap.mail import Mail, unanswered
from connectors.jmap.states import STATE_PROPERTIES, state_of
from connectors.jmap.structs import Email, GetReply, Mailbox, QueryReply

OLDEST_FIRST: Sequence[Mapping[str, object]] = ({"property": "receivedAt", "isAscending": True},)
"""The one order that every server has (RFC 8621 section 4.4.2); within a second the order is the server's."""

_MAX_IDLE_PAGES = 64
"""Pages in a row without a new message before the list is given up."""


async def listing(mail: Mail, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
    """Yield every message of a mailbox, oldest first.

    Raises:
        NotFound: no such mailbox.
    """
    async for page in _pages(mail, {"inMailbox": mailbox}, mailbox):
        yield [state_of(email, tells_mailboxes=mail.has_many_mailboxes) for email in page]


async def list_account(mail: Mail) -> AsyncIterator[Sequence[MessageState]]:
    """Yield every message of the account once, oldest first, each with all mailboxes it is in."""
    mail.brief.start_anew()
    async for page in _pages(mail, None, None):
        yield [state_of(email, tells_mailboxes=True) for email in page]


async def _pages(
    mail: Mail, condition: Mapping[str, object] | None, mailbox: MailboxRef | None
) -> AsyncIterator[list[Email]]:
    """Yield what matches the condition; `mailbox`, if given, must exist."""
    limit = max(mail.get_limit, 2)
    start, back, idle = 0, limit, 0
    last: Sequence[str] = ()
    newest: datetime | None = None
    while idle < _MAX_IDLE_PAGES:
        page = await _ask(mail, condition, start, limit, None if last else mailbox)
        limit = page.limit
        behind = _behind(page.ids, last)
        if behind is None and (start == 0 or page.begins_before(newest)):
            # All of the page before are gone, or older messages were added before them: read on from here.
            behind = 0
        if behind is None:
            # Messages before these are gone, so others may have slipped past.
            idle += 1
            start, back = max(0, start - back), back * 2
            continue
        new = [page.emails[ref] for ref in page.ids[behind:] if ref in page.emails]
        if new:
            idle = 0
            newest = new[-1].received() or newest
            yield new
        elif len(page.ids) <= 1:
            return
        else:
            idle += 1
        last = page.ids
        start, back = start + len(page.ids) - 1, limit
    raise Unavailable("the list of messages changes faster than it can be read")


def _behind(ids: Sequence[str], last: Collection[str]) -> int | None:
    """Return where in `ids` the messages begin that come after those of the page before; None if it cannot be told."""
    if not last:
        return 0
    known = frozenset(last)
    return next((index + 1 for index in range(len(ids) - 1, -1, -1) if ids[index] in known), None)


@dataclass(frozen=True, slots=True)
class _Page:
    ids: Sequence[str]
    emails: Mapping[str, Email]
    limit: int

    def begins_before(self, moment: datetime | None) -> bool:
        """Whether its first message is surely older than `moment`."""
        first = next((self.emails[ref] for ref in self.ids if ref in self.emails), None)
        received = first.received() if first is not None else None
        return received is not None and moment is not None and received < moment


async def _ask(
    mail: Mail, condition: Mapping[str, object] | None, start: int, limit: int, mailbox: MailboxRef | None
) -> _Page:
    """Read one page of ids and what they name; `mailbox`, if given, is checked to exist.

    Raises:
        NotFound: it does not.
    """
    query = mail.call(
        "Email/query", "query", {"filter": condition, "sort": OLDEST_FIRST, "position": start, "limit": limit}
    )
    get = mail.call("Email/get", "get", {**referring("ids", query, "/ids"), "properties": STATE_PROPERTIES})
    check = mail.call("Mailbox/get", "box", {"ids": [mailbox], "properties": ["id"]})
    results = await mail.client.call(*([check] if mailbox is not None else []), query, get)
    if mailbox is not None and not results.get("box", GetReply[Mailbox]).items:
        raise NotFound(f"no mailbox {mailbox!r} in account {mail.client.account_id}")
    reply = results.get("query", QueryReply)
    error = results.error("get")
    emails: dict[str, Email]
    if error is None:
        got = results.get("get", GetReply[Email])
        mail.brief.listed(got.state)
        emails = {email.id: email for email in got.items}
        untold = unanswered(reply.ids, got)
        if untold:
            found = await mail.emails(untold, STATE_PROPERTIES)
            mail.brief.listed(found.state)
            emails |= {str(ref): email for ref, email in found.found.items()}
    elif error.type in ("requestTooLarge", "invalidResultReference"):
        # More ids than were asked for, or a server that cannot refer to an empty list.
        found = await mail.emails(reply.ids, STATE_PROPERTIES)
        mail.brief.listed(found.state)
        emails = {str(ref): email for ref, email in found.found.items()}
    else:
        results.get("get", GetReply[Email])
        emails = {}
    clamped = reply.limit if reply.limit is not None and 0 < reply.limit < limit else limit
    return _Page(reply.ids, emails, max(clamped, 2))
