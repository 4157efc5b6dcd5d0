"""Planned failures, gates and throttling."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.faults import Throttle
from tests.fakes.jmap.options import FakeOptions

MESSAGE = b"Subject: x\r\n\r\n"


def seen(email_id: str) -> dict[str, Any]:
    return {"update": {email_id: {"keywords/$seen": True}}}


async def read_into(received: bytearray, reply: httpx.Response) -> None:
    async for chunk in reply.aiter_raw():
        received += chunk


@pytest.mark.parametrize("where", ["api", "Email/set"])
@pytest.mark.parametrize(
    ("kind", "is_done"),
    [("cut", False), ("cut-after", True)],
)
async def test_a_connection_is_cut_before_or_after_the_work(
    fake: FakeJmap, client: Client, where: str, kind: str, is_done: bool
) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    fake.fail_next(where, kind)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await client.call("Email/set", **seen(email_id))
    assert ("$seen" in fake.email(email_id).keywords) == is_done
    assert (await client.call("Email/set", **seen(email_id)))["updated"] == {email_id: None}


@pytest.mark.parametrize(("kind", "is_done"), [("hang", False), ("hang-after", True)])
async def test_a_reply_never_comes(fake: FakeJmap, client: Client, kind: str, is_done: bool) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    fake.fail_next("Email/set", kind)
    client.http.timeout = httpx.Timeout(0.1)
    with pytest.raises(httpx.ReadTimeout):
        await client.call("Email/set", **seen(email_id))
    assert ("$seen" in fake.email(email_id).keywords) == is_done


@pytest.mark.parametrize(("kind", "is_done"), [("status", False), ("status-after", True)])
async def test_another_status_comes(fake: FakeJmap, client: Client, kind: str, is_done: bool) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    fake.fail_next("Email/set", kind, status=502)
    with pytest.raises(httpx.HTTPStatusError, match="502"):
        await client.call("Email/set", **seen(email_id))
    assert ("$seen" in fake.email(email_id).keywords) == is_done


async def test_a_page_or_half_a_reply_comes_instead(fake: FakeJmap, client: Client) -> None:
    fake.fail_next("session", "page")
    reply = await client.http.get(fake.url)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    fake.fail_next("api", "broken-json")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        await client.call("Mailbox/get", ids=None)
    fake.assert_no_violations()


@pytest.mark.parametrize("octets", [0, 70_000])
async def test_a_blob_is_cut_in_the_middle(fake: FakeJmap, client: Client, octets: int) -> None:
    email_id = fake.deliver("INBOX", MESSAGE + b"x" * 100_000)
    fake.fail_next("download", "cut-body", octets=octets)
    blob_id = fake.email(email_id).blob_id
    url = client.url("downloadUrl", accountId=client.account_id, blobId=blob_id, name="a", type="message%2Frfc822")
    received = bytearray()
    async with client.http.stream("GET", url) as reply:
        assert int(reply.headers["content-length"]) == len(MESSAGE) + 100_000
        with pytest.raises(httpx.RemoteProtocolError):
            await read_into(received, reply)
    assert len(received) == octets
    assert len(await client.download(blob_id)) == len(MESSAGE) + 100_000


async def test_a_reply_can_be_late(fake: FakeJmap, client: Client) -> None:
    fake.fail_next("session", "delay", delay_s=0.05)
    before = asyncio.get_running_loop().time()
    await client.open()
    assert asyncio.get_running_loop().time() - before >= 0.05


@pytest.mark.parametrize("options", [FakeOptions(delay_s=0.05)])
async def test_every_reply_can_be_late(client: Client) -> None:
    before = asyncio.get_running_loop().time()
    await client.open()
    assert asyncio.get_running_loop().time() - before >= 0.05


@pytest.mark.parametrize(("kind", "is_done"), [("method-error", False), ("method-error-after", True)])
async def test_a_method_fails(fake: FakeJmap, client: Client, kind: str, is_done: bool) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    fake.fail_next("Email/set", kind, error="serverPartialFail")
    assert (await client.call("Email/set", **seen(email_id)))["error"] == "serverPartialFail"
    assert ("$seen" in fake.email(email_id).keywords) == is_done
    fake.assert_no_violations()


async def test_failures_are_counted_and_can_be_cleared(fake: FakeJmap, client: Client) -> None:
    fake.fail_next("session", "status", times=2, skip=1)
    assert [(await client.http.get(fake.url)).status_code for _ in range(4)] == [200, 500, 500, 200]
    fake.fail_next("session", "status", times=None, status=503, retry_after="7")
    for _ in range(3):
        reply = await client.http.get(fake.url)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "7")
    fake.clear_faults()
    assert (await client.http.get(fake.url)).status_code == 200


@pytest.mark.parametrize(
    ("where", "kind"),
    [("nowhere", "cut"), ("api", "set-error"), ("download", "broken-json"), ("api", "no-such-kind")],
)
async def test_a_plan_that_could_never_happen_is_refused(where: str, kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        FakeJmap().fail_next(where, kind)


def test_a_gate_that_nobody_passes_is_refused() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        FakeJmap().hold("nowhere")


async def test_requests_wait_at_a_gate(fake: FakeJmap, client: Client) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    before, after = fake.hold("api"), fake.hold("api:done")
    task = asyncio.create_task(client.call("Email/set", **seen(email_id)))
    await before.arrived()
    assert fake.email(email_id).keywords == set()
    before.release()
    await after.arrived()
    assert fake.email(email_id).keywords == {"$seen"}
    assert not task.done()
    fake.release_all()
    assert (await task)["updated"] == {email_id: None}


@pytest.mark.parametrize("status", [429, 503])
async def test_throttling_by_number_tells_seconds(fake: FakeJmap, client: Client, status: int) -> None:
    fake.throttle(times=2, status=status, retry_after_s=2)
    for _ in range(2):
        reply = await client.http.get(fake.url)
        assert (reply.status_code, reply.headers["retry-after"]) == (status, "2")
    assert (await client.http.get(fake.url)).status_code == 200
    assert fake.stats.throttled == 2


async def test_throttling_may_tell_a_date_or_nothing(fake: FakeJmap, client: Client) -> None:
    fake.throttle(retry_after_s=60, is_date=True)
    moment = parsedate_to_datetime((await client.http.get(fake.url)).headers["retry-after"])
    assert 50 < (moment - datetime.now(UTC)).total_seconds() <= 60
    fake.throttle(says_when=False)
    assert "retry-after" not in (await client.http.get(fake.url)).headers


async def test_throttling_for_a_time_ends(fake: FakeJmap, client: Client) -> None:
    fake.throttle(for_s=60)
    assert (await client.http.get(fake.url)).headers["retry-after"] == "60"
    fake.clear_faults()
    assert (await client.http.get(fake.url)).status_code == 200
    assert Throttle(until=0.0).refusal() is None


@pytest.mark.parametrize("options", [FakeOptions(max_size_upload=10, max_concurrent_upload=1)])
async def test_uploads_are_bounded(fake: FakeJmap, client: Client) -> None:
    url = client.url("uploadUrl", accountId=client.account_id)
    headers = {"Content-Type": "message/rfc822"}
    reply = await client.http.post(url, content=b"x" * 11, headers=headers)
    assert (reply.status_code, reply.json()["limit"]) == (400, "maxSizeUpload")
    assert (await client.http.post(url, content=b"x")).status_code == 400
    assert (await client.http.post(url.replace("A001", "A999"), content=b"x", headers=headers)).status_code == 404
    assert len(fake.violations) == 3
    assert await client.download(await client.upload(b"x" * 10)) == b"x" * 10


@pytest.mark.parametrize("options", [FakeOptions(max_concurrent_upload=1)])
async def test_uploads_at_a_time_are_bounded(fake: FakeJmap, client: Client) -> None:
    gate = fake.hold("upload:done")
    first = asyncio.create_task(client.upload(b"x"))
    await gate.arrived()
    reply = await client.http.post(
        client.url("uploadUrl", accountId=client.account_id), content=b"y", headers={"Content-Type": "message/rfc822"}
    )
    assert reply.json()["limit"] == "maxConcurrentUpload"
    fake.release_all()
    await first
    assert await client.download(await client.upload(b"z")) == b"z"


async def test_downloads_need_a_type_and_a_blob(fake: FakeJmap, client: Client) -> None:
    blob_id = await client.upload(MESSAGE)
    place = f"{fake.origins.primary}/jmap/download/{client.account_id}"
    assert (await client.http.get(f"{place}/{blob_id}/a.eml")).status_code == 400
    assert (await client.http.get(f"{place}/Gnone/a.eml?type=text/plain")).status_code == 404
    assert len(fake.violations) == 1
    reply = await client.http.get(f"{place}/{blob_id}/a%2Fb.eml?type=text%2Fx-y")
    assert (reply.content, reply.headers["content-type"]) == (MESSAGE, "text/x-y; charset=utf-8")
