"""A mailbox that somebody has open: its columns, kept in line with the store and shared by every view of it."""

from __future__ import annotations

import asyncio
import logging
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from gateway.mailbox.columns import UNKNOWN, Columns, Entry
from gateway.mailbox.flag_sets import FlagSets
from gateway.mailbox.sorted_columns import SortedColumns
from gateway.store import mailboxes, placements, tombstones
from gateway.store.database import Store, Transaction
from gateway.store.errors import StoreError, is_fault
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from gateway.sync.bus import ChangeBus, FlagsChanged, MailboxChanged

log = logging.getLogger(__name__)

LOAD_ROWS = 1000
"""Rows per query while loading: small enough that other work on the loop waits about a millisecond at most."""

_FLAG_ROWS = 4096
_TOLD_KEPT = 64

RETRY_S = 5.0
"""How long a store that could not be read is left alone."""


class Watcher(Protocol):
    """What a view offers to the mailbox it looks at."""

    def entries_changed(self, uids: frozenset[int]) -> None:
        """Flags of these have changed."""

    def entries_removed(self, entries: list[Entry]) -> None:
        """These are gone."""

    def entries_added(self, lowest_uid: int) -> None:
        """There are new UIDs in the columns, this one the lowest."""

    def became_defunct(self) -> None:
        """The UIDs are void, or the mailbox is gone."""

    def holds(self, uid: int) -> bool:
        """Whether the client of this view has not been told yet that the UID is gone."""


class OpenMailbox:
    """Columns of one mailbox, current up to `modseq`.

    `ghosts` are messages that are gone but not yet for every client: a FETCH of one is answered with what it was,
    since a client that gets NO because of an expunge it was not told of asks for ever.
    """

    def __init__(self, mailbox_id: int, store: Store, bus: ChangeBus, flag_sets: FlagSets) -> None:
        self.id = mailbox_id
        self.columns = Columns()
        self.sorted_columns = SortedColumns()
        self.flag_sets = flag_sets
        self.modseq = 0
        self.row: MailboxRow
        self.recent_uid = 1
        self._read_below = 1
        self.ghosts: dict[int, Entry] = {}
        self.is_defunct = False
        self._store = store
        self._watchers: list[Watcher] = []
        self._refreshing = asyncio.Lock()
        self._refresh_task: asyncio.Task[None] | None = None
        self._claims: set[asyncio.Task[None]] = set()
        self._told: deque[FlagsChanged] = deque(maxlen=_TOLD_KEPT)
        self._stop_listening = bus.subscribe(mailbox_id, self._on_change)

    # -- loading and refreshing ---------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the mailbox from the store; call it once, before anything else.

        Raises:
            LookupError: there is no such mailbox.
        """
        async with self._refreshing:
            row = await self._store.read(lambda tx: mailboxes.mailbox_by_id(tx, self.id))
            if row is None:
                raise LookupError(f"mailbox {self.id}")
            self.row = row
            self.recent_uid = row.recent_uid
            # The mod-sequence is read first: what changes while the rows are read is then read again below.
            self.modseq = row.highestmodseq
            after_uid = 0
            while rows := await self._store.read_bulk(self._page_after(after_uid)):
                self.columns.extend([self._entry(row) for row in rows])
                after_uid = rows[-1][0]
        await self.refresh()

    def _page_after(self, after_uid: int) -> Callable[[Transaction], Awaitable[list[PlacementRow]]]:
        return lambda tx: placements.load_range(tx, self.id, after_uid, LOAD_ROWS)

    def is_at(self, row: MailboxRow) -> bool:
        """Take over the row, just read, if it tells of nothing that is not in the columns; return whether it is so."""
        is_it = (row.highestmodseq, row.uidvalidity) == (self.modseq, self.row.uidvalidity)
        if is_it and not self.is_defunct:
            self.row = row
            self._read_below = row.uidnext
        return is_it and not self.is_defunct

    async def refresh(self) -> None:
        """Catch up with the store and tell the views; returns when all that was committed before the call is in."""
        async with self._refreshing:
            if self.is_defunct:
                return
            row = await self._store.read(lambda tx: mailboxes.mailbox_by_id(tx, self.id))
            if row is None or row.uidvalidity != self.row.uidvalidity:
                self.become_defunct()
                return
            self.row = row
            await self._take_told()
            if row.highestmodseq <= self.modseq:
                self._read_below = row.uidnext
                return
            since = self.modseq
            rows = await self._store.read_bulk(lambda tx: placements.changed_since(tx, self.id, since))
            gone = await self._store.read_bulk(lambda tx: tombstones.since(tx, self.id, since))
            # Of two reads the second sees more: what is gone by then is not there, whatever the first has seen.
            buried = set(gone)
            self._bury(gone)
            for start in range(0, len(rows), LOAD_ROWS):
                if start:
                    await asyncio.sleep(0)
                self._apply([self._entry(entry) for entry in rows[start : start + LOAD_ROWS] if entry[0] not in buried])
            # Only now: cut off before this, the next refresh reads the same again, which does no harm.
            self.modseq = max(row.highestmodseq, max((entry[4] for entry in rows), default=0))
            self._read_below = row.uidnext

    async def _take_told(self) -> None:
        """Take over the changes of flags that begin where the columns are, without reading them again."""
        while self._told:
            change = self._told.popleft()
            if change.before != self.modseq:
                continue
            numbers = [self.flag_sets.intern(flags.bits, flags.keywords) for flags in change.flag_sets]
            for start in range(0, len(change.uids), _FLAG_ROWS):
                if start:
                    await asyncio.sleep(0)
                uids = change.uids[start : start + _FLAG_ROWS]
                kinds = change.kinds[start : start + _FLAG_ROWS]
                self._set_flags(uids, array("I", [numbers[kind] for kind in kinds]), change.after)
            self.modseq = change.after

    def _set_flags(self, uids: array[int], flag_sets: array[int], modseq: int) -> None:
        position = self.columns.run_of(uids)
        if position is not None:
            self.columns.set_flags(position, flag_sets, modseq)
        else:
            for uid, flag_set in zip(uids, flag_sets, strict=True):
                position = self.columns.index(uid)
                if position is not None:
                    self.columns.set_flag_set(position, flag_set, modseq)
        changed = frozenset(uids)
        for watcher in tuple(self._watchers):
            watcher.entries_changed(changed)

    def _bury(self, gone: Iterable[int]) -> None:
        removed = self.columns.remove(gone)
        if not removed:
            return
        for entry in removed:
            if any(watcher.holds(entry.uid) for watcher in self._watchers):
                self.ghosts[entry.uid] = entry
        for watcher in tuple(self._watchers):
            watcher.entries_removed(removed)

    def _apply(self, entries: list[Entry]) -> None:
        added: list[int] = []
        changed: list[int] = []
        for entry in entries:
            if self.columns.put(entry):
                added.append(entry.uid)
            else:
                changed.append(entry.uid)
        shared = frozenset(changed)
        for watcher in tuple(self._watchers):
            if shared:
                watcher.entries_changed(shared)
            if added:
                watcher.entries_added(min(added))

    def _entry(self, row: PlacementRow) -> Entry:
        uid, message_id, flags, keywords, modseq, date, zone, size, size_is_exact, save_date = row[:10]
        return Entry(
            uid,
            message_id,
            self.flag_sets.intern(flags, keywords),
            modseq,
            size if size is not None and size_is_exact else UNKNOWN,
            UNKNOWN if date is None else date,
            zone or 0,
            UNKNOWN if save_date is None else save_date,
        )

    def learned_size(self, uid: int, size: int) -> None:
        """Take note of an exact size that hydration found; no client needs to be told."""
        position = self.columns.index(uid)
        if position is not None:
            self._sort_anew(self.columns.sizes[position], size)
            self.columns.sizes[position] = size

    def learned_date(self, uid: int, internal_date: int, zone: int) -> None:
        """Take note of a date that hydration found."""
        position = self.columns.index(uid)
        if position is not None:
            self._sort_anew(self.columns.internal_dates[position], internal_date)
            self.columns.internal_dates[position] = internal_date
            self.columns.zones[position] = zone

    def _sort_anew(self, before: int, after: int) -> None:
        """Forget in which order messages are by sizes and dates, if one has changed."""
        if before == UNKNOWN != after:
            self.sorted_columns.orders.clear()
        elif before != after:
            # An order that is being found out goes by what was before.
            self.sorted_columns = SortedColumns()

    # -- change bus ---------------------------------------------------------------------------------------------------

    def _on_change(self, change: MailboxChanged) -> None:
        if change.flags is not None:
            self._told.append(change.flags)
        if change.is_reset:
            self.become_defunct()
        elif self._refresh_task is None or self._refresh_task.done():
            self._refresh_task = asyncio.get_running_loop().create_task(self._refresh_quietly())
        else:
            # The running refresh may have read already; one more is enough for any number of changes meanwhile.
            self._wants_refresh = True

    _wants_refresh = False

    async def _refresh_quietly(self) -> None:
        self._wants_refresh = True
        while self._wants_refresh:
            self._wants_refresh = False
            try:
                await self.refresh()
            except Exception as error:
                log.error("mailbox %d could not be read again: %s", self.id, error, exc_info=is_fault(error))
                # Nobody may tell of these changes a second time.
                self._wants_refresh = True
                await asyncio.sleep(RETRY_S)

    def become_defunct(self) -> None:
        """Take the UIDs for void, or the mailbox for gone; every view of it is told."""
        self.is_defunct = True
        for watcher in tuple(self._watchers):
            watcher.became_defunct()

    # -- views --------------------------------------------------------------------------------------------------------

    def attach(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def detach(self, watcher: Watcher) -> None:
        if watcher in self._watchers:
            self._watchers.remove(watcher)
        self.drop_ghosts()

    def claim_recent(self) -> None:
        """Let a session that may write be the only one for which the present messages are \\Recent."""
        if self.recent_uid < self.row.uidnext:
            self.recent_uid = self.row.uidnext
            task = asyncio.get_running_loop().create_task(self._store_claim())
            self._claims.add(task)
            task.add_done_callback(self._claims.discard)

    async def _store_claim(self) -> None:
        try:
            await self._store.write(lambda tx: mailboxes.claim_recent(tx, self.id))
        except StoreError as error:
            # Another session may take them for \\Recent too, which is better than none getting in.
            log.error("mailbox %d: recent messages cannot be claimed: %s", self.id, error.operator_text)
        except Exception:
            log.exception("mailbox %d: recent messages could not be claimed", self.id)

    @property
    def has_watchers(self) -> bool:
        return bool(self._watchers)

    def drop_ghosts(self) -> None:
        """Forget the messages that every client now knows to be gone."""
        for uid in list(self.ghosts):
            if not any(watcher.holds(uid) for watcher in self._watchers):
                del self.ghosts[uid]

    def find(self, uid: int) -> Entry | None:
        """Return the entry of a UID, a ghost's too."""
        position = self.columns.index(uid)
        return self.columns.entry(position) if position is not None else self.ghosts.get(uid)

    def uidnext_after(self, top: int) -> int:
        """Return the UIDNEXT for a client that knows what is there up to `top`.

        While the mailbox is read again, UIDNEXT of the row is above messages that are not in the columns yet.
        """
        uids = self.columns.uids
        untold = bisect_right(uids, top)
        return uids[untold] if untold < len(uids) else max(self._read_below, top + 1)

    async def close(self) -> None:
        """Stop listening and finish what is being written; the object is of no more use."""
        self._stop_listening()
        if self._refresh_task is not None:
            self._refresh_task.cancel()
        await asyncio.gather(*self._claims, return_exceptions=True)
