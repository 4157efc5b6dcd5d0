"""Listing a whole account at once, where messages can be in many mailboxes and the backend lists each of them once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from connectors.api import errors
from connectors.api.abilities import AccountListing
from connectors.api.types import ChangePage, Cursor, MailboxRef, MessageRef, MessageState
from gateway.store import accounts, mailboxes, messages, placements
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext
from gateway.sync.guard import ReadMark
from gateway.sync.mailbox_sync import PAGE, STALE_ATTEMPTS, closing_pages
from gateway.sync.membership import Applied, apply_account_page

Stale = dict[MessageRef, frozenset[MailboxRef]]
"""Messages to be asked for again, and the mailboxes that the listing said they were in."""


class _Named:
    """The ids of the messages that a listing has named, at eight octets each however many they are."""

    def __init__(self) -> None:
        self._ids = array("q")

    def add(self, ids: Iterable[int]) -> None:
        self._ids.extend(ids)

    def seal(self) -> None:
        """Make it ready to be asked."""
        self._ids = array("q", sorted(self._ids))

    def __contains__(self, message_id: int) -> bool:
        at = bisect_left(self._ids, message_id)
        return at < len(self._ids) and self._ids[at] == message_id


async def apply_page(
    tx: Transaction, context: AccountContext, page: ChangePage, mark: ReadMark, *, adds_to_unlisted: bool = True
) -> Applied:
    """Apply what was read since `mark`; see `apply_account_page`."""
    guard = context.guard

    def is_stale(ref: MessageRef) -> bool:
        return guard.is_stale(mark, (0, ref))

    now = context.clock.now()
    return await apply_account_page(
        tx, context.account_id, page, now, is_stale, guard.told_holders, adds_to_unlisted=adds_to_unlisted
    )


async def list_account(
    context: AccountContext, connector: AccountListing, rows: Sequence[MailboxRow], cursor: Cursor
) -> bool:
    """Read all messages of the account and bring every mailbox in line, keeping the UIDs of those still there.

    `cursor` was taken before `rows` were listed, and those before this. It is stored, and `rows` are marked as listed,
    in one transaction at the very end: until then a crash means that all is listed again. Returns whether it came to
    that; messages that are written to all the time prevent it.
    """
    stale: Stale = {}
    named = _Named()
    with context.guard.reading() as mark:
        pages = connector.list_account()
        async with closing_pages(pages):
            async for page in pages:
                for start in range(0, len(page), PAGE):
                    stale.update(await _apply_states(context, page[start : start + PAGE], mark, named))
    context.listed_at = context.clock.monotonic()
    named.seal()
    stale.update(await _find_unnamed(context, named, stale))
    for _ in range(STALE_ATTEMPTS):
        if not stale:
            break
        await context.guard.written()
        stale = await _read_again(context, stale)
    if stale:
        return False
    listed = [row.id for row in rows if row.is_selectable]

    async def body(tx: Transaction) -> None:
        for mailbox_id in listed:
            await mailboxes.set_mailbox_cursor(tx, mailbox_id, None, is_listed=True)
        await accounts.set_account_cursor(tx, context.account_id, cursor)

    await context.store.write(body)
    # Told in any case: whoever waits for the first listing learns that it is complete.
    context.changed(*listed)
    return True


async def _apply_states(
    context: AccountContext, states: Sequence[MessageState], mark: ReadMark, named: _Named
) -> Stale:
    """Apply one page of the listing; return what was left out for being stale."""

    async def body(tx: Transaction) -> tuple[Applied, list[int]]:
        applied = await apply_page(tx, context, ChangePage(changed=tuple(states)), mark)
        ids = await messages.ids_by_refs(tx, context.account_id, 0, [state.ref for state in states])
        return applied, list(ids.values())

    applied, ids = await context.store.write(body)
    named.add(ids)
    context.changed(*applied.touched)
    return {
        state.ref: state.mailboxes if state.mailboxes is not None else frozenset()
        for state in states
        if state.ref in applied.stale
    }


async def _find_unnamed(context: AccountContext, named: _Named, stale: Mapping[MessageRef, object]) -> Stale:
    """Return what the complete listing did not name, to be asked for by name before it counts as gone.

    A listing may come from an index that lags behind the mail or is being rebuilt, and what is taken out here never
    gets its UID back.
    """
    unnamed: Stale = {}
    rows = await context.store.read(lambda tx: mailboxes.mailboxes_of(tx, context.account_id))
    for row in rows:
        after_uid = 0
        while chunk := await context.store.read_bulk(
            lambda tx, key=row.id, uid=after_uid: placements.load_range(tx, key, uid, PAGE)  # type: ignore[misc]
        ):
            after_uid = chunk[-1][0]
            ids = [message_id for _, message_id, *_ in chunk if message_id not in named]
            if ids:
                refs = await context.store.read_bulk(
                    lambda tx, ids=ids: messages.refs_by_ids(tx, ids)  # type: ignore[misc]
                )
                unnamed.update({MessageRef(ref): frozenset() for ref in refs.values() if ref not in stale})
    return unnamed


async def _read_again(context: AccountContext, stale: Stale) -> Stale:
    """Read the state of messages by name; return those that were being written again."""
    still: Stale = {}
    refs, limit = sorted(stale), min(context.account.capabilities.batch_limit, PAGE)
    for start in range(0, len(refs), limit):
        batch = {ref: stale[ref] for ref in refs[start : start + limit]}
        with context.guard.reading() as mark:
            states, missing = await _states(context, batch)
            page = ChangePage(changed=tuple(states), removed=tuple(missing))
            applied = await context.store.write(
                lambda tx, page=page, mark=mark: apply_page(tx, context, page, mark)  # type: ignore[misc]
            )
        context.changed(*applied.touched)
        still.update({ref: batch[ref] for ref in applied.stale})
    return still


async def _states(context: AccountContext, batch: Stale) -> tuple[list[MessageState], list[MessageRef]]:
    """Ask for messages where they may be, by the store or by the listing; return the states and those found nowhere."""
    places = await _places(context, batch)
    found: dict[MessageRef, MessageState] = {}
    for mailbox, refs in places.items():
        wanted = [ref for ref in refs if ref not in found]
        if not wanted:
            continue
        try:
            states = await context.account.connector.states(mailbox, wanted)
        except errors.NotFound:
            # The mailbox has just been deleted; the tree will tell.
            continue
        found.update({state.ref: _placed(context, state, mailbox) for state in states})
    return list(found.values()), [ref for ref in batch if ref not in found]


def _placed(context: AccountContext, state: MessageState, mailbox: MailboxRef) -> MessageState:
    """Return a state that was read in a mailbox with the membership that follows, where a message is in one only."""
    if state.mailboxes is not None or context.account.capabilities.many_mailboxes:
        return state
    return replace(state, mailboxes=frozenset({mailbox}))


async def _places(context: AccountContext, batch: Stale) -> dict[MailboxRef, list[MessageRef]]:
    async def body(tx: Transaction) -> dict[MailboxRef, list[MessageRef]]:
        mailbox_refs = {row.id: MailboxRef(row.ref) for row in await mailboxes.mailboxes_of(tx, context.account_id)}
        ids = await messages.ids_by_refs(tx, context.account_id, 0, batch)
        refs = {message_id: MessageRef(ref) for ref, message_id in ids.items()}
        places: defaultdict[MailboxRef, list[MessageRef]] = defaultdict(list)
        for mailbox_id, _, message_id, *_ in await placements.by_message_ids(tx, refs):
            places[mailbox_refs[mailbox_id]].append(refs[message_id])
        known = set(mailbox_refs.values())
        for ref, told in batch.items():
            for mailbox in told & known:
                places[mailbox].append(ref)
        return places

    return await context.store.read_bulk(body)
