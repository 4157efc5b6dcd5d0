"""Who may do what, limits, failures to order, and what is noted as wrong."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.fakes.graph.client import Client, mail
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.fakes.graph.server import running_graph
from tests.manual_clock import ManualClock


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/calendar", 400),
        ("PUT", "/messages", 405),
        ("GET", "/messages/x/y/z", 400),
        ("GET", "/messages/x", 400),
    ],
)
async def test_what_graph_does_not_have_is_noted(
    fake: FakeGraph, graph: Client, verb: str, path: str, status: int
) -> None:
    assert (await graph.refused(verb, path))[0] == status
    assert len(fake.violations) == 1


async def test_preferences_that_are_unknown_are_noted(fake: FakeGraph, graph: Client) -> None:
    assert (await graph.refused("GET", "/mailFolders", prefer='IdType="immutable"'))[0] == 400
    assert len(fake.violations) == 1


async def test_a_token_runs_out_and_can_be_revoked(fake: FakeGraph, graph: Client, clock: ManualClock) -> None:
    clock.advance(3601)
    response = await graph.call("GET", "/mailFolders")
    assert response.status_code == 401
    assert "authorization_uri" in response.headers["www-authenticate"]
    graph.http.headers["Authorization"] = f"Bearer {fake.access_token()}"
    fake.revoke_tokens()
    assert await graph.refused("GET", "/mailFolders") == (401, "InvalidAuthenticationToken")
    fake.assert_no_violations()


async def test_rights_are_those_of_the_token(fake: FakeGraph) -> None:
    reader = Client(fake, fake.access_token(["Mail.Read"]))
    message_id = fake.deliver(mail())
    assert await reader.ids() == [message_id]
    assert await reader.refused("PATCH", f"/messages/{message_id}", {"isRead": True}) == (403, "ErrorAccessDenied")


async def test_a_shared_mailbox_needs_a_share_and_a_right(fake: FakeGraph) -> None:
    fake.add_user("team@example.com")
    message_id = fake.deliver(mail(), user="team@example.com")
    client = Client(fake, root="/users/team@example.com")
    assert (await client.refused("GET", "/mailFolders/inbox/messages"))[0] == 404
    fake.share("team@example.com", "user@example.com")
    assert await client.ids() == [message_id]
    own = Client(fake, fake.access_token(["Mail.ReadWrite"]), root="/users/team@example.com")
    assert (await own.refused("GET", "/mailFolders/inbox/messages"))[0] == 403


async def test_an_application_names_the_mailbox(fake: FakeGraph) -> None:
    token = fake.app_token()
    assert (await Client(fake, token).refused("GET", "/mailFolders"))[0] == 400
    client = Client(fake, token, root=f"/users/{fake.user_id('user@example.com')}")
    assert await client.ids() == []
    fake.allowed_for_app = set()
    assert await client.refused("GET", "/mailFolders") == (403, "ErrorAccessDenied")


async def test_ten_thousand_requests_in_ten_minutes(clock: ManualClock) -> None:
    fake = FakeGraph(GraphOptions(requests_per_10_min=3), clock=clock)
    client = Client(fake)
    statuses = [(await client.call("GET", "/mailFolders")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    fake.tokens.lifetime_s = 10_000
    client.http.headers["Authorization"] = f"Bearer {fake.access_token()}"
    response = await client.call("GET", "/mailFolders")
    assert 590 <= int(response.headers["retry-after"]) <= 602
    clock.advance(601)
    assert (await client.call("GET", "/mailFolders")).status_code == 200


async def test_the_fifth_at_a_time_is_refused(fake: FakeGraph, graph: Client) -> None:
    async with fake.held():
        tasks = [asyncio.create_task(graph.call("GET", "/mailFolders")) for _ in range(5)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().json()["error"]["code"] for task in done] == ["ApplicationThrottled"]
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert fake.stats.most_at_once == 5


async def test_failures_come_as_ordered(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    fake.fail_next("messages.*", status=503)
    response = await graph.call("GET", f"/messages/{message_id}")
    assert (response.status_code, "retry-after" in response.headers) == (503, False)
    fake.fail_next("messages.patch", status=504, is_after_work=True)
    assert (await graph.call("PATCH", f"/messages/{message_id}", {"isRead": True})).status_code == 504
    assert fake.message(message_id).is_read
    fake.fail_next("messages.patch", is_lie=True)
    assert (await graph.call("PATCH", f"/messages/{message_id}", {"isRead": False})).status_code == 200
    assert fake.message(message_id).is_read


async def test_a_throttle_lasts_as_long_as_it_says(fake: FakeGraph, graph: Client, clock: ManualClock) -> None:
    fake.throttle(30, retry_after_s=30)
    response = await graph.call("GET", "/mailFolders")
    assert (response.status_code, response.headers["retry-after"]) == (429, "30")
    clock.advance(31)
    assert (await graph.call("GET", "/mailFolders")).status_code == 200


async def test_connections_break_before_and_within_an_answer() -> None:
    async with running_graph() as fake, httpx.AsyncClient(trust_env=False) as http:
        headers = {"Authorization": f"Bearer {fake.access_token()}"}
        message_id = fake.deliver(mail(body="x" * 10_000))
        fake.fail_next("messages.get", is_cut=True)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{fake.api_root}/me/messages/{message_id}", headers=headers)
        fake.fail_next("messages.value", cut_at=100)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await http.get(f"{fake.api_root}/me/messages/{message_id}/$value", headers=headers)
        response = await http.get(f"{fake.api_root}/me/messages/{message_id}/$value", headers=headers)
        assert response.status_code == 200
        assert "content-length" not in response.headers
        fake.assert_no_violations()
