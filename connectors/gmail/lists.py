"""Lists of messages by label or by search: 500 ids for 5 units, newest first."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from connectors.api.errors import Rejected
from connectors.api.types import MessageRef
from connectors.gmail.batch import BatchCall
from connectors.gmail.labels import ALL, CHAT, STARRED, UNREAD, Labels, Tree
from connectors.gmail.mail import MAX_RESULTS, Mail
from connectors.gmail.methods import LABELS_GET, MESSAGES_GET, MESSAGES_LIST
from connectors.gmail.structs import Label, MessageList
from connectors.transport.paging import pages

_FIELDS = "messages(id,threadId),nextPageToken"


@dataclass(frozen=True, slots=True)
class Listed:
    """A message as a list names it."""

    id: str
    thread: str


def telling(tree: Tree) -> list[str]:
    """Return the labels whose lists together tell in which mailboxes a message is and what flags it has."""
    return sorted((tree.shown | {UNREAD, STARRED, CHAT}) - {ALL})


async def labels_by_lists(
    mail: Mail, labels: Sequence[str], refs: Sequence[MessageRef]
) -> dict[MessageRef, Labels] | None:
    """Return which of the labels the messages have, as lists tell; None where reading each message costs less.

    What is in no list has none of them, or is gone: that the history tells. A label costs a unit to find out how many
    messages have it, and 5 for each 500 of them.
    """
    worth, page = len(refs) * mail.client.cost(MESSAGES_GET), mail.client.cost(MESSAGES_LIST)
    if worth <= len(labels) * (page + mail.client.cost(LABELS_GET)):
        return None
    calls = [BatchCall(LABELS_GET, {"id": label}, (("fields", "id,messagesTotal"),)) for label in labels]
    cost = 0
    for found in await mail.client.batch(calls, Label):
        # Zero is left out; of a label that is gone there is nothing to list.
        total = found.messages_total or 0 if isinstance(found, Label) else 0
        cost += page * max(math.ceil(total / MAX_RESULTS), 1)
    if worth <= cost:
        return None
    held: dict[MessageRef, Labels] = dict.fromkeys(refs, frozenset())
    async with contextlib.aclosing(each_list(mail, labels)) as lists:
        async for label, ids in lists:
            for ref in map(MessageRef, ids):
                if ref in held:
                    held[ref] |= {label}
    return held


async def each_list(mail: Mail, labels: Sequence[str]) -> AsyncGenerator[tuple[str, list[str]], None]:
    """Yield each label with the ids of the messages that have it, in any order; several are read at a time."""
    tasks = [asyncio.create_task(_labelled(mail, label)) for label in labels]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _labelled(mail: Mail, label: str) -> tuple[str, list[str]]:
    try:
        return label, [each.id for each in await listed_with(mail, frozenset({label}), with_aside=True)]
    except Rejected as error:
        tree = await mail.read_tree()
        if label not in tree.shown | {UNREAD, STARRED}:
            # Deleted since the labels were listed; the next look at them tells.
            return label, []
        raise error


async def ids_with(mail: Mail, label: str) -> frozenset[MessageRef]:
    """Return the messages that have a label now, wherever they are."""
    return frozenset(MessageRef(each.id) for each in await listed_with(mail, frozenset({label}), with_aside=True))


async def find(mail: Mail, query: str, labels: Iterable[str] = (), *, with_aside: bool = False) -> list[MessageRef]:
    """Return the messages that have the labels and that Gmail finds with `query`, newest first."""
    return [
        MessageRef(each.id) for each in await listed_with(mail, frozenset(labels), with_aside=with_aside, search=query)
    ]


async def listed_with(mail: Mail, labels: Labels, *, with_aside: bool, search: str = "") -> list[Listed]:
    """Return the messages that have all the labels, newest first."""
    query = [("maxResults", str(MAX_RESULTS)), ("fields", _FIELDS)]
    query += [("labelIds", label) for label in sorted(labels)]
    query += [("includeSpamTrash", "true")] if with_aside else []
    query += [("q", search)] if search else []

    async def page(token: str | None) -> tuple[MessageList, str | None]:
        more = [("pageToken", token)] if token is not None else []
        reply = await mail.client.call(MESSAGES_LIST, query=[*query, *more], reply=MessageList)
        return reply, reply.next_page_token

    found: dict[str, Listed] = {}
    async with contextlib.aclosing(pages(page)) as replies:
        async for reply in replies:
            for message in reply.messages:
                # A thread is mostly named like its first message: one string does for both.
                thread = message.id if message.thread_id == message.id else message.thread_id
                found.setdefault(message.id, Listed(message.id, thread))
    return list(found.values())
