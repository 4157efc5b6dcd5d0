"""Applying account-wide changes, where a message may be in several mailboxes at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.api.types import ChangePage, MessageRef, MessageState
from gateway.store import mailboxes, messages, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.sync.apply import apply_plan
from gateway.sync.context import policy_of
from gateway.sync.reconcile import Known, reconcile, respelled


@dataclass(slots=True)
class Applied:
    """What applying a page did: the mailboxes altered, and the messages left out for being written to meanwhile."""

    touched: set[int] = field(default_factory=set)
    stale: set[MessageRef] = field(default_factory=set)


async def apply_account_page(
    tx: Transaction,
    account_id: int,
    page: ChangePage,
    now: datetime,
    is_stale: Callable[[MessageRef], bool],
    told_holders: Callable[[MessageRef, Set[int]], None],
    *,
    adds_to_unlisted: bool = True,
) -> Applied:
    """Bring every mailbox that the page concerns in line.

    `told_holders` is called with each message that is not stale and the mailboxes it is in. Without `adds_to_unlisted`,
    mailboxes that were never listed get no new messages: those of before, which the listing brings, would come to stand
    behind them.

    A state without `mailboxes` says nothing of membership and alters the message wherever it is. A mailbox that is not
    known is passed over: listing it later brings what it holds.
    """
    rows = {row.ref: row for row in await mailboxes.mailboxes_of(tx, account_id)}
    ids_by_ref = {ref: row.id for ref, row in rows.items()}
    closed: set[int] = set() if adds_to_unlisted else {row.id for row in rows.values() if not row.is_listed}
    known = await _known_by_mailbox(tx, account_id, page)
    placed, keywords = _turned(known)
    states: defaultdict[int, list[MessageState]] = defaultdict(list)
    removed: defaultdict[int, list[MessageRef]] = defaultdict(list)
    for state in {state.ref: state for state in page.changed}.values():
        wanted = _wanted(state, ids_by_ref, placed[state.ref])
        if state.mailboxes is not None and not is_stale(state.ref):
            told_holders(state.ref, wanted)
        for mailbox_id in wanted - closed | wanted & placed[state.ref]:
            states[mailbox_id].append(_here(state, known.get(mailbox_id, {}), keywords))
        for mailbox_id in placed[state.ref] - wanted:
            removed[mailbox_id].append(state.ref)
    for ref in page.removed:
        if not is_stale(ref):
            told_holders(ref, frozenset())
        for mailbox_id in placed[ref]:
            removed[mailbox_id].append(ref)
    applied = Applied()
    renewed: set[MessageRef] = set()
    for row in rows.values():
        if row.id not in states and row.id not in removed:
            continue
        policy = policy_of(row)
        plan = reconcile(known.get(row.id, {}), states[row.id], policy, removed=removed[row.id], is_stale=is_stale)
        applied.stale |= plan.stale
        await apply_plan(tx, account_id, 0, row, plan, policy, now, renewed)
        if not plan.is_empty:
            applied.touched.add(row.id)
    return applied


def _turned(
    known: Mapping[int, Mapping[MessageRef, Known]],
) -> tuple[defaultdict[MessageRef, set[int]], defaultdict[MessageRef, set[str]]]:
    """Return by message the mailboxes it is in, and its flags there if it has keywords."""
    placed: defaultdict[MessageRef, set[int]] = defaultdict(set)
    keywords: defaultdict[MessageRef, set[str]] = defaultdict(set)
    for mailbox_id, here in known.items():
        for ref, one in here.items():
            placed[ref].add(mailbox_id)
            if one.flags.keywords:
                keywords[ref].update(one.flags.names())
    return placed, keywords


def _here(
    state: MessageState, known: Mapping[MessageRef, Known], keywords: Mapping[MessageRef, Iterable[str]]
) -> MessageState:
    """Return the state as it is in one mailbox; if the message is new there, keywords as they are spelled elsewhere."""
    if state.flags and state.ref not in known and state.ref in keywords:
        return replace(state, mailboxes=None, flags=respelled(state.flags, keywords[state.ref]))
    return replace(state, mailboxes=None)


def _wanted(state: MessageState, ids_by_ref: dict[str, int], placed: set[int]) -> set[int]:
    if state.mailboxes is None:
        return set(placed)
    return {ids_by_ref[mailbox] for mailbox in state.mailboxes if mailbox in ids_by_ref}


async def _known_by_mailbox(tx: Transaction, account_id: int, page: ChangePage) -> dict[int, dict[MessageRef, Known]]:
    refs = [*(state.ref for state in page.changed), *page.removed]
    ids = await messages.ids_by_refs(tx, account_id, 0, refs)
    ref_of_id = {message_id: MessageRef(ref) for ref, message_id in ids.items()}
    known: defaultdict[int, dict[MessageRef, Known]] = defaultdict(dict)
    for mailbox_id, uid, message_id, bits, keywords in await placements.by_message_ids(tx, list(ref_of_id)):
        known[mailbox_id][ref_of_id[message_id]] = Known(uid, message_id, FlagSet(bits, keywords))
    return known
