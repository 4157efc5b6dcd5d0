"""One server for each address, for as long as somebody uses it."""

from __future__ import annotations

import asyncio
import gc
import socket

import httpx
import pytest

from connectors.graph.listener import Listeners, shared_listeners
from connectors.graph.settings import ListenAddress
from tests.connectors.graph.ports import free_address


async def shake_hands(address: ListenAddress) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(f"http://{address}/graph", params={"validationToken": "a+ö"})).text


async def test_whoever_comes_is_answered_while_somebody_is_there() -> None:
    address = free_address()
    async with Listeners().joined(address):
        assert await shake_hands(address) == "a+ö"
    with pytest.raises(httpx.ConnectError):
        await shake_hands(address)


async def test_accounts_share_a_listener_until_the_last_has_left() -> None:
    address, listeners = free_address(), Listeners()
    async with listeners.joined(address) as first:
        async with listeners.joined(address) as second:
            assert first is second
        assert await shake_hands(address) == "a+ö"
    async with listeners.joined(address) as third:
        assert third is not first
        assert await shake_hands(address) == "a+ö"


async def test_one_that_comes_while_the_last_is_leaving_gets_a_listener() -> None:
    address, listeners = free_address(), Listeners()
    may_leave, has_joined = asyncio.Event(), asyncio.Event()

    async def stay() -> None:
        async with listeners.joined(address):
            has_joined.set()
            await may_leave.wait()

    first = asyncio.create_task(stay())
    await has_joined.wait()
    may_leave.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not first.done()
    async with listeners.joined(address):
        assert await shake_hands(address) == "a+ö"
    await first


async def test_addresses_have_a_listener_each() -> None:
    one, other, listeners = free_address(), free_address(), Listeners()
    async with listeners.joined(one) as first, listeners.joined(other) as second:
        assert first is not second
        assert [await shake_hands(one), await shake_hands(other)] == ["a+ö", "a+ö"]


async def test_a_port_that_is_taken_is_told() -> None:
    listeners = Listeners()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = ListenAddress("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            async with listeners.joined(address):
                raise AssertionError("nobody can listen there")
    async with listeners.joined(address):
        assert await shake_hands(address) == "a+ö"


async def test_an_address_of_version_six_will_do() -> None:
    address = ListenAddress("::1", free_address().port)
    async with Listeners().joined(address):
        assert await shake_hands(address) == "a+ö"


async def test_what_is_no_http_ends_that_connection_only() -> None:
    address = free_address()
    async with Listeners().joined(address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        assert (await reader.read(12)) == b"HTTP/1.1 400"
        writer.close()
        assert await shake_hands(address) == "a+ö"


async def test_the_accounts_of_a_loop_share_and_others_do_not() -> None:
    own = shared_listeners()
    assert shared_listeners() is own

    async def others() -> Listeners:
        return shared_listeners()

    assert await asyncio.to_thread(asyncio.run, others()) is not own
    gc.collect()
