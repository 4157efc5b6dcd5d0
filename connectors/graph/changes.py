"""What happened in a folder after a position.

Microsoft's changes come in any order, more than once, with some of the fields or with none, and late. So they are
taken for nothing but the names of messages that something happened to; each of those is then asked for, and what it is
now is told. That makes it no matter how often or in which order they come. One that is said to be gone may be back, and
one that is elsewhere now is left as a stray for that folder, which may never tell of it (`connectors.graph.known`).
Source: Microsoft, "Get incremental changes to messages in a folder"; issue 72 of microsoft-graph-docs-contrib.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec

from connectors.api.errors import (
    AuthExpired,
    ConnectorError,
    CursorExpired,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
)
from connectors.api.types import ChangePage, Cursor, MailboxRef, MessageRef, MessageState
from connectors.graph import edits, reconcile
from connectors.graph.cursors import Mark, decode_cursor
from connectors.graph.errors import Refused
from connectors.graph.folders import Folder, Tree
from connectors.graph.items import decode_items
from connectors.graph.listing import list_search, oldest_first
from connectors.graph.mail import PAGE, Mail
from connectors.graph.structs import Message, Page

SAVE_INTERVAL_S: Final = 3600.0
"""How old a position may be that is kept though nothing happened: positions that nobody uses are forgotten by Graph."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at a folder has shown: messages in it, oldest first, and such as are not in it (any more).

    `strays` have been asked for, too. `after` is the position up to which all is told, unless `is_partial`: then there
    is a message that could not be read.
    """

    here: list[MessageState]
    gone: list[MessageRef]
    strays: list[MessageRef]
    after: Mark
    is_partial: bool


async def changes(mail: Mail, mailbox: MailboxRef, cursor: Cursor) -> AsyncIterator[ChangePage]:
    """Yield what happened after the cursor, the cursor with the last page.

    A look at a folder that nobody has open, and whose numbers have not changed, is left out now and then where there
    are very many folders.

    Raises:
        CursorExpired: Graph does not know the position any more, or it is of another mailbox.
        NotFound: no such folder.
    """
    mark = decode_cursor(cursor, mail.client.root)
    folder = await mail.require(mailbox)
    is_urgent = bool(mail.known.strays(mailbox)) or mail.known.is_due(mailbox)
    if not is_urgent and mail.looks.may_wait(folder, len((await mail.tree()).folders)):
        return
    if folder.is_search:
        pages = _search_changes(mail, folder, mark)
    else:
        pages = _folder_changes(mail, mailbox, cursor, mail.looks.latest_mark(mailbox, cursor) or mark)
    async with contextlib.aclosing(pages):
        async for page in pages:
            yield page
    mail.looks.looked(folder)


async def _folder_changes(
    mail: Mail, mailbox: MailboxRef, cursor: Cursor, mark: Mark
) -> AsyncGenerator[ChangePage, None]:
    """Yield the changes, or all that there is where those will not do."""
    look = None if reconcile.is_due(mail, mailbox, mark) else await _look(mail, mailbox, mark)
    if look is None:
        pages = reconcile.read_whole(mail, mailbox, mark)
        async with contextlib.aclosing(pages):
            async for page in pages:
                yield page
        return
    now = mail.clock.now().timestamp()
    has_news = bool(look.here or look.gone)
    if look.is_partial:
        # What could not be read has to be told by the same changes again, but no draft as edited once more.
        if look.after.drafts != mark.drafts:
            cursor = msgspec.structs.replace(mark, drafts=look.after.drafts).encode()
        for page in _pages(look.here, look.gone, cursor):
            yield page
    elif has_news or now - mark.saved_at >= SAVE_INTERVAL_S:
        after = msgspec.structs.replace(look.after, saved_at=now)
        for page in _pages(look.here, look.gone, after.encode()):
            yield page
    else:
        mail.looks.keep_mark(mailbox, cursor, look.after)
    mail.learn(mailbox, [state.ref for state in look.here], look.gone)
    mail.known.settle(look.strays, mailbox)


async def _look(mail: Mail, mailbox: MailboxRef, mark: Mark) -> _Look | None:
    """Read the changes and what they name; None if the folder has rather to be read whole."""
    named, link = await _follow(mail, mailbox, mark.link)
    strays = mail.known.strays(mailbox)
    wanted = list(dict.fromkeys([*named, *strays]))
    if len(wanted) > _most_by_name(await mail.require(mailbox)):
        return None
    found, failed = await mail.read_each(wanted)
    _check(mailbox, found, failed)
    tree = await _tree_with(mail, found)
    here, gone, elsewhere = _sorted_out(mail, tree, mailbox, wanted, named, found, failed)
    tally = reconcile.Tally.of(mail.known, mailbox, [state.ref for state in here], gone)
    if reconcile.is_in_doubt(mail, await mail.tree(), mailbox, mark, tally):
        return None
    if not tally.is_sure:
        mail.looks.be_unsure(mailbox)
    for ref, other in elsewhere.items():
        mail.leave_stray(ref, other)
    here, drafts, is_compared = await edits.mark_edited(mail, mark.drafts, here, gone)
    after = msgspec.structs.replace(mark, link=link, drafts=drafts)
    if mark.least is not None and mark.most is not None:
        least, most = tally.advance(mark.least, mark.most)
        after = msgspec.structs.replace(after, least=least, most=most)
    settled = [ref for ref in strays if ref not in failed and is_compared]
    return _Look(oldest_first(here), gone, settled, after, bool(failed) or not is_compared)


def _most_by_name(folder: Folder) -> int:
    """Return how many messages are asked for by name rather than to read the whole folder.

    Each counts as a request against the quota, and a page of a list for one, though a slow one.
    """
    return 100 + (folder.count or 0) // 50


async def _follow(mail: Mail, mailbox: MailboxRef, link: str) -> tuple[dict[MessageRef, bool], str]:
    """Read the changes to their end; return which messages they name, and where the next ones are to be had.

    Of each message it is told whether the changes only ever said that it is gone.

    Raises:
        CursorExpired, NotFound.
    """
    named: dict[MessageRef, bool] = {}
    following = ""
    pages = mail.client.pages(link, page_size=PAGE, reply=Page[msgspec.Raw])
    assert isinstance(pages, AsyncGenerator)
    try:
        async with contextlib.aclosing(pages):
            async for page in pages:
                for item in decode_items(page.value, Message):
                    ref = MessageRef(item.id)
                    named[ref] = item.removed is not None and named.get(ref, True)
                following = page.delta_link or following
    except NotFound:
        mail.forget_tree()
        raise
    except Rejected as error:
        if isinstance(error, Refused) and error.refusal.status >= 500:
            # One message is the trouble, not the position; to list anew would meet it again.
            raise Unavailable(error.operator_text) from error
        raise CursorExpired(f"Graph does not take the position in {mailbox!r}: {error.operator_text}") from error
    if not following:
        raise Unavailable(f"the changes of folder {mailbox!r} ended without a position")
    return named, following


def _check(
    mailbox: MailboxRef, found: Mapping[MessageRef, Message], failed: Mapping[MessageRef, ConnectorError]
) -> None:
    """Bear with single messages that cannot be read.

    Raises:
        ConnectorError: it is not the messages.
    """
    for ref, error in failed.items():
        if isinstance(error, AuthExpired | RateLimited) or (not found and len(failed) > 1):
            raise error
        _log.warning("folder %s: message %s cannot be read: %s", mailbox, ref, error.operator_text)


async def _tree_with(mail: Mail, found: Mapping[MessageRef, Message]) -> Tree:
    """Return the folders, read anew if one of the messages is in a folder that is not known."""
    tree = await mail.tree()
    places = {MailboxRef(message.parent_folder_id) for message in found.values() if message.parent_folder_id}
    is_known = places <= tree.folders.keys() | set(tree.places.values())
    return tree if is_known else await mail.read_tree()


def _sorted_out(
    mail: Mail,
    tree: Tree,
    mailbox: MailboxRef,
    wanted: Sequence[MessageRef],
    named: Mapping[MessageRef, bool],
    found: Mapping[MessageRef, Message],
    failed: Mapping[MessageRef, ConnectorError],
) -> tuple[list[MessageState], list[MessageRef], dict[MessageRef, MailboxRef]]:
    """Return the messages that are in the folder, those that are not, and which of these are in which other mailbox.

    `wanted` are those that were asked for: strays that came up since then say nothing yet.
    """
    here: list[MessageState] = []
    gone: list[MessageRef] = []
    elsewhere: dict[MessageRef, MailboxRef] = {}
    for ref in wanted:
        message = found.get(ref)
        if message is None:
            if ref not in failed:
                gone.append(ref)
            continue
        parent = MailboxRef(message.parent_folder_id or mailbox)
        is_known = parent in tree.folders or parent in tree.places.values()
        # Of a folder that nobody knows the changes say more than the message does.
        if parent == mailbox or (not is_known and not named.get(ref, True)):
            here.append(mail.state(message))
            continue
        gone.append(ref)
        elsewhere[ref] = parent
    return here, gone, elsewhere


def _pages(here: Sequence[MessageState], gone: Sequence[MessageRef], cursor: Cursor) -> list[ChangePage]:
    last = max(len(here) - 1, 0) // PAGE * PAGE
    pages = [ChangePage(changed=tuple(here[start : start + PAGE])) for start in range(0, last, PAGE)]
    return [*pages, ChangePage(changed=tuple(here[last:]), removed=tuple(gone), cursor=cursor)]


async def _search_changes(mail: Mail, folder: Folder, mark: Mark) -> AsyncGenerator[ChangePage, None]:
    """Compare what a search folder shows: it has no changes of its own, and its messages are elsewhere."""
    states = await list_search(mail, folder.info.ref)
    told = [(state.ref, sorted(state.flags or ())) for state in states]
    digest = blake2b(msgspec.json.encode(sorted(told)), digest_size=12).hexdigest()
    if digest == mark.digest:
        return
    last = max(len(states) - 1, 0) // PAGE * PAGE
    for start in range(0, last, PAGE):
        yield ChangePage(changed=tuple(states[start : start + PAGE]))
    yield ChangePage(
        changed=tuple(states[last:]),
        present=frozenset(state.ref for state in states),
        cursor=msgspec.structs.replace(mark, digest=digest).encode(),
    )
