"""Batches: what is sent together, what is made again alone, and in which order the outcomes come back."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from connectors.api.errors import AuthExpired, Denied, NotFound, OutcomeUnknown, RateLimited, Unavailable
from connectors.graph.batching import MAX_OCTETS, BatchItem
from connectors.graph.client import GraphClient
from connectors.graph.errors import RefusedConflict
from connectors.graph.structs import Message, NoReply
from connectors.transport.messages import Effect
from tests.connectors.graph.offline import Server, Tokens, client_of, refusal
from tests.connectors.transport.jumping_clock import JumpingClock, settle

Call = dict[str, object]
Outcome = tuple[int, object] | tuple[int, object, Mapping[str, str]]


class BatchServer(httpx.AsyncBaseTransport):
    """Answers batches in reverse order: `outcomes` by path, one after the other, or else the message asked for.

    `batches` are the calls of each batch. While `gate` is clear it answers nothing.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, list[Outcome]] = {}
        self.refusals: list[httpx.Response | Exception] = []
        self.batches: list[list[Call]] = []
        self.tokens: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.left_out: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread())
        await self.gate.wait()
        self.tokens.append(request.headers["authorization"])
        assert str(request.url) == "https://graph.microsoft.com/v1.0/$batch"
        self.batches.append(body["requests"])
        if self.refusals:
            refused = self.refusals.pop(0)
            if isinstance(refused, Exception):
                raise refused
            return refused
        replies: dict[str, Call] = {}
        for call in body["requests"]:
            if any(replies[other]["status"] != 200 for other in call.get("dependsOn", ())):
                replies[call["id"]] = {"id": call["id"], "status": 424, "body": {"error": {"code": "FailedDependency"}}}
            elif call["url"] in self.left_out:
                self.left_out.remove(call["url"])
            else:
                replies[call["id"]] = self._reply(call)
        return httpx.Response(200, json={"responses": list(reversed(replies.values()))})

    def _reply(self, call: Call) -> Call:
        url = str(call["url"])
        waiting = self.outcomes.get(url)
        outcome: Outcome = waiting.pop(0) if waiting else (200, {"id": url.rpartition("/")[2]})
        headers = dict(outcome[2]) if len(outcome) == 3 else {}
        return {"id": call["id"], "status": outcome[0], "headers": headers, "body": outcome[1]}

    def paths(self) -> list[list[str]]:
        return [[str(call["url"]) for call in batch] for batch in self.batches]


def error(code: str, message: str = "No.") -> object:
    return {"error": {"code": code, "message": message}}


def get(name: str | int, *, depends_on: int | None = None) -> BatchItem:
    return BatchItem("GET", f"/messages/{name}", depends_on=depends_on)


def patch(name: str | int, effect: Effect = Effect.IDEMPOTENT_WRITE) -> BatchItem:
    return BatchItem("PATCH", f"/messages/{name}", body={"isRead": True}, effect=effect)


def ids(results: list[object]) -> list[object]:
    return [result.id if isinstance(result, Message) else type(result).__name__ for result in results]


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def server() -> BatchServer:
    return BatchServer()


@pytest.fixture
async def client(server: BatchServer, clock: JumpingClock) -> AsyncIterator[GraphClient]:
    client = client_of(server, clock)
    yield client
    await client.close()


async def run(client: GraphClient, items: list[BatchItem]) -> list[object]:
    return list(await client.batch(items, Message))


async def test_results_come_in_the_order_of_the_calls_twenty_at_a_time(
    client: GraphClient, server: BatchServer
) -> None:
    assert ids(await run(client, [get(number) for number in range(45)])) == [str(number) for number in range(45)]
    assert [len(batch) for batch in server.batches] == [20, 20, 5]


async def test_nothing_to_do_sends_nothing(client: GraphClient, server: BatchServer) -> None:
    assert await run(client, []) == []
    assert server.batches == []


async def test_a_call_carries_its_own_preference_and_the_type_of_its_body(
    client: GraphClient, server: BatchServer
) -> None:
    item = BatchItem(
        "PATCH",
        "/messages/a",
        query=[("$select", "id,flag")],
        body={"isRead": True},
        headers={"Prefer": "odata.maxpagesize=5"},
        effect=Effect.IDEMPOTENT_WRITE,
    )
    server.outcomes["/me/messages/a?$select=id,flag"] = [(200, {"id": "a"})]
    await run(client, [item, get("b")])
    [[first, second]] = server.batches
    assert first["url"] == "/me/messages/a?$select=id,flag"
    assert first["body"] == {"isRead": True}
    assert first["headers"] == {
        "Prefer": 'IdType="ImmutableId", odata.maxpagesize=5',
        "Content-Type": "application/json",
    }
    assert second["headers"] == {"Prefer": 'IdType="ImmutableId"'}
    assert "body" not in second


async def test_large_bodies_are_spread_over_batches(client: GraphClient, server: BatchServer) -> None:
    body = {"body": {"content": "x" * 1_000_000}}
    items = [BatchItem("PATCH", f"/messages/{n}", body=body, effect=Effect.IDEMPOTENT_WRITE) for n in range(8)]
    assert ids(await run(client, items)) == [str(number) for number in range(8)]
    assert [len(batch) for batch in server.batches] == [3, 3, 2]
    assert all(len(json.dumps({"requests": batch})) <= MAX_OCTETS for batch in server.batches)


async def test_what_failed_stands_in_its_place(client: GraphClient, server: BatchServer) -> None:
    server.outcomes = {
        "/me/messages/1": [(404, error("ErrorItemNotFound"))],
        "/me/messages/2": [(403, error("ErrorAccessDenied"))],
        "/me/messages/3": [(412, error("ErrorIrresolvableConflict"))],
    }
    results = await run(client, [get(number) for number in range(5)])
    assert ids(results) == ["0", "RefusedMissing", "RefusedDenied", "RefusedConflict", "4"]
    assert isinstance(results[1], NotFound)
    assert isinstance(results[2], Denied)
    assert isinstance(results[3], RefusedConflict)


async def test_a_throttled_call_is_made_again_alone_after_its_own_delay(
    client: GraphClient, server: BatchServer, clock: JumpingClock
) -> None:
    server.outcomes["/me/messages/1"] = [(429, error("TooManyRequests"), {"Retry-After": "10"})]
    server.outcomes["/me/messages/3"] = [(429, error("TooManyRequests"), {"Retry-After": "4"})] * 2
    items = [patch(number, Effect.WRITE) for number in range(5)]
    assert ids(await run(client, items)) == ["0", "1", "2", "3", "4"]
    assert server.paths()[1:] == [["/me/messages/1", "/me/messages/3"], ["/me/messages/3"]]
    assert sum(clock.slept) == pytest.approx(14.0)


async def test_a_call_throttled_for_too_long_ends_with_its_delay(client: GraphClient, server: BatchServer) -> None:
    server.outcomes["/me/messages/1"] = [(429, error("TooManyRequests"), {"Retry-After": "300"})]
    results = await run(client, [get(0), get(1)])
    assert isinstance(results[1], RateLimited)
    assert results[1].retry_after_s == 300


async def test_a_failure_is_made_good_for_reads_and_unknown_for_writes(
    client: GraphClient, server: BatchServer
) -> None:
    server.outcomes = {f"/me/messages/{name}": [(503, error("UnknownError"))] for name in "rw"}
    results = await run(client, [get("r"), patch("w", Effect.WRITE)])
    assert ids(results)[0] == "r"
    assert isinstance(results[1], OutcomeUnknown)


async def test_a_call_that_fails_always_ends(client: GraphClient, server: BatchServer) -> None:
    server.outcomes["/me/messages/0"] = [(503, error("UnknownError"))] * 9
    [result] = await run(client, [get(0)])
    assert isinstance(result, Unavailable)
    assert len(server.batches) == 4


async def test_a_lost_batch_is_made_again_but_for_its_writes(client: GraphClient, server: BatchServer) -> None:
    server.refusals = [httpx.ReadError("cut")]
    results = await run(client, [get("r"), patch("w", Effect.WRITE), patch("i")])
    assert ids(results)[::2] == ["r", "i"]
    assert isinstance(results[1], OutcomeUnknown)
    assert server.paths()[1] == ["/me/messages/r", "/me/messages/i"]


async def test_a_call_without_an_answer_is_made_again_or_unknown(client: GraphClient, server: BatchServer) -> None:
    server.left_out = ["/me/messages/r", "/me/messages/w"]
    results = await run(client, [get("r"), patch("w", Effect.WRITE), get("x")])
    assert ids(results)[::2] == ["r", "x"]
    assert isinstance(results[1], OutcomeUnknown)


async def test_a_batch_refused_as_a_whole_is_raised_if_nothing_was_done(
    client: GraphClient, server: BatchServer
) -> None:
    server.refusals = [refusal(403, "ErrorAccessDenied")]
    with pytest.raises(Denied):
        await run(client, [get(0), get(1)])


async def test_a_batch_refused_later_says_what_is_left(client: GraphClient, server: BatchServer) -> None:
    items = [get(number) for number in range(41)]
    original = server.handle_async_request

    async def second_refused(request: httpx.Request) -> httpx.Response:
        if len(server.batches) == 1:
            server.refusals = [refusal(403, "ErrorAccessDenied")]
        return await original(request)

    server.handle_async_request = second_refused  # type: ignore[method-assign]
    results = await run(client, items)
    assert ids(results)[:20] == [str(number) for number in range(20)]
    assert all(isinstance(result, Denied) for result in results[20:])
    assert len(server.batches) == 2


async def test_a_throttled_batch_is_sent_again(client: GraphClient, server: BatchServer, clock: JumpingClock) -> None:
    server.refusals = [refusal(429, "TooManyRequests", retry_after="3")]
    assert ids(await run(client, [patch(0, Effect.WRITE)])) == ["0"]
    assert sum(clock.slept) == pytest.approx(3.0)


async def test_a_reply_without_a_body_will_do_where_none_is_wanted(client: GraphClient, server: BatchServer) -> None:
    server.outcomes["/me/messages/0"] = [(204, None)]
    [result] = await client.batch([BatchItem("DELETE", "/messages/0", effect=Effect.IDEMPOTENT_WRITE)], NoReply)
    assert isinstance(result, NoReply)


async def test_octets_come_as_they_are(client: GraphClient, server: BatchServer) -> None:
    mime = b"From: a\r\n\r\n\xff"
    server.outcomes["/me/messages/0/$value"] = [(200, base64.b64encode(mime).decode())]
    assert await client.batch([BatchItem("GET", "/messages/0/$value")], bytes) == [mime]


async def test_a_reply_that_makes_no_sense_is_in_its_place(client: GraphClient, server: BatchServer) -> None:
    server.outcomes["/me/messages/0"] = [(200, {"id": 5})]
    server.outcomes["/me/messages/1"] = [(200, {"id": 5})]
    results = await run(client, [get(0), patch(1, Effect.WRITE)])
    assert isinstance(results[0], Unavailable)
    assert isinstance(results[1], OutcomeUnknown)


# -- calls that depend on others ---------------------------------------------------------------------------------------


async def test_calls_that_depend_on_each_other_go_together_and_alone(client: GraphClient, server: BatchServer) -> None:
    items = [get("a"), get("b", depends_on=0), get("c"), get("d", depends_on=2), get("e"), get("f")]
    assert ids(await run(client, items)) == ["a", "b", "c", "d", "e", "f"]
    assert [[str(call["url"])[-1] for call in batch] for batch in server.batches] == [
        ["a", "b"],
        ["c", "d"],
        ["e", "f"],
    ]
    assert [call.get("dependsOn") for call in server.batches[0]] == [None, ["0"]]


async def test_what_depends_on_a_throttled_call_is_made_with_it_again(client: GraphClient, server: BatchServer) -> None:
    server.outcomes["/me/messages/a"] = [(429, error("TooManyRequests"), {"Retry-After": "1"})]
    assert ids(await run(client, [get("a"), get("b", depends_on=0)])) == ["a", "b"]
    assert [call.get("dependsOn") for call in server.batches[1]] == [None, ["0"]]


async def test_a_throttled_call_is_free_of_what_it_depended_on_once_that_is_done(
    client: GraphClient, server: BatchServer
) -> None:
    server.outcomes["/me/messages/b"] = [(429, error("TooManyRequests"), {"Retry-After": "1"})]
    assert ids(await run(client, [get("a"), get("b", depends_on=0)])) == ["a", "b"]
    assert [(call["url"], call.get("dependsOn")) for call in server.batches[1]] == [("/me/messages/b", None)]


async def test_what_depends_on_a_call_that_failed_was_not_done(client: GraphClient, server: BatchServer) -> None:
    server.outcomes["/me/messages/a"] = [(404, error("ErrorItemNotFound"))]
    results = await run(client, [get("a"), get("b", depends_on=0), get("c", depends_on=1)])
    assert ids(results) == ["RefusedMissing", "Unavailable", "Unavailable"]
    assert len(server.batches) == 1


async def test_a_call_cannot_depend_on_a_later_one_nor_too_many_on_each_other(client: GraphClient) -> None:
    with pytest.raises(ValueError, match="before"):
        await run(client, [get("a", depends_on=1), get("b")])
    with pytest.raises(ValueError, match="more than 20"):
        await run(client, [get(0), *(get(number, depends_on=number - 1) for number in range(1, 21))])


# -- how many at a time ------------------------------------------------------------------------------------------------


async def in_flight(client: GraphClient, server: BatchServer, *batches: list[BatchItem]) -> int:
    """Return how many of the batches are under way together."""
    server.gate.clear()
    arrived = 0
    original = server.handle_async_request

    async def counted(request: httpx.Request) -> httpx.Response:
        nonlocal arrived
        arrived += 1
        return await original(request)

    server.handle_async_request = counted  # type: ignore[method-assign]
    tasks = [asyncio.create_task(client.batch(batch, Message)) for batch in batches]
    await settle()
    found = arrived
    server.gate.set()
    await asyncio.gather(*tasks)
    return found


def chain(name: str) -> list[BatchItem]:
    return [get(f"{name}1"), get(f"{name}2", depends_on=0), get(f"{name}3", depends_on=1)]


@pytest.mark.parametrize(
    ("batches", "together"),
    [
        ([[get(n) for n in range(20)], [get("a")]], 1),
        ([[get("a"), get("b")], [get("c"), get("d")], [get("e")]], 2),
        ([[get("a")], [get("b")], [get("c")], [get("d")], [get("e")]], 4),
        ([chain("a"), chain("b"), chain("c"), chain("d"), chain("e")], 4),
    ],
)
async def test_a_batch_counts_for_what_it_does_at_once(
    batches: list[list[BatchItem]], together: int, client: GraphClient, server: BatchServer
) -> None:
    assert await in_flight(client, server, *batches) == together


async def test_with_fewer_at_a_time_batches_are_smaller(server: BatchServer, clock: JumpingClock) -> None:
    client = client_of(server, clock, max_concurrent=2)
    assert ids(await run(client, [get(number) for number in range(5)])) == ["0", "1", "2", "3", "4"]
    assert [len(batch) for batch in server.batches] == [2, 2, 1]
    await client.close()


async def test_a_batch_does_not_wait_for_a_stream_that_lasts(clock: JumpingClock) -> None:
    server = BatchServer()

    async def stream(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x") if request.method == "GET" else await original(request)

    original, server.handle_async_request = server.handle_async_request, stream  # type: ignore[method-assign]
    client = client_of(server, clock)
    async with client.stream("/messages/large/$value"):
        clock.advance(3)
        assert ids(await run(client, [get(number) for number in range(7)])) == [str(number) for number in range(7)]
    assert [len(batch) for batch in server.batches] == [3, 3, 1]
    assert ids(await run(client, [get(number) for number in range(7)])) == [str(number) for number in range(7)]
    assert len(server.batches) == 4
    await client.close()


async def test_a_batch_that_is_crowded_takes_one_down_however_many_calls_say_so(
    client: GraphClient, server: BatchServer
) -> None:
    crowded = error("ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
    for number in range(5):
        server.outcomes[f"/me/messages/{number}"] = [(429, crowded, {"Retry-After": "1"})]

    await client.batch([BatchItem("GET", f"/messages/{number}") for number in range(20)], Message)

    assert client.max_concurrent == 3


async def test_a_crowded_mailbox_gets_fewer_at_a_time(client: GraphClient, server: BatchServer) -> None:
    crowded = error("ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
    server.outcomes["/me/messages/1"] = [(429, crowded, {"Retry-After": "1"})]
    assert ids(await run(client, [get(number) for number in range(4)])) == ["0", "1", "2", "3"]
    assert client.max_concurrent == 3


async def test_each_call_of_a_batch_counts_towards_the_quota(server: BatchServer, clock: JumpingClock) -> None:
    client = client_of(server, clock, requests_per_10_minutes=100)
    # In any ten minutes no more than the quota: five times as much takes four times ten minutes at least.
    items = [get(number) for number in range(20)]
    started = clock.monotonic()
    for _ in range(25):
        for attempt in range(100):
            try:
                await client.batch(items, Message)
                break
            except RateLimited as exc:
                assert attempt < 99
                clock.advance(exc.retry_after_s)
    assert clock.monotonic() - started >= 4 * 600
    await client.close()


# -- tokens ------------------------------------------------------------------------------------------------------------


async def test_a_token_refused_within_a_batch_is_replaced_once(server: BatchServer, clock: JumpingClock) -> None:
    tokens = Tokens()
    client = client_of(server, clock, tokens=tokens)
    claims = '{"access_token":{}}'
    header = {"WWW-Authenticate": f'Bearer claims="{base64.b64encode(claims.encode()).decode()}"'}
    server.outcomes["/me/messages/1"] = [(401, error("InvalidAuthenticationToken"), header)]
    assert ids(await run(client, [get(0), get(1)])) == ["0", "1"]
    assert server.tokens == ["Bearer token-1", "Bearer token-2"]
    assert tokens.claims == [claims]
    server.outcomes["/me/messages/1"] = [(401, error("InvalidAuthenticationToken"))] * 2
    results = await run(client, [get(0), get(1)])
    assert isinstance(results[1], AuthExpired)
    await client.close()


async def test_a_reply_that_is_no_batch_is_no_success(clock: JumpingClock) -> None:
    server = Server()
    client = client_of(server, clock)
    server.replies = [httpx.Response(200, json={"value": []})]
    with pytest.raises(Unavailable):
        await client.batch([get(0)], Message)
    await client.close()
