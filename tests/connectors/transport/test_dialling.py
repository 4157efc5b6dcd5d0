"""Hosts with several addresses, of which some lead nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from connectors.transport import dialling
from connectors.transport.dialling import dial

DEAD, REFUSING = ("192.0.2.1", 993), ("127.0.0.1", 1)
"""An address of a network that does not exist (RFC 5737), and one where nobody listens."""


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, int]]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


class Network:
    """Addresses for every name; `DEAD` never answers. `tried` are those that were, `closed` sockets given up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: tuple[Any, ...]) -> None:
        self.tried: list[tuple[Any, ...]] = []
        self.sockets: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def getaddrinfo(_host: str, _port: int, **_: object) -> list[Any]:
            return [(_family(each), socket.SOCK_STREAM, 6, "", each) for each in addresses]

        async def sock_connect(sock: socket.socket, address: tuple[Any, ...]) -> None:
            self.tried.append(address)
            self.sockets.append(sock)
            if address == DEAD:
                await asyncio.Event().wait()
            await connect(sock, address)

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(loop, "sock_connect", sock_connect)


def _family(address: tuple[Any, ...]) -> int:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


async def test_an_address_that_never_answers_does_not_keep_the_next_from_being_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialling, "ATTEMPT_DELAY_S", 0.01)
    async with listening() as there:
        network = Network(monkeypatch, DEAD, there)
        async with asyncio.timeout(5):
            sock = await dial("h", 993)
        assert sock.getpeername() == there
        assert network.tried == [DEAD, there]
        assert [each.fileno() == -1 for each in network.sockets] == [True, False]
        sock.close()


async def test_after_a_refusal_the_next_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "ATTEMPT_DELAY_S", 60.0)
    async with listening() as there:
        network = Network(monkeypatch, REFUSING, there)
        async with asyncio.timeout(5):
            sock = await dial("h", 993)
        assert network.tried == [REFUSING, there]
        sock.close()


async def test_of_one_that_answers_nothing_else_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as there:
        network = Network(monkeypatch, there, DEAD)
        sock = await dial("h", 993)
        assert network.tried == [there]
        assert not sock.getblocking()
        sock.close()


async def test_the_first_refusal_is_told_if_none_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch, REFUSING, ("127.0.0.1", 2))
    with pytest.raises(ConnectionRefusedError):
        await dial("h", 993)


async def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        await dial("h", 993)


async def test_giving_up_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, DEAD)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await dial("h", 993)
    assert [each.fileno() for each in network.sockets] == [-1]


async def test_families_are_tried_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "ATTEMPT_DELAY_S", 60.0)
    async with listening() as there:
        network = Network(monkeypatch, ("::1", 1), ("::1", 2), REFUSING, there)
        sock = await dial("h", 993)
        assert network.tried == [("::1", 1), REFUSING, ("::1", 2), there]
        sock.close()


@pytest.mark.parametrize("new_loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_it_works_on_loops_of_either_kind(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def session() -> None:
        async with listening() as (_, port):
            sock = await dial("localhost", port)
            assert sock.getpeername()[1] == port
            sock.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(session())
