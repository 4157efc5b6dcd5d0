from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from gateway.app.metrics_door import MetricsDoor
from gateway.errors import OperatorError
from gateway.metrics import CONTENT_TYPE, Gauge, Metrics

PATIENCE_S = 20.0


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    metrics = Metrics()
    metrics.add(Gauge("imap_gateway_things", "Things.", lambda: 3))
    door = MetricsDoor(metrics)
    addresses = await door.listen("127.0.0.1", 0)
    yield addresses[0]
    await door.close()


async def ask(address: tuple[str, int], request: bytes) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer


async def test_the_page_is_told(address: tuple[str, int]) -> None:
    head, _, body = (await ask(address, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: " + CONTENT_TYPE.encode() in head
    assert b"Content-Length: %d" % len(body) in head
    assert body.endswith(b"imap_gateway_things 3\n")


async def test_a_head_has_no_body(address: tuple[str, int]) -> None:
    head, _, body = (await ask(address, b"HEAD /metrics HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b""


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"nonsense\r\n\r\n", b"404"),
    ],
)
async def test_nothing_else_is_served(address: tuple[str, int], request_head: bytes, status: bytes) -> None:
    assert (await ask(address, request_head)).startswith(b"HTTP/1.1 " + status)


async def test_a_request_that_is_too_long_gets_nothing(address: tuple[str, int]) -> None:
    try:
        answer = await ask(address, b"GET /" + b"x" * 100_000)
    except ConnectionError:
        answer = b""
    assert answer == b""
    assert (await ask(address, b"GET /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_an_address_in_use_is_the_operators_to_mend() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OperatorError, match="cannot be listened on"):
            await MetricsDoor(Metrics()).listen(*taken.getsockname())
