from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.app.event_loop import new_event_loop
from gateway.errors import OperatorError
from gateway.imap.connection import Connection
from gateway.imap.listener import Protocol
from gateway.imap.session import Session
from gateway.imap.settings import ImapSettings
from gateway.mailbox.view import View
from gateway.tls import ServerTls, write_self_signed
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, Served, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, OutsideMemory()) as running:
        yield running


def make_tls(directory: Path) -> tuple[ServerTls, ssl.SSLContext]:
    """Return a server's set-up and the context of a client that trusts it."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    write_self_signed(certificate, key)
    return ServerTls(certificate, key), ssl.create_default_context(cafile=str(certificate))


async def until_counted(served: Served, connections: int) -> None:
    """Wait until so many connections are counted."""
    async with asyncio.timeout(10):
        while served.services.limits.connections != connections:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)


async def test_imaps_speaks_tls_from_the_first_octet(tmp_path: Path) -> None:
    tls, trusting = make_tls(tmp_path)
    async with serving(tmp_path, OutsideMemory(), tls=tls, protocol=Protocol.IMAPS) as served:
        client = await LineClient.connect(served.port, trusting)
        greeting = await client.expect(b"* OK [CAPABILITY IMAP4rev1 ")
        assert b" AUTH=PLAIN " in greeting
        assert b"STARTTLS" not in greeting
        assert (await client.ask(f"a LOGIN {LOGIN} {PASSWORD}".encode()))[-1].startswith(b"a OK ")
        await client.close()


async def test_starttls_forgets_what_was_sent_ahead_of_it(tmp_path: Path) -> None:
    tls, trusting = make_tls(tmp_path)
    async with serving(tmp_path, OutsideMemory(), tls=tls) as served:
        client = await served.connect()
        assert b" STARTTLS " in await client.expect(b"* OK ")
        # The second command could have been put in by somebody in between; it must not be obeyed under TLS.
        client.write(b"a STARTTLS\r\nb NOOP\r\n")
        await client.expect(b"a OK ")
        async with asyncio.timeout(10):
            await client.writer.start_tls(trusting, server_hostname="localhost")
        told = await client.ask(b"c CAPABILITY")
        assert len(told) == 2
        assert b"STARTTLS" not in told[0]
        assert (await client.ask(b"d STARTTLS"))[-1].startswith(b"d BAD ")
        assert (await client.ask(f"e LOGIN {LOGIN} {PASSWORD}".encode()))[-1].startswith(b"e OK ")
        await client.close()


async def test_a_client_that_speaks_no_tls_after_starttls_is_dropped(tmp_path: Path) -> None:
    tls, _ = make_tls(tmp_path)
    async with serving(tmp_path, OutsideMemory(), tls=tls) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        assert (await client.ask(b"a STARTTLS"))[-1].startswith(b"a OK ")
        client.write(b"b LOGIN alex secret\r\n")
        # A TLS alert may come first; it is no line.
        with pytest.raises((EOFError, ConnectionError)):
            await client.lines_to(b"b ")
        await client.close()


@pytest.mark.parametrize("protocol", Protocol)
async def test_all_connections_of_a_door_go_through_one_turnstile(
    tmp_path: Path, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, trusting = make_tls(tmp_path)
    async with serving(tmp_path, OutsideMemory(), tls=tls, protocol=protocol) as served:
        clients = [await served.connect(trusting if protocol is Protocol.IMAPS else None) for _ in range(3)]
        for client in clients:
            await client.expect(b"* OK ")
        turnstile = served.services.turnstile
        wake, pass_through = turnstile.wake, turnstile.pass_through
        woken: set[object] = set()
        entered: list[None] = []

        def note(waiter: asyncio.Future[bool]) -> None:
            woken.add(waiter)
            wake(waiter)

        async def note_entry() -> None:
            entered.append(None)
            await pass_through()

        monkeypatch.setattr(turnstile, "wake", note)
        monkeypatch.setattr(turnstile, "pass_through", note_entry)
        for client in clients:
            client.write(f"a LOGIN {LOGIN} {PASSWORD}\r\n".encode())
        for client in clients:
            await client.expect(b"a OK ")
        assert len(woken) == len(entered) == len(clients)


async def test_imaps_needs_a_certificate(served: Served) -> None:
    with pytest.raises(OperatorError, match="certificate"):
        await served.door.listen(Protocol.IMAPS, "127.0.0.1", 0)


async def test_an_address_in_use_is_told_to_the_operator(served: Served) -> None:
    with pytest.raises(OperatorError, match=f"127.0.0.1:{served.port}"):
        await served.door.listen(Protocol.IMAP, "127.0.0.1", served.port)


async def test_one_connection_too_many_from_an_address_is_told_why(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), ImapSettings(connections_per_address=2)) as served:
        first, second = await served.log_in(), await served.log_in()
        third = await served.connect()
        await third.expect(b"* BYE [UNAVAILABLE] ")
        assert await third.at_end()
        await first.ask(b"z LOGOUT")
        assert await first.at_end()
        fourth = await served.log_in()
        for client in (first, second, third, fourth):
            await client.close()


async def test_one_session_too_many_of_a_user_is_not_told_as_a_wrong_password(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), ImapSettings(connections_per_user=1)) as served:
        first = await served.log_in()
        second = await served.connect()
        await second.expect(b"* OK ")
        login = f"LOGIN {LOGIN.upper()} {PASSWORD}".encode()
        assert (await second.ask(b"a " + login))[-1].startswith(b"a NO [UNAVAILABLE] ")
        await first.ask(b"z LOGOUT")
        assert await first.at_end()
        assert (await second.ask(b"b " + login))[-1].startswith(b"b OK ")
        await first.close()
        await second.close()


async def test_draining_says_bye_to_those_who_wait_and_to_those_who_idle(served: Served) -> None:
    waiting, idling = await served.log_in(), await served.log_in()
    idling.write(b"a IDLE\r\n")
    await idling.expect(b"+ ")
    await served.door.drain(10)
    assert served.door.connections == 0
    for client in (waiting, idling):
        await client.expect(b"* BYE [UNAVAILABLE] ")
        await client.close()


async def test_draining_lets_the_command_in_hand_finish(served: Served) -> None:
    client = await served.log_in()
    data = b"Subject: hello\r\n\r\n"
    client.write(b"a APPEND INBOX {%d+}\r\n%b\r\nb NOOP\r\n" % (len(data), data))
    await client.expect(b"a OK [APPENDUID ")
    await served.door.drain(10)
    await client.lines_to(b"* BYE ")
    assert await client.at_end()
    await client.close()


async def test_after_draining_nobody_is_let_in(served: Served) -> None:
    await served.door.drain(10)
    with pytest.raises(ConnectionError):
        await served.connect()


@pytest.mark.parametrize("new_loop", [asyncio.SelectorEventLoop, new_event_loop], ids=["asyncio", "as served"])
@pytest.mark.parametrize("protocol", list(Protocol))
def test_short_answers_leave_at_once(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop], protocol: Protocol
) -> None:
    """Nagle's algorithm would hold an answer back for 40 ms and more until the client has acknowledged the last."""
    tls, trusting = make_tls(tmp_path)

    async def look() -> list[int]:
        async with serving(tmp_path, OutsideMemory(), tls=tls, protocol=protocol) as served:
            client = await served.connect(trusting if protocol is Protocol.IMAPS else None)
            await client.expect(b"* OK ")
            transports = [connection._require_transport() for connection in served.door._connections]
            sockets = [transport.get_extra_info("socket") for transport in transports]
            return [sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in sockets]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(look()) == [1]


@pytest.mark.parametrize("new_loop", [asyncio.SelectorEventLoop, new_event_loop], ids=["asyncio", "as served"])
@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("farewell", [b"z LOGOUT\r\n", b""], ids=["logs out", "hangs up"])
def test_nothing_of_a_connection_that_has_ended_is_left_to_the_collector(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop], protocol: Protocol, farewell: bytes
) -> None:
    """What is older than a full look of the collector is looked at no more for a long time (`gateway.app.garbage`)."""
    tls, trusting = make_tls(tmp_path)

    async def look() -> None:
        async with serving(tmp_path, OutsideMemory(), tls=tls, protocol=protocol) as served:
            client = await served.connect(trusting if protocol is Protocol.IMAPS else None)
            await client.expect(b"* OK ")
            for command in (f"a LOGIN {LOGIN} {PASSWORD}".encode(), b"b SELECT INBOX", b"c NOOP", b"d BAD", b"e LIST"):
                await client.ask(command)
            client.write(b"f IDLE\r\n")
            await client.expect(b"+ ")
            client.write(b"DONE\r\n")
            await client.expect(b"f OK")
            (connection,) = served.door._connections
            left = [weakref.ref(found) for found in gc.get_objects() if isinstance(found, (Connection, Session, View))]
            assert len(left) == 3
            del connection
            client.write(farewell)
            await client.close()
            async with asyncio.timeout(10):
                while any(found() is not None for found in left):  # noqa: ASYNC110  nothing tells of it
                    await asyncio.sleep(0.01)

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(look())
    finally:
        gc.enable()


async def test_handshakes_that_stall_are_counted_and_ended(tmp_path: Path) -> None:
    tls, trusting = make_tls(tmp_path)
    settings = ImapSettings(connections_per_address=5, tls_handshake_timeout_s=0.3)
    async with serving(tmp_path, OutsideMemory(), settings, tls=tls, protocol=Protocol.IMAPS) as served:
        stalled = [await served.connect() for _ in range(5)]
        stalled[0].write(b"\x16\x03\x01\x02")
        # One too many is told nothing: that would cost the handshake.
        sixth = await served.connect()
        assert await sixth.at_end()
        for client in stalled:
            assert await client.at_end()
        await until_counted(served, 0)
        client = await served.connect(trusting)
        await client.expect(b"* OK ")
        await until_counted(served, 1)
        await client.close()
        await until_counted(served, 0)


@pytest.mark.parametrize("hello", [b"", b"\x16\x03", b"a LOGIN alex secret\r\n"])
async def test_what_goes_in_the_middle_of_a_handshake_is_forgotten(tmp_path: Path, hello: bytes) -> None:
    tls, _ = make_tls(tmp_path)
    async with serving(tmp_path, OutsideMemory(), tls=tls, protocol=Protocol.IMAPS) as served:
        for _ in range(20):
            client = await served.connect()
            client.write(hello)
            await client.close()
        await until_counted(served, 0)


async def test_a_stop_ends_handshakes_too(tmp_path: Path) -> None:
    tls, _ = make_tls(tmp_path)
    async with serving(tmp_path, OutsideMemory(), tls=tls, protocol=Protocol.IMAPS) as served:
        client = await served.connect()
        await until_counted(served, 1)
        await served.door.drain(10)
        assert await client.at_end()


async def test_starttls_that_stalls_is_ended(tmp_path: Path) -> None:
    tls, _ = make_tls(tmp_path)
    settings = ImapSettings(tls_handshake_timeout_s=0.3)
    async with serving(tmp_path, OutsideMemory(), settings, tls=tls) as served:
        for hello in (b"", b"\x16\x03\x01\x02"):
            client = await served.connect()
            await client.expect(b"* OK ")
            assert (await client.ask(b"a STARTTLS"))[-1].startswith(b"a OK ")
            client.write(hello)
            assert await client.at_end()
        await until_counted(served, 0)


async def test_a_flood_of_connections_is_no_flood_of_log_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, OutsideMemory(), ImapSettings(connections_per_address=1)) as served:
        await (await served.connect()).expect(b"* OK ")
        for _ in range(50):
            refused = await served.connect()
            await refused.expect(b"* BYE [UNAVAILABLE] ")
    told = [record.getMessage() for record in caplog.records if "too many connections" in record.getMessage()]
    assert told == ["too many connections: refused 1, the last from 127.0.0.1"]


@pytest.mark.parametrize("host", [None, "127.0.0.1"])
async def test_imaps_listens_on_every_address_that_is_asked_for(tmp_path: Path, host: str | None) -> None:
    tls, trusting = make_tls(tmp_path)
    async with serving(tmp_path, OutsideMemory(), tls=tls) as served:
        found = await served.door.listen(Protocol.IMAPS, host, 0)
        place = next(port for address, port in found if "." in address)
        client = await LineClient.connect(place, trusting)
        await client.expect(b"* OK ")
        await client.close()
        with pytest.raises(OperatorError, match=str(place)):
            await served.door.listen(Protocol.IMAPS, "127.0.0.1", place)
