"""Upload and download of blobs (RFC 8620 section 6)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.connections import Connections
from tests.fakes.jmap.content import Content
from tests.fakes.jmap.errors import RequestProblem
from tests.fakes.jmap.options import FakeUser

if TYPE_CHECKING:
    from tests.fakes.jmap.fake import FakeJmap

MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;.*)?")
CHUNK = 1 << 16


async def upload(fake: FakeJmap, request: Request, user: FakeUser) -> Response:
    """Take a blob.

    Raises:
        RequestProblem: it is larger than `maxSizeUpload`.
    """
    account = _account(fake, request, user, "upload")
    if account is None:
        return PlainTextResponse("no such account", 404)
    if account.is_read_only:
        return PlainTextResponse("the account is read-only", 403)
    media_type = request.headers.get("content-type", "")
    if not MEDIA_TYPE.fullmatch(media_type):
        fake.violation("upload", f"Content-Type {media_type!r}")
        return PlainTextResponse("a Content-Type is needed", 400)
    limit = fake.options.max_size_upload
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise RequestProblem("limit", f"{limit} octets are allowed", limit="maxSizeUpload")
    fake.stats.octets_in += len(data)
    blob_id = account.upload(Content.of(bytes(data)))
    return JSONResponse({"accountId": account.id, "blobId": blob_id, "type": media_type, "size": len(data)}, 201)


async def download(fake: FakeJmap, request: Request, user: FakeUser) -> Response:
    """Send a blob, in pieces and with its length."""
    account = _account(fake, request, user, "download")
    media_type = request.query_params.get("type", "")
    name = str(request.path_params["name"])
    if not MEDIA_TYPE.fullmatch(media_type) or not name:
        fake.violation("download", f"type {media_type!r}, name {name!r}")
        return PlainTextResponse("type and name are needed", 400)
    content = account.blobs.get(request.path_params["blob_id"]) if account else None
    if content is None:
        return PlainTextResponse("no such blob", 404)
    fake.stats.octets_out += content.size
    headers = {
        "Content-Length": str(content.size),
        "Cache-Control": "private, immutable, max-age=31536000",
        "Content-Disposition": "attachment",
    }
    return StreamingResponse(_chunks(content), headers=headers, media_type=media_type)


async def _chunks(content: Content) -> AsyncIterator[bytes]:
    data = content.data
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


def _account(fake: FakeJmap, request: Request, user: FakeUser, where: str) -> Account | None:
    account_id = str(request.path_params["account_id"])
    account = fake.accounts_of(user).get(account_id)
    if account is None:
        fake.violation(where, f"account {account_id!r}")
    return account


class CutResponse(Response):
    """A reply that ends after so many octets of its body, by the loss of the connection."""

    def __init__(self, whole: Response, octets: int, connections: Connections) -> None:
        super().__init__()
        self.whole = whole
        self.octets = octets
        self.connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self.octets
        is_cut = False

        async def cutting(message: dict[str, object]) -> None:
            nonlocal left, is_cut
            if is_cut:
                return
            body = message.get("body", b"")
            if isinstance(body, bytes) and message["type"] == "http.response.body":
                if len(body) > left:
                    await send({**message, "body": body[:left], "more_body": True})
                    self.connections.close(Request(scope))
                    is_cut = True
                    return
                left -= len(body)
            await send(message)

        await self.whole(scope, receive, cutting)  # type: ignore[arg-type]
