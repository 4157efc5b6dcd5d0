"""Listing messages without reading one: who has which label is what lists by label tell, 500 ids for 5 units.

Lists are newest first and their page tokens name a place, not a number: what goes meanwhile shifts nothing. Messages
that are in one list and not yet, or no more, in another are settled by the history after the position that was taken
before.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from connectors.api.errors import CursorExpired, Rejected
from connectors.api.types import MailboxRef, MessageRef, MessageState
from connectors.gmail.history import catch_up
from connectors.gmail.labels import ALL, ASIDE, CHAT, DRAFTS, STARRED, UNREAD, VIEWS, Labels, flags_of
from connectors.gmail.lists import Listed, each_list, listed_with, telling
from connectors.gmail.mail import Mail

PAGE = 2000
"""States in one page that is yielded."""


async def listing(mail: Mail, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
    """Yield every message of the mailbox, oldest first, with its flags; nothing is said of other mailboxes.

    Costs 5 units for each 500 messages in it, and as much for the unread and the starred ones among them, unless those
    are known already; outside of ordinary labels as much again for drafts, and in All Mail for chats.

    Raises:
        NotFound: no such mailbox.
    """
    await mail.require(mailbox)
    labels = frozenset[str]() if mailbox == ALL else frozenset({str(mailbox)})
    with_aside = mailbox in ASIDE
    if mail.known:
        with contextlib.suppress(CursorExpired):
            await catch_up(mail)
    try:
        listed = await listed_with(mail, labels, with_aside=with_aside)
        known = {each.id: held for each in listed if (held := mail.known.labels(each.id)) is not None}
        if len(known) != len(listed):
            known = await _marked(mail, mailbox, labels, listed, with_aside=with_aside)
    except Rejected as error:
        raise await mail.refused(error, mailbox) from error
    left_out = {CHAT} if mailbox == ALL else set()
    states = [_seen_in(each, known[each.id]) for each in reversed(listed) if left_out.isdisjoint(known[each.id])]
    del listed, known
    for start in range(0, len(states), PAGE):
        yield states[start : start + PAGE]


def _seen_in(listed: Listed, labels: Labels) -> MessageState:
    return MessageState(
        MessageRef(listed.id), flags=flags_of(labels), email_id=listed.id, thread_id=listed.thread or None
    )


async def _marked(
    mail: Mail, mailbox: MailboxRef, labels: Labels, listed: Sequence[Listed], *, with_aside: bool
) -> dict[str, Labels]:
    """Return those labels of the listed messages that make their flags, and whether they are chats."""
    # Elsewhere there are no drafts: they take no labels.
    marks = [UNREAD, STARRED] + ([DRAFTS] if mailbox in VIEWS | ASIDE else []) + ([CHAT] if mailbox == ALL else [])
    found = dict.fromkeys((each.id for each in listed), labels)
    for mark in marks:
        if mark not in labels:
            for each in await listed_with(mail, labels | {mark}, with_aside=with_aside):
                if each.id in found:
                    found[each.id] |= {mark}
    return found


async def list_account(mail: Mail) -> AsyncIterator[Sequence[MessageState]]:
    """Yield every message of the account once, oldest first, with its flags and all mailboxes it is in.

    One list names them all, Spam and Trash included, and one for each label tells who has it. All Mail and Starred need
    no list of their own: the former is what is neither in Spam nor in Trash, the latter is a flag.
    """
    since = mail.known.as_of
    tree = await mail.read_tree()
    labels = telling(tree)
    everything = await listed_with(mail, frozenset(), with_aside=True)
    held: dict[str, Labels] = dict.fromkeys((each.id for each in everything), frozenset())
    # Few sets of labels stand for all messages.
    larger: dict[tuple[Labels, str], Labels] = {}
    async with contextlib.aclosing(each_list(mail, labels)) as lists:
        async for label, ids in lists:
            for message_id in ids:
                before = held.get(message_id)
                if before is not None:
                    held[message_id] = larger.setdefault((before, label), before | {label})
    for start in range(len(everything), 0, -PAGE):
        page = everything[max(start - PAGE, 0) : start]
        states = []
        for each in reversed(page):
            message_labels = held[each.id]
            mail.known.learn(each.id, message_labels, since)
            states.append(
                MessageState(
                    MessageRef(each.id),
                    mailboxes=tree.holders(message_labels),
                    flags=flags_of(message_labels),
                    email_id=each.id,
                    thread_id=each.thread or None,
                )
            )
        yield states
