"""One selected mailbox of one session: what this client has been told, and what it can do to it."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from connectors.api.errors import ConnectorError
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox.column_block import Column, ColumnBlock, column_block
from gateway.mailbox.columns import Entry
from gateway.mailbox.fetch import BLOCK_ROWS, FetchReader, FetchRow, Needs
from gateway.mailbox.flag_store import FlagStore
from gateway.mailbox.label_writer import LabelWriter
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.mailbox.outcomes import ExpungeOutcome, FlagRow, StoreOutcome, ViewChanges
from gateway.mailbox.pending import Pending
from gateway.mailbox.read_ahead import ReadAhead
from gateway.mailbox.search import Found, Searcher
from gateway.mailbox.search_ground import Scope
from gateway.mailbox.sorted_places import SortedPlaces
from gateway.mailbox.sorting import Sorter
from gateway.mailbox.texts import TextReader
from gateway.mailbox.transfer import CopyOutcome, Transfer
from gateway.mailbox.uid_arrays import without
from gateway.mailbox.updating import UpdatingSearch
from gateway.store import tombstones
from gateway.sync.engine import AccountEngine
from gateway.wire.commands import StoreAction
from gateway.wire.flags import SYSTEM_FLAGS
from gateway.wire.gmail import Label
from gateway.wire.search import SearchKey
from gateway.wire.sequence_set import MAX_NUMBER, SequenceSet, gaps
from gateway.wire.sort import SortCriterion

__all__ = ["BadSequence", "ExpungeOutcome", "FlagRow", "StoreOutcome", "View", "ViewChanges"]

FLAG_ROWS = 1000
"""So many changes of flags are told before others have their turn: a few milliseconds' work."""

USUAL_KEYWORDS = ("$Forwarded", "$Junk", "$MDNSent", "$NotJunk")
"""Always listed in FLAGS: Thunderbird uses $Forwarded only where it is announced (RFC 5788 registers them)."""


class BadSequence(Exception):
    """A sequence number that this client was not told of (RFC 9051 section 6.4.5: BAD)."""


@lru_cache(maxsize=256)
def _defined(keywords: frozenset[str]) -> tuple[str, ...]:
    return (*SYSTEM_FLAGS, *sorted({*USUAL_KEYWORDS, *keywords}))


class View:
    """The messages as this client knows them: sequence number n is `uids[n - 1]`.

    Changes that others make are collected and told by `catch_up`; nothing is done to messages the client was not told
    of. Close it when the session leaves the mailbox.
    """

    def __init__(
        self, name: str, mailbox: OpenMailbox, engine: AccountEngine, transfer: Transfer, *, is_read_only: bool
    ) -> None:
        self.name = name
        self.is_read_only = is_read_only
        self.shows_recent = True
        """Whether \\Recent is among the flags that are shown; IMAP4rev2 has no such flag."""
        # Shared with others: it is replaced where it would be changed.
        self.uids = mailbox.columns.shared_uids()
        self.is_defunct = mailbox.is_defunct
        self._mailbox = mailbox
        self._engine = engine
        self._transfer = transfer
        self._changed = Pending()
        self._touched: Pending | None = None
        self._expunged: set[int] = set()
        self._recent: set[int] = set()
        self._told_modseq = mailbox.modseq
        self._ahead = ReadAhead(mailbox, engine)
        self._texts = TextReader(mailbox, engine)
        self._bell: Callable[[], None] | None = None
        self._is_open = True
        self._claim_recent(self.uids)
        mailbox.attach(self)

    # -- the mailbox --------------------------------------------------------------------------------------------------

    @property
    def mailbox_id(self) -> int:
        return self._mailbox.id

    @property
    def account_id(self) -> int:
        return self._mailbox.row.account_id

    @property
    def object_id(self) -> str:
        """The MAILBOXID of RFC 8474."""
        return self._mailbox.row.object_id

    @property
    def uidvalidity(self) -> int:
        return self._mailbox.row.uidvalidity

    @property
    def uidnext(self) -> int:
        """No message that this client is yet to be told of has a UID below this one."""
        return self._mailbox.uidnext_after(max(self._top, self.uids[-1] if self.uids else 0))

    @property
    def highestmodseq(self) -> int:
        """Up to where this client has been told everything.

        The mailbox may be further on. A client that kept that number would never learn of what it was not told before
        it went away (RFC 7162 section 3.2.5).
        """
        return self._told_modseq

    @property
    def defined_flags(self) -> tuple[str, ...]:
        """The flags that a FLAGS response lists: system flags, and keywords that are usual or in use."""
        used = self._mailbox.flag_sets.keywords(frozenset(self._mailbox.columns.flag_counts))
        return _defined(used)

    @property
    def permanent_flags(self) -> tuple[str, ...]:
        """All of them: what the backend cannot hold is kept here."""
        return () if self.is_read_only else self.defined_flags

    @property
    def allows_new_keywords(self) -> bool:
        return not self.is_read_only

    @property
    def recent(self) -> int:
        """How many messages are \\Recent for the session that has the view."""
        return len(self._recent)

    @property
    def first_unseen(self) -> int | None:
        """The sequence number of the first message without \\Seen."""
        columns = self._mailbox.columns
        position = columns.first_with(self._mailbox.flag_sets.unseen)
        return None if position is None else self.sequence_number(columns.uids[position])

    # -- numbers ------------------------------------------------------------------------------------------------------

    def sequence_number(self, uid: int) -> int | None:
        """Return the sequence number of a UID, None if this client does not know it."""
        position = bisect_left(self.uids, uid)
        if position < len(self.uids) and self.uids[position] == uid:
            return position + 1
        return None

    def select_uids(self, numbers: SequenceSet, *, is_uid: bool) -> list[int]:
        """Return the UIDs that a set names, ascending. UIDs that do not exist are passed over (section 6.4.9).

        Raises:
            BadSequence: a sequence number is above the number of messages, as `*` is where there are none.
        """
        if is_uid:
            return [self.uids[position] for position in numbers.select(self.uids)]
        total = len(self.uids)
        if not total or any(number > total for pair in numbers.ranges for number in pair):
            raise BadSequence
        return [uid for low, high in numbers.resolve(total) for uid in self.uids[low - 1 : high].tolist()]

    # -- results that are kept up to date ------------------------------------------------------------------------------

    def note_touched(self, is_noting: bool) -> None:
        """Begin to take note of messages that change, whoever changes them, or stop it."""
        if not is_noting:
            self._touched = None
        elif self._touched is None:
            self._touched = Pending()

    def take_touched(self) -> set[int]:
        """Return those that have changed since this was last asked, of which the client knows."""
        touched = set() if self._touched is None else self._touched.take(MAX_NUMBER)
        return set(filter(self.holds, touched))

    @property
    def gone(self) -> Collection[int]:
        """The messages that are gone and that the client still has to be told of."""
        return self._expunged

    # -- what others did ----------------------------------------------------------------------------------------------

    def set_bell(self, callback: Callable[[], None] | None) -> None:
        """Have `callback` called whenever `catch_up` has something new, and when the view has become defunct."""
        self._bell = callback

    def catch_up(self, *, allow_expunge: bool, allow_new: bool = True, allow_flags: bool = True) -> ViewChanges:
        """Take over what has happened and return what the client is to be told. No I/O.

        Without `allow_expunge` messages that are gone stay in the view, and keep their numbers. New messages and
        changed flags that are not allowed wait for a call that allows them. Of changed flags at most `FLAG_ROWS` are
        told at a time.
        """
        changes = ViewChanges()
        if allow_expunge and self._expunged:
            changes.expunged = self._drop_expunged()
        total = len(self.uids)
        new = self._new_uids() if allow_new else array("I")
        if new:
            changes.new = new
            self.uids = self._uids_with(new)
            self._claim_recent(new)
            changes.exists = total + len(new)
            changes.recent = len(self._recent)
        # Of what waits one set is kept, and not every set that it came in.
        changed = self._changed.take(FLAG_ROWS if allow_flags else 0)
        if changed:
            changes.flagged = self.flag_rows(sorted(changed.difference(new, self._expunged)))
        changes.has_more = allow_flags and not self._changed.is_empty
        if allow_new and not self._expunged and self._changed.is_empty:
            self._told_modseq = self._mailbox.modseq
        return changes

    def _new_uids(self) -> array[int]:
        columns = self._mailbox.columns
        top = self.uids[-1] if self.uids else 0
        # The highest UID told may be gone from the view meanwhile: what was told must not be told again.
        top = max(top, self._top)
        new = columns.uids[bisect_right(columns.uids, top) :]
        if new:
            self._top = new[-1]
        return new

    _top = 0

    def _drop_expunged(self) -> list[tuple[int, int]]:
        told: list[tuple[int, int]] = []
        if self.uids:
            self._top = max(self._top, self.uids[-1])
        for uid in sorted(self._expunged):
            position = bisect_left(self.uids, uid)
            if position < len(self.uids) and self.uids[position] == uid:
                # Each line's number counts the messages before it that are gone already.
                told.append((position + 1 - len(told), uid))
        if told:
            self.uids = self._uids_without([uid for _, uid in told])
        self._recent -= self._expunged
        self._expunged = set()
        self._mailbox.drop_ghosts()
        return told

    def _uids_without(self, gone: Sequence[int]) -> array[int]:
        """Return the UIDs without these, in the array that others have too if they know of the same."""
        columns = self._mailbox.columns
        # What is known and not gone is in the columns; it is all there is if there are as many.
        is_all = len(columns) == len(self.uids) - len(gone)
        return columns.shared_uids() if is_all else without(self.uids, gone)

    def _uids_with(self, new: array[int]) -> array[int]:
        """Return the UIDs with the new ones, in the array that others have too if they are told of the same."""
        columns = self._mailbox.columns
        is_all = not self._expunged and len(columns) == len(self.uids) + len(new)
        return columns.shared_uids() if is_all else self.uids + new

    def _claim_recent(self, uids: array[int]) -> None:
        self._recent.update(uids[bisect_left(uids, self._mailbox.recent_uid) :])
        if not self.is_read_only:
            self._mailbox.claim_recent()

    # -- messages -----------------------------------------------------------------------------------------------------

    def flag_rows(self, uids: Iterable[int]) -> list[FlagRow]:
        """Return the flags of those of the UIDs that this client knows."""
        rows: list[FlagRow] = []
        for uid in uids:
            number, entry = self.sequence_number(uid), self._mailbox.find(uid)
            if number is not None and entry is not None:
                rows.append(FlagRow(number, uid, self._flags(entry), entry.modseq))
        return rows

    def _flags(self, entry: Entry) -> bytes:
        return self._mailbox.flag_sets.rendered(entry.flag_set, is_recent=entry.uid in self._shown_recent)

    @property
    def _shown_recent(self) -> AbstractSet[int]:
        return self._recent if self.shows_recent else frozenset()

    async def fetch(self, uids: Sequence[int], needs: Needs) -> AsyncIterator[list[FetchRow]]:
        """Yield the messages in blocks, ascending by UID; those of which nothing is left are left out.

        Raises:
            MailError: what is asked for is not in the store and the backend cannot give it now.
        """
        if needs.body:
            self._ahead.expect(uids, self.uids)
        reader = FetchReader(self._mailbox, self._engine, self._ahead)
        for start in range(0, len(uids), BLOCK_ROWS):
            entries: list[tuple[int, Entry, bytes]] = []
            for uid in uids[start : start + BLOCK_ROWS]:
                number, entry = self.sequence_number(uid), self._mailbox.find(uid)
                if number is not None and entry is not None:
                    entries.append((number, entry, self._flags(entry)))
            async for block in reader.blocks(entries, needs):
                yield block

    async def block(self, uids: Sequence[int], columns: Collection[Column]) -> ColumnBlock | None:
        """Return the messages, ascending by UID, as a block; None if only `fetch` can give what is asked for."""
        texts = await self._texts.read(uids, columns)
        if texts is None:
            return None
        return column_block(self._mailbox, self.uids, self._shown_recent, uids, columns, texts)

    async def find(self, key: SearchKey, *, saved: Sequence[int] = (), among: Sequence[int] | None = None) -> Found:
        """Return what matches, of the UIDs `among` if given; `saved` is what `$` stands for.

        A sequence number that this client does not know matches nothing: clients search for ranges beyond the last.
        Raises MailError where the backend is needed and cannot be reached.
        """
        uids = self.uids if among is None else among
        scope = Scope(uids, self._recent, saved, self._engine.context.clock.now())
        return await Searcher(self._mailbox, self._engine, scope).run(key)

    @property
    def sorter(self) -> Sorter:
        """What sorts and threads the messages that a search has found."""
        return Sorter(self._mailbox, self._engine)

    async def search(
        self, key: SearchKey, *, saved: Sequence[int] = (), among: Sequence[int] | None = None
    ) -> list[int]:
        """Return the UIDs that match, ascending; see `find`."""
        return (await self.find(key, saved=saved, among=among)).uids()

    def updating(
        self, key: SearchKey, found: Sequence[int], criteria: tuple[SortCriterion, ...] | None = None
    ) -> UpdatingSearch:
        """Return the result of a search, of SORT if it has `criteria`, to be kept up to date; `key` is `lasting`."""
        return UpdatingSearch(self, key, found, None if criteria is None else self.places(criteria))

    def places(self, criteria: tuple[SortCriterion, ...]) -> SortedPlaces:
        """What finds the places of messages among others that are sorted."""
        return SortedPlaces(self._mailbox, self._engine, criteria)

    def has_present(self, uid: int) -> bool:
        """Whether the message is still there, whatever this client has been told."""
        return self._mailbox.columns.index(uid) is not None

    def modseq(self, uid: int) -> int | None:
        """Return the mod-sequence of a message."""
        entry = self._mailbox.find(uid)
        return entry.modseq if entry is not None else None

    def max_modseq(self, uids: Iterable[int]) -> int:
        """Return the highest mod-sequence among the UIDs, 0 for none."""
        return max((modseq for uid in uids if (modseq := self.modseq(uid)) is not None), default=0)

    def changed_since(self, modseq: int, uids: Sequence[int] | None = None) -> list[int]:
        """Return those of the UIDs (all, if None) with a larger mod-sequence, ascending."""
        among = self.uids if uids is None else uids
        columns, ghosts = self._mailbox.columns, self._mailbox.ghosts
        changed = {uid for uid, at in zip(columns.uids, columns.modseqs, strict=True) if at > modseq}
        changed.update(uid for uid, entry in ghosts.items() if entry.modseq > modseq)
        return [uid for uid in among if uid in changed]

    async def vanished_since(self, modseq: int, known: SequenceSet | None) -> SequenceSet:
        """Return the UIDs, of those in `known` if given, that were expunged after `modseq`.

        Where expunges that long ago are no longer recorded, every UID that is missing (RFC 7162 section 3.2.5.1). `*`
        in `known` is the highest UID ever given out, since the one meant may be among those expunged.
        """
        row = self._mailbox.row
        top = self.uidnext - 1
        within = known.resolve(top) if known is not None else ([(1, top)] if top else [])
        if modseq >= row.tombstone_floor:
            gone = await self._engine.context.store.read_bulk(lambda tx: tombstones.since(tx, row.id, modseq))
            starts = [low for low, _ in within]
            kept = (uid for uid in gone if (at := bisect_right(starts, uid)) and uid <= within[at - 1][1])
            return SequenceSet.from_numbers(uid for uid in kept if self.sequence_number(uid) is None)
        # What was never given out has not vanished: it may yet come.
        given_out = [(low, min(high, top)) for low, high in within if low <= top]
        return SequenceSet(tuple(gaps(given_out, self.uids)))

    # -- writing ------------------------------------------------------------------------------------------------------

    def _require_write(self) -> None:
        if self.is_read_only:
            raise MailError(ErrorKind.READ_ONLY, "The mailbox is open for reading only.")

    async def store(
        self, uids: Sequence[int], action: StoreAction, flags: Sequence[str], unchanged_since: int | None = None
    ) -> StoreOutcome:
        """Change flags; what `catch_up` tells afterwards is only what others did.

        Raises:
            MailError: nothing was changed.
        """
        self._require_write()
        store = FlagStore(self._mailbox, self._engine, self._transfer, self._changed)
        return await store.run(uids, action, flags, unchanged_since)

    async def store_labels(
        self, uids: Sequence[int], action: StoreAction, labels: Sequence[Label], unchanged_since: int | None = None
    ) -> StoreOutcome:
        """Change labels (X-GM-EXT-1); see `LabelWriter.store`. Messages that are gone are passed over.

        Raises:
            MailError: nothing was changed.
        """
        self._require_write()
        modified = [] if unchanged_since is None else self.changed_since(unchanged_since, uids)
        left_alone = set(modified)
        columns = self._mailbox.columns
        found = ((uid, columns.index(uid)) for uid in uids if uid not in left_alone)
        wanted = {columns.message_ids[position]: uid for uid, position in found if position is not None}
        writer = LabelWriter(self._engine, self._mailbox.row)
        await writer.store(wanted, action, labels)
        await self._transfer.written(writer.touched)
        return StoreOutcome(modified, sorted(writer.failed), writer.error)

    async def copy(self, uids: Sequence[int], destination: str, *, is_move: bool) -> CopyOutcome:
        """Copy or move messages to another mailbox, of whichever account.

        Raises:
            MailError: nothing was done; NO_SUCH_DESTINATION if the mailbox does not exist.
        """
        if is_move:
            self._require_write()
        outcome = await self._transfer.copy(self._mailbox.row, uids, destination, is_move=is_move)
        await self._mailbox.refresh()
        return outcome

    async def expunge(self, uids: Sequence[int] | None = None, *, only_deleted: bool = True) -> ExpungeOutcome:
        """Remove the messages marked \\Deleted, of the UIDs given or all; without `only_deleted` whatever their flags.

        Raises:
            MailError: nothing was removed.
        """
        self._require_write()
        among = self.uids if uids is None else uids
        deleted = self._deleted() if only_deleted else among
        marked = [uid for uid in among if uid in deleted]
        if not marked:
            return ExpungeOutcome()
        try:
            result = await self._engine.expunge(self._mailbox.row, marked, only_deleted=only_deleted)
        except ConnectorError as error:
            raise from_connector(error) from error
        await self._mailbox.refresh()
        await self._transfer.written(result.touched)
        return ExpungeOutcome(result.removed, result.failed, from_connector(result.error) if result.error else None)

    def _deleted(self) -> set[int]:
        columns, flag_sets = self._mailbox.columns, self._mailbox.flag_sets
        numbers = {number for number in set(columns.flag_sets) if "\\Deleted" in flag_sets[number].names()}
        return {uid for uid, number in zip(columns.uids, columns.flag_sets, strict=True) if number in numbers}

    def close(self) -> None:
        """Leave the mailbox. May be called twice."""
        if self._is_open:
            self._is_open = False
            self._bell = None
            self._mailbox.detach(self)
            self._transfer.view_closed(self)

    # -- what the open mailbox tells ----------------------------------------------------------------------------------

    def entries_changed(self, uids: frozenset[int]) -> None:
        self._changed.add(uids)
        if self._touched is not None:
            self._touched.add(uids)
        self._ring()

    def entries_removed(self, entries: list[Entry]) -> None:
        self._expunged.update(entry.uid for entry in entries if self.sequence_number(entry.uid) is not None)
        self._ring()

    def entries_added(self, lowest_uid: int) -> None:
        if lowest_uid <= max(self._top, self.uids[-1] if self.uids else 0):
            # The backend let a message appear below one that this client knows: its numbers cannot be put right.
            self.is_defunct = True
        self._ring()

    def became_defunct(self) -> None:
        self.is_defunct = True
        self._ring()

    def holds(self, uid: int) -> bool:
        return self.sequence_number(uid) is not None

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell()
