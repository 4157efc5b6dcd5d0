"""Calls, pages, streams: what goes out, and what becomes of what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from connectors.api.errors import AuthExpired, Denied, NotFound, OutcomeUnknown, RateLimited, Unavailable
from connectors.graph.client import GraphClient
from connectors.graph.errors import Refused, RefusedConflict, RefusedUnknown
from connectors.graph.structs import MailFolder, Message, Page
from connectors.transport.messages import Effect
from tests.connectors.graph.offline import Server, Tokens, client_of, refusal
from tests.connectors.transport.jumping_clock import JumpingClock

ROOT = "https://graph.microsoft.com/v1.0/me"


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server, clock: JumpingClock) -> AsyncIterator[GraphClient]:
    client = client_of(server, clock)
    yield client
    await client.close()


async def test_a_call_asks_for_immutable_ids_below_the_mailbox(client: GraphClient, server: Server) -> None:
    server.replies = [httpx.Response(200, json={"id": "F", "displayName": "Posteingang"})]
    folder = await client.call("GET", "/mailFolders/inbox", reply=MailFolder, effect=Effect.READ)
    assert folder.display_name == "Posteingang"
    [request] = server.requests
    assert str(request.url) == f"{ROOT}/mailFolders/inbox"
    assert request.headers["prefer"] == 'IdType="ImmutableId"'
    assert request.headers["authorization"] == "Bearer token-1"


async def test_another_mailbox_is_named_in_the_path(server: Server, clock: JumpingClock) -> None:
    client = client_of(server, clock, mailbox="a#EXT#@example.org")
    server.replies = [httpx.Response(204)]
    await client.call("DELETE", "/messages/M", effect=Effect.IDEMPOTENT_WRITE)
    assert server.requests[0].url.raw_path == b"/v1.0/users/a%23EXT%23@example.org/messages/M"
    await client.close()


async def test_a_query_is_encoded_as_odata_wants_it(client: GraphClient, server: Server) -> None:
    server.replies = [httpx.Response(200, json={"id": "F"})]
    query = [("$select", "id,flag"), ("$search", '"a b+c"'), ("$filter", "x eq 'é&'")]
    await client.call("GET", "/mailFolders/F", query=query, reply=MailFolder, effect=Effect.READ)
    request = server.requests[0]
    assert b"$select=id,flag&" in request.url.raw_path
    assert b"+" not in request.url.raw_path
    assert list(request.url.params.multi_items()) == query


async def test_a_body_goes_out_as_json_and_octets_as_they_are(client: GraphClient, server: Server) -> None:
    server.replies = [httpx.Response(200, json={"id": "M"}), httpx.Response(201, json={"id": "N"})]
    await client.call("PATCH", "/messages/M", body={"isRead": True}, reply=Message, effect=Effect.IDEMPOTENT_WRITE)
    mime = {"Content-Type": "text/plain"}
    await client.call("POST", "/messages", body=b"TUlNRQ==", headers=mime, reply=Message, effect=Effect.WRITE)
    json_request, mime_request = server.requests
    assert json_request.headers["content-type"] == "application/json"
    assert json.loads(json_request.content) == {"isRead": True}
    assert mime_request.headers["content-type"] == "text/plain"
    assert mime_request.content == b"TUlNRQ=="


async def test_a_success_that_was_not_accepted_is_an_unknown_outcome(client: GraphClient, server: Server) -> None:
    server.replies = [httpx.Response(200, json={})]
    with pytest.raises(RefusedUnknown) as caught:
        await client.call("POST", "/messages", body={}, effect=Effect.WRITE, accept=frozenset({201}))
    assert caught.value.refusal.status == 200


async def test_an_error_tells_the_operator_code_status_and_request_id(client: GraphClient, server: Server) -> None:
    server.replies = [refusal(403, "ErrorAccessDenied", request_id="req-1")]
    with pytest.raises(Denied) as caught:
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    for word in ("403", "ErrorAccessDenied", "req-1", "Mail.ReadWrite"):
        assert word in caught.value.operator_text


async def test_throttling_is_waited_out_as_long_as_the_server_says(
    client: GraphClient, server: Server, clock: JumpingClock
) -> None:
    server.replies = [refusal(429, "TooManyRequests", retry_after="7"), httpx.Response(201, json={"id": "M"})]
    message = await client.call("POST", "/messages", body={}, reply=Message, effect=Effect.WRITE)
    assert message.id == "M"
    assert sum(clock.slept) == pytest.approx(7.0)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 509])
async def test_a_read_is_repeated_when_graph_fails(
    status: int, client: GraphClient, server: Server, clock: JumpingClock
) -> None:
    server.replies = [refusal(status, "UnknownError"), httpx.Response(200, json={"id": "M"})]
    assert (await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)).id == "M"
    assert 0 < sum(clock.slept) <= 1.0


async def test_a_write_is_not_repeated_when_graph_fails(client: GraphClient, server: Server) -> None:
    server.replies = [refusal(504, "UnknownError")]
    with pytest.raises(OutcomeUnknown):
        await client.call("POST", "/messages", body={}, reply=Message, effect=Effect.WRITE)
    assert len(server.requests) == 1


async def test_failures_end_after_a_few_attempts(client: GraphClient, server: Server) -> None:
    server.replies = [refusal(503, "serviceNotAvailable")] * 4
    with pytest.raises(Unavailable, match="serviceNotAvailable"):
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    assert len(server.requests) == 4


async def test_throttling_for_too_long_is_an_error_with_its_delay(client: GraphClient, server: Server) -> None:
    server.replies = [refusal(429, "TooManyRequests", retry_after="600")]
    with pytest.raises(RateLimited) as caught:
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    assert caught.value.retry_after_s == 600
    with pytest.raises(RateLimited):
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    assert len(server.requests) == 1


async def test_too_many_at_a_time_makes_fewer_at_a_time(client: GraphClient, server: Server) -> None:
    crowded = refusal(429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.", retry_after="1")
    server.replies = [crowded, httpx.Response(200, json={"id": "M"})]
    await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    assert client.max_concurrent == 3
    server.replies = [httpx.Response(200, json={"id": "M"})] * 50
    for _ in range(50):
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    assert client.max_concurrent == 4


async def test_a_refused_token_is_replaced_once_and_its_claims_are_passed_on(
    server: Server, clock: JumpingClock
) -> None:
    tokens = Tokens()
    client = client_of(server, clock, tokens=tokens)
    claims = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    encoded = base64.b64encode(claims.encode()).decode()
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'
    server.replies = [
        refusal(401, "InvalidAuthenticationToken", headers={"WWW-Authenticate": challenge}),
        httpx.Response(200, json={"id": "M"}),
    ]
    await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]
    assert tokens.claims == [claims]
    server.replies = [refusal(401, "InvalidAuthenticationToken")] * 2
    with pytest.raises(AuthExpired):
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    await client.close()


async def test_a_conflict_is_handed_to_the_caller(client: GraphClient, server: Server) -> None:
    server.replies = [refusal(412, "ErrorIrresolvableConflict")]
    with pytest.raises(RefusedConflict):
        await client.call("PATCH", "/messages/M", body={}, reply=Message, effect=Effect.IDEMPOTENT_WRITE)


async def test_a_lost_write_is_an_unknown_outcome(client: GraphClient, server: Server) -> None:
    server.replies = [httpx.ReadError("cut")]
    with pytest.raises(OutcomeUnknown):
        await client.call("POST", "/messages", body={}, reply=Message, effect=Effect.WRITE)


async def test_what_is_no_graph_is_not_believed_about_missing_mail(client: GraphClient, server: Server) -> None:
    server.replies = [httpx.Response(404, text="<html>not here</html>")]
    with pytest.raises(Unavailable):
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)


# -- pages ------------------------------------------------------------------------------------------------------------


def page(*ids: str, next_link: str | None = None, delta_link: str | None = None) -> httpx.Response:
    body: dict[str, object] = {"value": [{"id": each} for each in ids]}
    body |= {"@odata.nextLink": next_link} if next_link else {}
    body |= {"@odata.deltaLink": delta_link} if delta_link else {}
    return httpx.Response(200, json=body)


async def test_links_are_followed_as_they_are(client: GraphClient, server: Server) -> None:
    following = f"{ROOT}/mailFolders/F/messages/delta?$skiptoken=a%2Bb"
    server.replies = [page("1", "2", next_link=following), page(next_link=following + "2"), page("3", delta_link="d")]
    query = [("$select", "id")]
    found = [
        page
        async for page in client.pages("/mailFolders/F/messages/delta", query=query, page_size=50, reply=Page[Message])
    ]
    assert [[message.id for message in page.value] for page in found] == [["1", "2"], [], ["3"]]
    assert found[-1].delta_link == "d"
    assert server.requests[1].url.raw_path.endswith(b"$skiptoken=a%2Bb")
    for request in server.requests:
        assert request.headers["prefer"] == 'IdType="ImmutableId", odata.maxpagesize=50'


async def test_an_earlier_link_is_gone_on_from(client: GraphClient, server: Server) -> None:
    link = f"{ROOT}/mailFolders/F/messages/delta?$deltatoken=x"
    server.replies = [page("1")]
    assert [page async for page in client.pages(link, page_size=10, reply=Page[Message])]
    assert str(server.requests[0].url) == link


@pytest.mark.parametrize(
    "link",
    ["https://evil.example/v1.0/me/messages", "http://graph.microsoft.com/v1.0/me", "https://x@graph.microsoft.com/"],
)
async def test_a_link_to_elsewhere_is_not_followed(link: str, client: GraphClient, server: Server) -> None:
    server.replies = [page("1", next_link=link)]
    with pytest.raises(Unavailable):
        [page async for page in client.pages("/messages", page_size=10, reply=Page[Message])]
    assert len(server.requests) == 1


async def test_pages_in_a_circle_end(client: GraphClient, server: Server) -> None:
    link = f"{ROOT}/messages?$skip=10"
    server.replies = [page("1", next_link=link), page("2", next_link=link)]
    with pytest.raises(Unavailable, match="circle"):
        [page async for page in client.pages("/messages", page_size=10, reply=Page[Message])]


# -- streams ----------------------------------------------------------------------------------------------------------


async def test_a_message_is_streamed(client: GraphClient, server: Server) -> None:
    server.replies = [refusal(503, "x"), httpx.Response(200, content=b"From: a\r\n\r\nb")]
    async with client.stream("/messages/M/$value") as streamed:
        assert b"".join([chunk async for chunk in streamed.chunks()]) == b"From: a\r\n\r\nb"
    assert server.requests[-1].url.raw_path == b"/v1.0/me/messages/M/$value"


async def test_a_message_that_is_gone_cannot_be_streamed(client: GraphClient, server: Server) -> None:
    server.replies = [refusal(404, "ErrorItemNotFound")]
    with pytest.raises(NotFound) as caught:
        async with client.stream("/messages/M/$value"):
            pytest.fail("there is nothing to stream")
    assert isinstance(caught.value, Refused)


async def test_a_closed_client_works_again_once_opened(server: Server, clock: JumpingClock) -> None:
    closed: list[Callable[[], bool]] = []
    client = client_of(server, clock)
    closed.append(client.closed.is_set)
    await client.close()
    await client.close()
    assert closed[0]()
    with pytest.raises(Unavailable):
        await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)
    await client.open()
    server.replies = [httpx.Response(200, json={"id": "M"})]
    assert (await client.call("GET", "/messages/M", reply=Message, effect=Effect.READ)).id == "M"
    await client.close()
