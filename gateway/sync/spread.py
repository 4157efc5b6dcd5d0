"""What a write tells of its messages in other mailboxes, where a message can be in several.

Its flags are the same in all of them. Beyond that a write in one mailbox may put a message into others or take it out
of them: at Gmail a star is a flag and a mailbox, and what goes to Trash is nowhere else. A backend that answers a write
with where the message is after it has said what reading the changes would say, so nobody has to wait for that.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from connectors.api.types import ChangePage, MessageRef, MessageState
from gateway.store import mailboxes, messages, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.guard import ReadMark
from gateway.sync.membership import apply_account_page
from gateway.sync.reconcile import FlagPolicy

_Merged = Callable[[int, FlagSet, FlagSet], FlagSet]


@dataclass(slots=True)
class Spread:
    """`touched` are the mailboxes altered; with `is_contested` a reading has to say what is so, as others wrote too."""

    touched: set[int] = field(default_factory=set)
    is_contested: bool = False


async def spread(
    tx: Transaction,
    context: AccountContext,
    mark: ReadMark,
    told: Mapping[int, MessageState],
    flags: Mapping[int, FlagSet] | None = None,
    policy: FlagPolicy | None = None,
) -> Spread:
    """Bring all mailboxes in line with the states that a write, begun at `mark`, has ended with, by message id.

    `flags` are those of the messages in a mailbox of `policy`, if more is known of them than the states say; what the
    backend does not hold there, or does not hold elsewhere, is not taken from them. A mailbox that was never listed
    gets no messages: its listing brings them in order. Of a message that somebody else was writing to as well, nothing
    is taken over.
    """
    result = Spread()
    if not told or not context.account.capabilities.many_mailboxes:
        return result
    states = {key: state for key, state in told.items() if not context.guard.is_contested(mark, (0, state.ref))}
    result.is_contested = len(states) < len(told)
    if flags is None:
        flags = {key: FlagSet.of(state.flags) for key, state in states.items() if state.flags is not None}
    rows = await mailboxes.mailboxes_of(tx, context.account_id)
    placed = await _spread_flags(tx, _merging(rows, policy), list(states), flags, result.touched)
    by_ref = {row.ref: row for row in rows}
    moved = [state for key, state in states.items() if _has_moved(state, placed[key], by_ref)]
    if moved:
        page = ChangePage(changed=tuple(moved))
        applied = await apply_account_page(
            tx, context.account_id, page, context.clock.now(), _is_never, _ignore_holders, adds_to_unlisted=False
        )
        result.touched |= applied.touched
    return result


async def spread_made(
    tx: Transaction, context: AccountContext, row: MailboxRow, states: Sequence[MessageState], since: int
) -> set[int]:
    """Put messages that a write has just made in a mailbox into the others that they are in; return those.

    Nothing is taken over of a message that was in others before, or was read meanwhile, `since` the write has been
    `WriteGuard.receiving`: reading tells all of it.
    """
    if not context.account.capabilities.many_mailboxes:
        return set()
    here = ref_of(row)
    made = {
        state.ref: replace(state, mailboxes=state.mailboxes | {here})
        for state in states
        if state.mailboxes is not None and state.mailboxes - {here} and not context.guard.is_told(state.ref, since)
    }
    if not made:
        return set()
    ids = await messages.ids_by_refs(tx, context.account_id, 0, made)
    placed: defaultdict[int, set[int]] = defaultdict(set)
    for mailbox_id, _, message_id, *_ in await placements.by_message_ids(tx, list(ids.values())):
        placed[message_id].add(mailbox_id)
    page = ChangePage(changed=tuple(made[MessageRef(ref)] for ref, key in ids.items() if placed[key] == {row.id}))
    applied = await apply_account_page(
        tx, context.account_id, page, context.clock.now(), _is_never, _ignore_holders, adds_to_unlisted=False
    )
    return applied.touched


async def _spread_flags(
    tx: Transaction,
    merged: _Merged,
    message_ids: Sequence[int],
    flags: Mapping[int, FlagSet],
    touched: set[int],
) -> defaultdict[int, set[int]]:
    """Give the flags to all placements of the messages; return in which mailboxes each is."""
    placed: defaultdict[int, set[int]] = defaultdict(set)
    changes: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for mailbox_id, uid, message_id, bits, keywords in await placements.by_message_ids(tx, message_ids):
        placed[message_id].add(mailbox_id)
        if message_id not in flags:
            continue
        before = FlagSet(bits, keywords)
        after = merged(mailbox_id, flags[message_id], before)
        if after != before:
            changes[mailbox_id].append((uid, after.bits, after.keywords))
    for mailbox_id, altered in changes.items():
        await placements.set_flags(tx, mailbox_id, altered)
    touched.update(changes)
    return placed


def _merging(rows: Sequence[MailboxRow], told_by: FlagPolicy | None) -> _Merged:
    """Return what becomes of the flags in a mailbox, given those of the message and those it has there.

    A flag is that of the message where the backend holds it both there and where it was told, by `told_by`; None is for
    what the backend itself has told. Worked out once for each of the few combinations.
    """
    policies = {row.id: policy_of(row) for row in rows}

    @functools.cache
    def merged(mailbox_id: int, told: FlagSet, here: FlagSet) -> FlagSet:
        policy = policies[mailbox_id]
        theirs = policy.split(told.names())
        if told_by is not None:
            theirs = told_by.split(theirs) | (policy.split(here.names()) - told_by.split(here.names()))
        return policy.merge(theirs, here)

    return merged


def _has_moved(state: MessageState, placed: Set[int], rows: Mapping[str, MailboxRow]) -> bool:
    """Whether the message is elsewhere than the store says, among the mailboxes that take part."""
    if state.mailboxes is None:
        return False
    holders = [rows[ref] for ref in state.mailboxes if ref in rows]
    return any(row.is_listed and row.id not in placed for row in holders) or bool(placed - {row.id for row in holders})


def _is_never(_: MessageRef) -> bool:
    return False


def _ignore_holders(_: MessageRef, __: Set[int]) -> None:
    """What is applied is no reading: it says nothing of the messages that other writes are making."""
