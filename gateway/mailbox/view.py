"""One selected mailbox of one session: the snapshot of it, with all that can be asked of it and done to it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Sequence
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
from gateway.mailbox.read_ahead import ReadAhead
from gateway.mailbox.search import Found, Searcher
from gateway.mailbox.search_ground import Scope
from gateway.mailbox.snapshot import Snapshot
from gateway.mailbox.sorted_places import SortedPlaces
from gateway.mailbox.sorting import Sorter
from gateway.mailbox.texts import TextReader
from gateway.mailbox.transfer import CopyOutcome, Transfer
from gateway.mailbox.updating import UpdatingSearch
from gateway.store import tombstones
from gateway.sync.engine import AccountEngine
from gateway.wire.commands import StoreAction
from gateway.wire.flags import SYSTEM_FLAGS
from gateway.wire.gmail import Label
from gateway.wire.search import SearchKey
from gateway.wire.sequence_set import SequenceSet, gaps
from gateway.wire.sort import SortCriterion

__all__ = ["ExpungeOutcome", "FlagRow", "StoreOutcome", "View", "ViewChanges"]

USUAL_KEYWORDS = ("$Forwarded", "$Junk", "$MDNSent", "$NotJunk")
"""Always listed in FLAGS: Thunderbird uses $Forwarded only where it is announced (RFC 5788 registers them)."""


@lru_cache(maxsize=256)
def _defined(keywords: frozenset[str]) -> tuple[str, ...]:
    return (*SYSTEM_FLAGS, *sorted({*USUAL_KEYWORDS, *keywords}))


class View(Snapshot):
    """What the commands of a session work on; nothing is done to messages that its client was not told of.

    Close it when the session leaves the mailbox.
    """

    def __init__(
        self, name: str, mailbox: OpenMailbox, engine: AccountEngine, transfer: Transfer, *, is_read_only: bool
    ) -> None:
        super().__init__(mailbox, is_read_only=is_read_only)
        self.name = name
        self._engine = engine
        self._transfer = transfer
        self._ahead = ReadAhead(mailbox, engine)
        self._texts = TextReader(mailbox, engine)

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
    def first_unseen(self) -> int | None:
        """The sequence number of the first message without \\Seen."""
        columns = self._mailbox.columns
        position = columns.first_with(self._mailbox.flag_sets.unseen)
        return None if position is None else self.sequence_number(columns.uids[position])

    # -- messages -----------------------------------------------------------------------------------------------------

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
            super().close()
            self._transfer.view_closed(self)
