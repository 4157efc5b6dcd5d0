from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from tests.servers.fault_proxy import FaultProxy, fault_proxy
from tests.servers.faults import (
    Answer,
    Cut,
    Drop,
    Gate,
    Hang,
    LoseReply,
    Rewrite,
    Trickle,
    WrongLength,
    all_of,
    body_has,
    broken_json,
    html_page,
    method,
    path,
    throttled,
    truncated_json,
)

BLOB = bytes(range(256)) * 1000


class Backend:
    """Answers as its paths say, and counts the work it has done."""

    def __init__(self) -> None:
        self.work: list[bytes] = []
        self.tasks: list[asyncio.Task[None]] = []

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ")[1]
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-len")), 0
            )
            if b"chunked" in head.lower():
                body = (await reader.readuntil(b"0\r\n\r\n"))[:-5]
            else:
                body = await reader.readexactly(length)
            self.work.append(body)
            await self._answer(target, body, reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _answer(
        self, target: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if target == b"/blob":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB) + BLOB)
        elif target == b"/events":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(3):
                writer.write(b"9\r\nevent: %d\n\r\n" % number)
            await writer.drain()
            await reader.read()
        elif target == b"/pages":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        elif target == b"/old":
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nup to the end")
        elif target == b"/socket":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
            while data := await reader.read(100):
                writer.write(data.upper())
        elif target == b"/nothing":
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            answer = json.dumps({"echo": body.decode("latin-1")}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def proxy(backend: Backend) -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    async with server, fault_proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as result:
        yield result
    # Each learns by itself that the proxy, and with it the client, has gone.
    await asyncio.gather(*backend.tasks)


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=proxy.url, timeout=20) as result:
        yield result


async def test_what_no_rule_wants_passes_on_one_connection(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    assert (await client.post("/api", content=b"hello")).json() == {"echo": "hello"}
    assert (await client.get("/blob")).content == BLOB
    assert (await client.get("/pages")).text == "onetwo"
    assert (await client.get("/nothing")).status_code == 204
    assert (await client.head("/blob")).headers["content-length"] == str(len(BLOB))
    assert proxy.connections.value == 1
    assert proxy.count(path("/blob")) == 2
    assert [request.path for request in proxy.seen] == [request.path for request in proxy.forwarded]


async def test_an_answer_up_to_the_end_of_the_connection_passes(client: httpx.AsyncClient) -> None:
    assert (await client.get("/old")).text == "up to the end"
    assert (await client.get("/blob")).status_code == 200


async def test_a_chunked_request_is_understood_and_passed_as_it_was(
    proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    answer = await client.post("/api", content=pieces())
    assert answer.json() == {"echo": "3\r\none\r\n3\r\ntwo\r\n"}
    assert proxy.seen[0].body == b"onetwo"


async def test_a_request_is_held_up_until_the_client_may_send_its_body(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"POST /api HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hi")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_rule_takes_as_many_requests_as_it_says(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    rule = proxy.fail(Answer(503), when=path("/api"), times=2, skip=1)
    statuses = [(await client.get(target)).status_code for target in ("/api", "/blob", "/api", "/api", "/api")]
    assert statuses == [200, 200, 503, 503, 200]
    assert rule.hits.value == 2


async def test_a_rule_without_an_end_goes_on_until_it_is_cancelled(
    proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    rule = proxy.fail(Answer(500), times=None)
    assert {(await client.get("/api")).status_code for _ in range(5)} == {500}
    rule.cancel()
    assert (await client.get("/api")).status_code == 200


async def test_the_first_of_several_rules_takes_the_request(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    proxy.fail(Answer(500))
    proxy.fail(Answer(502))
    assert [(await client.get("/api")).status_code for _ in range(3)] == [500, 502, 200]


async def test_conditions_look_at_method_and_body(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    proxy.fail(Answer(500), when=all_of(method("POST"), body_has("Email/set")), times=None)
    assert (await client.post("/api", content=b'["Email/get"]')).status_code == 200
    assert (await client.put("/api", content=b'["Email/set"]')).status_code == 200
    assert (await client.post("/api", content=b'["Email/set"]')).status_code == 500


async def test_refused_connections_are_accepted_again_on_the_same_port(
    proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    await client.get("/api")
    async with proxy.refusing():
        with pytest.raises(httpx.ConnectError):
            await client.get("/api")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
    assert (await client.get("/api")).status_code == 200


async def test_a_dropped_request_never_reaches_the_backend(
    backend: Backend, proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    proxy.fail(Drop())
    with pytest.raises(httpx.NetworkError):
        await client.post("/api", content=b"lost")
    assert backend.work == []
    assert (len(proxy.seen), len(proxy.forwarded)) == (1, 0)


async def test_a_hanging_request_ends_with_the_client(
    backend: Backend, proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    rule = proxy.fail(Hang())
    asking = asyncio.create_task(client.get("/api"))
    await rule.hits.reach(1)
    asking.cancel()
    await asyncio.wait([asking])
    assert (await client.get("/api")).status_code == 200
    assert len(backend.work) == 1


async def test_a_gate_lets_a_hanging_request_on(backend: Backend, proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    gate = Gate()
    proxy.fail(Hang(gate))
    asking = asyncio.create_task(client.get("/api"))
    await gate.arrived.reach(1)
    assert backend.work == []
    gate.let_on()
    assert (await asking).status_code == 200


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize(("target", "after"), [("/blob", 0), ("/blob", 100_000), ("/pages", 4), ("/api", 3)])
async def test_an_answer_is_cut_after_so_many_octets(
    proxy: FaultProxy, client: httpx.AsyncClient, target: str, after: int, is_reset: bool
) -> None:
    rule = proxy.fail(Cut(after, is_reset))
    received = b""
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):  # noqa: PT012
        async with client.stream("GET", target) as answer:
            async for piece in answer.aiter_raw():
                received += piece
    assert rule.hits.value == 1
    assert len(received) <= after
    if not is_reset:
        assert len(received) == after


async def test_a_lost_reply_leaves_the_work_done(
    backend: Backend, proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    proxy.fail(LoseReply())
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/api", content=b"work")
    assert backend.work == [b"work"]


async def test_a_silent_loss_keeps_the_client_waiting(
    backend: Backend, proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    rule = proxy.fail(LoseReply(is_silent=True))
    asking = asyncio.create_task(client.post("/api", content=b"work"))
    await rule.hits.reach(1)
    assert backend.work == [b"work"]
    assert not asking.done()
    asking.cancel()
    await asyncio.wait([asking])


async def test_the_work_may_be_done_before_an_error_is_answered(
    backend: Backend, proxy: FaultProxy, client: httpx.AsyncClient
) -> None:
    proxy.fail(Answer(502, is_work_done=True))
    assert (await client.post("/api", content=b"work")).status_code == 502
    assert backend.work == [b"work"]


async def test_throttling_says_when_to_come_again(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    proxy.fail(throttled(30))
    proxy.fail(throttled(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), status=503))
    first, second = await client.get("/api"), await client.get("/api")
    assert (first.status_code, first.headers["retry-after"]) == (429, "30")
    assert (second.status_code, second.headers["retry-after"]) == (503, "Fri, 02 Jan 2026 03:04:05 GMT")


async def test_answers_can_be_nonsense(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    for fault in (broken_json(), truncated_json(), html_page()):
        proxy.fail(fault)
        answer = await client.post("/api", content=b"hello")
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()


async def test_an_answer_can_be_rewritten(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    proxy.fail(Rewrite(lambda body: body.replace(b"echo", b"said")))
    assert (await client.post("/pages")).text == "onetwo"
    proxy.fail(Rewrite(lambda body: body.replace(b"echo", b"said")))
    assert (await client.post("/api", content=b"x")).json() == {"said": "x"}


async def test_too_long_a_length_ends_in_the_middle(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    proxy.fail(WrongLength(5))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/api")


async def test_too_short_a_length_leaves_octets_over(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    proxy.fail(WrongLength(-100))
    assert (await client.get("/blob")).content == BLOB[:-100]
    assert (await client.get("/blob")).content == BLOB


async def test_a_slow_answer_comes_at_the_pace_of_the_gate(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    gate = Gate()
    proxy.fail(Trickle(100_000, gate))
    async with client.stream("GET", "/blob") as answer:
        await gate.arrived.reach(1)
        gate.let_on()
        pieces = answer.aiter_raw()
        received = await anext(pieces)
        assert 0 < len(received) <= 100_000
        gate.open()
        received += b"".join([piece async for piece in pieces])
    assert received == BLOB


async def test_events_pass_as_they_come_and_can_be_broken_off(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    received = b""
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):  # noqa: PT012
        async with client.stream("GET", "/events") as answer:
            async for piece in answer.aiter_raw():
                received += piece
                if received.endswith(b"2\n"):
                    assert proxy.drop_connections(path("/other")) == 0
                    assert proxy.drop_connections(path("/events")) == 1
    assert received == b"event: 0\nevent: 1\nevent: 2\n"


async def test_the_backend_learns_that_a_client_has_gone(proxy: FaultProxy, client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/events") as answer:
        await anext(answer.aiter_raw())
    assert (await client.get("/api")).status_code == 200


async def test_an_upgraded_connection_carries_octets_both_ways(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    for word in (b"one", b"two"):
        writer.write(word)
        assert await reader.readexactly(3) == word.upper()
    assert proxy.drop_connections() == 1
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_backend_that_is_not_there_looks_like_a_broken_connection() -> None:
    async with fault_proxy("127.0.0.1", 9) as proxy, httpx.AsyncClient(base_url=proxy.url) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/api")
