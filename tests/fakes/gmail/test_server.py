"""The stand-in on a socket: by itself, and with Google's own client library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import Any, TypeVar

import httpx
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped]
from googleapiclient.http import BatchHttpRequest, MediaInMemoryUpload  # type: ignore[import-untyped]

from tests.fakes.gmail.client import mail, unraw
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.fakes.gmail.server import Endpoints, running_fake

T = TypeVar("T")


@pytest.fixture
async def fake() -> FakeGmail:
    return FakeGmail(FakeOptions(messages=120, labels=3))


@pytest.fixture
async def endpoints(fake: FakeGmail) -> AsyncIterator[Endpoints]:
    async with running_fake(fake) as found:
        yield found


async def _with_google(
    fake: FakeGmail, endpoints: Endpoints, work: Callable[[Any], T], access_token: str | None = None
) -> T:
    """Run `work` with Google's client, which blocks, in a thread; without a token it refreshes one first."""
    document = json.loads((files("googleapiclient.discovery_cache.documents") / "gmail.v1.json").read_text("utf-8"))
    document["rootUrl"] = f"{endpoints.api_root}/"
    document["baseUrl"] = document["rootUrl"]
    credentials = Credentials(  # type: ignore[no-untyped-call]
        token=access_token,
        refresh_token=fake.refresh_token(),
        token_uri=endpoints.token_uri,
        client_id=fake.options.client_id,
        client_secret=fake.options.client_secret,
    )

    def run() -> T:
        with build_from_document(document, credentials=credentials) as service:
            return work(service.users())

    return await asyncio.to_thread(run)


async def test_googles_client_lists_pages(fake: FakeGmail, endpoints: Endpoints) -> None:
    def work(users: Any) -> list[str]:
        ids = []
        request = users.messages().list(userId="me", includeSpamTrash=True, maxResults=50)
        while request is not None:
            page = request.execute()
            ids += [each["id"] for each in page["messages"]]
            request = users.messages().list_next(request, page)
        return ids

    ids = await _with_google(fake, endpoints, work)
    assert len(set(ids)) == len(ids) == 120
    assert fake.violations == []


async def test_googles_client_batches(fake: FakeGmail, endpoints: Endpoints) -> None:
    ids = [f"{number:x}" for number in list(fake.mailbox.messages)[:20]]

    def work(users: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        batch = BatchHttpRequest(
            callback=lambda name, reply, error: found.update({name: error or reply}),
            batch_uri=f"{endpoints.api_root}/batch/gmail/v1",
        )
        for each in [*ids, "123"]:
            batch.add(users.messages().get(userId="me", id=each, format="raw"), request_id=each)
        batch.execute(http=users._http)
        return found

    # With a token at hand: refreshing one for a batch, the library leaves a socket open.
    found = await _with_google(fake, endpoints, work, fake.access_token())
    assert [found[each]["id"] for each in ids] == ids
    assert found["123"].resp.status == 404
    assert fake.violations == []


async def test_googles_client_uploads_in_chunks(fake: FakeGmail, endpoints: Endpoints) -> None:
    raw = mail(body="z" * 700_000)

    def work(users: Any) -> Any:
        media = MediaInMemoryUpload(raw, "message/rfc822", chunksize=262_144, resumable=True)
        made = users.messages().insert(userId="me", body={"labelIds": ["INBOX"]}, media_body=media).execute()
        simple = MediaInMemoryUpload(mail("two"), "message/rfc822")
        draft = users.drafts().create(userId="me", body={"message": {}}, media_body=simple).execute()
        return made, draft, users.messages().get(userId="me", id=made["id"], format="raw").execute()

    made, draft, found = await _with_google(fake, endpoints, work)
    assert made["labelIds"] == ["INBOX"]
    assert unraw(found["raw"]) == raw
    assert draft["message"]["labelIds"] == ["DRAFT"]
    assert fake.violations == []


async def test_a_call_that_is_cut_gets_no_answer(fake: FakeGmail, endpoints: Endpoints) -> None:
    headers = {"Authorization": f"Bearer {fake.access_token()}"}
    async with httpx.AsyncClient(base_url=f"{endpoints.api_root}/gmail/v1/users/me", headers=headers) as http:
        fake.fail_next("gmail.users.labels.create", is_cut=True, is_after_work=True)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post("labels", json={"name": "made"})
        fake.fail_next("oauth.token", is_cut=True)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(endpoints.token_uri, data={"grant_type": "refresh_token"})
        names = [each["name"] for each in (await http.get("labels")).json()["labels"]]
    assert "made" in names


async def test_a_pull_under_way_does_not_delay_the_end() -> None:
    fake = FakeGmail(FakeOptions(pull_wait_s=60))
    headers = {"Authorization": f"Bearer {fake.access_token(['https://www.googleapis.com/auth/pubsub'], '')}"}
    async with httpx.AsyncClient(headers=headers) as http:
        async with running_fake(fake) as endpoints:
            url = f"{endpoints.api_root}/v1/{fake.options.subscription_name}:pull"
            pull = asyncio.create_task(http.post(url, json={"maxMessages": 1}))
            await fake.pubsub.waited_for.wait()
        assert (await pull).json() == {}


async def test_a_server_that_was_down_has_all_it_had(fake: FakeGmail) -> None:
    headers = {"Authorization": f"Bearer {fake.access_token()}"}
    async with running_fake(fake) as endpoints:
        pass
    message = fake.deliver(mail())
    async with httpx.AsyncClient(headers=headers) as http:
        url = f"{endpoints.api_root}/gmail/v1/users/me/messages/{message}"
        with pytest.raises(httpx.ConnectError):
            await http.get(url)
        async with running_fake(fake, int(endpoints.api_root.rpartition(":")[2])):
            assert (await http.get(url)).json()["id"] == message


async def test_replies_are_compressed_if_wanted() -> None:
    fake = FakeGmail(FakeOptions(messages=100, compresses=True))
    headers = {"Authorization": f"Bearer {fake.access_token()}"}
    async with running_fake(fake) as endpoints, httpx.AsyncClient(headers=headers) as http:
        found = await http.get(f"{endpoints.api_root}/gmail/v1/users/me/messages")
        assert found.headers["Content-Encoding"] == "gzip"
        assert len(found.json()["messages"]) > 90
        fake.fail_next("gmail.users.messages.list", is_cut=True)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{endpoints.api_root}/gmail/v1/users/me/messages")


async def test_a_port_that_is_taken_is_told(fake: FakeGmail, endpoints: Endpoints) -> None:
    with pytest.raises(OSError, match="in use"):
        async with running_fake(fake, int(endpoints.api_root.rpartition(":")[2])):
            pass


async def test_a_hundred_thousand_messages_are_there_at_once() -> None:
    fake = FakeGmail(FakeOptions(messages=100_000, labels=30))
    assert fake.mailbox.index.count(None) == 100_000
    assert len(fake.mailbox.labels) == 14 + 30
    assert fake.mailbox.index.count("INBOX") > 5000
