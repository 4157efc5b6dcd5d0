"""Listing a mailbox: all its UIDs first, then their states, window by window, as columns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from connectors.api.columns import StateColumns
from connectors.api.errors import Unavailable
from connectors.api.types import MailboxRef, MessageRef, MessageState
from connectors.imap import names
from connectors.imap.client import Connection
from connectors.imap.exchange import Listed
from connectors.imap.session import Session, state_items, state_of, updated, without_recent
from connectors.imap.sync import all_uids
from gateway.wire.response_rows import FetchColumns, RowDecoder
from gateway.wire.responses import FetchData

WINDOW_MESSAGES = 5000
"""Messages per FETCH and per page: few round trips, and the columns of a page are made in some milliseconds."""

ROWS_AT_ONCE = 500
"""Rows decoded before others run: some milliseconds, even if each is of a time of day not seen before."""


async def listing(session: Session, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
    """Yield pages of at most `WINDOW_MESSAGES`, by ascending UID.

    Raises:
        Unavailable: the UIDs are not those of the UIDVALIDITY that `position` told; begin there again.
    """
    uidvalidity, uids = await session.pool.read(mailbox, all_uids, is_fresh=True)
    if uidvalidity is not None and session.believed.setdefault(mailbox, uidvalidity) != uidvalidity:
        # The mailbox was made anew between STATUS and SELECT, or the two were answered by servers that disagree.
        where = f"{names.readable(mailbox)} at {session.settings.endpoint}"
        raise Unavailable(f"{where} is selected with another UIDVALIDITY than its status has")
    decoder = RowDecoder()
    for start in range(0, len(uids), WINDOW_MESSAGES):
        window = uids[start : start + WINDOW_MESSAGES]

        async def fetch(connection: Connection, window: list[int] = window) -> Sequence[MessageState]:
            session.check_uidvalidity(connection)
            wanted = b"%d:%d" % (window[0], window[-1])
            listed = await connection.list_rows(wanted, state_items(connection))
            return page_of(await _decoded(listed, decoder), listed, window[0], window[-1])

        page = await session.pool.read(mailbox, fetch)
        if page:
            yield page


async def _decoded(listed: Listed, decoder: RowDecoder) -> FetchColumns:
    """Return the rows by column, letting others run meanwhile."""
    columns = FetchColumns([], [], [], [], [])
    for start in range(0, len(listed.rows), ROWS_AT_ONCE):
        part = decoder.decode(listed.rows[start : start + ROWS_AT_ONCE], listed.order)
        columns.uids.extend(part.uids)
        columns.flags.extend(part.flags)
        columns.seconds.extend(part.seconds)
        columns.zones.extend(part.zones)
        columns.sizes.extend(part.sizes)
        await asyncio.sleep(0)
    return columns


def page_of(columns: FetchColumns, listed: Listed, first_uid: int, last_uid: int) -> Sequence[MessageState]:
    """Return the states of the messages with those UIDs, ascending; of two things said of one the later counts.

    `columns` are the rows of `listed`.
    """
    fetches = [(rows, fetched) for rows, fetched in listed.others if isinstance(fetched, FetchData) and fetched.uid]
    if not all(_fits(fetched) for _, fetched in fetches):
        return _merged(columns, fetches, first_uid, last_uid)
    places = {uid: place for place, uid in enumerate(columns.uids)}
    for rows_before, fetched in fetches:
        assert fetched.uid is not None
        place = places.get(fetched.uid)
        if place is None and fetched.size is not None:
            places[fetched.uid] = len(columns.uids)
            _append(columns, fetched)
        elif place is not None and place < rows_before:
            # News of flags.
            assert fetched.flags is not None
            columns.flags[place] = without_recent(fetched.flags)
        elif place is None:
            return _merged(columns, fetches, first_uid, last_uid)
    order = [places[uid] for uid in sorted(places) if first_uid <= uid <= last_uid]
    if order == list(range(len(columns.uids))):
        return _page(columns)
    return _page(
        FetchColumns(
            [columns.uids[place] for place in order],
            [columns.flags[place] for place in order],
            [columns.seconds[place] for place in order],
            [columns.zones[place] for place in order],
            [columns.sizes[place] for place in order],
        )
    )


def _fits(fetched: FetchData) -> bool:
    """Whether columns can hold it: the whole of a row, or news of flags."""
    has_ids = fetched.email_id is not None or fetched.thread_id is not None
    return fetched.flags is not None and not has_ids


def _append(columns: FetchColumns, fetched: FetchData) -> None:
    assert fetched.uid is not None
    assert fetched.flags is not None
    assert fetched.size is not None
    date = fetched.internal_date
    offset = date.utcoffset() if date is not None else None
    columns.uids.append(fetched.uid)
    columns.flags.append(without_recent(fetched.flags))
    columns.seconds.append(int(date.timestamp()) if date is not None else None)
    columns.zones.append(int(offset.total_seconds()) // 60 if offset is not None else 0)
    columns.sizes.append(fetched.size)


def _page(columns: FetchColumns) -> StateColumns:
    refs = [MessageRef(str(uid)) for uid in columns.uids]
    return StateColumns(refs, columns.flags, columns.seconds, columns.zones, columns.sizes, columns.uids)


def _merged(
    columns: FetchColumns, fetches: Sequence[tuple[int, FetchData]], first_uid: int, last_uid: int
) -> list[MessageState]:
    """Return the states one by one, for a server that says more, or less, than columns hold."""
    rows = _page(columns)
    states: list[MessageState] = []
    taken = 0
    for rows_before, fetched in fetches:
        states += rows[taken:rows_before]
        taken = rows_before
        states.append(state_of(fetched))
    states += rows[taken:]
    found: dict[int, MessageState] = {}
    for state in states:
        assert state.uid is not None
        known = found.get(state.uid)
        found[state.uid] = state if known is None else updated(known, state)
    return [found[uid] for uid in sorted(found) if first_uid <= uid <= last_uid]
