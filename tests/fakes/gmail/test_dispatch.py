"""Every call is checked against the description, let in by its token, and counted."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.fakes.gmail.client import Client, mail, raw64, refusal
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.manual_clock import ManualClock


@pytest.mark.parametrize(
    ("verb", "path", "body", "query", "text"),
    [
        ("GET", "messages", None, {"maxresults": "5"}, 'Unknown name "maxresults"'),
        ("GET", "messages", None, {"maxResults": "many"}, "TYPE_UINT32"),
        ("GET", "messages", None, {"maxResults": "-1"}, "TYPE_UINT32"),
        ("GET", "messages", None, {"includeSpamTrash": "yes"}, "TYPE_BOOLEAN"),
        ("GET", "messages", None, {"callback": "f"}, 'Unknown name "callback"'),
        ("GET", "messages", None, {"access_token": "x"}, 'Unknown name "access_token"'),
        ("GET", "messages/1", None, {"format": "FULL"}, "Invalid value at 'format'"),
        ("GET", "history", None, {"historyTypes": "added"}, "Invalid value at 'historyTypes'"),
        ("GET", "history", None, {"startHistoryId": "1.5"}, "TYPE_UINT64"),
        ("POST", "labels", {"name": "a", "nme": "b"}, {}, 'unknown name "nme"'),
        ("POST", "labels", {"name": 5}, {}, "Label.name: not a string"),
        ("POST", "labels", {"name": "a", "labelListVisibility": "hidden"}, {}, "not one of"),
        ("POST", "labels", ["a"], {}, "not an object"),
        ("POST", "messages/1/modify", {"addLabelIds": "INBOX"}, {}, "not an array"),
        ("POST", "messages/1/modify", {"add_label_ids": ["INBOX"]}, {}, "unknown name"),
        ("POST", "messages", {"raw": "%%"}, {}, "not base64"),
        ("POST", "messages", {"internalDate": 5, "raw": ""}, {}, "which int64 is in JSON"),
        ("POST", "messages/1/trash", {"a": 1}, {}, "takes no body"),
    ],
)
async def test_what_is_not_described_is_refused_and_noted(
    fake: FakeGmail, gmail: Client, verb: str, path: str, body: object, query: dict[str, str], text: str
) -> None:
    status, _, message = await gmail.refused(verb, path, body, **query)
    assert status == 400
    assert text in message
    assert len(fake.violations) == 1
    assert text in fake.violations[0]


async def test_a_path_that_is_no_method_is_404_and_noted(fake: FakeGmail, gmail: Client) -> None:
    assert (await gmail.refused("GET", "mesages"))[0] == 404
    assert (await gmail.refused("PUT", "profile"))[0] == 404
    assert (await gmail.refused("GET", "settings/vacation"))[0] == 501
    assert len(fake.violations) == 3


async def test_a_body_must_be_called_json(fake: FakeGmail, gmail: Client) -> None:
    response = await gmail.http.post("/gmail/v1/users/me/labels", content=b'{"name": "a"}')
    assert response.status_code == 400
    response = await gmail.http.post(
        "/gmail/v1/users/me/labels", content=b'{"name": ', headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert refusal(response)[:2] == (400, "parseError")
    assert len(fake.violations) == 2


async def test_a_reply_of_ours_that_is_not_as_described_is_caught(fake: FakeGmail, gmail: Client) -> None:
    fake.expunge_behavior = "burn"
    assert (await gmail.refused("GET", "settings/imap"))[0] == 500
    assert "not one of" in fake.violations[0]


async def test_fields_select_from_the_reply(fake: FakeGmail, gmail: Client) -> None:
    for _ in range(2):
        fake.deliver(mail())
    page = await gmail.get("messages", fields="messages/id,nextPageToken", maxResults=1)
    assert [set(each) for each in page["messages"]] == [{"id"}]
    assert set(page) == {"messages", "nextPageToken"}
    assert (await gmail.refused("GET", "messages", fields="massages"))[0] == 400


async def test_tokens_open_and_end(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    bare = await gmail.http.get("/gmail/v1/users/me/profile", headers={"Authorization": ""})
    assert refusal(bare)[:2] == (401, "authError")
    del gmail.http.headers["Authorization"]
    assert (await gmail.refused("GET", "profile"))[:2] == (401, "required")
    token = fake.access_token()
    gmail.http.headers["Authorization"] = f"Bearer {token}"
    assert await gmail.get("profile")
    clock.advance(3599.5)
    assert await gmail.get("profile")
    clock.advance(1)
    assert (await gmail.refused("GET", "profile"))[:2] == (401, "authError")


async def test_scopes_are_checked_method_by_method(fake: FakeGmail) -> None:
    client = Client(fake, ["https://www.googleapis.com/auth/gmail.readonly"])
    async with client.http:
        assert await client.get("messages")
        assert (await client.refused("POST", "labels", {"name": "a"}))[:2] == (403, "insufficientPermissions")


async def test_units_are_counted_by_method(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail())
    await gmail.get("messages")
    await gmail.get(f"messages/{target}")
    await gmail.get(f"messages/{target}", format="minimal")
    assert fake.stats.calls == {"gmail.users.messages.list": 1, "gmail.users.messages.get": 2}
    assert fake.stats.total_units == 5 + 2 * 20
    assert [each.status for each in fake.stats.journal] == [200, 200, 200]


@pytest.mark.parametrize(("table", "gets"), [("2026", 3), ("2025", 12)])
async def test_the_minutes_units_run_out_and_come_back(clock: ManualClock, table: str, gets: int) -> None:
    fake = FakeGmail(FakeOptions(units_per_minute=60, costs=table), clock=clock)
    client = Client(fake)
    async with client.http:
        target = fake.deliver(mail())
        for _ in range(gets):
            await client.get(f"messages/{target}")
        status, reason, message = await client.refused("GET", f"messages/{target}")
        assert (status, reason) == (403, "rateLimitExceeded")
        assert "Queries per minute per user" in message
        clock.advance(59)
        assert (await client.call("GET", "profile")).status_code == 403
        clock.advance(1)
        assert await client.get("profile")
        assert fake.stats.refusals == {"rateLimitExceeded": 2}


async def test_users_have_units_of_their_own(clock: ManualClock) -> None:
    fake = FakeGmail(FakeOptions(units_per_minute=1), clock=clock)
    fake.add_user("other@example.com")
    for user in ("user@example.com", "other@example.com"):
        client = Client(fake, user=user)
        async with client.http:
            assert (await client.get("profile"))["emailAddress"] == user
            fake.quirks.retry_after_header = True
            response = await client.call("GET", "profile")
            assert (response.status_code, response.headers["Retry-After"]) == (403, "61")


async def test_too_many_at_once_are_refused() -> None:
    fake = FakeGmail(FakeOptions(max_concurrent=3))
    client = Client(fake)
    async with client.http:
        async with fake.held():
            tasks = [asyncio.ensure_future(client.call("GET", "profile")) for _ in range(5)]
            first, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            while len(first) < 2:
                first, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        responses = await asyncio.gather(*tasks)
    refused = [refusal(each) for each in responses if each.status_code != 200]
    assert refused == [(429, "rateLimitExceeded", "Too many concurrent requests for user.")] * 2
    assert fake.stats.most_at_once == 3


async def test_throttles_word_themselves_as_gmail_does(fake: FakeGmail, gmail: Client, clock: ManualClock) -> None:
    fake.throttle(30, "userRateLimitExceeded", 403, retry_after_s=30)
    response = await gmail.call("GET", "profile")
    assert refusal(response) == (403, "userRateLimitExceeded", "User Rate Limit Exceeded")
    assert response.headers["Retry-After"] == "30"
    clock.advance(10)
    fake.throttle(20, tells_end=True)
    status, reason, message = await gmail.refused("GET", "profile")
    assert (status, reason) == (429, "rateLimitExceeded")
    assert message == "User-rate limit exceeded.  Retry after 2026-01-02T03:04:35.000Z"
    clock.advance(20)
    assert await gmail.get("profile")


async def test_ordered_failures_come_once_and_before_or_after_the_work(fake: FakeGmail, gmail: Client) -> None:
    fake.fail_next("gmail.users.messages.insert", status=500)
    fake.fail_next("gmail.users.messages.insert", status=503, is_after_work=True, retry_after_s=2)
    body = {"raw": raw64(mail())}
    assert await gmail.refused("POST", "messages", body) == (500, "backendError", "Internal error encountered.")
    assert len(fake.mailbox.messages) == 0
    response = await gmail.call("POST", "messages", body)
    assert refusal(response)[:2] == (503, "backendError")
    assert response.headers["Retry-After"] == "2"
    assert len(fake.mailbox.messages) == 1
    assert await gmail.post("messages", body)


async def test_an_answer_may_only_be_late(fake: FakeGmail, gmail: Client) -> None:
    fake.fail_next("gmail.users.labels.create", status=200, delay_s=0.01)
    assert (await gmail.post("labels", {"name": "a"}))["name"] == "a"
    fake.fail_next("gmail.users.labels.create", status=504, delay_s=0.01, is_after_work=True)
    assert (await gmail.refused("POST", "labels", {"name": "b"}))[:2] == (504, "backendError")
    assert fake.mailbox.labels.named("b") is not None


async def test_any_other_refusal_may_be_ordered(fake: FakeGmail, gmail: Client) -> None:
    fake.fail_next(
        times=2, status=403, reason="domainPolicy", message="The domain administrators have disabled Gmail apps."
    )
    for _ in range(2):
        assert (await gmail.refused("GET", "labels"))[:2] == (403, "domainPolicy")
    assert await gmail.get("labels")


async def test_pretty_print_is_the_default(gmail: Client) -> None:
    assert b'\n  "emailAddress"' in (await gmail.call("GET", "profile")).content
    response: httpx.Response = await gmail.call("GET", "profile", prettyPrint="false")
    assert b"\n" not in response.content
