"""Requests stay within the server's limits, and each failure is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from connectors.api.errors import (
    AuthExpired,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
    Unsupported,
)
from connectors.api.types import BytesContent
from connectors.jmap.calls import Call, referring
from connectors.jmap.client import JmapClient
from connectors.jmap.structs import Email, GetReply, QueryReply
from connectors.transport.messages import Effect
from tests.connectors.jmap.offline import (
    API_URL,
    HOST,
    SESSION_URL,
    SkippingClock,
    api_reply,
    make_client,
    sent,
    session_document,
)

GET = Call("Email/get", {"accountId": "A1", "ids": ["e"]}, "g")
UPLOAD_URL = f"{HOST}/upload/A1/"


@pytest.fixture
def router() -> respx.Router:
    router = respx.Router(assert_all_called=False)
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=session_document()))
    return router


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


@pytest.fixture
async def client(router: respx.Router, clock: SkippingClock) -> AsyncIterator[JmapClient]:
    client = make_client(router, clock=clock)
    await client.open()
    yield client
    await client.close()


def problem(kind: str, **more: Any) -> httpx.Response:
    return httpx.Response(400, json={"type": f"urn:ietf:params:jmap:error:{kind}", "status": 400, **more})


# -- method calls -----------------------------------------------------------------------------------------------------


async def test_calls_go_out_in_one_request_and_come_back_decoded(router: respx.Router, client: JmapClient) -> None:
    api = router.post(API_URL).mock(
        return_value=api_reply(
            ("Email/query", {"ids": ["e"], "queryState": "q1"}, "q"),
            ("Email/get", {"state": "1", "list": [{"id": "e", "size": 5}], "notFound": []}, "g"),
        )
    )
    query = Call("Email/query", {"accountId": "A1"}, "q")
    results = await client.call(query, Call("Email/get", referring("ids", query, "/ids"), "g"))
    assert results.get("q", QueryReply).ids == ["e"]
    assert results.get("g", GetReply[Email]).items == [Email(id="e", size=5)]
    assert results.error("g") is None
    assert api.call_count == 1
    assert api.calls.last.request.headers["Content-Type"] == "application/json"
    assert sent(api.calls.last)["using"] == ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


async def test_too_many_calls_are_a_mistake_of_the_caller(router: respx.Router, client: JmapClient) -> None:
    api = router.post(API_URL)
    with pytest.raises(ValueError, match="5 calls"):
        await client.call(*(Call("Core/echo", {}, str(number)) for number in range(5)))
    with pytest.raises(ValueError, match="0 calls"):
        await client.call()
    assert not api.called


async def test_a_request_that_is_too_large_is_not_sent(router: respx.Router, client: JmapClient) -> None:
    api = router.post(API_URL)
    with pytest.raises(TooLarge, match="takes 10000"):
        await client.call(Call("Core/echo", {"text": "x" * 10_000}, "e"))
    assert not api.called


async def test_no_more_requests_are_under_way_than_the_server_takes(router: respx.Router, client: JmapClient) -> None:
    under_way, most = 0, 0
    proceed = asyncio.Event()

    async def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if most == 2:
            proceed.set()
        await proceed.wait()
        under_way -= 1
        return api_reply(("Email/get", {"list": []}, "g"))

    router.post(API_URL).mock(side_effect=answer)
    await asyncio.gather(*(client.call(GET) for _ in range(8)))
    assert most == 2


async def test_calls_that_are_given_up_leave_room_for_others(router: respx.Router, client: JmapClient) -> None:
    came = asyncio.Semaphore(0)

    async def never(_request: httpx.Request) -> httpx.Response:
        came.release()
        await asyncio.Event().wait()
        raise AssertionError

    router.post(API_URL).mock(side_effect=never)
    calls = [asyncio.create_task(client.call(GET)) for _ in range(4)]
    for _ in range(2):
        await came.acquire()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    router.post(API_URL).mock(side_effect=None, return_value=api_reply(("Email/get", {"list": []}, "g")))
    await client.call(GET)


async def test_a_concurrency_limit_reached_by_others_is_waited_out(
    router: respx.Router, client: JmapClient, clock: SkippingClock
) -> None:
    busy = problem("limit", limit="maxConcurrentRequests")
    api = router.post(API_URL).mock(side_effect=[busy, busy, api_reply(("Email/get", {"list": []}, "g"))])
    await client.call(GET, effect=Effect.WRITE)
    assert api.call_count == 3
    assert len(clock.slept) == 2


async def test_a_concurrency_limit_that_stays_is_rate_limited(router: respx.Router, client: JmapClient) -> None:
    api = router.post(API_URL).mock(return_value=problem("limit", limit="maxConcurrentRequests"))
    with pytest.raises(RateLimited):
        await client.call(GET)
    assert api.call_count == 5


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (problem("unknownCapability"), Unsupported),
        (problem("notRequest"), Rejected),
        (problem("limit", limit="maxSizeRequest"), TooLarge),
        (httpx.Response(400, text="<html>"), Rejected),
        (httpx.Response(401), AuthExpired),
        (httpx.Response(404), Unavailable),
        (httpx.Response(410), Unavailable),
        (httpx.Response(413), TooLarge),
        (httpx.Response(500), Unavailable),
        (httpx.Response(200, text="<html>"), Unavailable),
        (httpx.Response(200, json={}), Unavailable),
        (httpx.Response(200, json={"methodResponses": [["Email/get", {}]]}), Unavailable),
    ],
)
async def test_a_refused_request_is_mapped(
    router: respx.Router, client: JmapClient, reply: httpx.Response, error: type[Exception]
) -> None:
    router.post(API_URL).mock(return_value=reply)
    with pytest.raises(error):
        await client.call(GET)


async def test_an_unreadable_reply_to_a_write_leaves_its_outcome_unknown(
    router: respx.Router, client: JmapClient
) -> None:
    router.post(API_URL).mock(return_value=httpx.Response(200, text="<html>"))
    with pytest.raises(OutcomeUnknown):
        await client.call(GET, effect=Effect.WRITE)
    router.post(API_URL).mock(return_value=httpx.Response(500))
    with pytest.raises(OutcomeUnknown):
        await client.call(GET, effect=Effect.WRITE)


async def test_an_api_that_has_moved_is_looked_for_in_the_session(
    router: respx.Router, client: JmapClient, clock: SkippingClock
) -> None:
    router.post(API_URL).mock(return_value=httpx.Response(404))
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=session_document(apiUrl="/v2/")))
    router.post(f"{HOST}/v2/").mock(return_value=api_reply(("Email/get", {"list": []}, "g")))
    clock.advance(60)
    with pytest.raises(Unavailable):
        await client.call(GET)
    assert (await client.call(GET)).error("g") is None


async def test_an_account_that_is_gone_makes_the_session_be_read(
    router: respx.Router, client: JmapClient, clock: SkippingClock
) -> None:
    router.post(API_URL).mock(return_value=api_reply(("error", {"type": "accountNotFound"}, "g")))
    clock.advance(60)
    await client.call(GET)
    await client.call(GET)
    assert router.get(SESSION_URL).call_count == 2


async def test_the_client_can_be_opened_again_after_close(router: respx.Router, client: JmapClient) -> None:
    router.post(API_URL).mock(return_value=api_reply(("Email/get", {"list": []}, "g")))
    await client.close()
    await client.close()
    assert client.closed.is_set()
    with pytest.raises(Unavailable):
        await client.call(GET)
    await client.open()
    assert not client.closed.is_set()
    await client.call(GET)


# -- blobs ------------------------------------------------------------------------------------------------------------


async def read(client: JmapClient, blob_id: str, size: int) -> bytes:
    content = await client.download(blob_id, size)
    assert content.size == size
    return b"".join([chunk async for chunk in content.chunks()])


async def test_a_blob_is_downloaded_anew_each_time_it_is_read(router: respx.Router, client: JmapClient) -> None:
    blob = router.get(f"{HOST}/download/A1/G%2F1/message.eml").mock(return_value=httpx.Response(200, content=b"octets"))
    content = await client.download("G/1", 6)
    assert not blob.called
    for _ in range(2):
        assert b"".join([chunk async for chunk in content.chunks()]) == b"octets"
    assert blob.call_count == 2
    assert blob.calls.last.request.url.params["accept"] == "message/rfc822"


@pytest.mark.parametrize("size", [5, 7])
async def test_a_blob_of_another_length_is_not_taken(router: respx.Router, client: JmapClient, size: int) -> None:
    router.get(f"{HOST}/download/A1/G1/message.eml").mock(return_value=httpx.Response(200, content=b"octets"))
    with pytest.raises(Unavailable, match="octets"):
        await read(client, "G1", size)


async def test_a_blob_that_is_gone_is_not_found(router: respx.Router, client: JmapClient) -> None:
    router.get(f"{HOST}/download/A1/G1/message.eml").mock(return_value=httpx.Response(404))
    with pytest.raises(NotFound):
        await read(client, "G1", 6)


async def test_an_empty_blob_is_read(router: respx.Router, client: JmapClient) -> None:
    router.get(f"{HOST}/download/A1/G1/message.eml").mock(return_value=httpx.Response(200))
    assert await read(client, "G1", 0) == b""


async def test_an_upload_goes_out_as_it_is(router: respx.Router, client: JmapClient) -> None:
    upload = router.post(UPLOAD_URL).mock(
        return_value=httpx.Response(201, json={"accountId": "A1", "blobId": "G1", "type": "x", "size": 3})
    )
    blob = await client.upload(BytesContent(b"a\nb"))
    assert (blob.id, blob.size) == ("G1", 3)
    request = upload.calls.last.request
    assert request.content == b"a\nb"
    assert request.headers["Content-Type"] == "message/rfc822"
    assert request.headers["Content-Length"] == "3"


async def test_an_upload_that_is_too_large_is_not_sent(router: respx.Router, client: JmapClient) -> None:
    upload = router.post(UPLOAD_URL)
    with pytest.raises(TooLarge, match="takes 1000"):
        await client.upload(BytesContent(b"x" * 1001))
    assert not upload.called


async def test_an_upload_is_repeated_from_its_beginning(router: respx.Router, client: JmapClient) -> None:
    stored = httpx.Response(200, json={"blobId": "G1", "size": 3})
    upload = router.post(UPLOAD_URL).mock(side_effect=[httpx.Response(502), stored])
    assert (await client.upload(BytesContent(b"abc"))).id == "G1"
    assert [call.request.content for call in upload.calls] == [b"abc", b"abc"]


async def test_an_upload_whose_place_is_only_being_made_is_repeated(
    router: respx.Router, client: JmapClient, clock: SkippingClock
) -> None:
    stored = httpx.Response(200, json={"blobId": "G1", "size": 3})
    upload = router.post(UPLOAD_URL).mock(side_effect=[httpx.Response(404), httpx.Response(404), stored])
    assert (await client.upload(BytesContent(b"abc"))).id == "G1"
    assert upload.call_count == 3
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.Response(200, json={"blobId": "G1", "size": 2}), Unavailable),
        (httpx.Response(200, json={}), Unavailable),
        (httpx.Response(200, text="<html>"), Unavailable),
        (httpx.Response(404), Unavailable),
        (httpx.Response(413), TooLarge),
        (problem("limit", limit="maxSizeUpload"), TooLarge),
        (problem("limit", limit="maxConcurrentUpload"), RateLimited),
    ],
)
async def test_an_upload_that_was_not_stored_whole_is_an_error(
    router: respx.Router, client: JmapClient, reply: httpx.Response, error: type[Exception]
) -> None:
    router.post(UPLOAD_URL).mock(return_value=reply)
    with pytest.raises(error):
        await client.upload(BytesContent(b"abc"))
