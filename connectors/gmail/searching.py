"""Searching by Gmail's own search, which looks for words and phrases and not for pieces of them.

Source: Google, "Refine searches in Gmail" and "Filtering messages". A term finds it among the subject, the addresses,
the text and the names of attachments.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
from collections.abc import Collection
from email.message import EmailMessage
from typing import Final

from connectors.api.abilities import TextQuery
from connectors.api.errors import Rejected
from connectors.api.types import BytesContent, MailboxRef, MessageRef
from connectors.gmail.labels import ALL, ASIDE
from connectors.gmail.lists import find
from connectors.gmail.mail import Mail
from connectors.gmail.reading import fetch_many

MAX_READ: Final = 20
"""So many messages at most are read to see whether a term is in the body too, and not in the header only."""

_NAMES_PLACES: Final = re.compile(r"\b(?:in|is|label):", re.IGNORECASE)
_HEADER_OPERATORS: Final = ("subject", "from", "to", "cc", "bcc")


async def search_text(mail: Mail, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
    """Return the messages of the mailbox that have every one of the terms.

    Gmail cannot leave headers out. Of messages that have a term in their header a few are read to find out about the
    body; more of them are taken to have it there too.
    """
    phrases = [phrase for term in query.terms if (phrase := _quoted(term))]
    found = await _find(mail, mailbox, " ".join(phrases))
    if not query.body_only or not found:
        return frozenset(found)
    operators = " ".join(f"{name}:{phrase}" for phrase in phrases for name in _HEADER_OPERATORS)
    in_header = frozenset(await _find(mail, mailbox, f"{' '.join(phrases)} {{{operators}}}"))
    doubtful = [ref for ref in found if ref in in_header][:MAX_READ]
    without = set(doubtful)
    async with contextlib.aclosing(fetch_many(mail, mailbox, doubtful)) as contents:
        async for ref, content in contents:
            assert isinstance(content, BytesContent)
            if _body_has(content.data, query.terms):
                without.discard(ref)
    return frozenset(found) - without


async def search_native(mail: Mail, mailbox: MailboxRef, query: str) -> frozenset[MessageRef]:
    """Return the messages of the mailbox that Gmail finds with `query`, whose language is its own."""
    return frozenset(await _find(mail, mailbox, query.strip()))


async def _find(mail: Mail, mailbox: MailboxRef, query: str) -> list[MessageRef]:
    await mail.require(mailbox)
    labels = () if mailbox == ALL else (str(mailbox),)
    try:
        found = await find(mail, query, labels, with_aside=mailbox in ASIDE)
    except Rejected as error:
        raise await mail.refused(error, mailbox) from error
    if mailbox != ALL or not _NAMES_PLACES.search(query):
        return found
    # A query may name Spam and Trash itself, and All Mail has neither.
    aside = set[MessageRef]()
    for place in sorted(ASIDE):
        aside.update(await find(mail, query, (place,), with_aside=True))
    return [ref for ref in found if ref not in aside]


def _quoted(term: str) -> str:
    """Return a term as a phrase, in which no operator means anything."""
    text = " ".join(term.replace('"', " ").split())
    return f'"{text}"' if text else ""


def _body_has(data: bytes, terms: Collection[str]) -> bool:
    """Tell whether every term is somewhere in the text of a message."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    text = "\n".join(_text_of(part) for part in message.walk() if part.get_content_maintype() == "text").casefold()
    return all(term.casefold() in text for term in terms)


def _text_of(part: object) -> str:
    assert isinstance(part, EmailMessage)
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return data.decode("utf-8", "replace")
