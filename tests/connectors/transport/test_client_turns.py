"""How calls of the HTTP client wait: for the end of a throttling, for their turn and for their quota."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from connectors.api.errors import (
    RateLimited,
)
from connectors.api.priority import Priority, prioritised
from connectors.transport.limits import QuotaBudget
from connectors.transport.messages import Effect, Reply
from connectors.transport.retry_after import MAX_RETRY_AFTER_S
from tests.connectors.transport.client_rig import (
    EFFECTS,
    URL,
    GatedServer,
    Server,
    client_of,
    ok,
    outcome,
    request,
    status,
)
from tests.connectors.transport.jumping_clock import JumpingClock, settle


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_throttled_request_waits_as_long_as_asked(effect: Effect, code: int) -> None:
    for value in ("7", "Fri, 02 Jan 2026 03:04:12 GMT"):
        clock, server = JumpingClock(), Server(status(code, retry_after=value), ok())
        assert isinstance(await outcome(server, request(effect), clock=clock), Reply)
        assert clock.slept == [7.0]


async def test_throttling_without_a_time_waits_longer_each_time() -> None:
    clock, server = JumpingClock(), Server(status(429))
    error = await outcome(server, request(), clock=clock)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 4.0
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_a_server_that_says_now_is_given_a_moment() -> None:
    clock = JumpingClock()
    assert isinstance(await outcome(Server(status(429, retry_after="0"), ok()), request(), clock=clock), Reply)
    assert clock.slept == [0.5]


async def test_a_long_wait_is_left_to_the_caller_and_holds_back_all() -> None:
    clock, server = JumpingClock(), Server(status(429, retry_after="600"), ok())
    async with client_of(server, clock=clock) as client:
        with pytest.raises(RateLimited) as caught:
            await client.request(request())
        assert caught.value.retry_after_s == 600.0
        clock.advance(500)
        with pytest.raises(RateLimited) as caught:
            await client.request(request())
        assert caught.value.retry_after_s == pytest.approx(100.0)
        assert len(server.requests) == 1
        clock.advance(50)
        await client.request(request())
        assert clock.slept == [pytest.approx(50.0)]


async def test_an_absurd_wait_is_bounded() -> None:
    error = await outcome(Server(status(429, retry_after="9" * 50)), request())
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == MAX_RETRY_AFTER_S


async def test_one_throttled_request_holds_back_all_others() -> None:
    clock = JumpingClock()
    seen: list[tuple[str, float]] = []

    def reply(sent: httpx.Request) -> httpx.Response:
        seen.append((sent.url.path, clock.monotonic()))
        return status(429, retry_after="30") if len(seen) == 1 else ok()

    async with client_of(Server(reply), clock=clock, max_concurrent=1) as client:
        await asyncio.gather(*(client.request(request(url=f"{URL}/{name}")) for name in "abc"))
    assert seen[0] == ("/jmap/a", 0.0)
    assert len(seen) == 4
    assert all(when >= 30.0 for _, when in seen[1:])


async def test_a_connector_can_hold_back_all_requests() -> None:
    clock = JumpingClock()
    async with client_of(Server(ok()), clock=clock) as client:
        client.hold_back(12)
        await client.request(request(is_long_lived=True))
        assert clock.slept == [12.0]


async def test_no_more_requests_than_allowed_are_under_way() -> None:
    server = GatedServer()
    async with client_of(server, max_concurrent=3) as client:
        tasks = [asyncio.create_task(client.request(request())) for _ in range(10)]
        await settle()
        assert server.most == 3
        server.gate.set()
        await asyncio.gather(*tasks)
        assert server.most == 3
        assert len(server.order) == 10


async def test_a_request_that_is_several_waits_until_as_many_may_be_under_way() -> None:
    server = GatedServer()
    async with client_of(server, max_concurrent=4) as client:
        tasks = [asyncio.create_task(client.request(request(url=f"https://a.example/{name}"))) for name in "ab"]
        tasks.append(asyncio.create_task(client.request(request(url="https://a.example/four", permits=4))))
        tasks.append(asyncio.create_task(client.request(request(url="https://a.example/c"))))
        await settle()
        assert server.order == ["/a", "/b"]
        assert client.limit.held == 2
        server.gate.set()
        await asyncio.gather(*tasks)
        assert server.order == ["/a", "/b", "/four", "/c"]
        assert client.limit.held == 0


async def test_interactive_requests_overtake_those_in_the_background() -> None:
    server = GatedServer()
    async with client_of(server, max_concurrent=1) as client:
        tasks = []
        for name, priority in (("1", Priority.BACKGROUND), ("2", Priority.BACKGROUND), ("3", Priority.INTERACTIVE)):
            with prioritised(priority):
                tasks.append(asyncio.create_task(client.request(request(url=f"https://a.example/{name}"))))
            await settle()
        server.gate.set()
        await asyncio.gather(*tasks)
        assert server.order == ["/1", "/3", "/2"]


async def test_a_turn_that_does_not_come_is_not_waited_for_for_ever() -> None:
    server = GatedServer()
    async with client_of(server, max_concurrent=1, max_wait_s=0.02) as client:
        first = asyncio.create_task(client.request(request()))
        await settle()
        with pytest.raises(RateLimited, match="no turn in time"):
            await client.request(request())
        server.gate.set()
        await first


async def test_a_stream_keeps_its_turn_and_a_long_lived_one_takes_none() -> None:
    async with client_of(Server(ok())) as client:
        async with client.stream(request()):
            assert client.limit.held == 1
        assert client.limit.held == 0
        async with client.stream(request(is_long_lived=True)):
            assert client.limit.held == 0


async def test_every_attempt_is_paid_for() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(100, 100.0, clock)
    async with client_of(Server(status(502), ok()), clock=clock, budget=budget) as client:
        await client.request(request(cost=60))
    assert clock.slept == [0.5, pytest.approx(19.5)]


async def test_throttling_empties_the_budget() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(100, 100.0, clock)
    async with client_of(Server(status(429, retry_after="5"), ok()), clock=clock, budget=budget) as client:
        await client.request(request(cost=10))
    assert clock.monotonic() == pytest.approx(15.0)


async def test_a_quota_that_does_not_come_is_not_waited_for_for_ever() -> None:
    clock = JumpingClock()
    budget = QuotaBudget(10, 1000.0, clock)
    async with client_of(Server(ok()), clock=clock, budget=budget) as client:
        await client.request(request(cost=10))
        with pytest.raises(RateLimited) as caught:
            await client.request(request(cost=5))
        assert caught.value.retry_after_s == pytest.approx(500.0)
        assert clock.slept == []
