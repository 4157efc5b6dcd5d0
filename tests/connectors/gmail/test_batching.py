from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from connectors.api.errors import AuthExpired, ConnectorError, NotFound, OutcomeUnknown, RateLimited, Unavailable
from connectors.api.priority import Priority, prioritised
from connectors.gmail import batching
from connectors.gmail.client import BatchCall, GmailClient
from connectors.gmail.methods import LABELS_CREATE, MESSAGES_GET, MESSAGES_MODIFY
from connectors.gmail.sending import PAUSES
from connectors.gmail.structs import Label, Message
from tests.connectors.gmail.rig import FakeTokens, InProcess, client_of
from tests.connectors.transport.jumping_clock import JumpingClock, settle
from tests.fakes.gmail.client import mail
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions

GET = "gmail.users.messages.get"


def delivered(fake: FakeGmail, count: int) -> list[str]:
    return [fake.deliver(mail(f"message {number}")) for number in range(count)]


def gets(refs: Sequence[str]) -> list[BatchCall]:
    return [BatchCall(MESSAGES_GET, {"id": ref}, [("format", "minimal")]) for ref in refs]


def ids(results: Sequence[Message | ConnectorError]) -> list[str]:
    found = []
    for result in results:
        assert isinstance(result, Message), result
        found.append(result.id)
    return found


async def test_results_come_in_the_order_of_the_calls(client: GmailClient, fake: FakeGmail) -> None:
    refs = delivered(fake, 7)
    assert ids(await client.batch(gets(refs[::-1]), Message)) == refs[::-1]
    assert fake.stats.requests == 1


async def test_no_calls_need_no_request(client: GmailClient, fake: FakeGmail) -> None:
    assert await client.batch([], Message) == []
    assert fake.stats.requests == 0


async def test_many_calls_are_split(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, batch_size=10)
    refs = delivered(fake, 25)
    assert ids(await client.batch(gets(refs), Message)) == refs
    assert fake.stats.requests == 3
    await client.close()


async def test_a_batch_costs_no_more_than_may_be_spent_at_once(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, units_per_minute=600.0)
    refs = delivered(fake, 25)
    assert ids(await client.batch(gets(refs), Message)) == refs
    assert fake.stats.requests == 3
    assert clock.monotonic() == pytest.approx(30, abs=1)
    await client.close()


async def test_an_error_is_that_of_its_own_call(client: GmailClient, fake: FakeGmail) -> None:
    refs = delivered(fake, 3)
    fake.delete(refs[1])
    first, second, third = await client.batch(gets(refs), Message)
    assert isinstance(second, NotFound)
    assert ids([first, third]) == [refs[0], refs[2]]


async def test_calls_that_are_refused_for_their_number_are_repeated_alone(
    client: GmailClient, fake: FakeGmail, clock: JumpingClock
) -> None:
    refs = delivered(fake, 6)
    fake.fail_next(GET, 2, status=429, reason="rateLimitExceeded")
    assert ids(await client.batch(gets(refs), Message)) == refs
    assert fake.stats.calls[GET] == 6
    assert fake.stats.requests == 2
    assert clock.monotonic() >= 1


async def test_calls_that_fail_are_repeated_alone(client: GmailClient, fake: FakeGmail) -> None:
    refs = delivered(fake, 6)
    fake.fail_next(GET, 2, status=503)
    assert ids(await client.batch(gets(refs), Message)) == refs
    assert fake.stats.calls[GET] == 6


async def test_a_call_that_always_fails_leaves_the_others_done(client: GmailClient, fake: FakeGmail) -> None:
    refs = delivered(fake, 2)
    fake.fail_next(GET, 1, status=400, reason="failedPrecondition")
    fake.fail_next(GET, 1, status=503)
    results = await client.batch(gets(refs), Message)
    assert [isinstance(result, ConnectorError) for result in results] == [True, False]


async def test_a_write_that_fails_in_a_batch_is_not_repeated(client: GmailClient, fake: FakeGmail) -> None:
    fake.fail_next("gmail.users.labels.create", status=500, is_after_work=True)
    calls = [BatchCall(LABELS_CREATE, body={"name": name}) for name in ("a", "b")]
    first, second = await client.batch(calls, Label)
    assert isinstance(first, OutcomeUnknown)
    assert isinstance(second, Label)
    assert fake.stats.calls["gmail.users.labels.create"] == 2


async def test_a_write_that_is_put_off_is_repeated(client: GmailClient, fake: FakeGmail) -> None:
    fake.fail_next("gmail.users.labels.create", status=429, reason="rateLimitExceeded")
    (made,) = await client.batch([BatchCall(LABELS_CREATE, body={"name": "a"})], Label)
    assert isinstance(made, Label)


async def test_a_throttling_that_lasts_is_told_call_by_call(client: GmailClient, fake: FakeGmail) -> None:
    fake.throttle(900, retry_after_s=900)
    (result,) = await client.batch(gets(delivered(fake, 1)), Message)
    assert isinstance(result, RateLimited)
    assert result.retry_after_s == 900
    with pytest.raises(RateLimited):
        await client.batch(gets(delivered(fake, 1)), Message)


async def test_an_expired_token_is_replaced_once_for_all_calls(fake: FakeGmail, clock: JumpingClock) -> None:
    tokens = FakeTokens(fake)
    client = client_of(fake, clock, tokens=tokens)
    refs = delivered(fake, 5)
    fake.expire_access_tokens()
    assert ids(await client.batch(gets(refs), Message)) == refs
    assert tokens.refusals == 1
    tokens.is_exhausted = True
    fake.expire_access_tokens()
    results = await client.batch(gets(refs), Message)
    assert all(isinstance(result, AuthExpired) for result in results)
    await client.close()


async def test_bodies_reach_their_calls(client: GmailClient, fake: FakeGmail) -> None:
    refs = delivered(fake, 2)
    calls = [BatchCall(MESSAGES_MODIFY, {"id": ref}, body={"addLabelIds": ["STARRED"]}) for ref in refs]
    assert ids(await client.batch(calls, Message)) == refs
    assert all("STARRED" in fake.message(ref).labels for ref in refs)


async def test_who_waits_for_units_in_the_background_does_not_keep_others_waiting(
    fake: FakeGmail, clock: JumpingClock
) -> None:
    class StoppedClock(JumpingClock):
        """Lets nobody go on who waits for time to pass."""

        async def sleep(self, seconds: float) -> None:
            await asyncio.get_running_loop().create_future()

    client = client_of(fake, StoppedClock(), units_per_minute=600.0)
    refs = delivered(fake, 5)
    await client.batch(gets(refs), Message)
    with prioritised(Priority.BACKGROUND):
        background = asyncio.create_task(client.batch(gets(refs[:3]), Message))
    await settle()
    assert ids(await client.batch(gets(refs[:2]), Message)) == refs[:2]
    assert not background.done()
    background.cancel()
    await asyncio.gather(background, return_exceptions=True)
    await client.close()


async def test_a_long_run_of_batches_bears_a_throttling_at_its_end(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, units_per_minute=600.0)
    refs = delivered(fake, 60)
    found = 0
    async for _, result in client.batch_each(gets(refs), Message):
        assert isinstance(result, Message)
        found += 1
        if found == 50:
            assert clock.monotonic() > 60
            fake.throttle(5)
    assert found == 60
    await client.close()


async def test_batches_come_to_rest_near_what_is_taken_at_once(clock: JumpingClock) -> None:
    fake = FakeGmail(FakeOptions(max_concurrent=20), clock=clock)
    client = client_of(fake, clock)
    refs = delivered(fake, 200)
    assert ids(await client.batch(gets(refs), Message)) == refs
    assert fake.stats.refusals["rateLimitExceeded"] < 50
    assert fake.stats.requests < 30
    assert fake.violations == []
    await client.close()


class Breaking(InProcess):
    """Lets the replies to the first batches break off after so many octets."""

    def __init__(self, fake: FakeGmail, *octets: int) -> None:
        super().__init__(fake)
        self.limits = list(octets)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if not self.limits:
            return response
        body = (await response.aread())[: self.limits.pop(0)]
        stream = _Broken(body)
        return httpx.Response(
            response.status_code, headers={"Content-Type": response.headers["Content-Type"]}, stream=stream
        )


class _Broken(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        yield self._body
        raise httpx.ReadError("cut")


async def test_what_came_before_a_reply_broke_off_is_not_asked_for_again(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, transport=Breaking(fake, 1500))
    refs = delivered(fake, 10)
    assert ids(await client.batch(gets(refs), Message)) == refs
    assert 10 < fake.stats.calls[GET] < 20
    await client.close()


async def test_writes_whose_replies_are_lost_are_of_unknown_outcome(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, transport=Breaking(fake, 700))
    calls = [BatchCall(LABELS_CREATE, body={"name": name}) for name in "abcd"]
    results = await client.batch(calls, Label)
    assert isinstance(results[0], Label)
    assert isinstance(results[-1], OutcomeUnknown)
    assert fake.stats.calls["gmail.users.labels.create"] == 4
    await client.close()


async def test_replies_that_are_too_large_together_come_in_smaller_batches(
    fake: FakeGmail, clock: JumpingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "FEW_OCTETS", 4000)
    client = client_of(fake, clock)
    refs = [fake.deliver(mail(f"{number}", body="x" * 3000)) for number in range(8)]
    calls = [BatchCall(MESSAGES_GET, {"id": ref}, [("format", "raw")]) for ref in refs]
    assert ids(await client.batch(calls, Message)) == refs
    await client.close()


async def test_a_batch_that_cannot_be_sent_is_raised(fake: FakeGmail, clock: JumpingClock) -> None:
    class Unreachable(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no route")

    client = client_of(fake, clock, transport=Unreachable())
    with pytest.raises(Unavailable):
        await client.batch(gets(["1", "2"]), Message)
    await client.close()


async def test_results_can_be_had_as_they_come(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, batch_size=2)
    refs = delivered(fake, 5)
    found = {}
    async for number, result in client.batch_each(gets(refs), Message):
        found[number] = result
        assert fake.stats.requests <= number // 2 + 1
    assert ids([found[number] for number in range(5)]) == refs
    await client.close()


class Misnumbering(InProcess):
    """Answers with parts that are of no call."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = (await response.aread()).replace(b"<response-", b"<response-9")
        return httpx.Response(200, headers={"Content-Type": response.headers["Content-Type"]}, content=body)


async def test_replies_to_no_call_do_not_keep_it_asking_for_ever(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, transport=Misnumbering(fake))
    results = await client.batch(gets(delivered(fake, 2)), Message)
    assert all(isinstance(result, Unavailable) for result in results)
    assert fake.stats.requests <= 2 * PAUSES.attempts
    await client.close()
