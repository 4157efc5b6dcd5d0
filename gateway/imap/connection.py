"""One TCP connection: octets in and out, with backpressure both ways. It knows nothing of what commands mean."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, cast

from gateway.imap.deflate import DeflateError, DeflateLayer
from gateway.imap.endings import ConnectionLost, InputTimeout, ShuttingDown
from gateway.imap.login_time import LoginTime
from gateway.imap.output import Output
from gateway.imap.peer import is_own_machine, peer_address, tune
from gateway.imap.settings import ImapSettings
from gateway.imap.spool import AppendSpool
from gateway.imap.turnstile import Turnstile, resolve
from gateway.tls import certificate_names
from gateway.wire.reader import (
    BadCommand,
    CommandReader,
    ContinuationNeeded,
    FatalError,
    Limits,
    LineTooLong,
    ReadCommand,
)

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """The server's end of a connection.

    Input is kept until it is asked for, so what is pipelined behind DONE or AUTHENTICATE is read by whoever comes
    next. Reading stops while more than `input_high_water` octets wait. Under COMPRESS what waits is counted as it came,
    and is expanded a piece at a time, when it is asked for. What is to be sent is written to `output`.

    One task, made of `serve`, uses a connection; only that task calls the methods below "for the session".
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: ImapSettings,
        serve: Callable[[Connection], Coroutine[Any, Any, None]],
        *,
        is_tls: bool,
        admit: Callable[[Connection], bool] = lambda _: True,
        address: str | None = None,
        server_end_point: bytes | None = None,
        turnstile: Turnstile | None = None,
    ) -> None:
        """`server_end_point` names the certificate of a connection that is TLS (RFC 5929 section 4), if it can be."""
        self._loop = loop
        self._settings = settings
        self._serve = serve
        self._admit = admit
        self._turnstile = turnstile or Turnstile()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_reading = True
        self._is_input_ended = False
        self._is_draining = False
        self._close_timer: asyncio.TimerHandle | None = None
        self._login_time = LoginTime(loop, settings.login_grace_s)
        self.output = Output(loop, settings, self._login_time)
        self._is_rung = False
        self._layer: DeflateLayer | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self.reader = CommandReader(
            Limits(
                line_octets=settings.line_limit,
                literal_octets=settings.literal_limit,
                append_octets=settings.append_limit,
                unasked_octets=settings.unasked_literal_limit,
            ),
            partial(_make_spool, settings),
        )
        self.is_tls = is_tls
        self.server_end_point = server_end_point
        self.address = address or "unknown"
        self._is_address_given = address is not None
        self.octets_received = 0

    # -- for the loop --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not all are asyncio.Transport by inheritance: uvloop's are so by what they do.
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        if not self._is_address_given:
            self.address = peer_address(transport.get_extra_info("peername"))
        tune(transport)
        self.output.use(transport, self.address)
        if not self._admit(self):
            self.output.is_lost = True
            return
        self.begin_login_time()
        self._task = self._loop.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self.octets_received += len(data)
        if self._layer is None:
            self.reader.feed(data)
            waiting = self.reader.buffered_octets
        else:
            self._layer.feed(data)
            waiting = self._layer.received_octets
        if self._is_reading and waiting > self._settings.input_high_water:
            self._is_reading = False
            self._require_transport().pause_reading()
        self.ring()

    def eof_received(self) -> bool:
        # A client may close its sending side and still read the answers to what it sent, so we close after the last.
        # TLS has no half-closed connections.
        self._is_input_ended = True
        self.ring()
        return not self.is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        self.output.lose()
        self.ring()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self.lift_login_time()

    def pause_writing(self) -> None:
        self.output.pause()

    def resume_writing(self) -> None:
        self.output.resume()

    # -- for the listener ----------------------------------------------------------------------------------------------

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that serves this connection; None if it was refused."""
        return self._task

    def begin_shutdown(self) -> None:
        """Let the session end with BYE as soon as it waits for input; the command in flight is finished first."""
        self._is_draining = True
        self.ring()

    def refuse(self, farewell: bytes) -> None:
        """Send `farewell` and close; for a connection that is one too many."""
        transport = self._require_transport()
        transport.write(farewell)
        transport.close()

    def abort(self) -> None:
        """Drop the connection now, with whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()

    # -- for the session -----------------------------------------------------------------------------------------------

    @property
    def is_loopback(self) -> bool:
        """Both ends are on this machine, so nobody can listen in."""
        return is_own_machine(self.address)

    @property
    def client_names(self) -> tuple[str, ...]:
        """Whom the client's certificate is for; empty if it has shown none. One that is not valid ends a handshake."""
        if not self.is_tls:
            return ()
        return certificate_names(self._require_transport().get_extra_info("peercert"))

    def time(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    def begin_login_time(self) -> None:
        """Give the client `login_grace_s` seconds to log in, whatever it sends and takes meanwhile."""
        self._login_time.begin(self._end_login_time)

    def lift_login_time(self) -> None:
        """Let the session last: its client has logged in."""
        self._login_time.lift()

    def ring(self) -> None:
        """Wake the session if it waits, or make its next wait return at once. Never blocks."""
        self._is_rung = True
        if self._waiter is not None:
            self._turnstile.wake(self._waiter)

    async def read_event(
        self, timeout_s: float, before_wait: Callable[[], Awaitable[None]] | None = None
    ) -> ReadCommand | BadCommand | FatalError:
        """Return the next command or what is wrong with it. Synchronising literals are invited here.

        `before_wait` is run whenever there is nothing to do but to wait: at first, and after each `ring`. What it
        raises is passed on.

        Raises:
            ConnectionLost: nothing more will come.
            InputTimeout: nothing complete came within `timeout_s` seconds, and of an upload nothing for as long; or the
                time for the login is over.
            ShuttingDown: the server stops; no complete command was waiting.
        """
        deadline = self._loop.time() + timeout_s
        while True:
            self._check_login_time()
            event = self.reader.next_command()
            if isinstance(event, ContinuationNeeded):
                self.output.write(b"+ OK\r\n")
            elif event is not None:
                return event
            else:
                if before_wait is not None:
                    await before_wait()
                received = self.octets_received
                await self._wait_for_input(deadline)
                if self.reader.is_receiving_message and self.octets_received > received:
                    # A large message over a thin line takes its time, and its client is not silent.
                    deadline = self._loop.time() + timeout_s

    async def read_line(self, timeout_s: float) -> bytes | LineTooLong:
        """Return the next line without its CRLF, for what is not a command. Raises as `read_event` does."""
        deadline = self._loop.time() + timeout_s
        while (line := self.reader.next_line()) is None:
            self._check_login_time()
            await self._wait_for_input(deadline)
        return line

    async def wait_for_line(self, timeout_s: float) -> bytes | LineTooLong | None:
        """Return the next line, or None as soon as `ring` was called or the time is over.

        Raises:
            ConnectionLost: nothing more will come.
            ShuttingDown: the server stops.
        """
        line = self.reader.next_line()
        if line is None:
            self._check_input()
            await self._wait(timeout_s)
            line = self.reader.next_line()
        return line

    async def upgrade(self, context: ssl.SSLContext, server_end_point: bytes | None = None) -> None:
        """Begin TLS. What the client sent ahead of it is forgotten (RFC 9051 section 6.2.1).

        `server_end_point` names the certificate in `context`, if that can be named.

        Raises:
            ConnectionLost: the handshake failed.
        """
        transport = self._require_transport()
        transport.pause_reading()
        self.output.flush()
        self.reader.discard_input()
        try:
            upgraded = await self._loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._settings.tls_handshake_timeout_s,
            )
        except (OSError, ssl.SSLError, TimeoutError) as exc:
            log.info("TLS handshake with %s failed: %s", self.address, exc)
            self.output.is_lost = True
            transport.abort()
            raise ConnectionLost from exc
        if upgraded is None:
            raise ConnectionLost
        self._transport = upgraded
        self._is_reading = True
        self.output.use(upgraded, self.address)
        self.is_tls = True
        self.server_end_point = server_end_point

    @property
    def is_compressed(self) -> bool:
        """Whether COMPRESS is active."""
        return self._layer is not None

    def begin_compression(self) -> None:
        """Compress from here on, in both directions; nothing may be compressed yet (RFC 4978 section 3)."""
        assert self._layer is None, "compressed already"
        self.output.flush()
        self._layer = self.output.layer = DeflateLayer()
        # The client is to wait for our answer. If it has not done so, this is of its compressed stream.
        self._layer.feed(self.reader.take_input())

    def end_compression(self) -> None:
        """Send what waits as the last of the compressed stream; from here on nothing is (RFC 8437 section 3)."""
        layer = self._layer
        if layer is None:
            return
        self.output.flush(is_last=True)
        self._layer = self.output.layer = None
        self.reader.feed(layer.take_rest())

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._serve(self)
        except ConnectionLost:
            pass
        except Exception:
            log.exception("the session of %s failed", self.address)
        finally:
            self._close()

    def _close(self) -> None:
        # A half-read message has a spool, which is to be given back.
        self.reader.discard_input()
        self.output.flush()
        self.lift_login_time()
        if self._transport is not None and not self.output.is_lost:
            self._transport.close()
            # A client that does not read would keep its socket, and the unsent octets, for ever.
            self._close_timer = self._loop.call_later(self._settings.send_timeout_s, self._transport.abort)

    async def _wait_for_input(self, deadline: float) -> None:
        self._check_input()
        remaining = deadline - self._loop.time()
        if remaining <= 0 or not await self._wait(remaining):
            raise InputTimeout

    def _check_input(self) -> None:
        if self.output.is_lost:
            raise ConnectionLost
        if self._layer is not None and self._expand_input(self._layer):
            self._is_rung = True
            return
        if self._is_input_ended:
            raise ConnectionLost
        if self._is_draining:
            raise ShuttingDown
        if not self._is_reading:
            self._is_reading = True
            self._require_transport().resume_reading()

    def _expand_input(self, layer: DeflateLayer) -> bool:
        """Give the reader the next piece of what came compressed; False if there is none."""
        try:
            expanded = layer.expand(self._settings.input_high_water)
        except DeflateError as error:
            log.info("dropped %s: what it sends cannot be expanded: %s", self.address, error)
            raise ConnectionLost from error
        if not expanded and layer.is_ended:
            self._is_input_ended = True
        self.reader.feed(expanded)
        return bool(expanded)

    async def _wait(self, timeout_s: float) -> bool:
        """Wait until rung; False if the time is over first. A ring since the last wait counts."""
        if self._is_rung:
            if self._layer is not None:
                # Much may come of few octets, and the others have their turn meanwhile.
                await asyncio.sleep(0)
        else:
            # Now rather than at the end of the turn, behind whatever the others do in it.
            self.output.flush()
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(timeout_s, resolve, self._waiter, False)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        was_rung, self._is_rung = self._is_rung, False
        return was_rung

    def _end_login_time(self) -> None:
        self.output.wake()
        self.ring()

    def _check_login_time(self) -> None:
        if self._login_time.is_over:
            raise InputTimeout

    def _require_transport(self) -> asyncio.Transport:
        assert self._transport is not None, "used before connection_made"
        return self._transport


def _make_spool(settings: ImapSettings, _: int) -> AppendSpool:
    return AppendSpool(settings.spool_memory, settings.spool_directory)
