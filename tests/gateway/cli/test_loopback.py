from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from gateway.cli.loopback import waiting_for_browser


def is_answer(url: str) -> bool:
    return "state=right" in url


async def ask(redirect_uri: str, octets: bytes) -> bytes:
    parts = urlsplit(redirect_uri)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(octets)
    reply = await reader.read()
    writer.close()
    return reply


async def test_the_browser_brings_the_answer() -> None:
    async with waiting_for_browser(0, is_answer) as loopback:
        assert loopback.redirect_uri.startswith("http://127.0.0.1:")
        reply = await ask(loopback.redirect_uri, b"GET /?code=4%2Fx&state=right HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nReferrer-Policy: no-referrer\r\n" in reply
        assert await loopback.answer == f"{loopback.redirect_uri}/?code=4%2Fx&state=right"


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /favicon.ico HTTP/1.1",
        b"GET /?code=1&state=forged HTTP/1.1",
        b"POST /?state=right HTTP/1.1",
        b"GET http://127.0.0.1/?state=right HTTP/1.1",
        b"nonsense",
        b"GET /?state=right",
    ],
)
async def test_whoever_else_asks_is_turned_away(request_line: bytes) -> None:
    async with waiting_for_browser(0, is_answer) as loopback:
        reply = await ask(loopback.redirect_uri, request_line + b"\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert not loopback.answer.done()
        await ask(loopback.redirect_uri, b"GET /?state=right HTTP/1.1\r\n\r\n")
        assert loopback.answer.done()


async def test_an_endless_header_is_cut_off() -> None:
    async with waiting_for_browser(0, is_answer) as loopback:
        assert await ask(loopback.redirect_uri, b"GET /?" + b"x" * 20_000) == b""
        assert not loopback.answer.done()


async def test_a_connection_at_hand_does_not_keep_the_server_open() -> None:
    async with waiting_for_browser(0, is_answer) as loopback:
        parts = urlsplit(loopback.redirect_uri)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        await ask(loopback.redirect_uri, b"GET /?state=right HTTP/1.1\r\n\r\n")
        assert loopback.answer.done()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with waiting_for_browser(0, is_answer) as loopback:
        port = urlsplit(loopback.redirect_uri).port
        assert port is not None
        with pytest.raises(OSError, match="in use"):
            async with waiting_for_browser(port, is_answer):
                pass
