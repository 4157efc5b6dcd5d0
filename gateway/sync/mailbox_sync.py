"""Bringing the messages of one mailbox in line with the backend's: full listings and changes after a cursor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence, Set
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from connectors.api import errors
from connectors.api.capabilities import Scope
from connectors.api.columns import StateColumns
from connectors.api.types import ChangePage, Cursor, MessageRef, MessageState
from gateway.store import mailboxes
from gateway.store.database import Transaction
from gateway.store.listed import is_scope_empty, refs_after
from gateway.store.mailboxes import MailboxRow
from gateway.sync.apply import apply_plan, known_by_refs
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.guard import ReadMark
from gateway.sync.pages import read_ahead
from gateway.sync.placing import place_new
from gateway.sync.reconcile import Plan, reconcile

STALE_ATTEMPTS = 3
"""How often a listing asks again for messages that are being written to."""

PAGE = 2000
"""Messages per transaction, so that the writer is never held for long and memory stays bounded."""

REFS_AT_ONCE = 1000
"""Rows of one read where all refs of a mailbox are gone through."""

LISTED_PAGE = 5000
"""The same for a listing of one mailbox, whose messages are mostly new and cost less."""


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """`is_settled` is false if something has to be read again soon; `tree_changed` asks for the tree to be listed."""

    is_settled: bool = True
    tree_changed: bool = False


async def list_mailbox(context: AccountContext, row: MailboxRow) -> SyncOutcome:
    """Read a whole mailbox and bring its placements in line, keeping the UID of every message that is still there.

    The cursor is taken before the listing, so that what happens meanwhile is replayed by the next `read_changes`. What
    was being written meanwhile is asked for once more by name, since those changes need not tell of it.
    """
    connector, uidnext = context.account.connector, context.listed_uidnext.get(row.id)
    is_own_cursor = _has_own_cursor(context)
    cursor = await connector.position(ref_of(row)) if is_own_cursor else None
    # In a scope of its own, only this listing and our own writes make refs known.
    scope = context.scope_of(row)
    is_first = scope == row.id and await context.store.read(lambda tx: is_scope_empty(tx, context.account_id, scope))
    seen: set[MessageRef] = set()
    stale: set[MessageRef] = set()
    with context.guard.reading() as mark:
        async with aclosing(read_ahead(connector.listing(ref_of(row)))) as pages:
            async for page in pages:
                for start in range(0, len(page), LISTED_PAGE):
                    part = page[start : start + LISTED_PAGE]
                    stale |= await _apply_states(context, row, part, mark, placed=seen if is_first else None)
                    seen.update(part.refs if isinstance(part, StateColumns) else [state.ref for state in part])
        stale |= await _remove_missing(context, row, seen, mark)
    for _ in range(STALE_ATTEMPTS):
        if not stale:
            break
        await context.guard.written()
        stale = await _read_again(context, row, sorted(stale))
    context.listed_at = context.clock.monotonic()
    # With messages left that are written to all the time, the listing has to be repeated.
    kept, is_listed = (None, row.is_listed) if stale else (cursor, True)
    await context.store.write(lambda tx: mailboxes.set_mailbox_cursor(tx, row.id, kept, is_listed=is_listed))
    if not stale:
        await _raise_uidnext(context, row, uidnext)
    # Told in any case: whoever waits for the first listing learns that it is complete.
    context.changed(row.id)
    return SyncOutcome(is_settled=not stale)


async def _read_again(context: AccountContext, row: MailboxRow, refs: Sequence[MessageRef]) -> set[MessageRef]:
    """Read the state of messages by name; return those that were being written again."""
    stale: set[MessageRef] = set()
    limit = context.account.capabilities.batch_limit
    for start in range(0, len(refs), limit):
        batch = refs[start : start + limit]
        with context.guard.reading() as mark:
            states = await context.account.connector.states(ref_of(row), batch)
            here = {state.ref for state in states}
            stale |= await _apply_states(context, row, states, mark, missing=[ref for ref in batch if ref not in here])
    return stale


async def _apply_states(
    context: AccountContext,
    row: MailboxRow,
    states: Sequence[MessageState],
    mark: ReadMark,
    missing: Sequence[MessageRef] = (),
    placed: Set[MessageRef] | None = None,
) -> set[MessageRef]:
    """Apply states of messages and remove those that are missing; return those left out for being stale.

    `placed` see `place_new`.
    """
    policy, scope, key, now = policy_of(row), context.scope_of(row), context.key_of(row), context.clock.now()

    async def body(tx: Transaction) -> Plan | None:
        if not missing and await place_new(tx, context, row, states, mark, placed):
            return None
        known = await known_by_refs(tx, row.id, [*(state.ref for state in states), *missing])
        plan = reconcile(
            known, states, policy, removed=missing, is_stale=lambda ref: context.guard.is_stale(mark, key(ref))
        )
        context.guard.told_gone(row.id, plan.gone)
        await apply_plan(tx, context.account_id, scope, row, plan, policy, now)
        return plan

    plan = await context.store.write(body)
    if plan is None or not plan.is_empty:
        context.changed(row.id)
    return plan.stale if plan is not None else set()


async def _remove_missing(
    context: AccountContext, row: MailboxRow, seen: set[MessageRef], mark: ReadMark
) -> set[MessageRef]:
    """Remove whatever a complete listing did not name; return what was left alone for being stale."""
    fresh = await context.store.read(lambda tx: mailboxes.mailbox_by_id(tx, row.id))
    if fresh is not None and fresh.messages == len(seen) and context.guard.is_quiet(mark):
        # All that was named has been placed, and nobody else has placed or removed anything: there is nothing else.
        return set()
    absent = await find_absent(context, row, seen)
    stale: set[MessageRef] = set()
    for start in range(0, len(absent), PAGE):
        stale |= await _remove_absent(context, row, absent[start : start + PAGE], mark)
    return stale


async def find_absent(context: AccountContext, row: MailboxRow, present: Collection[MessageRef]) -> list[MessageRef]:
    """Return the refs that the store has in the mailbox and that are not among `present`, by ascending UID."""
    absent: list[MessageRef] = []
    after_uid = 0
    while chunk := await context.store.read_bulk(
        lambda tx, uid=after_uid: refs_after(tx, row.id, uid, REFS_AT_ONCE)  # type: ignore[misc]
    ):
        after_uid = chunk[-1][0]
        absent.extend(MessageRef(ref) for _, ref in chunk if ref not in present)
    return absent


async def _remove_absent(
    context: AccountContext, row: MailboxRow, absent: Sequence[MessageRef], mark: ReadMark
) -> set[MessageRef]:
    policy, scope, key, now = policy_of(row), context.scope_of(row), context.key_of(row), context.clock.now()

    async def body(tx: Transaction) -> Plan:
        known = await known_by_refs(tx, row.id, absent)
        plan = reconcile(
            known,
            (),
            policy,
            present=frozenset(),
            is_stale=lambda ref: context.guard.is_stale(mark, key(ref)),
            is_younger=lambda ref: context.guard.is_younger(mark, key(ref)),
        )
        context.guard.told_gone(row.id, plan.gone)
        await apply_plan(tx, context.account_id, scope, row, plan, policy, now)
        return plan

    plan = await context.store.write(body)
    if not plan.is_empty:
        context.changed(row.id)
    return plan.stale


async def read_changes(context: AccountContext, row: MailboxRow) -> SyncOutcome:
    """Apply what happened in one mailbox after its cursor.

    Raises:
        CursorExpired: list the mailbox.
    """
    if row.cursor is None:
        raise errors.CursorExpired(f"mailbox {row.id} has no cursor")
    tree_changed, uidnext = False, context.listed_uidnext.get(row.id)
    pages = context.account.connector.changes(ref_of(row), Cursor(row.cursor))
    async with closing_pages(pages):
        with context.guard.reading() as mark:
            async for page in pages:
                tree_changed = tree_changed or page.mailboxes_changed
                if not await _apply_change_page(context, row, page, mark):
                    # The cursor stays before this page, so what follows would be read twice.
                    return SyncOutcome(is_settled=False, tree_changed=tree_changed)
    await _raise_uidnext(context, row, uidnext)
    return SyncOutcome(tree_changed=tree_changed)


async def _raise_uidnext(context: AccountContext, row: MailboxRow, uidnext: int | None) -> None:
    """Take over UIDNEXT as it was listed before the mailbox was read: of what is below it nothing is missing now."""
    fresh = await context.store.read(lambda tx: mailboxes.mailbox_by_id(tx, row.id))
    if uidnext is not None and fresh is not None and fresh.uidvalidity == row.uidvalidity and fresh.uidnext < uidnext:
        await context.store.write(lambda tx: mailboxes.raise_uidnext(tx, row.id, uidnext))
        context.changed(row.id)


async def _apply_change_page(context: AccountContext, row: MailboxRow, page: ChangePage, mark: ReadMark) -> bool:
    """Apply a page; False if something was left out for being stale."""
    policy, scope, key, now = policy_of(row), context.scope_of(row), context.key_of(row), context.clock.now()

    # What the store has of all refs is compared beside the writer: later ones are younger than the page.
    absent = await find_absent(context, row, page.present) if page.present is not None else []

    async def body(tx: Transaction) -> tuple[Plan, bool]:
        # What a write has told is in the store once that write is no longer under way.
        was_stale = context.guard.is_any_stale(mark, map(key, page.echoes))
        known = await known_by_refs(tx, row.id, [*(state.ref for state in page.changed), *page.removed, *absent])
        plan = reconcile(
            known,
            page.changed,
            policy,
            removed=page.removed,
            present=page.present,
            is_stale=lambda ref: context.guard.is_stale(mark, key(ref)),
            is_younger=lambda ref: context.guard.is_younger(mark, key(ref)),
        )
        context.guard.told_gone(row.id, plan.gone)
        await apply_plan(tx, context.account_id, scope, row, plan, policy, now)
        was_stale = was_stale or plan.was_stale
        if page.cursor is not None and not was_stale:
            await mailboxes.set_mailbox_cursor(tx, row.id, page.cursor, is_listed=True)
        return plan, was_stale

    plan, was_stale = await context.store.write(body)
    if not plan.is_empty:
        context.changed(row.id)
    return not was_stale


@asynccontextmanager
async def closing_pages(pages: AsyncIterator[object]) -> AsyncIterator[None]:
    """End the request when its pages are left before the last."""
    try:
        yield
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()


def _has_own_cursor(context: AccountContext) -> bool:
    return context.account.capabilities.cursor_scope is Scope.MAILBOX
