"""STORE: flags at the backend first, then in the store."""

from __future__ import annotations

import enum
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.api.connector import Connector
from connectors.api.errors import ConnectorError
from connectors.api.types import FLAGGED, BatchResult, MessageRef, MessageState, Role
from gateway.store import mailboxes, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.sync.batches import Outcome, in_batches
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.guard import ReadMark
from gateway.sync.reconcile import FlagPolicy, respelled
from gateway.sync.spread import Spread, spread
from gateway.sync.targets import Target, read_targets


class FlagAction(enum.Enum):
    """What STORE does with the flags it names."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"

    def apply(self, old: FlagSet, flags: Sequence[str]) -> FlagSet:
        """Return the flags after it; a keyword that is there already keeps its spelling."""
        match self:
            case FlagAction.REPLACE:
                return FlagSet.of(respelled(flags, old.names()))
            case FlagAction.ADD:
                return FlagSet.of((*old.names(), *respelled(flags, old.names())))
            case FlagAction.REMOVE:
                taken = {flag.lower() for flag in flags}
                return FlagSet.of(flag for flag in old.names() if flag.lower() not in taken)


@dataclass(slots=True)
class FlagOutcome:
    """`modified` are UIDs left alone, since they changed; `failed` those the backend refused, and `error` why.

    `touched` are the mailboxes that were altered, and `unread` those of which a reading has to tell the rest.
    """

    modified: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    error: ConnectorError | None = None
    is_unknown: bool = False
    touched: set[int] = field(default_factory=set)
    unread: set[int] = field(default_factory=set)


_After = Callable[[FlagSet, FlagSet, frozenset[str] | None], FlagSet]


@dataclass(frozen=True, slots=True)
class _Delta:
    """What the backend has to be told of a message."""

    add: frozenset[str]
    remove: frozenset[str]


async def store_flags(
    context: AccountContext,
    row: MailboxRow,
    uids: Sequence[int],
    action: FlagAction,
    flags: Sequence[str],
    unchanged_since: int | None,
) -> FlagOutcome:
    """Change the flags of the messages; one backend call per batch and kind of change, one commit.

    Messages that are gone are passed over (RFC 9051 section 6.4.9).

    Raises:
        ConnectorError: the backend cannot be reached; nothing was changed.
    """
    await context.ensure_current(row)
    policy, key = policy_of(row), context.key_of(row)
    async with context.write_lock(row.id):
        fresh = await context.store.read(lambda tx: mailboxes.mailbox_by_id(tx, row.id))
        read_at = fresh.highestmodseq if fresh is not None else 0
        targets = await read_targets(context.store, row.id, uids)
        outcome = FlagOutcome()
        if unchanged_since is not None:
            outcome.modified = [target.uid for target in targets if target.modseq > unchanged_since]
            targets = [target for target in targets if target.modseq <= unchanged_since]
        change = _remembering(action, flags)
        groups = _group(targets, change, policy)
        with context.guard.reading() as mark, context.guard.writing(key(target.ref) for target in targets):
            results = Outcome()
            if any(groups):
                connector = await context.account.open()
                for delta, refs in groups.items():
                    if delta is not None:
                        _merge(results, await _send(context, connector, row, refs, delta))
            failed = set(results.failed)
            outcome.failed = [target.uid for target in targets if target.ref in failed]
            outcome.error, outcome.is_unknown = results.error, results.is_unknown
            done = [t for t in targets if t.ref not in failed and t.ref not in results.missing]
            told = await _commit(context, row, done, read_at, _after(change, policy), results.done, mark)
            outcome.touched = told.touched
            outcome.unread = await _unread(context, row, groups, results, told)
    return outcome


def _remembering(action: FlagAction, flags: Sequence[str]) -> Callable[[FlagSet], FlagSet]:
    """Return what the action does to a set. Mailboxes have few distinct sets, so each is worked out once."""
    known: dict[FlagSet, FlagSet] = {}

    def change(before: FlagSet) -> FlagSet:
        after = known.get(before)
        if after is None:
            after = known[before] = action.apply(before, flags)
        return after

    return change


def _group(
    targets: Iterable[Target], change: Callable[[FlagSet], FlagSet], policy: FlagPolicy
) -> dict[_Delta | None, list[MessageRef]]:
    """Group messages by what the backend is to be told; None groups those of which it need not know."""
    deltas: dict[FlagSet, _Delta | None] = {}
    groups: defaultdict[_Delta | None, list[MessageRef]] = defaultdict(list)
    for target in targets:
        if target.flags not in deltas:
            delta = _delta(target.flags, change, policy)
            deltas[target.flags] = delta if delta.add or delta.remove else None
        groups[deltas[target.flags]].append(target.ref)
    return groups


def _delta(flags: FlagSet, change: Callable[[FlagSet], FlagSet], policy: FlagPolicy) -> _Delta:
    before, after = policy.split(flags.names()), policy.split(change(flags).names())
    return _Delta(after - before, before - after)


async def _send(
    context: AccountContext, connector: Connector, row: MailboxRow, refs: Sequence[MessageRef], delta: _Delta
) -> Outcome:
    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        return await connector.store_flags(ref_of(row), batch, delta.add, delta.remove)

    outcome = await in_batches(refs, context.account.capabilities.batch_limit, call)
    if outcome.error is not None:
        await context.failed(row, outcome.error)
    return outcome


def _merge(into: Outcome, other: Outcome) -> None:
    into.done.update(other.done)
    into.missing.update(other.missing)
    into.failed.update(other.failed)


async def _commit(
    context: AccountContext,
    row: MailboxRow,
    targets: Sequence[Target],
    read_at: int,
    after: _After,
    states: Mapping[MessageRef, MessageState | None],
    mark: ReadMark,
) -> Spread:
    """Record what was done to the targets, which were read at the mod-sequence `read_at` or after it.

    The flags of a message of which the backend said nothing follow from what the store has by now: a reading may have
    changed them after it was worked out what to tell the backend.
    """
    if not targets:
        return Spread()

    async def body(tx: Transaction) -> Spread:
        now = {target.uid: target.flags for target in targets}
        fresh = await mailboxes.mailbox_by_id(tx, row.id)
        if fresh is None or fresh.highestmodseq != read_at:
            rows = await placements.by_uids(tx, row.id, list(now))
            now = {uid: FlagSet(bits, keywords) for uid, _, _, bits, keywords, _ in rows}
        # Only what the backend has just confirmed: a listing may have been further with another mailbox than with this.
        told: dict[int, MessageState] = {}
        flags: dict[int, FlagSet] = {}
        changes: list[tuple[int, int, str]] = []
        for target in targets:
            if target.uid not in now:
                continue
            state = states.get(target.ref)
            here = after(target.flags, now[target.uid], state.flags if state is not None else None)
            if target.ref in states:
                flags[target.message_id] = here
                told[target.message_id] = state if state is not None else MessageState(target.ref)
            changes.append((target.uid, here.bits, here.keywords))
        await placements.set_flags(tx, row.id, changes)
        result = await spread(tx, context, mark, told, flags, policy_of(row))
        result.touched.add(row.id)
        return result

    result = await context.store.write(body)
    context.changed(*result.touched)
    return result


async def _unread(
    context: AccountContext,
    row: MailboxRow,
    groups: Iterable[_Delta | None],
    results: Outcome,
    told: Spread,
) -> set[int]:
    """Return the mailboxes that have to be read, since the backend's answers do not tell all that was changed there.

    A mailbox of what is \\Flagged (RFC 6154 section 2) has changed with that flag. It is read for those who have it
    open; the others look when they open it.
    """
    unread = {row.id} if told.is_contested else set()
    has_flagged = any(delta is not None and FLAGGED in delta.add | delta.remove for delta in groups)
    if has_flagged and any(state is None or state.mailboxes is None for state in results.done.values()):
        rows = await context.store.read(lambda tx: mailboxes.mailboxes_of(tx, context.account_id))
        open_ones = context.bus.interest()
        unread |= {other.id for other in rows if other.role is Role.FLAGGED and other.id in open_ones}
    return unread


def _after(change: Callable[[FlagSet], FlagSet], policy: FlagPolicy) -> _After:
    """Return what becomes of a message's flags: those it had, those it has by now, those the backend told if it did.

    Worked out once for each of the few combinations.
    """

    @functools.cache
    def after(had: FlagSet, has: FlagSet, told: frozenset[str] | None) -> FlagSet:
        if told is None:
            delta = _delta(had, change, policy)
            told = (policy.split(has.names()) | delta.add) - delta.remove
        return policy.merge(told, change(has))

    return after
