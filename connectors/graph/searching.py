"""Searching by Outlook's own search, which looks for words and their beginnings and not for pieces of them.

It gives 1,000 messages at most. Where there are more, the time is divided until each part has fewer, as the search can
be asked for messages of certain days. Words that stand beside each other have to be there all.
Source: Microsoft, "Use the $search query parameter" and "Keyword Query Language syntax reference".
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from datetime import date, timedelta
from typing import Final

import msgspec

from connectors.api.abilities import TextQuery
from connectors.api.errors import Unsupported
from connectors.api.types import MailboxRef, MessageRef
from connectors.graph.folders import folder_path
from connectors.graph.items import decode_items
from connectors.graph.mail import Mail
from connectors.graph.structs import Message, Page

MOST_FOUND: Final = 1000
"""More are never found in one search."""

_PAGE: Final = 250
_FIRST_DAY: Final = date(1970, 1, 1)


async def search_text(mail: Mail, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
    """Return the messages of the mailbox that have every one of the terms, as the beginning of a word at least.

    Raises:
        Unsupported: a term has no word in it that could be looked for.
    """
    await mail.require(mailbox)
    phrases = [_phrase(term) for term in query.terms]
    if query.body_only:
        return frozenset(await _find(mail, mailbox, " ".join(f"body:{phrase}" for phrase in phrases)))
    found: set[MessageRef] | None = None
    for phrase in phrases:
        # Without a property the sender, the subject and the body are searched.
        hits = await _find(mail, mailbox, phrase) | await _find(mail, mailbox, f"participants:{phrase}")
        found = hits if found is None else found & hits
    return frozenset(found or ())


def _phrase(term: str) -> str:
    """Return a term as a phrase, in which no operator means anything, in the form it has inside of $search.

    Raises:
        Unsupported: there is nothing to look for.
    """
    # Quotation marks cannot be had inside a phrase, and are no part of a word.
    text = " ".join(term.replace('"', " ").replace("\\", " ").split())
    if not any(char.isalnum() for char in text):
        raise Unsupported(f"{term!r} has no word that Outlook's search could look for")
    return f'\\"{text}\\"'


async def _find(mail: Mail, mailbox: MailboxRef, terms: str) -> set[MessageRef]:
    found, is_all = await _search(mail, mailbox, terms)
    if is_all:
        return found
    today = mail.clock.now().date() + timedelta(days=2)
    spans = [(_FIRST_DAY, today)]
    while spans:
        first, last = spans.pop()
        dated = f"{terms} received:{first.isoformat()}..{last.isoformat()}"
        part, is_all = await _search(mail, mailbox, dated)
        found |= part
        if not is_all and first < last:
            middle = first + (last - first) // 2
            spans += [(first, middle), (middle + timedelta(days=1), last)]
    return found


async def _search(mail: Mail, mailbox: MailboxRef, kql: str) -> tuple[set[MessageRef], bool]:
    """Search once; return what was found, and whether that is all."""
    query = [("$search", f'"{kql}"'), ("$select", "id"), ("$top", str(_PAGE))]
    found: set[MessageRef] = set()
    pages = mail.client.pages(f"{folder_path(mailbox)}/messages", query=query, page_size=_PAGE, reply=Page[msgspec.Raw])
    assert isinstance(pages, AsyncGenerator)
    async with contextlib.aclosing(pages):
        async for page in pages:
            found.update(MessageRef(item.id) for item in decode_items(page.value, Message))
    return found, len(found) < MOST_FOUND
