from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.servers.faults import Count, Drop, LoseReply
from tests.servers.imap_faults import (
    CONNECT,
    Cut,
    Hang,
    ImapFault,
    Rewrite,
    Say,
    SeenCommand,
    Slow,
    any_command,
    but,
    fetches,
    lengths_off_by,
    named,
    other_uidvalidity,
)
from tests.servers.imap_proxy import ImapProxy, imap_proxy

GREETING = b"* OK hello\r\n"
BODY = b"t OK this is text\r\n"
FETCHED = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(BODY), BODY)
DONE = b"t OK [UIDVALIDITY 40] done\r\n"
WAIT_S = 10.0


class Backend:
    """Greets, answers FETCH with a literal that looks like an answer, and all else with OK."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.accepted = Count()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))
        self.accepted.add()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            writer.write(GREETING)
            while line := await reader.readline():
                if line.endswith(b"{5+}\r\n"):
                    line += await reader.readexactly(5) + await reader.readline()
                self.commands.append(line)
                tag, _, command = line.rstrip().partition(b" ")
                if command.startswith(b"UID FETCH"):
                    writer.write(FETCHED)
                if command == b"IDLE":
                    writer.write(b"+ idling\r\n")
                elif line != b"DONE\r\n":
                    writer.write(tag + b" OK [UIDVALIDITY 40] done\r\n")
        writer.close()


@contextlib.asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Backend, ImapProxy]]:
    backend = Backend()
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    async with imap_proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield backend, proxy
        # A connection may be over at the proxy before it was taken at the other end.
        await backend.accepted.reach(proxy.connections.value)
    server.close()
    await asyncio.gather(*backend.tasks)


async def answer_to(proxy: ImapProxy, command: bytes, ending: bytes = DONE) -> bytes:
    """Wait for the greeting, send a command, and return what comes up to `ending` or to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    got = b""
    try:
        async with asyncio.timeout(WAIT_S):
            if await reader.readline() == GREETING:
                writer.write(command)
            while not got.endswith(ending) and (data := await reader.read(1000)):
                got += data
    except ConnectionError:
        got += b"<reset>"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return got


async def test_what_no_rule_wants_passes() -> None:
    async with proxied() as (backend, proxy):
        assert await answer_to(proxy, b"t UID FETCH 1 BODY[]\r\n") == FETCHED + DONE
        assert await answer_to(proxy, b"t APPEND x {5+}\r\na\r\nb\r\r\n") == DONE
        assert backend.commands[-1] == b"t APPEND x {5+}\r\na\r\nb\r\r\n"
        assert proxy.connections.value == 2


@pytest.mark.parametrize(
    ("fault", "expected", "is_done"),
    [
        (Drop(), b"<reset>", False),
        (LoseReply(), b"", True),
        (Cut(7), FETCHED[:7], True),
        (Cut(3, in_literal=True), FETCHED[: FETCHED.index(b"\r\n") + 5], True),
        (Say(b"{tag} NO [ALERT] {tag}\r\n", is_last=True), b"t NO [ALERT] t\r\n", False),
        (Say(b"* BYE x\r\n", is_work_done=True, is_last=True), b"* BYE x\r\n", True),
        (Slow(2000), FETCHED + DONE, True),
        (lengths_off_by(-2), FETCHED.replace(b"{19}", b"{17}") + DONE, True),
        (other_uidvalidity(2), FETCHED + DONE.replace(b"40", b"42"), True),
        (Rewrite(lambda answer: answer[:5]), FETCHED[:5], True),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bytes | bool) else "",
)
async def test_the_fault_befalls_the_command_it_is_for(fault: ImapFault, expected: bytes, is_done: bool) -> None:
    async with proxied() as (backend, proxy):
        rule = proxy.fail(fault, when=fetches(b"BODY[]"))
        assert await answer_to(proxy, b"t UID FETCH 1 BODY[]\r\n", expected or b"<never>") == expected
        await rule.hits.reach(1)
        assert (backend.commands == [b"t UID FETCH 1 BODY[]\r\n"]) is is_done
        assert await answer_to(proxy, b"t UID FETCH 1 BODY[]\r\n") == FETCHED + DONE


@pytest.mark.parametrize("fault", [Hang(), LoseReply(is_silent=True)])
async def test_a_silent_connection_stays_until_the_client_goes(fault: ImapFault) -> None:
    async with proxied() as (backend, proxy):
        rule = proxy.fail(fault, when=named("NOOP"))
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await reader.readline() == GREETING
        writer.write(b"t NOOP\r\n")
        await rule.hits.reach(1)
        assert len(backend.commands) == (0 if isinstance(fault, Hang) else 1)
        writer.close()
        assert await reader.read() == b""


async def test_the_greeting_can_be_kept_back_or_replaced() -> None:
    async with proxied() as (_, proxy):
        proxy.fail(Say(b"* BYE full\r\n", is_last=True), when=named(CONNECT))
        assert await answer_to(proxy, b"") == b""
        proxy.fail(Say(b"* OK hello\r\n* BYE full\r\n", is_last=True), when=named(CONNECT))
        assert await answer_to(proxy, b"") == b"* BYE full\r\n"
        proxy.fail(Drop(), when=named(CONNECT))
        assert await answer_to(proxy, b"") == b"<reset>"


async def test_rules_can_be_for_some_only_skip_some_and_be_cancelled() -> None:
    async with proxied() as (_, proxy):
        rule = proxy.fail(Say(b"{tag} NO\r\n"), when=but("LOGIN", CONNECT), times=None, skip=1)
        assert await answer_to(proxy, b"t LOGIN a b\r\n") == DONE
        assert await answer_to(proxy, b"t NOOP\r\n") == DONE
        assert await answer_to(proxy, b"t NOOP\r\n", b"NO\r\n") == b"t NO\r\n"
        rule.cancel()
        assert await answer_to(proxy, b"t NOOP\r\n") == DONE
        assert any_command(SeenCommand("X", b""))


async def test_those_who_wait_for_news_can_be_told_some() -> None:
    async with proxied() as (_, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"t IDLE\r\n")
        assert [await reader.readline(), await reader.readline()] == [GREETING, b"+ idling\r\n"]
        assert proxy.say_to_idlers(b"* 9 EXISTS\r\n") == 1
        assert await reader.readline() == b"* 9 EXISTS\r\n"
        writer.close()


async def test_connections_can_be_refused_for_a_time() -> None:
    async with proxied() as (_, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await reader.readline() == GREETING
        async with proxy.refusing():
            with pytest.raises(ConnectionError):
                await reader.readline()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.close()
        assert await answer_to(proxy, b"t NOOP\r\n") == DONE
