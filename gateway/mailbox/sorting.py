"""SORT and THREAD of an open mailbox, from keys kept in the store: one query for each, without objects per message.

What a query gave is kept in columns beside the mailbox as long as its messages are the same, as keys never change.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from connectors.api import errors
from gateway.errors import from_connector
from gateway.mailbox.completer import Completer, Needs
from gateway.mailbox.fetch import BLOCK_ROWS
from gateway.mailbox.search import Found
from gateway.mailbox.sorted_columns import SortedColumns
from gateway.message import threads
from gateway.message.long_sort import SORTED_AT_ONCE, long_sort
from gateway.message.sort_keys import SortKeys
from gateway.message.sort_keys import sort_keys as keys_of
from gateway.store import outlines
from gateway.store import sort_keys as store
from gateway.wire.sort import SortCriterion, SortField, ThreadAlgorithm

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

_FROM_LISTING: Final = frozenset({SortField.ARRIVAL, SortField.SIZE})
"""What is sorted without having read anything of the messages."""

_FREED_AT_ONCE = 5_000
"""Rows that are freed in one step: some milliseconds, in which nothing else runs, in whatever thread."""

_ALGORITHMS: Final[dict[ThreadAlgorithm, Callable[[threads.Columns, Sequence[int]], threads.Threads]]] = {
    ThreadAlgorithm.ORDEREDSUBJECT: threads.by_subject,
    ThreadAlgorithm.REFERENCES: threads.by_references,
    ThreadAlgorithm.REFS: threads.by_references_only,
}


class Sorter:
    """Sorts and threads the messages of one mailbox."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._store = engine.context.store

    async def order(self, criteria: tuple[SortCriterion, ...]) -> tuple[array[int], array[int]]:
        """Return the UIDs of the mailbox, ascending, and the places in them in the order asked for.

        Raises:
            MailError: headers have to be read, and the backend cannot give them now.
        """
        fields = {criterion.field for criterion in criteria}
        if fields & _FROM_LISTING:
            await self._have_listed(date=SortField.ARRIVAL in fields, size=SortField.SIZE in fields)
        found = await self._with_keys() if fields - _FROM_LISTING else self._present()
        columns, uids = self._mailbox.columns, found.uids
        if criteria not in found.orders:
            ranks = {SortField.ARRIVAL: columns.internal_dates[:], SortField.SIZE: columns.sizes[:]}
            for field in fields - _FROM_LISTING:
                ranks[field] = await self._ranks(found, field)
            order = array("I", range(len(uids)))
            # Each pass keeps the order of the one before among equals: the last criterion is sorted by first.
            for criterion in reversed(criteria):
                order = await sorted_by(order, ranks[criterion.field], is_reversed=criterion.is_reversed)
                await asyncio.sleep(0)
            if found.uids is not uids:
                return uids, order
            found.orders[criteria] = order
        return uids, found.orders[criteria]

    async def sorted_numbers(self, hits: Found, criteria: tuple[SortCriterion, ...], *, is_uid: bool) -> Sequence[int]:
        """Return what was found in the order asked for, as UIDs or as sequence numbers.

        Raises:
            MailError: headers have to be read, and the backend cannot give them now.
        """
        uids, order = await self.order(criteria)
        if hits.known != uids:
            called = _called(hits, is_uid=is_uid)
            return [called[uid] for uid in (uids[place] for place in order) if uid in called]
        octets = hits.marks.octets
        places = order if hits.marks.count() == len(octets) else [place for place in order if octets[place]]
        return [uids[place] for place in places] if is_uid else [place + 1 for place in places]

    async def threaded(
        self, hits: Found, algorithm: ThreadAlgorithm, *, is_uid: bool
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Return threads of what was found, as tokens of `gateway.wire.write_sort`, and what each place is called.

        Raises:
            MailError: headers have to be read, and the backend cannot give them now.
        """
        found = await self._with_keys()
        uids = found.uids
        if hits.known == uids:
            chosen = list(hits.marks.select(range(len(uids))))
            numbers: Sequence[int] = uids if is_uid else range(1, len(uids) + 1)
        else:
            called = _called(hits, is_uid=is_uid)
            chosen = [place for place, uid in enumerate(uids) if uid in called]
            numbers = [called.get(uid, 0) for uid in uids]
        return await self._tokens(found, algorithm, chosen), numbers

    async def _tokens(self, found: SortedColumns, algorithm: ThreadAlgorithm, chosen: Sequence[int]) -> array[int]:
        uids = found.uids
        is_whole = len(chosen) == len(uids)
        if is_whole and algorithm in found.threads:
            return found.threads[algorithm]
        rows = await self._store.read_bulk(lambda tx: store.thread_rows(tx, self._mailbox.id))
        tokens = await asyncio.to_thread(_threaded, rows, uids, algorithm, chosen)
        if is_whole and found.uids is uids:
            found.threads[algorithm] = tokens
        return tokens

    async def _ranks(self, found: SortedColumns, field: SortField) -> array[int]:
        uids = found.uids
        ranks = found.ranks.get(field)
        if ranks is None:
            rows = await self._store.read_bulk(lambda tx: store.ranks(tx, self._mailbox.id, field))
            ranks = await asyncio.to_thread(_aligned, rows, uids)
            if found.uids is uids:
                found.ranks[field] = ranks
        return ranks

    async def _have_listed(self, *, date: bool, size: bool) -> None:
        """See to it that dates and sizes of every message are known; most backends list them."""
        columns = self._mailbox.columns
        lacking = sorted({*(columns.without_date() if date else ()), *(columns.without_size() if size else ())})
        completer = Completer(self._mailbox, self._engine)
        for start in range(0, len(lacking), BLOCK_ROWS):
            entries = [entry for uid in lacking[start : start + BLOCK_ROWS] if (entry := self._mailbox.find(uid))]
            try:
                await completer.complete(entries, Needs(date=date, size=size))
            except errors.ConnectorError as error:
                raise from_connector(error) from error

    def _present(self) -> SortedColumns:
        return self._mailbox.sorted_columns.of(self._mailbox.columns.uids)

    async def _with_keys(self) -> SortedColumns:
        """Return the columns of what is there, once the keys of all of it are known."""
        found = self._present()
        if not found.has_keys:
            uids = found.uids
            await self._have_keys()
            found = self._present()
            # Of what came meanwhile they may be missing: it is sorted as if it had none, and looked at the next time.
            found.has_keys = found.uids is uids
        return found

    async def _have_keys(self) -> None:
        """See to it that the keys of every message are known, those of mail read by an earlier version too."""
        completer = Completer(self._mailbox, self._engine)
        after_uid = 0
        while missing := await self._store.read_bulk(
            lambda tx, after=after_uid: store.missing(tx, self._mailbox.id, after, BLOCK_ROWS)  # type: ignore[misc]
        ):
            entries = [entry for uid, _ in missing if (entry := self._mailbox.find(uid)) is not None]
            try:
                await completer.complete(entries, Needs(envelope=True))
            except errors.ConnectorError as error:
                raise from_connector(error) from error
            ids = [message_id for _, message_id in missing]
            headers = await self._store.read_bulk(lambda tx, ids=ids: outlines.header_values(tx, ids))  # type: ignore[misc]
            keys = await asyncio.to_thread(_keys, headers)
            await self._store.write(lambda tx, keys=keys: store.save_existing(tx, keys))  # type: ignore[misc]
            after_uid = missing[-1][0]


def _called(hits: Found, *, is_uid: bool) -> dict[int, int]:
    """Return what each message found is called by the client, by UID."""
    uids = hits.uids()
    return dict(zip(uids, uids if is_uid else hits.sequence_numbers(), strict=True))


def _keys(headers: dict[int, bytes]) -> list[tuple[int, SortKeys]]:
    return [(message_id, keys_of(header)) for message_id, header in headers.items()]


async def sorted_by(order: array[int], ranks: Sequence[int], *, is_reversed: bool) -> array[int]:
    """Return places by their ranks, equals in the order they have; many of them in a thread."""
    if len(order) <= SORTED_AT_ONCE:
        return array("I", long_sort(order, ranks, is_reversed=is_reversed))
    return array("I", await asyncio.to_thread(long_sort, order, ranks, is_reversed=is_reversed))


def _aligned(rows: Sequence[tuple[int, int]], uids: array[int]) -> array[int]:
    """Return the ranks of the UIDs; what came or went while the query ran is passed over."""
    if len(rows) == len(uids) and array("I", [uid for uid, _ in rows]) == uids:
        return array("I", [rank for _, rank in rows])
    known = dict(rows)
    return array("I", [known.get(uid, 0) for uid in uids])


def _threaded(
    rows: list[store.ThreadRow], uids: array[int], algorithm: ThreadAlgorithm, chosen: Sequence[int]
) -> array[int]:
    """Return the tokens of the threads; `rows` are used up."""
    columns = _thread_columns(rows, uids)
    tokens = threads.tokens(_ALGORITHMS[algorithm](columns, chosen))
    # The rows last, as they hold all that the columns do.
    del columns
    while rows:
        del rows[-_FREED_AT_ONCE:]
    return tokens


def _thread_columns(rows: Sequence[store.ThreadRow], uids: array[int]) -> threads.Columns:
    known = {row[0]: row for row in rows} if [row[0] for row in rows] != list(uids) else None
    aligned = rows if known is None else [known.get(uid, (uid, 0, "", 0, "", "")) for uid in uids]
    return threads.Columns(
        [row[1] for row in aligned],
        [row[2] for row in aligned],
        [row[3] for row in aligned],
        [row[4] for row in aligned],
        [row[5] for row in aligned],
    )
