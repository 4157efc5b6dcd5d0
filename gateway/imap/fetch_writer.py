"""Write the answers of FETCH: rows by template, bodies streamed, in blocks, with the client setting the pace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from gateway.errors import ErrorKind, MailError
from gateway.imap.decoded import Decoded
from gateway.imap.endings import ConnectionLost
from gateway.imap.fetch_plan import WHOLE, BinaryItem, BodyItem, FetchPlan, RowItem
from gateway.imap.output import BLOCK
from gateway.imap.session import Session
from gateway.mailbox.column_block import Column
from gateway.mailbox.fetch import Body, FetchRow
from gateway.message.binary import UnknownEncoding
from gateway.message.sections import Span, locate
from gateway.store.errors import is_fault
from gateway.wire import write_fetch
from gateway.wire.commands import StoreAction
from gateway.wire.flags import SEEN

log = logging.getLogger(__name__)

CHUNK = 4 * BLOCK
"""Octets of a body that are read, written and then waited for at a time."""

COLUMN_ROWS = 1000
"""Messages that are written at a time where the columns hold all that is asked for: about a millisecond's work."""

TEXT_ROWS = 128
"""Messages that are written at a time where texts are read from the store besides: as much work again."""

FEW_ROWS = 50
"""So few rows are written in a moment. A screen of a phone has fewer."""

# These concern the account and not one message: the next would fail as well.
_HOPELESS = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.RATE_LIMITED, ErrorKind.AUTH_EXPIRED})


class FetchWriter:
    """Writes what one FETCH asks for. Afterwards `missing` says how many messages had nothing to show any more, `error`
    what went wrong with the first of those that could not be shown, and `has_unknown_encoding` whether something was
    to be decoded that could not be."""

    def __init__(self, session: Session, plan: FetchPlan) -> None:
        self._session = session
        self._plan = plan
        self._view = session.require_view()
        self.missing = 0
        self.error: MailError | None = None
        self.has_unknown_encoding = False

    async def write(self, uids: Sequence[int]) -> None:
        """Write the messages, ascending.

        Raises:
            MailError: the backend is needed and cannot be reached.
            ConnectionLost: the client is gone, or a body could not be read to its announced end.
        """
        columns = self._plan.columns()
        if columns is None:
            shown = await self._write_by_row(uids)
        else:
            shown = await self._write_by_block(uids, columns)
        self.missing = len(uids) - shown

    async def _write_by_block(self, uids: Sequence[int], columns: Collection[Column]) -> int:
        """Write what columns and texts hold, and row by row where they do not; return how many were shown."""
        write_block = self._plan.block_writer()
        most = TEXT_ROWS if any(column.is_text for column in columns) else COLUMN_ROWS
        shown = start = 0
        while start < len(uids):
            part = uids[start : start + most]
            block = await self._view.block(part, columns)
            if block is None:
                # Bodies that are not at hand are read ahead of their turn by whoever knows of all.
                part = uids[start:] if self._plan.needs.body else part
                shown += await self._write_by_row(part)
            elif not len(block):
                part = part[:1]
                shown += await self._write_by_row(part)
            else:
                part = part[: len(block)]
                self._session.write(write_block(block))
                shown += len(part)
                await self._end_block(part)
            start += len(part)
        return shown

    async def _write_by_row(self, uids: Sequence[int]) -> int:
        write_row = self._plan.row_writer()
        shown_in_all = 0
        async for block in self._view.fetch(uids, self._plan.needs):
            # A size that could not be found out cannot be written.
            rows = [row for row in block if row.size >= 0] if self._plan.needs.size else block
            if write_row is not None:
                shown = rows
                self._write_rows(rows, write_row)
            else:
                shown = [row for row in rows if await self._write_with_body(row)]
            shown_in_all += len(shown)
            await self._end_block([row.uid for row in shown])
        return shown_in_all

    async def _end_block(self, shown: Sequence[int]) -> None:
        """Wait for a slow client; and even if it keeps up with us, the others are to have their turn.

        Not for a few rows: they leave in one packet with the tagged line.
        """
        await self._session.drain()
        if self._plan.marks_seen and not self._view.is_read_only:
            await self._mark_seen(shown)
        if len(shown) > FEW_ROWS:
            await asyncio.sleep(0)

    def _write_rows(self, rows: Sequence[FetchRow], write_row: Callable[[FetchRow], bytes]) -> None:
        self._session.write(b"".join(map(write_row, rows)))

    async def _write_with_body(self, row: FetchRow) -> bool:
        """Write one message; False if its body cannot be had."""
        assert row.body is not None, "the plan asked for it"
        try:
            # Opened before the line is begun: afterwards there is no way back.
            body = await row.body.__aenter__()
        except MailError as error:
            if error.kind in _HOPELESS:
                raise
            if error.kind is not ErrorKind.NOT_FOUND:
                log.warning("UID %d of %s cannot be shown: %s", row.uid, self._view.name, error.operator_text)
                self.error = self.error or error
            return False
        try:
            # This too is found out before the line is begun.
            decoded = [
                Decoded(body, item.part, item.partial) for item in self._plan.items if isinstance(item, BinaryItem)
            ]
            with self._session.inside_line():
                await self._write_line(row, body, decoded)
        except UnknownEncoding as error:
            log.info("UID %d of %s: %s", row.uid, self._view.name, error)
            self.has_unknown_encoding = True
            return False
        except ConnectionLost:
            raise
        except Exception as error:
            # The client has been promised octets that will not come; only a new connection is in step again.
            log.error("UID %d of %s broke off: %s", row.uid, self._view.name, error, exc_info=is_fault(error))
            self._session.connection.abort()
            raise ConnectionLost from error
        finally:
            await row.body.__aexit__(None, None, None)
        await self._session.drain()
        return True

    async def _write_line(self, row: FetchRow, body: Body, decoded: Iterable[Decoded]) -> None:
        self._session.write(self._plan.open_line(row))
        rest = iter(decoded)
        for position, item in enumerate(self._plan.items):
            if position:
                self._session.write(b" ")
            if isinstance(item, RowItem):
                self._session.write(item.render(row))
            elif isinstance(item, BinaryItem):
                await self._write_decoded(item, next(rest))
            else:
                await self._write_item(item, body)
        self._session.write(write_fetch.CLOSE_LINE)

    async def _write_decoded(self, item: BinaryItem, content: Decoded) -> None:
        if content.is_missing:
            # The grammar has no NIL for a size (RFC 9051 section 9, `msg-att-static`).
            self._session.write(item.name + (b" 0" if item.is_size else b" NIL"))
            return
        await content.measure()
        if item.is_size:
            self._session.write(b"%b %d" % (item.name, content.size))
            return
        start = write_fetch.literal_start(content.length, is_binary=content.has_nul)
        self._session.write(b"%b %b" % (item.name, start))
        async for piece in content.wanted():
            self._session.write(piece)
            await self._session.drain()

    async def _write_item(self, item: BodyItem, body: Body) -> None:
        place = Span(0, body.size) if item.section == WHOLE else locate(body.part, item.section, body.buffer)
        if place is None:
            self._session.write(item.name + b" NIL")
            return
        size = place.length if isinstance(place, Span) else len(place)
        start, length = 0, size
        if item.partial is not None:
            start = min(item.partial[0], size)
            length = min(item.partial[1], size - start)
        self._session.write(b"%b %b" % (item.name, write_fetch.literal_start(length)))
        if isinstance(place, Span):
            await self._stream(body, place.offset + start, length)
        else:
            self._session.write(write_fetch.literal_octets(place[start : start + length]))

    async def _stream(self, body: Body, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            data = await body.read(offset, min(CHUNK, end - offset))
            if not data:
                raise OSError(f"the body ends {end - offset} octets early")
            offset += len(data)
            self._session.write(write_fetch.literal_octets(data))
            await self._session.drain()
            # The others have their turn even if neither the disk nor the client keeps us waiting.
            await asyncio.sleep(0)

    async def _mark_seen(self, shown: Sequence[int]) -> None:
        """Set \\Seen on what was shown without PEEK, and tell. Done behind the bodies: nobody should wait for it.

        The text was delivered, so a failure is not one of FETCH.
        """
        unseen = [row.uid for row in self._view.flag_rows(shown) if b"\\Seen" not in row.flags]
        if not unseen:
            return
        try:
            outcome = await self._view.store(unseen, StoreAction.ADD, (SEEN,), None)
        except MailError as error:
            log.info("%s: not marked as read: %s", self._view.name, error.operator_text)
            return
        left_out = {*outcome.failed, *outcome.modified}
        self._session.tell_flags(self._view.flag_rows([uid for uid in unseen if uid not in left_out]))
