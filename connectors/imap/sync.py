"""Following a mailbox: its position, and what changed.

What changed is found by whichever the server has: with QRESYNC it names what vanished and what changed (RFC 7162); with
CONDSTORE alone it names what changed, and when the count of messages tells that some are gone, all UIDs are compared;
with neither, all flags are read again, at once if a counter has moved and else from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from connectors.api.errors import CursorExpired, Rejected, Unavailable
from connectors.api.types import ChangePage, Cursor, MailboxRef, MessageRef, MessageState
from connectors.imap import names
from connectors.imap.client import Connection
from connectors.imap.cursor import Position
from connectors.imap.pool import check_exists
from connectors.imap.session import Session, merge, ref_of, state_items, uid_of, uid_set
from gateway.wire.command_writer import Text
from gateway.wire.responses import ESearchData, SearchData, StatusData, VanishedData, expand
from gateway.wire.sequence_set import SequenceSet

PAGE_MESSAGES = 1000
"""Messages per FETCH and per page."""

SWEEP_ALWAYS_MESSAGES = 500
"""Up to here all flags are read at every look, where the server cannot tell what changed."""

SWEEP_INTERVAL_S = 300.0
"""In larger mailboxes only so often, unless a counter has moved."""

_MAX_VANISHED = 200_000
_MAX_UIDS = 20_000_000


async def position(session: Session, mailbox: MailboxRef) -> Position:
    """Return the mailbox's counters; from now on its UIDs are taken to be those of this UIDVALIDITY."""
    now = await _status(session, mailbox)
    session.believed[mailbox] = now.uidvalidity
    return now


async def changes(session: Session, mailbox: MailboxRef, cursor: Cursor) -> AsyncIterator[ChangePage]:
    """Yield what happened after the cursor.

    Raises:
        CursorExpired: the UIDs were invalidated, or the server's counters went backwards.
    """
    old = Position.decode(cursor)
    session.believed.setdefault(mailbox, old.uidvalidity)
    new = await _status(session, mailbox)
    if new.uidvalidity != old.uidvalidity or new.uidnext < old.uidnext:
        raise CursorExpired(f"the UIDs of {names.readable(mailbox)} at {session.settings.endpoint} were invalidated")
    # Both the gateway and the server say so, whatever was seen in between.
    session.believed[mailbox] = old.uidvalidity
    if old.highestmodseq is None or new.highestmodseq is None:
        async for page in _sweep(session, mailbox, old, new):
            yield page
        return
    if new.highestmodseq < old.highestmodseq:
        raise CursorExpired(f"the mod-sequences of {names.readable(mailbox)} went backwards")
    if (new.uidnext, new.messages, new.highestmodseq) == (old.uidnext, old.messages, old.highestmodseq):
        return
    async for page in _by_modseq(session, mailbox, old, new):
        yield page


async def states(session: Session, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> list[MessageState]:
    """Return the present states in the order asked; what is gone is left out."""
    found: dict[int, MessageState] = {}
    uids = sorted({uid for uid in map(uid_of, refs) if uid})
    for start in range(0, len(uids), PAGE_MESSAGES):
        window = uids[start : start + PAGE_MESSAGES]

        async def fetch(connection: Connection, window: list[int] = window) -> dict[int, MessageState]:
            session.check_uidvalidity(connection)
            reply = await connection.run(b"UID FETCH", uid_set(window), state_items(connection))
            return merge(list(reply.fetches()))

        found |= await session.pool.read(mailbox, fetch, is_fresh=True)
    return [found[uid] for uid in dict.fromkeys(map(uid_of, refs)) if uid in found]


async def search_uids(connection: Connection, *criteria: bytes | Text) -> list[int]:
    """Return the UIDs that match, ascending; with ESEARCH a run of them costs a few octets only (RFC 4731)."""
    returning = [b"RETURN (ALL)"] if connection.capabilities & {"ESEARCH", "IMAP4REV2"} else []
    reply = await connection.run(b"UID SEARCH", *returning, *criteria)
    uids: set[int] = set()
    for response in reply.responses:
        if isinstance(response, SearchData):
            uids.update(response.numbers)
        elif isinstance(response, ESearchData) and response.all is not None:
            expanded = expand(response.all, _MAX_UIDS)
            if expanded is None:
                raise Unavailable(f"{connection.where} found more messages than a mailbox holds")
            uids.update(expanded)
    return sorted(uids)


# -- inside ------------------------------------------------------------------------------------------------------------


async def _status(session: Session, mailbox: MailboxRef) -> Position:
    async def ask(connection: Connection) -> Position:
        if connection.mailbox is not None and connection.mailbox.ref == mailbox:
            # STATUS of the selected mailbox may be as old as the last news of it (RFC 3501 section 6.3.10), or older.
            await session.pool.renew(connection)
        return await status(connection, mailbox)

    return await session.pool.read(None, ask)


async def status(connection: Connection, mailbox: MailboxRef) -> Position:
    """Ask for a mailbox's counters.

    Raises:
        NotFound: no such mailbox.
    """
    modseq = b" HIGHESTMODSEQ" if connection.has_condstore else b""
    items = b"(MESSAGES UIDNEXT UIDVALIDITY UNSEEN%b)" % modseq
    try:
        reply = await connection.run(b"STATUS", Text(names.ref_to_wire(mailbox)), items)
    except Rejected as exc:
        await check_exists(connection, mailbox, exc)
        raise
    for response in reply.responses:
        if isinstance(response, StatusData) and names.ref_from_wire(response.name) == mailbox:
            found = response.items
            if {"UIDVALIDITY", "UIDNEXT", "MESSAGES"} <= found.keys():
                return Position(
                    found["UIDVALIDITY"],
                    found["UIDNEXT"],
                    found["MESSAGES"],
                    # 0 stands for a mailbox without mod-sequences (RFC 7162 section 3.1.2.2).
                    found.get("HIGHESTMODSEQ") or None,
                    found.get("UNSEEN"),
                )
    raise Rejected(f"{connection.where} does not tell the UIDs of {names.readable(mailbox)}")


async def all_uids(connection: Connection) -> tuple[int | None, list[int]]:
    """Return UIDVALIDITY and all UIDs of the selected mailbox."""
    selected = connection.mailbox
    assert selected is not None
    return selected.uidvalidity, await search_uids(connection, b"ALL") if selected.exists else []


async def _by_modseq(session: Session, mailbox: MailboxRef, old: Position, new: Position) -> AsyncIterator[ChangePage]:
    changed, vanished, present = await session.pool.read(
        mailbox, lambda connection: _read_modseq(session, connection, old, new), is_fresh=True
    )
    for start in range(0, len(changed), PAGE_MESSAGES):
        yield ChangePage(changed=tuple(changed[start : start + PAGE_MESSAGES]))
    yield ChangePage(removed=tuple(map(ref_of, vanished)), present=present, cursor=new.encode())


async def _read_modseq(
    session: Session, connection: Connection, old: Position, new: Position
) -> tuple[list[MessageState], list[int], frozenset[MessageRef] | None]:
    """Return what changed, what vanished, and everything that is present if what vanished cannot be named."""
    session.check_uidvalidity(connection)
    if new.uidnext <= 1:
        return [], [], None
    # Not `1:*`: some servers take the star for the largest UID that is left, and so hide what vanished above it.
    known = b"1:%d" % (new.uidnext - 1)
    vanished_too = b" VANISHED" if connection.has_qresync else b""
    # Dates and sizes do not change, so where nothing has arrived only flags are asked.
    items = b"(UID FLAGS)" if new.uidnext == old.uidnext else state_items(connection)
    reply = await connection.run(
        b"UID FETCH",
        known,
        items,
        b"(CHANGEDSINCE %d%b)" % (old.highestmodseq or 1, vanished_too),
    )
    states_by_uid = merge(list(reply.fetches()))
    changed = [state for uid, state in states_by_uid.items() if uid < new.uidnext]
    if connection.has_qresync:
        vanished = _vanished(reply.responses, new.uidnext)
        if vanished is not None:
            return changed, [uid for uid in vanished if uid not in states_by_uid], None
    else:
        arrived = sum(state.uid >= old.uidnext for state in changed if state.uid is not None)
        if old.messages + arrived == new.messages:
            return changed, [], None
    return changed, [], frozenset(map(ref_of, await search_uids(connection, b"ALL")))


def _vanished(responses: Sequence[object], uidnext: int) -> list[int] | None:
    """Return the UIDs below `uidnext` that vanished; None if they are too many to name."""
    ranges = [
        (max(min(first, last), 1), min(max(first, last), uidnext - 1))
        for response in responses
        if isinstance(response, VanishedData)
        for first, last in response.uids.ranges
    ]
    return expand(SequenceSet(tuple((low, high) for low, high in ranges if low <= high)), _MAX_VANISHED)


async def _sweep(session: Session, mailbox: MailboxRef, old: Position, new: Position) -> AsyncIterator[ChangePage]:
    """Read all flags again, unless nothing seems to have happened and the last sweep of a large mailbox is recent."""
    now = asyncio.get_running_loop().time()
    last = session.flag_sweeps.get(mailbox)
    is_quiet = (old.uidnext, old.messages, old.unseen) == (new.uidnext, new.messages, new.unseen)
    is_recent = last is not None and now - last < SWEEP_INTERVAL_S
    if is_quiet and is_recent and new.messages > SWEEP_ALWAYS_MESSAGES:
        return
    _, uids = await session.pool.read(mailbox, all_uids, is_fresh=True)
    for start in range(0, len(uids), PAGE_MESSAGES):
        window = uids[start : start + PAGE_MESSAGES]

        async def read(connection: Connection, window: list[int] = window) -> list[MessageState]:
            session.check_uidvalidity(connection)
            # Dates and sizes do not change: only of new messages they are asked.
            is_new = window[-1] >= old.uidnext
            items = state_items(connection) if is_new else b"(UID FLAGS)"
            reply = await connection.run(b"UID FETCH", b"%d:%d" % (window[0], window[-1]), items)
            return [state for uid, state in merge(list(reply.fetches())).items() if window[0] <= uid <= window[-1]]

        page = await session.pool.read(mailbox, read)
        if page:
            yield ChangePage(changed=tuple(page))
    session.flag_sweeps[mailbox] = now
    yield ChangePage(present=frozenset(map(ref_of, uids)), cursor=new.encode())
