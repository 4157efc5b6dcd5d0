"""Attachments, small and by upload session."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.fakes.graph.client import Client, mail
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.uploads import LARGEST_RANGE

_SIZE = LARGEST_RANGE + 100


async def _session(graph: Client, size: int = _SIZE) -> tuple[str, dict[str, Any]]:
    draft = (await graph.post_mime(mail())).json()["id"]
    item = {"attachmentType": "file", "name": "big.bin", "size": size}
    return draft, await graph.post(f"/messages/{draft}/attachments/createUploadSession", {"AttachmentItem": item})


async def _put(graph: Client, url: str, data: bytes, first: int, **headers: str) -> httpx.Response:
    sent = {"Content-Range": f"bytes {first}-{first + len(data) - 1}/{_SIZE}", **headers}
    async with httpx.AsyncClient(transport=graph.http._transport) as bare:
        return await bare.put(url, content=data, headers=sent)


async def test_ranges_in_order_make_an_attachment(fake: FakeGraph, graph: Client) -> None:
    draft, session = await _session(graph)
    assert session["nextExpectedRanges"] == ["0-"]
    data = bytes(range(256)) * (_SIZE // 256) + b"x" * (_SIZE % 256)
    first = await _put(graph, session["uploadUrl"], data[:LARGEST_RANGE], 0)
    assert (first.status_code, first.json()["nextExpectedRanges"]) == (200, [f"{LARGEST_RANGE}-"])
    last = await _put(graph, session["uploadUrl"], data[LARGEST_RANGE:], LARGEST_RANGE)
    assert last.status_code == 201
    assert "attachments(" in last.headers["location"]
    (found,) = (await graph.get(f"/messages/{draft}/attachments"))["value"]
    assert base64.b64decode(found["contentBytes"]) == data
    response = await graph.call("GET", f"/messages/{draft}/attachments/{found['id']}/$value")
    assert response.content == data
    fake.assert_no_violations()


async def test_a_range_out_of_order_is_refused(fake: FakeGraph, graph: Client) -> None:
    _, session = await _session(graph)
    assert (await _put(graph, session["uploadUrl"], b"x" * 10, 10)).status_code == 416
    fake.assert_no_violations()


async def test_a_token_does_not_belong_to_an_upload(fake: FakeGraph, graph: Client) -> None:
    _, session = await _session(graph)
    assert (await _put(graph, session["uploadUrl"], b"x", 0, Authorization="Bearer x")).status_code == 401
    assert (await _put(graph, session["uploadUrl"], b"x" * (LARGEST_RANGE + 1), 0)).status_code == 400
    assert len(fake.violations) == 2


async def test_small_ones_are_refused(fake: FakeGraph, graph: Client) -> None:
    draft = (await graph.post_mime(mail())).json()["id"]
    item = {"AttachmentItem": {"attachmentType": "file", "name": "x", "size": 1000}}
    refused = await graph.refused("POST", f"/messages/{draft}/attachments/createUploadSession", item)
    assert refused == (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")


async def test_a_forgotten_session_is_not_found(fake: FakeGraph, graph: Client) -> None:
    _, session = await _session(graph)
    fake.uploads.forget()
    assert (await _put(graph, session["uploadUrl"], b"x", 0)).status_code == 404


async def test_a_nested_message_is_an_item(fake: FakeGraph, graph: Client) -> None:
    item = {
        "@odata.type": "#microsoft.graph.message",
        "subject": "inner",
        "body": {"contentType": "text", "content": "x"},
    }
    given = {"@odata.type": "#microsoft.graph.itemAttachment", "name": "inner", "item": item}
    draft = (await graph.post_mime(mail())).json()["id"]
    made = await graph.post(f"/messages/{draft}/attachments", given)
    path = f"/messages/{draft}/attachments/{made['id']}"
    found = await graph.get(path, _expand="microsoft.graph.itemAttachment/item")
    assert found["item"]["subject"] == "inner"
    assert b"Subject: inner" in await graph.mime(draft)
    assert (await graph.call("DELETE", path)).status_code == 204
    assert (await graph.get(f"/messages/{draft}"))["hasAttachments"] is False


@pytest.mark.parametrize("given", [{}, {"@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": "YQ=="}])
async def test_wrong_attachments_are_refused(fake: FakeGraph, graph: Client, given: object) -> None:
    draft = (await graph.post_mime(mail())).json()["id"]
    assert (await graph.refused("POST", f"/messages/{draft}/attachments", given))[0] == 400
    assert len(fake.violations) == 1
