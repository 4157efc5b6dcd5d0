"""Bringing the messages of an account in line with the backend's: full listings and changes after a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.api import errors
from connectors.api.capabilities import Scope
from connectors.api.types import ChangePage, Cursor, MessageRef, MessageState
from gateway.store import accounts, mailboxes
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.apply import apply_plan, known_by_refs, known_in
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.guard import ReadMark
from gateway.sync.membership import apply_account_page
from gateway.sync.reconcile import Plan, reconcile

PAGE = 2000
"""Messages per transaction, so that the writer is never held for long and memory stays bounded."""


class Progress(Protocol):
    """Told how a long listing goes."""

    def __call__(self, mailbox_id: int, listed: int) -> None: ...


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """`is_settled` is false if something has to be read again soon; `tree_changed` asks for the tree to be listed."""

    is_settled: bool = True
    tree_changed: bool = False


async def list_mailbox(context: AccountContext, row: MailboxRow, progress: Progress) -> SyncOutcome:
    """Read a whole mailbox and bring its placements in line, keeping the UID of every message that is still there.

    The cursor is taken before the listing, so that what happens meanwhile is replayed by the next `read_changes`.
    """
    connector = context.account.connector
    is_own_cursor = _has_own_cursor(context)
    cursor = await connector.position(ref_of(row)) if is_own_cursor else None
    seen: set[MessageRef] = set()
    with context.guard.reading() as mark:
        async for page in connector.listing(ref_of(row)):
            for start in range(0, len(page), PAGE):
                await _apply_listing_page(context, row, page[start : start + PAGE], mark)
            seen.update(state.ref for state in page)
            progress(row.id, len(seen))
        await _finish_listing(context, row, seen, cursor, mark)
    return SyncOutcome()


async def _apply_listing_page(
    context: AccountContext, row: MailboxRow, page: Sequence[MessageState], mark: ReadMark
) -> None:
    policy, scope, key, now = policy_of(row), context.scope_of(row), context.key_of(row), context.clock.now()

    async def body(tx: Transaction) -> Plan:
        known = await known_by_refs(tx, row.id, [state.ref for state in page])
        # What was left out for being stale is read again by the changes after the cursor.
        plan = reconcile(known, page, policy, is_stale=lambda ref: context.guard.is_stale(mark, key(ref)))
        await apply_plan(tx, context.account_id, scope, row, plan, policy, now)
        return plan

    plan = await context.store.write(body)
    if not plan.is_empty:
        context.changed(row.id)


async def _finish_listing(
    context: AccountContext, row: MailboxRow, seen: set[MessageRef], cursor: Cursor | None, mark: ReadMark
) -> None:
    policy, scope, key, now = policy_of(row), context.scope_of(row), context.key_of(row), context.clock.now()

    async def body(tx: Transaction) -> Plan:
        known = await known_in(tx, row.id)
        plan = reconcile(known, (), policy, present=seen, is_stale=lambda ref: context.guard.is_stale(mark, key(ref)))
        await apply_plan(tx, context.account_id, scope, row, plan, policy, now)
        await mailboxes.set_mailbox_cursor(tx, row.id, cursor, is_listed=True)
        return plan

    await context.store.write(body)
    # Told in any case: whoever waits for the first listing learns that it is complete.
    context.changed(row.id)


async def read_changes(context: AccountContext, row: MailboxRow) -> SyncOutcome:
    """Apply what happened in one mailbox after its cursor.

    Raises:
        CursorExpired: list the mailbox.
    """
    if row.cursor is None:
        raise errors.CursorExpired(f"mailbox {row.id} has no cursor")
    outcome = SyncOutcome()
    with context.guard.reading() as mark:
        async for page in context.account.connector.changes(ref_of(row), Cursor(row.cursor)):
            is_settled = await _apply_change_page(context, row, page, mark, may_move_cursor=outcome.is_settled)
            outcome = SyncOutcome(outcome.is_settled and is_settled, outcome.tree_changed or page.mailboxes_changed)
    return outcome


async def _apply_change_page(
    context: AccountContext, row: MailboxRow, page: ChangePage, mark: ReadMark, *, may_move_cursor: bool
) -> bool:
    policy, scope, key, now = policy_of(row), context.scope_of(row), context.key_of(row), context.clock.now()

    async def body(tx: Transaction) -> Plan:
        if page.present is not None:
            known = await known_in(tx, row.id)
        else:
            known = await known_by_refs(tx, row.id, [*(state.ref for state in page.changed), *page.removed])
        plan = reconcile(
            known,
            page.changed,
            policy,
            removed=page.removed,
            present=page.present,
            is_stale=lambda ref: context.guard.is_stale(mark, key(ref)),
        )
        await apply_plan(tx, context.account_id, scope, row, plan, policy, now)
        if page.cursor is not None and may_move_cursor and not plan.was_stale:
            await mailboxes.set_mailbox_cursor(tx, row.id, page.cursor, is_listed=True)
        return plan

    plan = await context.store.write(body)
    if not plan.is_empty:
        context.changed(row.id)
    return not plan.was_stale


async def read_account_changes(context: AccountContext, cursor: Cursor) -> SyncOutcome:
    """Apply what happened anywhere in an account whose cursor is account-wide.

    Raises:
        CursorExpired: list every mailbox.
    """
    outcome = SyncOutcome()
    with context.guard.reading() as mark:
        async for page in context.account.connector.changes(None, cursor):
            is_settled = await _apply_account_page(context, page, mark, may_move_cursor=outcome.is_settled)
            outcome = SyncOutcome(outcome.is_settled and is_settled, outcome.tree_changed or page.mailboxes_changed)
    return outcome


async def _apply_account_page(
    context: AccountContext, page: ChangePage, mark: ReadMark, *, may_move_cursor: bool
) -> bool:
    account_id, now = context.account_id, context.clock.now()

    async def body(tx: Transaction) -> tuple[set[int], bool]:
        touched, was_stale = await apply_account_page(
            tx, account_id, page, now, is_stale=lambda ref: context.guard.is_stale(mark, (0, ref))
        )
        if page.cursor is not None and may_move_cursor and not was_stale:
            await accounts.set_account_cursor(tx, account_id, page.cursor)
        return touched, was_stale

    touched, was_stale = await context.store.write(body)
    context.changed(*touched)
    return not was_stale


def _has_own_cursor(context: AccountContext) -> bool:
    return context.account.capabilities.cursor_scope is Scope.MAILBOX
