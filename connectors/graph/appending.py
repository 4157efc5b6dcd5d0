"""APPEND: drafts as MIME, and everything else made anew out of its parts, or as the account's setting says.

Graph takes MIME for drafts only, and what is a draft stays one. So other messages are made out of JSON (`rebuilding`).
The gateway keeps the octets it was given, and serves them. Where the setting is `imap`, Exchange gets these octets
themselves, by another door (`imap_append`); drafts go to Graph nevertheless, where they are sure to be drafts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from connectors.api.errors import Denied, TooLarge, Unsupported
from connectors.api.types import DRAFT, MailboxRef, MessageContent, MessageState
from connectors.graph import drafts
from connectors.graph.folders import WellKnown
from connectors.graph.imap_append import Letterbox
from connectors.graph.mail import Mail
from connectors.graph.making import Wish, make
from connectors.graph.mapping import mapped
from connectors.graph.settings import AppendBy

MAX_OCTETS: Final = 150 * 1024 * 1024
"""Of one message (Exchange Online limits, "Message limits")."""

REFUSED: Final = "This account stores drafts only: its setting append is refuse."
_FIRST_DATE: Final = datetime(1601, 1, 2, tzinfo=UTC)
"""Times of MAPI are counted from 1601; an earlier one becomes this."""


async def append(
    mail: Mail,
    mailbox: MailboxRef,
    content: MessageContent,
    flags: frozenset[str],
    internal_date: datetime | None,
    letterbox: Letterbox | None = None,
) -> MessageState:
    """Store a message: for one request if it has less than about 2.5 MB. `letterbox` is for `append = imap`.

    Raises:
        NotFound: no such mailbox.
        Unsupported: the account's setting forbids it.
        TooLarge, OverQuota, Denied, Rejected: not stored.
    """
    folder = await mail.require(mailbox)
    if folder.is_search:
        raise Denied(f"{mailbox} is a search folder", client_text="Messages cannot be stored in a search folder.")
    is_draft = DRAFT in flags or await mail.is_place(mailbox, WellKnown.DRAFTS)
    if not is_draft and mail.settings.append is AppendBy.REFUSE:
        raise Unsupported("the setting append is refuse", client_text=REFUSED)
    if content.size > MAX_OCTETS:
        raise TooLarge(f"a message of {content.size} octets; Exchange takes {MAX_OCTETS}")
    is_draft = is_draft or mail.settings.append is AppendBy.DRAFT
    async with mapped(content) as message:
        wish = Wish(mailbox, message, flags, _date(internal_date, mail.clock.now()), is_draft)
        if not is_draft and letterbox is not None:
            return await letterbox.post(mail, wish)
        made = await (drafts.create(mail, wish) if is_draft else make(mail, wish))
    return mail.state(made)


def _date(asked: datetime | None, now: datetime) -> datetime:
    """Return the date in UTC, as near to what was asked for as Exchange can hold."""
    try:
        return max((asked or now).astimezone(UTC), _FIRST_DATE)
    except OverflowError:
        return _FIRST_DATE if asked is not None and asked.year < 2 else datetime(9999, 12, 31, tzinfo=UTC)
