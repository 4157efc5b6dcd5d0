"""Media uploads: simple, multipart, resumable."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.gmail.client import Client, mail, refusal, unraw
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.fakes.gmail.uploads import CHUNK_OCTETS, split_parts

UPLOAD = "/upload/gmail/v1/users/me/messages"


def multipart(metadata: object, raw: bytes, kind: str = "message/rfc822") -> dict[str, Any]:
    body = (
        b"--mark\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        + json.dumps(metadata).encode()
        + f"\r\n--mark\r\nContent-Type: {kind}\r\n\r\n".encode()
        + raw
        + b"\r\n--mark--\r\n"
    )
    return {"content": body, "headers": {"Content-Type": 'multipart/related; boundary="mark"'}}


async def _start(gmail: Client, length: int, metadata: object = None, path: str = UPLOAD, verb: str = "POST") -> str:
    response = await gmail.http.request(
        verb,
        path,
        params={"uploadType": "resumable", "internalDateSource": "dateHeader"} if path == UPLOAD else None,
        json=metadata or {},
        headers={"X-Upload-Content-Type": "message/rfc822", "X-Upload-Content-Length": str(length)},
    )
    assert response.status_code == 200, response.text
    location: str = response.headers["Location"]
    return location


async def _put(gmail: Client, location: str, part: bytes, span: str) -> httpx.Response:
    return await gmail.http.put(location, content=part, headers={"Content-Range": f"bytes {span}"})


async def _stored(gmail: Client, made: Any) -> bytes:
    return unraw((await gmail.get(f"messages/{made['id']}", format="raw"))["raw"])


async def test_simple(fake: FakeGmail, gmail: Client) -> None:
    headers = {"Content-Type": "message/rfc822"}
    response = await gmail.http.post(UPLOAD, params={"uploadType": "media"}, content=mail(), headers=headers)
    assert await _stored(gmail, response.json()) == mail()
    assert fake.violations == []


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\r\n\r\n", b"\r\n--mar", b"\r\n\x00\xff\r\n"])
async def test_multipart_keeps_labels_and_octets(gmail: Client, ending: bytes) -> None:
    raw = mail() + ending
    response = await gmail.http.post(
        UPLOAD, params={"uploadType": "multipart"}, **multipart({"labelIds": ["INBOX", "STARRED"]}, raw)
    )
    assert response.json()["labelIds"] == ["INBOX", "STARRED"]
    assert await _stored(gmail, response.json()) == raw


async def test_a_draft_may_be_changed_by_upload(fake: FakeGmail, gmail: Client) -> None:
    draft = fake.new_draft(mail("one"))
    path = f"/upload/gmail/v1/users/me/drafts/{draft}"
    response = await gmail.http.put(path, params={"uploadType": "multipart"}, **multipart({"message": {}}, mail("two")))
    assert response.json()["id"] == draft
    assert b"Subject: two" in await _stored(gmail, response.json()["message"])


async def test_resumable_in_chunks(fake: FakeGmail, gmail: Client) -> None:
    raw = mail(body="x" * 600_000, extra="Date: Thu, 1 Jan 2015 12:00:00 +0000\r\n")
    location = await _start(gmail, len(raw), {"labelIds": ["INBOX"]})
    at = 0
    while True:
        part = raw[at : at + CHUNK_OCTETS]
        response = await _put(gmail, location, part, f"{at}-{at + len(part) - 1}/{len(raw)}")
        at += len(part)
        if at == len(raw):
            break
        assert response.status_code == 308
        assert response.headers["Range"] == f"bytes=0-{at - 1}"
    assert response.json()["labelIds"] == ["INBOX"]
    assert await _stored(gmail, response.json()) == raw
    found = await gmail.get(f"messages/{response.json()['id']}", format="minimal")
    assert found["internalDate"] == "1420113600000"
    assert fake.stats.calls["gmail.users.messages.insert"] == 1
    assert fake.uploads.under_way == 0


async def test_resumable_goes_on_after_a_loss(fake: FakeGmail, gmail: Client) -> None:
    raw = mail(body="y" * 100_000)
    location = await _start(gmail, len(raw))
    nothing = await _put(gmail, location, b"", f"*/{len(raw)}")
    assert (nothing.status_code, "Range" in nothing.headers) == (308, False)
    fake.uploads.lose_half_of_next = True
    await _put(gmail, location, raw, f"0-{len(raw) - 1}/{len(raw)}")
    asked = await _put(gmail, location, b"", f"*/{len(raw)}")
    at = int(asked.headers["Range"].rpartition("-")[2]) + 1
    assert 0 < at < len(raw)
    response = await _put(gmail, location, raw[at:], f"{at}-{len(raw) - 1}/{len(raw)}")
    assert await _stored(gmail, response.json()) == raw


async def test_resumable_in_one_piece_without_a_range(gmail: Client) -> None:
    location = await _start(gmail, len(mail()))
    response = await gmail.http.put(location, content=mail())
    assert await _stored(gmail, response.json()) == mail()


async def test_an_upload_that_is_gone_is_404(fake: FakeGmail, gmail: Client) -> None:
    location = await _start(gmail, len(mail()))
    fake.uploads.abandon()
    assert (await gmail.http.put(location, content=mail())).status_code == 404
    assert fake.violations == []


@pytest.mark.parametrize(
    ("span", "octets"),
    [("0-99/5000", 100), ("5-9/10", 5), ("0-3/10", 10), ("bytes", 10), ("0-9/11", 10)],
)
async def test_a_wrong_range_is_refused(fake: FakeGmail, gmail: Client, span: str, octets: int) -> None:
    location = await _start(gmail, 10)
    assert (await _put(gmail, location, b"x" * octets, span)).status_code == 400
    assert len(fake.violations) == 1


async def test_what_is_too_long_is_413_before_it_is_sent() -> None:
    fake = FakeGmail(FakeOptions(max_upload_octets=100))
    client = Client(fake)
    long = mail(body="x" * 100)
    async with client.http:
        response = await client.http.post(UPLOAD, params={"uploadType": "multipart"}, **multipart({}, long))
        assert refusal(response)[:2] == (413, "uploadTooLarge")
        headers = {"X-Upload-Content-Length": "101"}
        response = await client.http.post(UPLOAD, params={"uploadType": "resumable"}, json={}, headers=headers)
        assert response.status_code == 413
    assert fake.mailbox.messages == {}


async def test_the_published_limits_hold(gmail: Client) -> None:
    headers = {"X-Upload-Content-Length": str(36_700_161)}
    for path, status in ((UPLOAD, 200), ("/upload/gmail/v1/users/me/drafts", 413)):
        response = await gmail.http.post(path, params={"uploadType": "resumable"}, json={}, headers=headers)
        assert response.status_code == status


async def test_only_messages_may_be_uploaded(fake: FakeGmail, gmail: Client) -> None:
    response = await gmail.http.post(
        UPLOAD, params={"uploadType": "media"}, content=b"x", headers={"Content-Type": "text/plain"}
    )
    assert refusal(response)[:2] == (400, "badContent")
    response = await gmail.http.post(UPLOAD, params={"uploadType": "multipart"}, **multipart({}, b"x", "text/html"))
    assert refusal(response)[:2] == (400, "badContent")
    response = await gmail.http.post("/upload/gmail/v1/users/me/labels", params={"uploadType": "media"})
    assert response.status_code == 404


async def test_metadata_is_checked_like_any_body(fake: FakeGmail, gmail: Client) -> None:
    response = await gmail.http.post(UPLOAD, params={"uploadType": "multipart"}, **multipart({"labels": []}, mail()))
    assert response.status_code == 400
    assert 'unknown name "labels"' in fake.violations[0]


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60), st.sampled_from([b"\n", b"\r\n"]))
def test_parts_are_taken_out_as_they_were_put_in(octets: bytes, end: bytes) -> None:
    body = end.join([b"--m", b"Content-Type: a/b", b"", octets, b"--m", b"Content-Type: c/d", b"", b"", b"--m--", b""])
    if end == b"\n" and octets.endswith(b"\r"):
        # Before a bare LF a CR belongs to the line end.
        octets = octets[:-1]
    parts = split_parts("multipart/mixed; boundary=m", body)
    assert [(head.get_content_type(), content) for head, content in parts] == [("a/b", octets), ("c/d", b"")]


async def test_a_token_is_needed_to_begin(gmail: Client) -> None:
    response = await gmail.http.post(
        UPLOAD, params={"uploadType": "resumable"}, json={}, headers={"Authorization": "Bearer no"}
    )
    assert refusal(response)[:2] == (401, "authError")
