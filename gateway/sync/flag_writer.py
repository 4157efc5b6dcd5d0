"""STORE: flags at the backend first, then in the store."""

from __future__ import annotations

import enum
from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.api.connector import Connector
from connectors.api.errors import ConnectorError
from connectors.api.types import FLAGGED, BatchResult, MessageRef, MessageState, Role
from gateway.store import flag_changes, mailboxes, placements
from gateway.store.database import Transaction
from gateway.store.flag_changes import FlagChange
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import TargetRow
from gateway.sync.batches import Outcome, in_batches
from gateway.sync.bus import FlagsChanged
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.guard import ReadMark
from gateway.sync.reconcile import FlagPolicy, respelled
from gateway.sync.spread import Spread, spread
from gateway.sync.targets import target_rows


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


@dataclass(frozen=True, slots=True)
class _Delta:
    """What the backend has to be told of a message."""

    add: frozenset[str]
    remove: frozenset[str]


class _Change:
    """What a command does to each set of flags. Mailboxes have few distinct sets, so each is worked out once."""

    def __init__(self, action: FlagAction, flags: Sequence[str], policy: FlagPolicy) -> None:
        self._action = action
        self._flags = flags
        self._policy = policy
        self._after: dict[FlagSet, FlagSet] = {}
        self._ends: dict[tuple[FlagSet, FlagSet, frozenset[str] | None], FlagSet] = {}

    def after(self, before: FlagSet) -> FlagSet:
        """Return what the command makes of a set."""
        after = self._after.get(before)
        if after is None:
            after = self._after[before] = self._action.apply(before, self._flags)
        return after

    def delta(self, before: FlagSet) -> _Delta:
        """Return what the backend is to be told of messages with that set."""
        had, has = self._policy.split(before.names()), self._policy.split(self.after(before).names())
        return _Delta(has - had, had - has)

    def end(self, had: FlagSet, has: FlagSet, told: frozenset[str] | None) -> FlagSet:
        """Return what becomes of flags: those that were read, those of by now, those the backend told if it did."""
        key = (had, has, told)
        end = self._ends.get(key)
        if end is None:
            if told is None:
                delta = self.delta(had)
                told = (self._policy.split(has.names()) | delta.add) - delta.remove
            end = self._ends[key] = self._policy.merge(told, self.after(has))
        return end


@dataclass(slots=True)
class _Kind:
    """Messages of one set of flags. `is_told`: the backend has to be told of what becomes of them."""

    number: int
    before: FlagSet
    delta: _Delta
    is_changed: bool

    @property
    def is_told(self) -> bool:
        return bool(self.delta.add or self.delta.remove)


@dataclass(slots=True)
class _Targets:
    """The messages that change, ascending by UID, with the kind of each, and the refs to tell the backend of, by how.

    `modified` are UIDs left alone, since they changed after the mod-sequence given.
    """

    rows: list[TargetRow] = field(default_factory=list)
    kinds: list[_Kind] = field(default_factory=list)
    refs: dict[_Delta, list[MessageRef]] = field(default_factory=dict)
    keys: set[Hashable] = field(default_factory=set)
    modified: list[int] = field(default_factory=list)


async def store_flags(
    context: AccountContext,
    row: MailboxRow,
    uids: Sequence[int],
    action: FlagAction,
    flags: Sequence[str],
    unchanged_since: int | None,
) -> FlagOutcome:
    """Change the flags of the messages; one backend call per batch and kind of change, one commit.

    Messages that are gone are passed over (RFC 9051 section 6.4.9); so are those that are as they should be.

    Raises:
        ConnectorError: the backend cannot be reached; nothing was changed.
    """
    await context.ensure_current(row)
    change = _Change(action, flags, policy_of(row))
    async with context.write_lock(row.id):
        fresh = await context.store.read(lambda tx: mailboxes.mailbox_by_id(tx, row.id))
        read_at = fresh.highestmodseq if fresh is not None else 0
        targets = await _read(context, row, uids, change, unchanged_since)
        outcome = FlagOutcome(modified=targets.modified)
        if not targets.rows:
            return outcome
        with context.guard.reading() as mark, context.guard.writing(targets.keys):
            results = Outcome()
            if targets.refs:
                connector = await context.account.open()
                for delta, refs in targets.refs.items():
                    _merge(results, await _send(context, connector, row, refs, delta))
            if results.failed:
                outcome.failed = [target[0] for target in targets.rows if target[2] in results.failed]
            outcome.error, outcome.is_unknown = results.error, results.is_unknown
            told = await _commit(context, row, targets, read_at, change, results, mark)
            outcome.touched = told.touched
            outcome.unread = await _unread(context, row, targets.refs, results, told)
    return outcome


async def _read(
    context: AccountContext, row: MailboxRow, uids: Sequence[int], change: _Change, unchanged_since: int | None
) -> _Targets:
    """Read the messages a thousand at a time, so that nobody waits long, and sort them by what is to be done."""
    targets, kinds, scope = _Targets(), dict[tuple[int, str], _Kind](), context.scope_of(row)
    async for rows in target_rows(context.store, row.id, sorted(uids)):
        for target in rows:
            if unchanged_since is not None and target[5] > unchanged_since:
                targets.modified.append(target[0])
                continue
            kind = kinds.get(target[3:5])
            if kind is None:
                before = FlagSet(target[3], target[4])
                kind = _Kind(len(kinds), before, change.delta(before), change.after(before) != before)
                kinds[target[3:5]] = kind
            if not kind.is_changed:
                continue
            targets.rows.append(target)
            targets.kinds.append(kind)
            targets.keys.add((scope, target[2]))
            if kind.is_told:
                targets.refs.setdefault(kind.delta, []).append(MessageRef(target[2]))
    return targets


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
    targets: _Targets,
    read_at: int,
    change: _Change,
    results: Outcome,
    mark: ReadMark,
) -> Spread:
    """Record what was done to the targets, which were read at the mod-sequence `read_at` or after it.

    The flags of a message of which the backend said nothing follow from what the store has by now: a reading may have
    changed them after it was worked out what to tell the backend.
    """
    is_spread = context.account.capabilities.many_mailboxes

    async def body(tx: Transaction) -> tuple[Spread, FlagsChanged | None]:
        fresh = await mailboxes.mailbox_by_id(tx, row.id)
        now: dict[int, FlagSet] | None = None
        if fresh is None or fresh.highestmodseq != read_at:
            rows = await placements.by_uids(tx, row.id, [target[0] for target in targets.rows])
            now = {uid: FlagSet(bits, keywords) for uid, _, _, bits, keywords, _ in rows}
        ends = _ends(targets, change, results, now)
        # Only what the backend has just confirmed: a listing may have been further with another mailbox than with this.
        told: dict[int, MessageState] = {}
        flags: dict[int, FlagSet] = {}
        if is_spread:
            for (_, message_id, name, *_), _, end in ends:
                ref = MessageRef(name)
                if ref in results.done:
                    flags[message_id] = end
                    told[message_id] = results.done[ref] or MessageState(ref)
        changed = await _set_flags(tx, row.id, ends, read_at if now is None else None)
        result = await spread(tx, context, mark, told, flags, policy_of(row))
        result.touched.add(row.id)
        return result, changed

    result, changed = await context.store.write(body)
    context.changed(*(result.touched - {row.id}))
    context.changed(row.id, flags=changed)
    return result


_End = tuple[TargetRow, FlagSet, FlagSet]
"""(message, the flags it has, the flags it gets). Equal ones are mostly the same object."""


def _ends(targets: _Targets, change: _Change, results: Outcome, now: Mapping[int, FlagSet] | None) -> list[_End]:
    """Return what becomes of the messages that were not refused. `now` are their flags, if not those that were read."""
    done, left_out = results.done, results.failed.keys() | results.missing
    ends: list[_End] = []
    known: dict[tuple[int, frozenset[str] | None], FlagSet] = {}
    for target, kind in zip(targets.rows, targets.kinds, strict=True):
        ref = MessageRef(target[2])
        if left_out and ref in left_out:
            continue
        state = done.get(ref)
        told = state.flags if state is not None else None
        if now is not None:
            before = now.get(target[0])
            if before is not None:
                ends.append((target, before, change.end(kind.before, before, told)))
            continue
        end = known.get((kind.number, told))
        if end is None:
            end = known[kind.number, told] = change.end(kind.before, kind.before, told)
        ends.append((target, kind.before, end))
    return ends


async def _set_flags(tx: Transaction, mailbox_id: int, ends: Sequence[_End], modseq: int | None) -> FlagsChanged | None:
    """Give messages their flags and tell of it. `modseq` is what the mailbox is at, None if others have changed it."""
    if modseq is None:
        await placements.set_flags(tx, mailbox_id, [(target[0], end.bits, end.keywords) for target, _, end in ends])
        return None
    uids: dict[tuple[int, int], array[int]] = {}
    changes: list[FlagChange] = []
    changed, kinds, numbers = array("I"), array("I"), dict[FlagSet, int]()
    number_of: dict[int, int] = {}
    for target, before, end in ends:
        # By identity, which the list keeps alive: there are few of them, and comparing them costs more than all else.
        found = uids.get((id(before), id(end)))
        if found is None:
            if before == end:
                continue
            found = uids[id(before), id(end)] = array("I")
            changes.append(FlagChange(before, end, found))
            number_of[id(end)] = numbers.setdefault(end, len(numbers))
        found.append(target[0])
        changed.append(target[0])
        kinds.append(number_of[id(end)])
    after = await flag_changes.change_flags(tx, mailbox_id, modseq, changes)
    return FlagsChanged(modseq, after, changed, kinds, tuple(numbers))


async def _unread(
    context: AccountContext,
    row: MailboxRow,
    deltas: Iterable[_Delta],
    results: Outcome,
    told: Spread,
) -> set[int]:
    """Return the mailboxes that have to be read, since the backend's answers do not tell all that was changed there.

    A mailbox of what is \\Flagged (RFC 6154 section 2) has changed with that flag. It is read for those who have it
    open; the others look when they open it.
    """
    unread = {row.id} if told.is_contested or results.missing else set()
    has_flagged = any(FLAGGED in delta.add | delta.remove for delta in deltas)
    if has_flagged and any(state is None or state.mailboxes is None for state in results.done.values()):
        rows = await context.store.read(lambda tx: mailboxes.mailboxes_of(tx, context.account_id))
        open_ones = context.bus.interest()
        unread |= {other.id for other in rows if other.role is Role.FLAGGED and other.id in open_ones}
    return unread
