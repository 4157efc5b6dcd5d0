"""COPY, MOVE and EXPUNGE: at the backend first, then in the store."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.api.connector import Connector
from connectors.api.errors import ConnectorError, NotFound
from connectors.api.types import BatchResult, MessageRef, MessageState
from gateway.store import contents, messages, outlines, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.messages import MessageRow
from gateway.sync.apply import known_by_refs, place_made
from gateway.sync.batches import Outcome, in_batches
from gateway.sync.context import AccountContext, policy_of, ref_of
from gateway.sync.guard import ReadMark
from gateway.sync.reconcile import respelled
from gateway.sync.spread import Spread, spread
from gateway.sync.targets import Target, read_targets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A copy that was made, but can be placed only by reading the destination; `ref` is its ref there if that is known.

    `uid` and `message_id` are those of its original, `flags` what it has of flags that only we hold.
    """

    uid: int
    message_id: int
    ref: MessageRef | None
    flags: FlagSet


@dataclass(slots=True)
class MoveOutcome:
    """`pairs` are (UID in the source, UID in the destination), ascending by source.

    `failed` are UIDs the backend refused, and `error` why. `is_unknown`: both mailboxes have to be read. `touched` are
    those that were altered; with `is_contested` a reading has to tell the rest.
    """

    pairs: list[tuple[int, int]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    error: ConnectorError | None = None
    unplaced: list[Unplaced] = field(default_factory=list)
    is_unknown: bool = False
    touched: set[int] = field(default_factory=set)
    is_contested: bool = False


@dataclass(slots=True)
class ExpungeOutcome:
    """`removed` UIDs are gone; `failed` are still there, and `error` says why.

    `touched` are the mailboxes that were altered; with `is_contested` a reading has to tell the rest.
    """

    removed: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    error: ConnectorError | None = None
    is_unknown: bool = False
    touched: set[int] = field(default_factory=set)
    is_contested: bool = False


async def copy(
    context: AccountContext, source: MailboxRow, uids: Sequence[int], destination: MailboxRow, *, is_move: bool
) -> MoveOutcome:
    """Copy or move messages within one account, in batches of backend calls and one commit.

    Messages that are gone are passed over.

    Raises:
        NotFound: the destination is gone.
        ConnectorError: the backend cannot be reached; nothing was done.
    """
    await context.ensure_current(source)
    first, second = sorted({source.id, destination.id})[0], sorted({source.id, destination.id})[-1]
    if first == second:
        async with context.write_lock(first):
            return await _copy(context, source, uids, destination, is_move=is_move)
    # Always in the order of ids, so that two moves in opposite directions do not wait for each other.
    async with context.write_lock(first), context.write_lock(second):
        return await _copy(context, source, uids, destination, is_move=is_move)


async def _copy(
    context: AccountContext, source: MailboxRow, uids: Sequence[int], destination: MailboxRow, *, is_move: bool
) -> MoveOutcome:
    targets = await read_targets(context.store, source.id, uids)
    if not targets:
        return MoveOutcome()
    connector = await context.account.open()
    verb = connector.move if is_move else connector.copy
    here, there = context.key_of(source), context.key_of(destination)

    marked = {target.ref for target in targets if is_move and "\\Deleted" in target.flags.names()}

    async def call(batch: Sequence[MessageRef]) -> BatchResult:
        result = await verb(ref_of(source), batch, ref_of(destination))
        return await _unmarked(connector, destination, result, marked) if marked else result

    present = await _present(context, destination, targets)
    keys = [here(target.ref) for target in targets]
    with context.guard.receiving() as since, context.guard.reading() as mark, context.guard.writing(keys):
        outcome = await in_batches([t.ref for t in targets], context.account.capabilities.batch_limit, call)
        if outcome.error is not None:
            await context.failed(source, outcome.error)
            if isinstance(outcome.error, NotFound) and not outcome.done:
                raise outcome.error
        context.guard.made([there(state.ref) for state in outcome.done.values() if state is not None])
        placed, told = await _commit_copy(
            context, source, targets, destination, outcome, present, mark, since, is_move=is_move
        )
    result = MoveOutcome(error=outcome.error, is_unknown=outcome.is_unknown)
    result.touched, result.is_contested = told.touched, told.is_contested or _may_be_gone(context, outcome)
    for target in targets:
        if target.ref in outcome.failed:
            result.failed.append(target.uid)
        elif target.ref in placed:
            result.pairs.append((target.uid, placed[target.ref]))
        elif target.ref in outcome.done:
            state = outcome.done[target.ref]
            ref, local = state.ref if state is not None else None, _local_flags(destination, target)
            result.unplaced.append(Unplaced(target.uid, target.message_id, ref, local))
    return result


def _local_flags(destination: MailboxRow, target: Target) -> FlagSet:
    """Return which flags of a message its copy has in the store only."""
    policy = policy_of(destination)
    names = target.flags.names()
    return FlagSet.of(flag for flag in names if not policy.is_storable(flag) and flag != "\\Deleted")


async def _unmarked(
    connector: Connector, destination: MailboxRow, result: BatchResult, marked: Collection[MessageRef]
) -> BatchResult:
    """Take \\Deleted from what was moved: the next EXPUNGE there must not remove what somebody wanted to keep."""
    moved = {
        state.ref: ref
        for ref, state in result.done.items()
        if ref in marked and state is not None and (state.flags is None or "\\Deleted" in state.flags)
    }
    if not moved or not policy_of(destination).is_storable("\\Deleted"):
        return result
    try:
        after = await connector.store_flags(ref_of(destination), list(moved), frozenset(), frozenset({"\\Deleted"}))
    except ConnectorError as error:
        log.warning("moved messages stay marked as deleted: %s", error.operator_text)
        return result
    states = {moved[ref]: state for ref, state in after.done.items() if state is not None}
    return replace(result, done={**result.done, **states})


async def _present(
    context: AccountContext, destination: MailboxRow, targets: Sequence[Target]
) -> frozenset[MessageRef]:
    """Return which of the messages are in the destination already, where one can be in several mailboxes."""
    if context.scope_of(destination):
        return frozenset()
    refs = [target.ref for target in targets]
    return frozenset(await context.store.read_bulk(lambda tx: known_by_refs(tx, destination.id, refs)))


async def _commit_copy(
    context: AccountContext,
    source: MailboxRow,
    targets: Sequence[Target],
    destination: MailboxRow,
    outcome: Outcome,
    present: Collection[MessageRef],
    mark: ReadMark,
    since: int,
    *,
    is_move: bool,
) -> tuple[dict[MessageRef, int], Spread]:
    """Record what was done; return the UID in the destination by the ref in the source, and what it meant elsewhere."""
    done = [target for target in targets if target.ref in outcome.done]
    gone = [target.uid for target in targets if target.ref in outcome.missing]
    if is_move:
        gone += [target.uid for target in done if not _stayed(source, destination, target, outcome)]
    needs_uid = context.account.capabilities.has_uids

    async def body(tx: Transaction) -> tuple[dict[MessageRef, int], Spread]:
        rows = await messages.message_rows(tx, [target.message_id for target in done])
        states: dict[MessageRef, MessageState] = {}
        for target in done:
            state = outcome.done[target.ref]
            if state is not None and not (needs_uid and state.uid is None):
                row = rows.get(target.message_id)
                states[target.ref] = _complete(state, target, row, varies=context.account.capabilities.bodies_vary)
        placed = await _place(tx, context, destination, done, states, present, since)
        if gone:
            await placements.remove_placements(tx, source.id, sorted(gone))
        told = await spread(tx, context, mark, _same_messages(done, outcome))
        told.touched |= {destination.id, source.id}
        return placed, told

    placed, told = await context.store.write(body)
    context.changed(*told.touched)
    return placed, told


def _same_messages(targets: Sequence[Target], outcome: Outcome) -> dict[int, MessageState]:
    """Return the states of those messages that are the same ones after the write, by message id."""
    states = ((target, outcome.done.get(target.ref)) for target in targets)
    return {target.message_id: state for target, state in states if state is not None and state.ref == target.ref}


def _stayed(source: MailboxRow, destination: MailboxRow, target: Target, outcome: Outcome) -> bool:
    """Whether a move left the message where it was: in the same mailbox, or in one that keeps what it holds."""
    state = outcome.done[target.ref]
    if state is None or state.ref != target.ref:
        return False
    return source.id == destination.id or (state.mailboxes is not None and source.ref in state.mailboxes)


async def _place(
    tx: Transaction,
    context: AccountContext,
    destination: MailboxRow,
    done: Sequence[Target],
    states: Mapping[MessageRef, MessageState],
    present: Collection[MessageRef],
    since: int,
) -> dict[MessageRef, int]:
    local = {states[target.ref].ref: _local_flags(destination, target) for target in done if target.ref in states}
    scope = context.scope_of(destination)
    # Where a message keeps its ref, it is the same message and has all that its original has.
    made = {target.message_id: states[target.ref].ref for target in done if target.ref in states}
    made = {key: ref for key, ref in made.items() if scope or ref not in states}
    told = await messages.ids_by_refs(tx, context.account_id, scope, made.values()) if made else {}
    uids = await place_made(tx, context, destination, list(states.values()), local, present, since)
    if made:
        await _take_over(tx, context, scope, made, told)
    return {
        target.ref: uids[states[target.ref].ref]
        for target in done
        if target.ref in states and states[target.ref].ref in uids
    }


async def _take_over(
    tx: Transaction, context: AccountContext, scope: int, made: Mapping[int, MessageRef], told: Collection[str]
) -> None:
    """Give copies the object ids and dates of their originals, and spare the backend being asked again for headers.

    `made` are the refs of copies by the message id of the original; those in `told` were known before.
    """
    ids = await messages.ids_by_refs(tx, context.account_id, scope, made.values())
    pairs = {ref: (original, ids[ref]) for original, ref in made.items() if ref in ids}
    is_same = set(ids.values())
    if context.account.capabilities.bodies_vary:
        # Only a copy of what was appended has the very octets; those of any other will be what is read of it first.
        is_same = await contents.share(tx, pairs.values())
        await outlines.copy_envelopes(tx, [pair for pair in pairs.values() if pair[1] not in is_same])
    await outlines.copy_outlines(tx, [pair for pair in pairs.values() if pair[1] in is_same])
    if not context.account.capabilities.has_uids:
        # The original may have a date that the backend cannot hold.
        await messages.copy_dates(tx, pairs.values())
    await messages.share_object_ids(tx, [pair for ref, pair in pairs.items() if ref in told])
    await messages.share_object_ids(tx, [pair for ref, pair in pairs.items() if ref not in told], are_untold=True)


def _complete(state: MessageState, target: Target, row: MessageRow | None, *, varies: bool) -> MessageState:
    """Fill in what the backend did not say of the copy from what is known of the original.

    Where its octets vary the size of the original is no more than an estimate.
    """
    flags = state.flags
    if flags is None:
        flags = frozenset(flag for flag in target.flags.names() if flag != "\\Deleted")
    else:
        flags = respelled(flags, target.flags.names())
    date, size, is_exact = state.internal_date, state.size, state.size_is_exact
    if row is not None:
        date = date or row.received
        if size is None and row.size is not None:
            size, is_exact = row.size, row.size_is_exact and not varies
    return replace(state, flags=flags, internal_date=date, size=size, size_is_exact=is_exact)


async def expunge(
    context: AccountContext, row: MailboxRow, uids: Sequence[int], *, only_deleted: bool = False
) -> ExpungeOutcome:
    """Remove messages from a mailbox: exactly these, whatever their flags, or of these only those with \\Deleted.

    What has \\Deleted is asked of the store once no write to the mailbox is under way any more: a session that has just
    taken the flag from a message must not lose it to another that has not heard of that.

    Raises:
        ConnectorError: the backend cannot be reached; nothing was done.
    """
    await context.ensure_current(row)
    key = context.key_of(row)
    async with context.write_lock(row.id):
        targets = await read_targets(context.store, row.id, uids)
        if only_deleted:
            targets = [target for target in targets if "\\Deleted" in target.flags.names()]
        if not targets:
            return ExpungeOutcome()
        connector = await context.account.open()

        async def call(batch: Sequence[MessageRef]) -> BatchResult:
            return await connector.expunge(ref_of(row), batch)

        with context.guard.reading() as mark, context.guard.writing([key(target.ref) for target in targets]):
            outcome = await in_batches([t.ref for t in targets], context.account.capabilities.batch_limit, call)
            if outcome.error is not None:
                await context.failed(row, outcome.error)
            gone = [target for target in targets if target.ref not in outcome.failed]
            told = await _commit_expunge(context, row, gone, outcome, mark)
    removed = [target.uid for target in gone]
    failed = [target.uid for target in targets if target.ref in outcome.failed]
    is_contested = told.is_contested or _may_be_gone(context, outcome)
    return ExpungeOutcome(
        removed, failed, outcome.error, outcome.is_unknown, touched=told.touched, is_contested=is_contested
    )


def _may_be_gone(context: AccountContext, outcome: Outcome) -> bool:
    """Whether messages that the backend has not found in one mailbox are perhaps in none of several any more."""
    return bool(outcome.missing) and context.account.capabilities.many_mailboxes


async def _commit_expunge(
    context: AccountContext, row: MailboxRow, gone: Sequence[Target], outcome: Outcome, mark: ReadMark
) -> Spread:
    """Take the messages out, and note where else those are that go on elsewhere."""
    if not gone:
        return Spread()
    # Whatever the backend says, these UIDs are not there any more.
    states = {key: _without(state, row) for key, state in _same_messages(gone, outcome).items()}

    async def body(tx: Transaction) -> Spread:
        await placements.remove_placements(tx, row.id, [target.uid for target in gone])
        told = await spread(tx, context, mark, states)
        told.touched.add(row.id)
        return told

    told = await context.store.write(body)
    context.changed(*told.touched)
    return told


def _without(state: MessageState, row: MailboxRow) -> MessageState:
    return replace(state, mailboxes=state.mailboxes - {row.ref}) if state.mailboxes is not None else state
