"""What FETCH needs beyond the columns, read in blocks: one query and one batch of backend calls for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import TYPE_CHECKING

from connectors.api import errors
from connectors.api.types import MessageRef
from gateway.errors import from_connector
from gateway.mailbox import labelling
from gateway.mailbox.columns import UNKNOWN, Entry
from gateway.mailbox.completer import Completer, Needs
from gateway.mailbox.label_listing import have_listed
from gateway.mailbox.labelling import GmailIds
from gateway.mailbox.near_bodies import NearBodies
from gateway.message.index import decode_index
from gateway.message.octets import Buffer
from gateway.message.part import Part
from gateway.message.scan import scan
from gateway.store import messages, outlines
from gateway.store.database import Transaction
from gateway.store.messages import ObjectIds
from gateway.sync.open_body import MemoryBody, OpenBody
from gateway.sync.schedule import Urgency
from gateway.wire.dates import EARLIEST_SERVED, clamp_for_clients, format_internal_date
from gateway.wire.gmail import Label

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.mailbox.read_ahead import ReadAhead
    from gateway.sync.engine import AccountEngine

__all__ = ["BLOCK_ROWS", "Body", "FetchReader", "FetchRow", "Needs"]

BLOCK_ROWS = 250
"""Rows per block: a query of this size holds the loop up for half a millisecond."""


@dataclass(frozen=True, slots=True)
class FetchRow:
    """One message to be written out. All that is `bytes` is finished for the wire, but for `header`.

    `size` is the exact number of octets, or `UNKNOWN` where it was not asked for. `internal_date` is empty where it was
    not asked for. `header` is the raw header block.
    `email_id` and `thread_id` are the ids of RFC 8474, `gmail_message_id` and `gmail_thread_id` those of X-GM-EXT-1;
    None where they were not asked for or there is none. `save_date` is in Unix seconds, or `UNKNOWN`. `preview` is
    None where it is not at hand.
    """

    sequence_number: int
    uid: int
    flags: bytes
    modseq: int
    internal_date: bytes
    size: int
    envelope: bytes | None
    structure: bytes | None
    header: bytes | None
    body: Body | None
    email_id: str | None = None
    thread_id: str | None = None
    gmail_message_id: int | None = None
    gmail_thread_id: int | None = None
    labels: Sequence[Label] = ()
    save_date: int = UNKNOWN
    preview: str | None = None


class Body:
    """A message's octets, opened with `async with` only when it is their turn to be written."""

    def __init__(self, reader: FetchReader, entry: Entry) -> None:
        self._reader = reader
        self._entry = entry
        self._part: Part | None = None
        self._open: OpenBody | None = None

    async def __aenter__(self) -> Body:
        self._open = await self._reader.open_body(self._entry)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _opened(self) -> OpenBody:
        assert self._open is not None
        return self._open

    @property
    def size(self) -> int:
        return self._opened.size

    @property
    def buffer(self) -> Buffer:
        """The whole message as a buffer, mapped where it is a file."""
        return self._opened.buffer()

    @property
    def part(self) -> Part:
        """The part tree."""
        if self._part is None:
            self._part = self._reader.part_of(self._entry, self._opened)
        return self._part

    async def read(self, offset: int, length: int) -> bytes:
        """Return the octets from `offset`, fewer than `length` at the end."""
        return await self._opened.read(offset, length)


class FetchReader:
    """Reads blocks of messages of one open mailbox."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine, ahead: ReadAhead) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._ahead = ahead
        self._store = engine.context.store
        self._completer = Completer(mailbox, engine)
        self._part_indexes: dict[int, bytes] = {}
        self._refs: dict[int, str] = {}
        self._near = NearBodies(mailbox, engine)
        self._has_gmail_ids = engine.context.account.capabilities.gmail_ids

    async def blocks(self, entries: Sequence[tuple[int, Entry, bytes]], needs: Needs) -> AsyncIterator[list[FetchRow]]:
        """Yield the messages, given as (sequence number, entry, rendered flags), in blocks and in that order.

        A message of which the backend has nothing any more is left out.

        Raises:
            MailError: the backend is needed and cannot be reached.
        """
        for start in range(0, len(entries), BLOCK_ROWS):
            block = entries[start : start + BLOCK_ROWS]
            try:
                yield await self._block(block, needs)
            except errors.ConnectorError as error:
                raise from_connector(error) from error

    async def _block(self, block: Sequence[tuple[int, Entry, bytes]], needs: Needs) -> list[FetchRow]:
        entries = [entry for _, entry, _ in block]
        if needs.body:
            self._refs = await self._completer.refs(entries)
            self._near.expect(entries)
        if needs.labels and self._has_gmail_ids:
            await have_listed(self._engine)
        values = await self._read(entries, needs)
        if _is_lacking(entries, values, needs):
            if await self._completer.complete(entries, needs):
                block = [(number, self._mailbox.find(entry.uid) or entry, flags) for number, entry, flags in block]
            values = await self._read(entries, needs)
        rows = []
        for number, entry, flags in block:
            key = entry.message_id
            if not values.have(key, needs):
                self._missed(entry)
                continue
            email_id, thread_id = values.object_ids.get(key, (None, None))
            gmail_message_id, gmail_thread_id = values.gmail_ids.get(key, (None, None))
            rows.append(
                FetchRow(
                    number,
                    entry.uid,
                    flags,
                    entry.modseq,
                    _date(entry) if needs.date else b"",
                    entry.size,
                    values.envelopes.get(key),
                    values.structures.get(key),
                    values.headers.get(key),
                    Body(self, entry) if needs.body else None,
                    email_id,
                    thread_id,
                    gmail_message_id,
                    gmail_thread_id,
                    values.labels.get(key, ()),
                    entry.save_date,
                    values.previews.get(key),
                )
            )
        return rows

    async def _read(self, entries: Sequence[Entry], needs: Needs) -> _Values:
        """Read what is stored of the messages, and of that what is asked for."""
        values = _Values()
        ids = [entry.message_id for entry in entries]

        async def read(tx: Transaction) -> None:
            if needs.envelope:
                values.envelopes = await outlines.envelopes(tx, ids)
            if needs.structure:
                values.structures = await outlines.structures(tx, ids)
            if needs.header:
                values.headers = await outlines.header_blocks(tx, ids)
            if needs.object_ids:
                values.object_ids = await messages.object_ids(tx, ids)
            if needs.gmail_ids and self._has_gmail_ids:
                values.gmail_ids = await labelling.gmail_ids(tx, ids)
            if needs.preview:
                values.previews = await outlines.previews(tx, ids)
            if needs.labels and self._has_gmail_ids:
                values.labels = await labelling.labels_of(tx, self._mailbox.row, ids)
            if needs.body:
                self._part_indexes = await outlines.part_index(tx, ids)

        is_stored = needs.outline or needs.body or needs.object_ids or needs.gmail_ids or needs.labels or needs.preview
        if is_stored:
            await self._store.read_bulk(read)
        return values

    async def open_body(self, entry: Entry) -> OpenBody:
        """Return the octets of a message.

        Raises:
            MailError: it is gone, or the backend cannot give it now.
        """
        data = await self._near.take(entry)
        if data is not None:
            return MemoryBody(data)
        ref = self._refs.get(entry.message_id, "")
        try:
            await self._ahead.reached(entry.uid)
            body = await self._engine.bodies.open(self._mailbox.row, entry.message_id, MessageRef(ref))
        except errors.NotFound as error:
            # It may have got a new UID just now, and the client is told so as soon as it may be.
            await self._mailbox.refresh()
            self._missed(entry)
            raise from_connector(error) from error
        except errors.ConnectorError as error:
            raise from_connector(error) from error
        if body.size != entry.size:
            self._mailbox.learned_size(entry.uid, body.size)
        return body

    def _missed(self, entry: Entry) -> None:
        """Have the mailbox read if the backend does not have a message any more that is not known to be gone."""
        if self._mailbox.columns.index(entry.uid) is not None:
            self._engine.demand.request(self._mailbox.id, Urgency.PUSHED)

    def part_of(self, entry: Entry, body: OpenBody) -> Part:
        """Return the part tree: as stored, else by scanning."""
        index = self._part_indexes.get(entry.message_id)
        return decode_index(index) if index is not None else scan(body.buffer())


@dataclass(slots=True)
class _Values:
    """What the store has of a block's messages, by message id."""

    envelopes: dict[int, bytes] = field(default_factory=dict)
    structures: dict[int, bytes] = field(default_factory=dict)
    headers: dict[int, bytes] = field(default_factory=dict)
    object_ids: dict[int, ObjectIds] = field(default_factory=dict)
    gmail_ids: dict[int, GmailIds] = field(default_factory=dict)
    labels: dict[int, list[Label]] = field(default_factory=dict)
    previews: dict[int, str] = field(default_factory=dict)

    def have(self, message_id: int, needs: Needs) -> bool:
        """Whether there is all that a line cannot do without."""
        return (
            (not needs.envelope or message_id in self.envelopes)
            and (not needs.structure or message_id in self.structures)
            and (not needs.header or message_id in self.headers)
            and (not needs.object_ids or message_id in self.object_ids)
        )


def _is_lacking(entries: Sequence[Entry], values: _Values, needs: Needs) -> bool:
    """Whether something of the messages has to be found out before they can be shown."""
    if needs.size and any(entry.size == UNKNOWN for entry in entries):
        return True
    if needs.date and any(entry.internal_date == UNKNOWN for entry in entries):
        return True
    if needs.makes_previews and not all(entry.message_id in values.previews for entry in entries):
        return True
    return needs.outline and not all(values.have(entry.message_id, needs) for entry in entries)


def _date(entry: Entry) -> bytes:
    if entry.internal_date == UNKNOWN:
        return format_internal_date(EARLIEST_SERVED)
    try:
        moment = datetime.fromtimestamp(entry.internal_date, timezone(timedelta(minutes=entry.zone)))
    except (OverflowError, ValueError):
        # Beyond the year 9999 in its zone.
        return format_internal_date(EARLIEST_SERVED)
    return format_internal_date(clamp_for_clients(moment))
