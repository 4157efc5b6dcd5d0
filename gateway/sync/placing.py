"""Placing messages that are all new, in few statements: first listings, and what a write of ours has made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import repeat

from connectors.api.columns import StateColumns
from connectors.api.types import MessageRef, MessageState
from gateway.store import mailboxes
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.listed import ListedRow, any_known, insert_listed
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext, policy_of
from gateway.sync.guard import ReadMark
from gateway.sync.reconcile import FlagPolicy


async def place_new(
    tx: Transaction,
    context: AccountContext,
    row: MailboxRow,
    page: Sequence[MessageState],
    mark: ReadMark,
    placed: Set[MessageRef] | None = None,
) -> bool:
    """Place the page, read since `mark`, if nothing of it is known and nothing was written meanwhile; else do nothing.

    `placed`, if given, are the only refs that were known in the scope of the mailbox, unless something was written.
    Returns whether the page was placed. What it does is what `reconcile` and `apply_plan` would do.
    """
    if not page or not context.guard.is_quiet(mark):
        return False
    rows = _rows(page, policy_of(row))
    if rows is None:
        return False
    refs = {MessageRef(listed[0]) for listed in rows}
    scope = context.scope_of(row)
    if len(refs) < len(rows):
        return False
    if await any_known(tx, context.account_id, scope, refs) if placed is None else not placed.isdisjoint(refs):
        return False
    if await mailboxes.mailbox_by_id(tx, row.id) is None:
        return False
    await insert_listed(tx, context.account_id, scope, row.id, rows, int(context.clock.now().timestamp()))
    return True


async def place_unknown(
    tx: Transaction,
    context: AccountContext,
    row: MailboxRow,
    states: Sequence[MessageState],
    local_flags: Mapping[MessageRef, FlagSet],
    since: int = 0,
) -> dict[MessageRef, int] | None:
    """Place messages that a write of ours made, if nothing is known of any and there is nothing else to it.

    Returns their UIDs; None if nothing was done. `local_flags` are those that only we hold. `since` see `place_made`.
    """
    if not states or any(flags != FlagSet() for flags in local_flags.values()):
        return None
    rows = _rows(states, policy_of(row))
    if rows is None or any(context.guard.is_gone(row.id, state.ref, since) for state in states):
        return None
    refs, scope = [MessageRef(listed[0]) for listed in rows], context.scope_of(row)
    if len(set(refs)) < len(refs) or await any_known(tx, context.account_id, scope, refs):
        return None
    fresh = await mailboxes.mailbox_by_id(tx, row.id)
    if fresh is None:
        return None
    if context.account.capabilities.has_uids:
        # See `apply.follows_on`.
        given = [listed[1] for listed in rows]
        if not fresh.is_listed or given != list(range(fresh.uidnext, fresh.uidnext + len(given))):
            return None
    saved = int(context.clock.now().timestamp())
    uids = await insert_listed(tx, context.account_id, scope, row.id, rows, saved)
    return dict(zip(refs, uids, strict=True))


def _rows(page: Sequence[MessageState], policy: FlagPolicy) -> list[ListedRow] | None:
    """Return the page as rows for the store, UIDs ascending if there are any; None if it is more than rows hold."""
    columns = page if isinstance(page, StateColumns) else _columns(page)
    if columns is None:
        return None
    # The rows travel as JSON, in which a text that is no Unicode would become another.
    text = "".join(columns.refs)
    if not text.isascii() or not text.isprintable():
        return None
    stored: dict[frozenset[str], FlagSet] = {}
    for flags in set(columns.flags):
        stored[flags] = policy.merge(flags, FlagSet())
    if not all(flags.keywords.isascii() for flags in stored.values()):
        return None
    rows: list[ListedRow] = list(
        zip(
            columns.refs,
            repeat(None, len(columns)) if columns.uids is None else columns.uids,
            [stored[flags].bits for flags in columns.flags],
            [stored[flags].keywords for flags in columns.flags],
            columns.dates,
            _unless_none(columns.zones, columns.dates),
            [None if size < 0 else size for size in columns.sizes],
            [int(size >= 0) for size in columns.sizes],
            strict=True,
        )
    )
    if columns.uids is not None:
        # Clients learn of new messages in the order of UIDs, whatever order the backend tells them in.
        rows.sort(key=lambda listed: listed[1] or 0)
    return rows


def _unless_none(values: Sequence[int], others: Sequence[int | None]) -> Iterable[int | None]:
    if None not in others:
        return values
    return [None if other is None else value for value, other in zip(values, others, strict=True)]


def _columns(page: Sequence[MessageState]) -> StateColumns | None:
    """Return the page by column; None if a state says more, or less, than columns hold."""
    for state in page:
        if (
            state.email_id is not None
            or state.thread_id is not None
            or state.content_changed
            or state.flags is None
            or not (state.size_is_exact or state.size is None)
            or (state.uid is None) != (page[0].uid is None)
        ):
            return None
    dates = [state.internal_date for state in page]
    offsets = [date.utcoffset() if date is not None else None for date in dates]
    return StateColumns(
        [state.ref for state in page],
        [state.flags or frozenset() for state in page],
        [int(date.timestamp()) if date is not None else None for date in dates],
        [int(offset.total_seconds()) // 60 if offset is not None else 0 for offset in offsets],
        [state.size if state.size is not None else -1 for state in page],
        [state.uid or 0 for state in page] if page[0].uid is not None else None,
    )
