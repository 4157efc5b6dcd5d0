"""Reading a folder whole: first to the end of its changes, then as a list with what changes do not carry.

A list is no snapshot. Its pages count from the beginning, so a message that goes meanwhile moves the others up, and one
of them falls between two pages. It would look as if it were gone. So the messages that the changes named, and the list
then did not, are asked for by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec

from connectors.api.errors import ConnectorError, NotFound, Unavailable
from connectors.api.types import Cursor, MailboxRef, MessageRef, MessageState
from connectors.graph import edits
from connectors.graph.client import BatchItem
from connectors.graph.cursors import Mark
from connectors.graph.errors import RefusedFailed
from connectors.graph.flags import EXPAND, SELECT
from connectors.graph.folders import WellKnown, folder_path
from connectors.graph.items import decode_item, decode_items
from connectors.graph.looks import Prime
from connectors.graph.mail import PAGE, Mail
from connectors.graph.structs import MailFolder, Message, Page

PREFER_PAGE: Final = {"Prefer": f"odata.maxpagesize={PAGE}"}
DELTA_SELECT: Final = "id,parentFolderId,isRead,isDraft,flag,categories"
"""What is selected decides which changes are told at all: reading a message changes nothing but `isRead`."""

_COUNT: Final = (("$select", "id,totalItemCount"),)
_DELTA: Final = (("$select", DELTA_SELECT),)
_LEAST_PAGE: Final = 50
_GATEWAY_TIMEOUT: Final = 504
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


async def position(mail: Mail, mailbox: MailboxRef) -> Cursor:
    """Walk to the end of the folder's changes, a request for each 1,000 messages in it.

    Raises:
        NotFound: no such folder.
    """
    folder = await mail.require(mailbox)
    if folder.is_search:
        return Mark(mail.client.root).encode()
    prime = await take_prime(mail, mailbox)
    mail.looks.keep_prime(mailbox, prime)
    mail.looks.looked(folder, is_listing=True)
    mail.looks.begin(mailbox, await mail.tree())
    return mark_of(mail, prime).encode()


def mark_of(mail: Mail, prime: Prime) -> Mark:
    """Return the position at which a folder was when it was walked through."""
    now = mail.clock.now().timestamp()
    return Mark(
        mail.client.root, prime.link, prime.count, prime.count, whole_at=now, saved_at=now, drafts=dict(prime.drafts)
    )


async def listing(mail: Mail, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
    """Yield every message of the folder with its flags and date, oldest first.

    Raises:
        NotFound: no such folder.
    """
    folder = await mail.require(mailbox)
    if folder.is_search:
        states = await list_search(mail, mailbox)
    else:
        prime = mail.looks.take_prime(mailbox) or await take_prime(mail, mailbox)
        states = await list_whole(mail, mailbox, prime)
        await mail.trace(mailbox, [state.ref for state in states])
    for start in range(0, len(states), PAGE):
        yield states[start : start + PAGE]
    if not folder.is_search:
        mail.learn_whole(mailbox, [state.ref for state in states])


async def take_prime(mail: Mail, mailbox: MailboxRef) -> Prime:
    """Count the folder and walk through its changes to their end; of a small one take the list along.

    Raises:
        NotFound: no such folder.
    """
    folder = await mail.require(mailbox)
    path, is_drafts = folder_path(mailbox), await mail.is_place(mailbox, WellKnown.DRAFTS)
    items = [
        BatchItem("GET", path, _COUNT),
        BatchItem("GET", f"{path}/messages/delta", _DELTA, headers=PREFER_PAGE, depends_on=0),
    ]
    if folder.count is not None and folder.count <= PAGE:
        items.append(BatchItem("GET", f"{path}/messages", _list_query(mail), headers=PREFER_PAGE, depends_on=1))
    if is_drafts:
        items.append(edits.list_drafts(mailbox, depends_on=len(items) - 1))
    counted, walked, *more = await mail.client.batch(items, msgspec.Raw)
    for result in (counted, walked):
        if isinstance(result, NotFound):
            mail.forget_tree()
        if isinstance(result, ConnectorError):
            raise result
    assert not isinstance(counted, ConnectorError)
    assert not isinstance(walked, ConnectorError)
    drafts = edits.digests_in(mailbox, more.pop()) if is_drafts else {}
    told, page = decode_item(bytes(counted), MailFolder), _page(walked)
    # A list that was begun before the changes came to their end may lack what is in neither.
    first = _page(more[0]) if more and not isinstance(more[0], ConnectorError) and page.delta_link else None
    there = decode_items(page.value, _Item)
    if page.next_link is not None and page.delta_link is None:
        async with contextlib.aclosing(_pages(mail, page.next_link)) as pages:
            async for page in pages:
                there += decode_items(page.value, _Item)
    if page.delta_link is None:
        raise Unavailable(f"the changes of folder {mailbox!r} ended without a position")
    if not is_drafts and any(item.is_draft for item in there):
        [listed] = await mail.client.batch([edits.list_drafts(mailbox)], msgspec.Raw)
        drafts = edits.digests_in(mailbox, listed)
    there = [item for item in there if item.removed is None]
    mail.learn_alias({item.parent_folder_id for item in there if item.parent_folder_id}, mailbox)
    refs = dict.fromkeys(MessageRef(item.id) for item in there)
    count = told.total_item_count if told is not None else None
    return Prime(page.delta_link, count, tuple(refs), first, mail.clock.monotonic(), drafts)


async def list_whole(mail: Mail, mailbox: MailboxRef, prime: Prime) -> list[MessageState]:
    """Return every message of the folder, oldest first, having looked for each that `prime` names."""
    found = await _listed(mail, mailbox, prime.first)
    missing = [ref for ref in prime.refs if ref not in found]
    for ref, message in (await mail.read_messages(missing)).items():
        if message.parent_folder_id == mailbox:
            found[ref] = mail.state(message)
    return oldest_first(found.values())


async def list_search(mail: Mail, mailbox: MailboxRef) -> list[MessageState]:
    """Return every message that a search folder shows, oldest first; they are in other folders."""
    return oldest_first((await _listed(mail, mailbox, None)).values())


async def read_by_list(mail: Mail, mailbox: MailboxRef, refs: Iterable[MessageRef]) -> dict[MessageRef, Message]:
    """Return those of the messages that the folder's list shows, told with `STATE_QUERY`; reads no further than needed.

    A list is no snapshot: one that is left out may be in the folder nevertheless.
    """
    left, found = set(refs), dict[MessageRef, Message]()
    async with contextlib.aclosing(_pages(mail, f"{folder_path(mailbox)}/messages", _list_query(mail))) as pages:
        async for page in pages:
            for message in decode_items(page.value, Message):
                ref = MessageRef(message.id)
                if ref in left:
                    left.remove(ref)
                    found[ref] = mail.placed(message)
            if not left:
                break
    return found


def oldest_first(states: Iterable[MessageState]) -> list[MessageState]:
    """Sort by date; what has none is taken for new. Of messages of one date the later in a list is the older."""
    ordered = list(states)
    ordered.reverse()
    return sorted(ordered, key=lambda state: state.internal_date or _LATEST)


async def _listed(mail: Mail, mailbox: MailboxRef, first: Page[msgspec.Raw] | None) -> dict[MessageRef, MessageState]:
    """Read the list from its first page on, newest messages first; in smaller pages if these take Graph too long."""
    found: dict[MessageRef, MessageState] = {}
    while True:
        try:
            await _list_into(mail, mailbox, first, found)
        except RefusedFailed as error:
            if error.refusal.status != _GATEWAY_TIMEOUT or mail.page <= _LEAST_PAGE:
                raise
            mail.page = max(mail.page // 4, _LEAST_PAGE)
            first = None
        else:
            return found


async def _list_into(
    mail: Mail, mailbox: MailboxRef, first: Page[msgspec.Raw] | None, found: dict[MessageRef, MessageState]
) -> None:
    # Most messages have the same few sets of flags.
    sets: dict[frozenset[str], frozenset[str]] = {}

    def take(page: Page[msgspec.Raw]) -> None:
        for message in decode_items(page.value, Message):
            state = mail.state(message)
            if state.flags is not None:
                state = replace(state, flags=sets.setdefault(state.flags, state.flags))
            found.setdefault(state.ref, state)

    start: str | None = f"{folder_path(mailbox)}/messages"
    query: Sequence[tuple[str, str]] = _list_query(mail)
    if first is not None:
        take(first)
        start, query = first.next_link, ()
    if start is not None:
        async with contextlib.aclosing(_pages(mail, start, query)) as pages:
            async for page in pages:
                take(page)


def _list_query(mail: Mail) -> tuple[tuple[str, str], ...]:
    return ("$top", str(mail.page)), ("$select", SELECT), ("$expand", EXPAND)


async def _pages(
    mail: Mail, path_or_link: str, query: Sequence[tuple[str, str]] = ()
) -> AsyncGenerator[Page[msgspec.Raw], None]:
    pages = mail.client.pages(path_or_link, query=query, page_size=mail.page, reply=Page[msgspec.Raw])
    assert isinstance(pages, AsyncGenerator)
    async with contextlib.aclosing(pages):
        async for page in pages:
            yield page


def _page(raw: msgspec.Raw) -> Page[msgspec.Raw]:
    try:
        return msgspec.json.decode(raw, type=Page[msgspec.Raw])
    except (msgspec.MsgspecError, ValueError) as exc:
        raise Unavailable(f"Graph gave a page that cannot be read: {exc}") from exc


class _Item(msgspec.Struct, frozen=True):
    """What is needed of an item of the first walk: its id, where and whether it is there, and whether it is a draft."""

    id: str
    parent_folder_id: str | None = msgspec.field(default=None, name="parentFolderId")
    is_draft: bool | None = msgspec.field(default=None, name="isDraft")
    removed: msgspec.Raw | None = msgspec.field(default=None, name="@removed")
