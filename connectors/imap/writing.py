"""Changing messages where they are: flags and expunging."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from connectors.api.errors import ConnectorError, OutcomeUnknown
from connectors.api.types import DELETED, BatchResult, MailboxRef, MessageRef, MessageState
from connectors.imap.client import Connection
from connectors.imap.errors import ConnectionLost
from connectors.imap.exchange import Reply
from connectors.imap.session import Session, merge, ref_of, state_items, uid_of, uid_set, without_recent
from connectors.imap.sync import search_uids
from gateway.wire import flags as wire_flags
from gateway.wire.codes import Status

_log = logging.getLogger(__name__)


async def store_flags(
    session: Session, mailbox: MailboxRef, refs: Sequence[MessageRef], add: frozenset[str], remove: frozenset[str]
) -> BatchResult:
    """Add and remove flags on all the messages in at most two commands."""
    uids = valid_uids(refs)
    if not uids:
        return BatchResult(missing=frozenset(refs))
    async with session.pool.connection(mailbox) as connection:
        session.check_uidvalidity(connection)
        states, error = await _store(connection, uids, add, remove)
        if error is None:
            return outcome(refs, states)
        # What was done before the refusal has to be looked up.
        try:
            known = await present_states(connection, uids)
        except ConnectorError as exc:
            raise OutcomeUnknown(f"{error.operator_text}; then: {exc.operator_text}") from exc
        done = {uid: state for uid, state in known.items() if _has(state, add, remove)}
        return outcome(refs, done, failed=dict.fromkeys(known.keys() - done.keys(), error))


async def _store(
    connection: Connection, uids: Sequence[int], add: frozenset[str], remove: frozenset[str]
) -> tuple[dict[int, MessageState | None], ConnectorError | None]:
    """Store the flags; return the states after it of those that are there, or the server's refusal if it refuses.

    What is not there is passed over without a word (RFC 9051 section 6.4.9). A state is None where it cannot be read.

    Raises:
        ConnectionLost: nothing was done.
        OutcomeUnknown: the connection was lost on the way.
    """
    told: dict[int, frozenset[str]] = {}
    numbers = uid_set(uids)
    is_begun = False
    try:
        for operation, flags in ((b"+FLAGS", add), (b"-FLAGS", remove)):
            if not flags:
                continue
            reply = await connection.attempt(
                b"UID STORE", numbers, operation, wire_flags.format_flags(sorted(flags)), is_write=True
            )
            if reply.status is not Status.OK:
                error = connection.error(b"UID STORE", reply)
                if isinstance(error, ConnectionLost):
                    raise error
                return {}, error
            told, is_begun = _told_flags(reply), True
        # Servers need not tell of messages whose flags did not change, and some tell without the UID.
        silent = [uid for uid in uids if uid not in told]
        if silent:
            reply = await connection.attempt(b"UID FETCH", uid_set(silent), b"(UID FLAGS)")
            told |= _told_flags(reply)
    except ConnectionLost as exc:
        if is_begun:
            raise OutcomeUnknown(f"flags were stored, in part perhaps, and then: {exc.operator_text}") from exc
        raise
    states: dict[int, MessageState | None] = {
        uid: MessageState(ref_of(uid), flags=without_recent(told[uid]), uid=uid) for uid in uids if uid in told
    }
    if silent and reply.status is not Status.OK:
        states |= {uid: None for uid in silent if uid not in told}
    return states, None


def _told_flags(reply: Reply) -> dict[int, frozenset[str]]:
    """Return the flags by UID; of a message that is told of twice, the later ones."""
    return {
        fetched.uid: fetched.flags
        for fetched in reply.fetches()
        if fetched.uid is not None and fetched.flags is not None
    }


async def expunge(session: Session, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
    """Remove exactly these messages."""
    uids = valid_uids(refs)
    if not uids:
        return BatchResult(missing=frozenset(refs))
    async with restoring_marks(session, mailbox), session.pool.connection(mailbox) as connection:
        session.check_uidvalidity(connection)
        present = list(await present_states(connection, uids))
        if not present:
            return BatchResult(missing=frozenset(refs))
        await expunge_uids(session, connection, present)
        return outcome(refs, dict.fromkeys(present))


async def expunge_uids(session: Session, connection: Connection, uids: Sequence[int]) -> None:
    """Mark the messages as deleted and expunge them, and no others. To be called within `restoring_marks`.

    Raises:
        OutcomeUnknown, ConnectorError: some or all may be left; those left may be marked.
    """
    numbers = uid_set(uids)
    if connection.capabilities & {"UIDPLUS", "IMAP4REV2"}:
        await _mark(connection, numbers, b"+FLAGS.SILENT")
        await connection.run(b"UID EXPUNGE", numbers, is_write=True)
        return
    # EXPUNGE takes whatever is marked: others' marks are lifted meanwhile. Should all connections die in between, those
    # messages are left without the mark, which is the harmless side.
    others = set(await search_uids(connection, b"DELETED")) - set(uids)
    if others and connection.mailbox is not None:
        session.lifted_marks.setdefault(connection.mailbox.ref, set()).update(others)
        await _mark(connection, uid_set(sorted(others)), b"-FLAGS.SILENT")
    await _mark(connection, numbers, b"+FLAGS.SILENT")
    await connection.run(b"EXPUNGE", is_write=True)


@asynccontextmanager
async def restoring_marks(session: Session, mailbox: MailboxRef) -> AsyncIterator[None]:
    """Give others' messages back the mark of deletion that `expunge_uids` had to lift, whatever happened.

    To be entered before a connection is borrowed, so that another one can be had if that one is lost.
    """
    try:
        yield
    finally:
        uids = session.lifted_marks.pop(mailbox, None)
        if uids:
            await asyncio.shield(_restore_marks(session, mailbox, sorted(uids)))


async def _restore_marks(session: Session, mailbox: MailboxRef, uids: Sequence[int]) -> None:
    try:
        async with session.pool.connection(mailbox) as connection:
            session.check_uidvalidity(connection)
            await _mark(connection, uid_set(uids), b"+FLAGS.SILENT")
    except ConnectorError as exc:
        _log.warning("%d messages of %s have lost the flag %s: %s", len(uids), mailbox, DELETED, exc.operator_text)


async def _mark(connection: Connection, numbers: bytes, operation: bytes) -> Reply:
    return await connection.run(b"UID STORE", numbers, operation, b"(\\Deleted)", is_write=True)


async def present_states(connection: Connection, uids: Sequence[int]) -> dict[int, MessageState]:
    """Return the states of those of the messages that are there."""
    reply = await connection.run(b"UID FETCH", uid_set(uids), state_items(connection))
    wanted = frozenset(uids)
    return {uid: state for uid, state in merge(list(reply.fetches())).items() if uid in wanted}


def valid_uids(refs: Iterable[MessageRef]) -> list[int]:
    """Return the UIDs in the refs, ascending; what is no ref of ours is left out."""
    return sorted({uid for uid in map(uid_of, refs) if uid})


def outcome(
    refs: Sequence[MessageRef],
    done: Mapping[int, MessageState | None],
    failed: Mapping[int, ConnectorError] | None = None,
) -> BatchResult:
    """Return the result by ref; what is neither done nor failed is missing."""
    done_by_ref = {ref_of(uid): state for uid, state in done.items()}
    failed_by_ref = {ref_of(uid): error for uid, error in (failed or {}).items()}
    missing = frozenset(ref for ref in refs if ref not in done_by_ref and ref not in failed_by_ref)
    return BatchResult(done=done_by_ref, missing=missing, failed=failed_by_ref)


def _has(state: MessageState, add: frozenset[str], remove: frozenset[str]) -> bool:
    return state.flags is not None and add <= state.flags and not remove & state.flags
