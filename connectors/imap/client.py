"""One connection to an IMAP server: commands out, replies in.

A connection runs one command at a time. Whatever the server sends meanwhile goes to the state of the selected mailbox,
whichever command is running. After a time-out, a BYE, the end of the stream, a reply against the grammar or a cancelled
command the connection is closed and never used again, since nobody knows what the next octets belong to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future

from connectors.api.errors import ConnectorError, OutcomeUnknown
from connectors.api.types import MailboxRef, MessageContent
from connectors.imap import names
from connectors.imap.errors import ConnectionLost, MalformedReply, from_session, from_status, shown_line
from connectors.imap.exchange import Exchange, Listed, LiteralSink, Reply
from connectors.imap.mailbox_state import SelectedMailbox, after_closed
from connectors.imap.sheaf import Sheaf
from connectors.imap.transport import Transport
from gateway.wire.codes import Status
from gateway.wire.command_writer import Argument, CommandWriter, LiteralMode, Segment, Text, UnsafeArgument
from gateway.wire.response_reader import ResponseReader, ResponseStreamError
from gateway.wire.responses import (
    CapabilityData,
    ContinuationRequest,
    EnabledData,
    Event,
    LiteralChunk,
    LiteralStart,
    MalformedData,
    Response,
    StatusResponse,
    TaggedResponse,
)

_SLICE_OCTETS = 32 * 1024


class Connection:
    """See the module. `where` names the server in texts for the operator.

    `has_rested` says that the connection was lent out before, so that it may have died unnoticed; kept by the pool, as
    is `last_used`, in seconds of the loop's clock, by the connection.
    """

    def __init__(self, transport: Transport, where: str) -> None:
        self.where = where
        self.capabilities: frozenset[str] = frozenset()
        self.enabled: frozenset[str] = frozenset()
        self.mailbox: SelectedMailbox | None = None
        self.has_rested = False
        self.last_used = asyncio.get_running_loop().time()
        self._transport = transport
        self._reader = ResponseReader()
        self._writer = CommandWriter()
        self._pending = b""
        self._tag_number = 0
        self._is_broken = False
        self._is_logging_out = False

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def is_usable(self) -> bool:
        """Whether a command may be sent: no failure so far, and the server has not ended the stream."""
        return not self._is_broken and not self._transport.is_ended

    def can(self, *capabilities: str) -> bool:
        """Tell whether the server offers all of these; IMAP4rev2 includes much (RFC 9051 appendix E)."""
        return all(name in self.capabilities for name in capabilities)

    @property
    def has_condstore(self) -> bool:
        return "CONDSTORE" in self.capabilities or self.has_qresync

    @property
    def has_qresync(self) -> bool:
        """Whether QRESYNC is on: offered alone is not enough, some servers do not answer ENABLE with it."""
        return "QRESYNC" in self.enabled

    def set_capabilities(self, capabilities: frozenset[str]) -> None:
        self.capabilities = capabilities
        if "LITERAL+" in capabilities:
            self._writer.mode = LiteralMode.PLUS
        elif "LITERAL-" in capabilities or "IMAP4REV2" in capabilities:
            self._writer.mode = LiteralMode.MINUS
        else:
            self._writer.mode = LiteralMode.SYNCHRONISING

    def abort(self) -> None:
        """Drop the connection; it must not be used any more."""
        self._is_broken = True
        self._transport.abort()

    async def close(self) -> None:
        """Log out politely if that can be, and close. Never raises."""
        if self.is_usable:
            self._is_logging_out = True
            try:
                async with asyncio.timeout(2.0):
                    await self.run(b"LOGOUT")
            except (ConnectorError, TimeoutError):
                pass
        self._is_broken = True
        await self._transport.close()

    # -- commands -----------------------------------------------------------------------------------------------------

    async def run(
        self,
        name: bytes,
        *arguments: Argument,
        contents: Sequence[MessageContent] = (),
        on_literal: Callable[[LiteralStart], LiteralSink] | None = None,
        is_write: bool = False,
        leave: Future[None] | None = None,
    ) -> Reply:
        """Send a command and return the reply to it, which is OK.

        `contents` are sent, in order, where an argument is a `Message`. `on_literal` is asked where to put each large
        literal; without it they are held in memory. `is_write` says that a reply that does not come leaves the outcome
        unknown. The last octet of the last content is sent once there is `leave`.

        Raises:
            ConnectionLost: nothing was done; or, with `is_write` false, it does not matter.
            OutcomeUnknown: the connection was lost after all had been sent.
            ConnectorError: the server answered NO or BAD.
        """
        reply = await self.attempt(
            name, *arguments, contents=contents, on_literal=on_literal, is_write=is_write, leave=leave
        )
        if reply.status is not Status.OK:
            raise self.error(name, reply)
        return reply

    async def attempt(
        self,
        name: bytes,
        *arguments: Argument,
        contents: Sequence[MessageContent] = (),
        on_literal: Callable[[LiteralStart], LiteralSink] | None = None,
        is_write: bool = False,
        leave: Future[None] | None = None,
    ) -> Reply:
        """Do as `run`, but return the reply whether it is OK, NO or BAD."""
        exchange, segments = self._begin(name, arguments, on_literal)
        try:
            reply = await self._send(segments, exchange, contents, leave)
            while reply is None:
                reply = await self._advance(exchange)
            return reply
        except ConnectionLost as exc:
            self.abort()
            if is_write and exchange.is_sent:
                raise OutcomeUnknown(f"{self.what(name)}: {exc.operator_text}") from exc
            raise
        except BaseException:
            self.abort()
            raise
        finally:
            self.last_used = asyncio.get_running_loop().time()

    async def list_rows(self, uids: bytes, items: bytes) -> Listed:
        """Fetch what a listing of the mailbox consists of: the `items` UID, FLAGS, INTERNALDATE and RFC822.SIZE.

        Raises:
            ConnectionLost: the reply is not complete.
            ConnectorError: the server answered NO or BAD.
        """
        exchange, segments = self._begin(b"UID FETCH", (uids, items), None)
        listed = Listed()
        try:
            reply = await self._send(segments, exchange)
            while reply is None:
                reply = await self._advance(exchange)
                listed.others += [(len(listed.rows), response) for response in exchange.take()]
                listed.rows += self._reader.take_rows()
            listed.order = self._reader.row_order
        except BaseException:
            self.abort()
            raise
        finally:
            self.last_used = asyncio.get_running_loop().time()
        if reply.status is not Status.OK:
            raise self.error(b"UID FETCH", reply)
        return listed

    async def stream(
        self, name: bytes, *arguments: Argument, on_literal: Callable[[LiteralStart], LiteralSink]
    ) -> AsyncGenerator[Response, None]:
        """Send a command that changes nothing and yield the responses as they come.

        The connection is read no further than the response that was asked for, so that a slow caller slows the server
        down. Large literals of a response have gone where `on_literal` said when the response is yielded. The rest of
        a reply that is not wanted to its end cannot be called off, so closing the iterator early closes the connection.

        Raises:
            ConnectionLost: the reply is not complete.
            ConnectorError: the reply ended in NO or BAD, whatever had come before.
        """
        exchange, segments = self._begin(name, arguments, on_literal)
        reply = None
        try:
            reply = await self._send(segments, exchange)
            while reply is None:
                reply = await self._advance(exchange)
                for response in exchange.take():
                    yield response
        finally:
            if reply is None:
                self.abort()
            self.last_used = asyncio.get_running_loop().time()
        if reply.status is not Status.OK:
            raise self.error(name, reply)

    def error(self, name: bytes, reply: Reply) -> ConnectorError:
        """Return the error for a reply that is NO or BAD; one that says the session is lost ends the connection."""
        error = from_session(self.what(name), reply.status, reply.code, reply.text)
        if isinstance(error, ConnectionLost):
            self.abort()
        return error

    async def select(self, ref: MailboxRef) -> SelectedMailbox:
        """Select a mailbox.

        Raises:
            NotFound, Denied, Rejected: it cannot be; then none is selected.
        """
        old, new = self.mailbox, SelectedMailbox(ref)
        self.mailbox = new
        arguments: list[Argument] = [Text(names.ref_to_wire(ref))]
        if self.has_condstore and not self.enabled & {"CONDSTORE", "QRESYNC"}:
            arguments.append(b"(CONDSTORE)")
        try:
            reply = await self.run(b"SELECT", *arguments)
        except BaseException:
            self.mailbox = None
            raise
        if old is not None:
            end = TaggedResponse(b"", reply.status, reply.code, reply.text)
            self.mailbox = after_closed(new, reply.responses, end)
        return new

    # -- what is said outside commands (see connectors.imap.login and connectors.imap.idle) ----------------------------

    def next_tag(self) -> bytes:
        """Return the tag for the next command.

        Raises:
            ConnectionLost: none may be sent any more.
        """
        if not self.is_usable:
            raise ConnectionLost(f"the connection to {self.where} is closed")
        self._tag_number += 1
        return b"G%d" % self._tag_number

    async def next_event(self, timeout_s: float | None = None) -> Event:
        """Return what the server says next, in small pieces where it is long; pass it to `note`.

        Raises:
            SilentServer: nothing came for `timeout_s` seconds, or for as long as the settings say.
            ConnectionLost: BYE, the end of the stream, or what is no IMAP.
        """
        while True:
            try:
                event = self._reader.next_event()
            except ResponseStreamError as exc:
                raise MalformedReply(f"{self.where}: {exc}") from exc
            if event is not None:
                if isinstance(event, StatusResponse) and event.status is Status.BYE and not self._is_logging_out:
                    raise ConnectionLost(f"{self.where} said BYE: {event.text}")
                return event
            if self._pending:
                # Let others run while a long reply is read.
                await asyncio.sleep(0)
            else:
                self._pending = await self._transport.read(timeout_s)
                if not self._pending:
                    torn = "" if self._reader.is_between_responses else " in the middle of a response"
                    raise ConnectionLost(f"{self.where} closed the connection{torn}")
            self._reader.feed(self._pending[:_SLICE_OCTETS])
            self._pending = self._pending[_SLICE_OCTETS:]

    def note(self, event: Event) -> bool:
        """Take note of what concerns the connection or the mailbox; return whether the mailbox has changed.

        Raises:
            MalformedReply: it is against the grammar.
        """
        match event:
            case MalformedData(reason, line):
                raise MalformedReply(f"{self.where} sent what is no IMAP ({reason}): {shown_line(line)}")
            case CapabilityData(capabilities):
                self.set_capabilities(capabilities)
            case EnabledData(capabilities):
                self.enabled |= capabilities
            case LiteralStart() | LiteralChunk() | ContinuationRequest():
                pass
            case _:
                return self.mailbox is not None and self.mailbox.apply(event)
        return False

    def what(self, name: bytes) -> str:
        """Return how texts for the operator call a command that is run now."""
        mailbox = f" ({names.readable(self.mailbox.ref)})" if self.mailbox is not None else ""
        return f"{name.decode('ascii')} at {self.where}{mailbox}"

    async def converse(self, name: bytes, first: bytes | None, answer: Callable[[bytes], bytes]) -> Reply:
        """Run AUTHENTICATE `name`: send `first` at once if it is given, and answer each challenge. All in base64."""
        tag = self.next_tag()
        exchange = Exchange(tag, None)
        line = tag + b" AUTHENTICATE " + name + (b"" if first is None else b" " + (first or b"=")) + b"\r\n"
        try:
            self._transport.send(line)
            while True:
                await self._transport.drain()
                reply = await self._until_asked(exchange)
                if reply is not None:
                    return reply
                self._transport.send(answer(exchange.challenge) + b"\r\n")
        except BaseException:
            self.abort()
            raise

    @property
    def transport(self) -> Transport:
        return self._transport

    def forget_input(self) -> None:
        """Drop whatever has arrived and was not read, as after STARTTLS, with all that was said before."""
        self._pending = b""
        self._reader.discard_input()
        self.set_capabilities(frozenset())

    # -- inside -------------------------------------------------------------------------------------------------------

    def _begin(
        self, name: bytes, arguments: Sequence[Argument], on_literal: Callable[[LiteralStart], LiteralSink] | None
    ) -> tuple[Exchange, Sequence[Segment]]:
        tag = self.next_tag()
        try:
            segments = self._writer.encode(tag, name, arguments)
        except UnsafeArgument as exc:
            raise from_status(f"{self.what(name)} not sent", Status.NO, None, str(exc)) from exc
        return Exchange(tag, on_literal), segments

    async def _send(
        self,
        segments: Sequence[Segment],
        exchange: Exchange,
        contents: Sequence[MessageContent] = (),
        leave: Future[None] | None = None,
    ) -> Reply | None:
        """Send all segments; return a reply only if the server ended the command before all was sent."""
        rest = iter(contents)
        sheaf = Sheaf(self._transport)
        for position, segment in enumerate(segments):
            is_last = position == len(segments) - 1
            if is_last and leave is not None:
                await sheaf.wait_for(leave)
            sheaf.add(segment.data)
            if is_last or segment.is_asking:
                sheaf.send()
                exchange.is_sent = is_last
                await self._transport.drain()
            if segment.is_asking:
                reply = await self._until_asked(exchange)
                if reply is not None:
                    return reply
            if segment.message_octets is not None:
                await sheaf.add_content(next(rest), segment.message_octets)
        return None

    async def _until_asked(self, exchange: Exchange) -> Reply | None:
        """Read until the server says `+`, and return None; or the reply, if it ends the command instead."""
        while not exchange.is_asked:
            reply = await self._advance(exchange, may_ask=True)
            if reply is not None:
                return reply
        exchange.is_asked = False
        return None

    async def _advance(self, exchange: Exchange, *, may_ask: bool = False) -> Reply | None:
        """Read one event of the exchange; return the reply if the command ends with it."""
        event = await self.next_event()
        match event:
            case ContinuationRequest(text):
                if not may_ask:
                    raise MalformedReply(f"{self.where} asks for data out of turn")
                exchange.challenge = text
                exchange.is_asked = True
            case LiteralStart():
                exchange.begin_literal(event)
            case LiteralChunk(data):
                await exchange.write(data)
            case TaggedResponse():
                self.note(event)
                if event.tag != exchange.tag:
                    raise MalformedReply(f"{self.where} ends a command that was not sent")
                return Reply(event.status, event.code, event.text, exchange.responses)
            case _:
                self.note(event)
                exchange.add(event)
        return None
