"""Uploads of large attachments: in order, without a credential, and from where they stopped."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.api.errors import NotFound, OutcomeUnknown, Rejected, Unavailable
from connectors.api.types import BytesContent
from connectors.graph.client import GraphClient
from connectors.graph.uploads import PIECE_OCTETS
from tests.connectors.graph.offline import client_of, refusal
from tests.connectors.transport.jumping_clock import JumpingClock

URL = "https://outlook.office.com/api/upload?authtoken=secret"
CONTENT = BytesContent(bytes(range(256)) * 40_000)


class UploadServer(httpx.AsyncBaseTransport):
    """Takes ranges in order, and says which it waits for; `faults` befall the next requests, one each.

    A fault is a reply in place of its own, or `before` or `after`: the connection is cut before or after the work.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.ranges: list[str] = []
        self.faults: list[str | httpx.Response | None] = []
        self.is_done = False
        self.knows_the_end = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        assert "authorization" not in request.headers
        assert str(request.url) == URL
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, httpx.Response):
            return fault
        if fault == "before":
            raise httpx.ReadError("cut")
        reply = self._inquiry() if request.method == "GET" else self._put(request, body)
        if fault == "after":
            raise httpx.ReadError("cut")
        return reply

    def _inquiry(self) -> httpx.Response:
        if self.is_done and not self.knows_the_end:
            return refusal(404, "ErrorItemNotFound")
        return self._waiting(200)

    def _put(self, request: httpx.Request, body: bytes) -> httpx.Response:
        assert request.headers["content-length"] == str(len(body))
        self.ranges.append(request.headers["content-range"])
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers["content-range"])
        assert match is not None
        first, last, total = map(int, match.groups())
        assert last - first + 1 == len(body) <= 4 * 1024 * 1024
        assert last + 1 == total or len(body) % (320 * 1024) == 0
        if first != len(self.received):
            return refusal(416, "ErrorInvalidRange")
        self.received += body
        if len(self.received) == total:
            self.is_done = True
            return httpx.Response(201, headers={"Location": "https://outlook.office.com/attachments/1"})
        return self._waiting(200)

    def _waiting(self, status: int) -> httpx.Response:
        ranges = [] if self.is_done else [f"{len(self.received)}-"]
        return httpx.Response(status, json={"expirationDateTime": "2026-01-01T00:00:00Z", "nextExpectedRanges": ranges})


@pytest.fixture
def server() -> UploadServer:
    return UploadServer()


@pytest.fixture
async def client(server: UploadServer) -> AsyncIterator[GraphClient]:
    client = client_of(server, JumpingClock())
    yield client
    await client.close()


async def test_content_goes_in_pieces_in_order(client: GraphClient, server: UploadServer) -> None:
    await client.upload(URL, CONTENT)
    assert bytes(server.received) == CONTENT.data
    assert len(server.ranges) == -(-CONTENT.size // PIECE_OCTETS)


async def test_small_content_goes_at_once(client: GraphClient, server: UploadServer) -> None:
    await client.upload(URL, BytesContent(b"x"))
    assert server.ranges == ["bytes 0-0/1"]


@pytest.mark.parametrize("faults", [["before"], ["after"], [None, "before", "before"], ["after", None, "after"]])
async def test_an_upload_goes_on_where_it_stopped(
    faults: list[str | httpx.Response | None], client: GraphClient, server: UploadServer
) -> None:
    server.faults = faults
    await client.upload(URL, CONTENT)
    assert bytes(server.received) == CONTENT.data


async def test_a_throttled_piece_is_sent_again(client: GraphClient, server: UploadServer) -> None:
    server.faults = [refusal(429, "TooManyRequests", retry_after="5"), refusal(503, "x")]
    await client.upload(URL, CONTENT)
    assert bytes(server.received) == CONTENT.data


async def test_a_lost_end_is_found_out_where_the_session_knows(client: GraphClient, server: UploadServer) -> None:
    server.knows_the_end = True
    server.faults = ["after"]
    await client.upload(URL, BytesContent(b"abc"))
    assert bytes(server.received) == b"abc"


async def test_a_lost_end_is_unknown_where_the_session_is_gone(client: GraphClient, server: UploadServer) -> None:
    server.faults = ["after"]
    with pytest.raises(OutcomeUnknown):
        await client.upload(URL, BytesContent(b"abc"))


async def test_a_session_that_ended_in_the_middle_is_a_failure(client: GraphClient, server: UploadServer) -> None:
    server.faults = ["before", refusal(404, "ErrorItemNotFound")]
    with pytest.raises(Unavailable):
        await client.upload(URL, CONTENT)


async def test_a_session_that_is_gone_from_the_beginning_says_so(client: GraphClient, server: UploadServer) -> None:
    server.faults = [refusal(404, "ErrorItemNotFound")]
    with pytest.raises(NotFound):
        await client.upload(URL, CONTENT)


async def test_what_is_refused_is_raised(client: GraphClient, server: UploadServer) -> None:
    server.faults = [refusal(400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")]
    with pytest.raises(Rejected):
        await client.upload(URL, CONTENT)


async def test_an_upload_that_does_not_get_on_ends(client: GraphClient, server: UploadServer) -> None:
    server.faults = [httpx.Response(200, json={"nextExpectedRanges": ["0-"]}) for _ in range(9)]
    with pytest.raises(Unavailable, match="does not get on"):
        await client.upload(URL, CONTENT)


async def test_a_reply_that_names_no_range_in_the_middle_is_a_failure(
    client: GraphClient, server: UploadServer
) -> None:
    server.faults = [httpx.Response(200, json={})]
    with pytest.raises(Unavailable, match="waits for"):
        await client.upload(URL, CONTENT)


async def test_content_that_is_shorter_than_it_says_is_not_sent(client: GraphClient, server: UploadServer) -> None:
    class Short(BytesContent):
        @property
        def size(self) -> int:
            return 10

    with pytest.raises(Unavailable, match="another length"):
        await client.upload(URL, Short(b"abc"))
    assert server.ranges == []


@pytest.mark.parametrize("url", ["http://outlook.example/upload", "ftp://x", "nowhere"])
async def test_mail_does_not_go_where_it_can_be_read_along(url: str, client: GraphClient, server: UploadServer) -> None:
    with pytest.raises(Unavailable, match="no address"):
        await client.upload(url, CONTENT)
    assert server.ranges == []


async def test_the_address_is_a_secret(client: GraphClient, server: UploadServer) -> None:
    server.faults = [refusal(400, "ErrorInvalidRequest", f"bad {URL}")]
    with pytest.raises(Rejected) as caught:
        await client.upload(URL, CONTENT)
    assert "authtoken" not in caught.value.operator_text
