"""What happened after a position in the mailbox's history, and whether the labels are still those that were told.

The history tells of messages and never of labels that are made, renamed or deleted, so each look lists those too: both
together cost 3 units. A message inside a record may come with its labels or without, and does if it has none; without
them the record is a change to what is known. Where nothing is known messages are asked for: each by itself, or by lists
of labels if that costs less. What was only marked as read or unread needs few lists for that: it is where it was.
Source: Google, "Synchronize clients with Gmail"; reference of users.history.list.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import msgspec

from connectors.api.errors import CursorExpired, NotFound, Rejected, Unavailable
from connectors.api.types import ChangePage, Cursor, MessageRef, MessageState
from connectors.gmail.labels import DRAFTS, STARRED, UNREAD, Labels, Tree, flags_of
from connectors.gmail.lists import labels_by_lists, telling
from connectors.gmail.mail import MAX_RESULTS, Mail, position_of
from connectors.gmail.methods import HISTORY_LIST
from connectors.gmail.structs import History, HistoryList, Message
from connectors.transport.paging import pages

PAGE: Final = 1000
"""States in one page that is yielded."""

MAX_PAGES: Final = 2000
"""Of history; whoever has missed a million records lists anew."""

_VERSION: Final = "1"
_NONE: Final[Labels] = frozenset()


async def position(mail: Mail) -> Cursor:
    """Return the newest position (2 units)."""
    _, newest = await mail.profile()
    mail.known.begin_at(newest)
    mail.listed = None
    tree = await mail.read_tree()
    return _encode(mail, newest, tree)


async def changes(mail: Mail, cursor: Cursor) -> AsyncIterator[ChangePage]:
    """Yield what happened after the cursor: new messages in the order of their arrival, the cursor with the last page.

    Raises:
        CursorExpired: Gmail keeps no history from there any more, or the cursor is of another mailbox.
    """
    after, told = await _decode(mail, cursor)
    mail.known.begin_at(after)
    replay = await _replay(mail, after)
    # After the history: a label that a record names is there now, or has gone again.
    tree = await mail.read_tree()
    changed, removed = await _settle(mail, replay, tree)
    # They may have been listed between two looks, and have changed back since.
    tree_changed = tree.digest != told or mail.listed not in (None, tree.digest)
    if tree_changed:
        mail.listed = None
    newest = max(replay.newest, after)
    if not (changed or removed or tree_changed or newest > after):
        return
    for start in range(0, max(len(changed), 1), PAGE):
        is_last = start + PAGE >= len(changed)
        yield ChangePage(
            changed=tuple(changed[start : start + PAGE]),
            removed=removed if is_last else (),
            cursor=_encode(mail, newest, tree) if is_last else None,
            mailboxes_changed=tree_changed and start == 0,
        )


async def catch_up(mail: Mail) -> None:
    """Bring what is known of messages up to now (2 units). The gateway is not told by this; the next `changes` tells.

    Raises:
        CursorExpired: that cannot be; nothing is known any more.
    """
    after = mail.known.as_of
    if after is None:
        _, newest = await mail.profile()
        mail.known.begin_at(newest)
        return
    await _replay(mail, after)


# -- cursors ----------------------------------------------------------------------------------------------------------


def _encode(mail: Mail, newest: int, tree: Tree) -> Cursor:
    return Cursor(msgspec.json.encode([_VERSION, mail.address, str(newest), tree.digest]).decode())


async def _decode(mail: Mail, cursor: Cursor) -> tuple[int, str]:
    """Return the position in a cursor, and the digest of the mailboxes at that time.

    Raises:
        CursorExpired: it is none of ours, or of another mailbox.
    """
    try:
        version, address, after, digest = msgspec.json.decode(cursor, type=tuple[str, str, str, str])
    except msgspec.MsgspecError as exc:
        raise CursorExpired(f"{cursor!r} is no cursor of Gmail") from exc
    if not mail.address:
        await mail.profile()
    if version != _VERSION or address != mail.address:
        raise CursorExpired(f"{cursor!r} is no cursor of {mail.address}")
    return position_of(after), digest


# -- reading the history ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Replay:
    """What the records tell so far. Labels of None are not known; `newest` is how far the history goes."""

    newest: int = 0
    labels: dict[MessageRef, Labels | None] = field(default_factory=dict)
    threads: dict[MessageRef, str] = field(default_factory=dict)
    gone: dict[MessageRef, None] = field(default_factory=dict)
    marks: dict[MessageRef, bool | None] = field(default_factory=dict)
    """Whether a message was last marked as unread or as read; None if anything else has happened to it too."""


async def _replay(mail: Mail, after: int) -> _Replay:
    """Read the history to its end, and remember what it tells of labels.

    Raises:
        CursorExpired: it does not go back so far.
    """
    replay = _Replay()

    async def page(token: str | None) -> tuple[HistoryList, str | None]:
        query = [("startHistoryId", str(after)), ("maxResults", str(MAX_RESULTS))]
        query += [("pageToken", token)] if token is not None else []
        try:
            reply = await mail.client.call(HISTORY_LIST, query=query, reply=HistoryList)
        except NotFound as error:
            mail.known.restart(None)
            raise CursorExpired(f"the history of {mail.address} does not go back to {after}") from error
        except Rejected as error:
            if token is None:
                raise CursorExpired(f"the history of {mail.address} does not know {after}") from error
            raise Unavailable(f"the history of {mail.address} broke off: {error.operator_text}") from error
        return reply, reply.next_page_token

    # Pages without records come in between (seen with Gmail in 2016 and since); only the missing token is the end.
    async with contextlib.aclosing(pages(page, most=MAX_PAGES)) as replies:
        async for reply in replies:
            replay.newest = max(replay.newest, position_of(reply.history_id))
            for record in reply.history:
                _take(mail, replay, record)
    # At once, lest it overwrite what a write tells meanwhile.
    for ref, labels in replay.labels.items():
        if labels is None:
            mail.known.doubt(ref)
        else:
            mail.known.learn(ref, labels, mail.known.as_of)
    mail.known.forget(replay.gone)
    mail.known.as_of = max(replay.newest, after)
    return replay


def _take(mail: Mail, replay: _Replay, record: History) -> None:
    """Add one record. Each change says what is so after it, so taking it twice changes nothing."""
    for message, add, remove in _changes_in(record):
        ref = MessageRef(message.id)
        if ref in replay.gone:
            continue
        replay.threads[ref] = message.thread_id
        before = message.labels if message.label_ids is not None else replay.labels.get(ref, mail.known.labels(ref))
        replay.labels[ref] = None if before is None else (before - remove) | add
        is_mark = add | remove == {UNREAD} and replay.marks.get(ref, True) is not None
        replay.marks[ref] = UNREAD in add if is_mark else None
    for deleted in record.messages_deleted:
        ref = MessageRef(deleted.message.id)
        replay.labels.pop(ref, None)
        replay.gone[ref] = None


def _changes_in(record: History) -> Iterator[tuple[Message, Labels, Labels]]:
    """Yield each message that is there after a record, with the labels it was given and those it lost."""
    for added in record.messages_added:
        yield added.message, _NONE, _NONE
    for given in record.labels_added:
        yield given.message, frozenset(given.label_ids), _NONE
    for lost in record.labels_removed:
        yield lost.message, _NONE, frozenset(lost.label_ids)


async def _settle(mail: Mail, replay: _Replay, tree: Tree) -> tuple[list[MessageState], tuple[MessageRef, ...]]:
    """Return the states of what was changed and what is gone, having found out about labels that are not known."""
    unknown = [ref for ref, labels in replay.labels.items() if labels is None]
    marked = await _flags_of_marked(mail, replay, unknown)
    found = await _found_out(mail, [ref for ref in unknown if ref not in marked], tree)
    changed: list[MessageState] = []
    for ref, told in replay.labels.items():
        state = MessageState(ref, email_id=ref, thread_id=replay.threads[ref] or None)
        if ref in marked:
            # Nothing is said of mailboxes: what is known of those is still so.
            changed.append(replace(state, flags=marked[ref]))
            continue
        labels = told if told is not None else found.get(ref, _NOTHING).labels
        if labels is None:
            # Gone between its record and now.
            replay.gone[ref] = None
            continue
        received = found.get(ref, _NOTHING).received
        changed.append(replace(state, mailboxes=tree.holders(labels), flags=flags_of(labels), internal_date=received))
    return changed, tuple(replay.gone)


async def _flags_of_marked(
    mail: Mail, replay: _Replay, unknown: Sequence[MessageRef]
) -> Mapping[MessageRef, frozenset[str]]:
    """Return the flags of those messages to which nothing happened but that they were marked as read or unread.

    None, where reading each costs less than the lists of the other labels that are flags.
    """
    marks = {ref: mark for ref in unknown if (mark := replay.marks[ref]) is not None}
    labels = await labels_by_lists(mail, (STARRED, DRAFTS), list(marks))
    if labels is None:
        return {}
    return {ref: flags_of(labels[ref] | ({UNREAD} if is_unread else _NONE)) for ref, is_unread in marks.items()}


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found out about a message; nothing if it is gone."""

    labels: Labels | None = None
    received: datetime | None = None


_NOTHING: Final = _Found()


async def _found_out(mail: Mail, refs: Sequence[MessageRef], tree: Tree) -> dict[MessageRef, _Found]:
    """Find out the labels of messages, in whichever way costs less."""
    since = mail.known.as_of
    listed = await labels_by_lists(mail, telling(tree), refs)
    if listed is None:
        read = await mail.read_messages(refs)
        return {ref: _Found(message.labels, message.received) for ref, message in read.items()}
    for ref, labels in listed.items():
        mail.known.learn(ref, labels, since)
    return {ref: _Found(labels) for ref, labels in listed.items()}
