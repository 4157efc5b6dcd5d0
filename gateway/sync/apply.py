"""Carrying out a plan in the store, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from connectors.api.types import MessageRef, MessageState
from gateway.store import mailboxes, messages, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.messages import MessageValues
from gateway.store.placements import NewPlacement
from gateway.sync.context import AccountContext, policy_of
from gateway.sync.placing import place_unknown
from gateway.sync.reconcile import FlagPolicy, Known, Plan


async def known_by_refs(tx: Transaction, mailbox_id: int, refs: Iterable[MessageRef]) -> dict[MessageRef, Known]:
    """Return the placements of those of the refs that are in the mailbox."""
    return _known(await placements.by_refs(tx, mailbox_id, list(refs)))


def _known(rows: Sequence[tuple[str, int, int, int, str]]) -> dict[MessageRef, Known]:
    return {
        MessageRef(ref): Known(uid, message_id, FlagSet(bits, keywords))
        for ref, uid, message_id, bits, keywords in rows
    }


async def apply_plan(
    tx: Transaction,
    account_id: int,
    scope: int,
    row: MailboxRow,
    plan: Plan,
    policy: FlagPolicy,
    now: datetime,
    renewed: set[MessageRef] | None = None,
) -> dict[MessageRef, int]:
    """Bring one mailbox in line with the plan; return the UIDs of what was inserted.

    `scope` is what refs are unique in (see `AccountContext.scope_of`); `now` becomes the save date of new placements.
    Of states of one moment that are applied to several mailboxes, `renewed` are those messages whose new octets were
    placed in one of them already.
    """
    if plan.replaced:
        await messages.retire(tx, [known.message_id for known in plan.replaced.values()])
    if plan.removals:
        await placements.remove_placements(tx, row.id, sorted(plan.removals))
    if plan.flag_changes:
        changes = [(uid, flags.bits, flags.keywords) for uid, flags in plan.flag_changes.items()]
        await placements.set_flags(tx, row.id, changes)
    if plan.details:
        await messages.upsert_messages(tx, account_id, scope, [values_of(state) for state in plan.details.values()])
    return await insert(tx, account_id, scope, row, list(plan.inserts.values()), policy, now, renewed=renewed)


async def insert(
    tx: Transaction,
    account_id: int,
    scope: int,
    row: MailboxRow,
    states: Sequence[MessageState],
    policy: FlagPolicy,
    now: datetime,
    local_flags: Mapping[MessageRef, FlagSet] | None = None,
    renewed: set[MessageRef] | None = None,
) -> dict[MessageRef, int]:
    """Insert messages that the mailbox does not hold yet, in the order given; return their UIDs.

    `local_flags` are flags that the backend could not take over, by ref. A mailbox that was deleted meanwhile, while
    the backend was asked or read, takes nothing. `renewed` see `apply_plan`.
    """
    if not states or await mailboxes.mailbox_by_id(tx, row.id) is None:
        return {}
    if any(state.uid is not None for state in states):
        # Clients learn of new messages in the order of UIDs, whatever order the backend tells them in.
        states = sorted(states, key=lambda state: state.uid or 0)
    renewed = set() if renewed is None else renewed
    altered = {state.ref for state in states if state.content_changed} - renewed
    if altered:
        # The message may be known from another mailbox, with the octets it had there.
        await messages.retire(tx, (await messages.ids_by_refs(tx, account_id, scope, altered)).values())
        renewed |= altered
    ids = await messages.upsert_messages(tx, account_id, scope, [values_of(state) for state in states])
    saved = int(now.timestamp())
    new: list[NewPlacement] = []
    for state in states:
        kept = (local_flags or {}).get(state.ref, FlagSet())
        flags = policy.merge(state.flags, kept) if state.flags is not None else kept
        new.append((ids[state.ref], flags.bits, flags.keywords, state.uid, saved))
    uids, _ = await placements.insert_placements(tx, row.id, new)
    return {state.ref: uid for state, uid in zip(states, uids, strict=True)}


async def place_made(
    tx: Transaction,
    context: AccountContext,
    row: MailboxRow,
    states: Sequence[MessageState],
    local_flags: Mapping[MessageRef, FlagSet],
    present: Collection[MessageRef] = (),
    since: int = 0,
) -> dict[MessageRef, int]:
    """Place messages that a write of ours made; return the UIDs of those that could be placed.

    The sync may have been quicker: then it placed them without the flags that only we hold, `local_flags`; and it may
    have read already that they are gone again, since the write has been `WriteGuard.receiving`. `present` were in the
    mailbox before the write.
    """
    placed = await place_unknown(tx, context, row, states, local_flags, since)
    if placed is not None:
        return placed
    known = await known_by_refs(tx, row.id, [state.ref for state in states])
    new = [state for state in states if state.ref not in known]
    if context.account.capabilities.has_uids and not await follows_on(tx, row.id, new):
        new = []
    policy, scope = policy_of(row), context.scope_of(row)
    uids = await insert(tx, context.account_id, scope, row, new, policy, context.clock.now(), local_flags)
    gone = [uid for ref, uid in uids.items() if context.guard.is_gone(row.id, ref, since)]
    if gone:
        await placements.remove_placements(tx, row.id, gone)
    late = []
    for ref, one in known.items():
        uids[ref] = one.uid
        if ref not in present and ref in local_flags:
            flags = FlagSet.of((*one.flags.names(), *local_flags[ref].names()))
            late.append((one.uid, flags.bits, flags.keywords))
    if late:
        await placements.set_flags(tx, row.id, late)
    return uids


async def follows_on(tx: Transaction, mailbox_id: int, states: Iterable[MessageState]) -> bool:
    """Tell whether the UIDs that a write gave, if the backend gives any, are the next ones of the mailbox.

    A state without a UID follows on nothing. If they do not follow, others came before them that are not in the store
    yet. Only reading the mailbox may then insert them: a client that was told of a UID can never be told of a smaller
    one (RFC 9051 section 2.3.1.1).
    """
    uids = sorted(state.uid or 0 for state in states)
    row = await mailboxes.mailbox_by_id(tx, mailbox_id)
    # Before the first listing is complete nobody has been told of UIDs, but UIDNEXT is what the backend said.
    return row is not None and row.is_listed and uids == list(range(row.uidnext, row.uidnext + len(uids)))


def values_of(state: MessageState) -> MessageValues:
    """Return what the store keeps of a message itself, apart from where it is."""
    date = state.internal_date
    offset = date.utcoffset() if date is not None else None
    return MessageValues(
        ref=state.ref,
        internal_date=int(date.timestamp()) if date is not None else None,
        zone=int(offset.total_seconds()) // 60 if offset is not None else None,
        size=state.size,
        size_is_exact=state.size_is_exact,
        # Other octets are another message for EMAILID (RFC 8474 section 5.1), whatever the backend thinks.
        email_id=None if state.content_changed else state.email_id,
        thread_id=state.thread_id,
    )
