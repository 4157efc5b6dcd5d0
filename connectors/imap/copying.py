"""Copying and moving between mailboxes of the server (RFC 9051 sections 6.4.7 and 6.4.8, RFC 4315, RFC 6851)."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from connectors.api.errors import ConnectorError, NotFound
from connectors.api.types import BatchResult, MailboxRef, MessageRef, MessageState
from connectors.imap import names
from connectors.imap.client import Connection
from connectors.imap.exchange import Reply
from connectors.imap.session import Session, ref_of, uid_set
from connectors.imap.sync import search_uids, status
from connectors.imap.writing import expunge_uids, outcome, present_states, restoring_marks, valid_uids
from gateway.wire.codes import Code, Status
from gateway.wire.command_writer import Text
from gateway.wire.responses import CopyUid, FetchData

_FINGERPRINT = b"(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE)])"
_FINGERPRINT_SECTION = b"BODY[HEADER.FIELDS (MESSAGE-ID DATE)]"

Fingerprint = tuple[int | None, bytes]


async def copy(
    session: Session, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef
) -> BatchResult:
    """Copy the messages with one command, all or none (RFC 9051 section 6.4.7)."""
    return await _transfer(session, source, refs, destination, is_move=False)


async def move(
    session: Session, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef
) -> BatchResult:
    """Move the messages: by MOVE, or by copying them and then expunging exactly them."""
    return await _transfer(session, source, refs, destination, is_move=True)


async def _transfer(
    session: Session, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef, *, is_move: bool
) -> BatchResult:
    uids = valid_uids(refs)
    if not uids:
        return BatchResult(missing=frozenset(refs))
    async with restoring_marks(session, source), session.pool.connection(source) as connection:
        session.check_uidvalidity(connection)
        present = await present_states(connection, uids)
        if not present:
            return BatchResult(missing=frozenset(refs))
        tracker = None
        if not connection.capabilities & {"UIDPLUS", "IMAP4REV2"}:
            tracker = await _Tracker.begin(connection, list(present), destination)
        is_atomic = is_move and bool(connection.capabilities & {"MOVE", "IMAP4REV2"})
        name = b"UID MOVE" if is_atomic else b"UID COPY"
        reply = await connection.attempt(
            name, uid_set(list(present)), Text(names.ref_to_wire(destination)), is_write=True
        )
        if reply.status is not Status.OK:
            return await _refused(session, connection, refs, present, reply, name, destination, is_atomic=is_atomic)
        copies = _copies(session, reply, present, destination)
        failed: dict[int, ConnectorError] = {}
        if is_move and not is_atomic:
            failed = await _remove_originals(session, connection, list(present))
    if copies is None and tracker is not None:
        found = await tracker.find(session)
        copies = {uid: found.get(uid) for uid in present}
    done = {uid: _copy_state(state, (copies or {}).get(uid)) for uid, state in present.items() if uid not in failed}
    return outcome(refs, done, failed)


async def _remove_originals(session: Session, connection: Connection, uids: Sequence[int]) -> dict[int, ConnectorError]:
    """Expunge what was copied; what stays is named, its copies stay too: rather twice than never."""
    try:
        await expunge_uids(session, connection, uids)
    except ConnectorError as exc:
        return dict.fromkeys(uids, exc)
    return {}


async def _refused(
    session: Session,
    connection: Connection,
    refs: Sequence[MessageRef],
    present: dict[int, MessageState],
    reply: Reply,
    name: bytes,
    destination: MailboxRef,
    *,
    is_atomic: bool,
) -> BatchResult:
    """Say what became of the messages after a NO. A MOVE may have been done in part (RFC 6851 section 4.4)."""
    error = connection.error(name, reply)
    if isinstance(error, NotFound):
        raise error
    if not is_atomic:
        raise error
    copies = _copies(session, reply, present, destination)
    if not copies:
        raise error
    done = {uid: _copy_state(present[uid], copy_uid) for uid, copy_uid in copies.items()}
    left = present.keys() - done.keys()
    return outcome(refs, done, dict.fromkeys(left, error))


def _copies(
    session: Session, reply: Reply, present: dict[int, MessageState], destination: MailboxRef
) -> dict[int, int | None] | None:
    """Return source UID to destination UID by COPYUID; None if the server has not told, or not in a way to rely on.

    The latter is None where the destination was made anew: of it the gateway knows no UIDs.
    """
    code = reply.find_code(Code.COPYUID)
    if code is None or not isinstance(code.argument, CopyUid):
        return None
    pairs = code.argument.pairs()
    if pairs is None:
        return None
    is_believed = session.believes(destination, code.argument.uidvalidity)
    return {uid: copy_uid if is_believed else None for uid, copy_uid in pairs if uid in present}


def _copy_state(state: MessageState, uid: int | None) -> MessageState | None:
    """Return the state of the copy; None if its UID is not known, until the next sync finds it."""
    return None if uid is None else replace(state, ref=ref_of(uid), uid=uid)


class _Tracker:
    """Finds copies where the server does not tell their UIDs: what is new in the destination and looks the same."""

    def __init__(self, destination: MailboxRef, uidnext: int, originals: dict[int, Fingerprint]) -> None:
        self._destination = destination
        self._uidnext = uidnext
        self._originals = originals

    @classmethod
    async def begin(cls, connection: Connection, uids: Sequence[int], destination: MailboxRef) -> _Tracker:
        """Take note of the destination's UIDNEXT and of the looks of the originals.

        Raises:
            NotFound: no such destination.
        """
        counters = await status(connection, destination)
        reply = await connection.run(b"UID FETCH", uid_set(uids), _FINGERPRINT)
        return cls(destination, counters.uidnext, _fingerprints(reply.fetches()))

    async def find(self, session: Session) -> dict[int, int]:
        """Return source UID to the UID of its copy, for those that are recognised; equal ones are paired in order."""

        async def look(connection: Connection) -> dict[int, Fingerprint]:
            uids = await search_uids(connection, b"UID", b"%d:*" % self._uidnext)
            arrived = [uid for uid in uids if uid >= self._uidnext]
            if not arrived:
                return {}
            return _fingerprints((await connection.run(b"UID FETCH", uid_set(arrived), _FINGERPRINT)).fetches())

        try:
            arrived = await session.pool.read(self._destination, look, is_fresh=True)
        except ConnectorError:
            # The copies are made; where they are can wait for the next sync.
            return {}
        waiting: defaultdict[Fingerprint, deque[int]] = defaultdict(deque)
        for uid, look_of_it in sorted(arrived.items()):
            waiting[look_of_it].append(uid)
        return {
            uid: waiting[look_of_it].popleft()
            for uid, look_of_it in sorted(self._originals.items())
            if waiting[look_of_it]
        }


def _fingerprints(fetches: Iterable[FetchData]) -> dict[int, Fingerprint]:
    found: dict[int, Fingerprint] = {}
    for fetched in fetches:
        header = fetched.sections.get(_FINGERPRINT_SECTION)
        if fetched.uid is not None and isinstance(header, bytes):
            found[fetched.uid] = (fetched.size, header)
    return found
