"""The stand-in as a web application: API, batch, uploads, login, and the doors for tests under /_fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.fakes.graph.batch import answer_batch
from tests.fakes.graph.calls import HttpAnswer, HttpCall
from tests.fakes.graph.control import routes as control_routes
from tests.fakes.graph.errors import ApiError, not_found
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.faults import Cut
from tests.fakes.graph.methods_attachments import add
from tests.fakes.graph.records import iso, to_ms
from tests.fakes.graph.uploads import Session

_VERBS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_CHUNK: Final = 65_536


def application(fake: FakeGraph) -> Starlette:
    """Return the ASGI application of `fake`."""
    web = _Web(fake)
    routes = [
        *control_routes(fake),
        Route("/v1.0/$batch", web.batch, methods=["POST"]),
        Route("/upload/{token}/{rest:path}", web.upload, methods=["PUT", "GET", "DELETE"]),
        Route("/v1.0/{path:path}", web.call, methods=_VERBS),
        Route("/beta/{path:path}", web.call, methods=_VERBS),
        *fake.oauth.routes(),
    ]
    return Starlette(routes=routes, exception_handlers={Cut: _cut})


async def _cut(request: Request, exception: Exception) -> Response:
    return _Answer(HttpAnswer(0, cut_at=0), lambda: None)


class _Answer(Response):
    """Sends an answer, all of it or its beginning, and then gives back the room it took."""

    def __init__(self, answer: HttpAnswer, release: Callable[[], None]) -> None:
        super().__init__()
        self._answer = answer
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer
        try:
            if answer.cut_at == 0:
                await _hang_up(receive)
                return
            headers = {name.lower(): value for name, value in answer.headers.items()}
            if not answer.is_streamed:
                headers["content-length"] = str(len(answer.body))
            raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": answer.status, "headers": raw})
            left = answer.cut_at
            async for chunk in _chunks(answer):
                await send({"type": "http.response.body", "body": chunk[:left], "more_body": True})
                if left is not None:
                    left -= len(chunk)
                    if left <= 0:
                        await _hang_up(receive)
                        return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._release()


async def _chunks(answer: HttpAnswer) -> AsyncIterator[bytes]:
    for start in range(0, len(answer.body), _CHUNK):
        yield answer.body[start : start + _CHUNK]


async def _hang_up(receive: Receive) -> None:
    # uvicorn hands out a bound method of its request, which knows the transport; ASGI has no word for this.
    cycle = getattr(receive, "__self__", None)
    if cycle is None:
        raise Cut
    cycle.transport.abort()
    await receive()


class _Web:
    def __init__(self, fake: FakeGraph) -> None:
        self._fake = fake

    async def call(self, request: Request) -> Response:
        """Answer a call of the API."""
        http = await self._read(request)
        dispatcher = self._fake.dispatcher
        mailbox = dispatcher.mailbox_key(http.path, http.headers)
        over, release = dispatcher.reserve(mailbox, 1) if mailbox else (0, _nothing)
        try:
            answer = await dispatcher.answer(http, is_over=bool(over))
        except BaseException:
            release()
            raise
        self._fake.stats.octets_out += len(answer.body)
        return _Answer(answer, release)

    async def batch(self, request: Request) -> Response:
        """Answer a batch."""
        http = await self._read(request)
        fake = self._fake
        fake.stats.requests["$batch"] += 1
        fault = fake.faults.take("$batch")
        try:
            fake.tokens.check(http.headers.get("authorization"))
            if fault is not None and not fault.is_after_work and not fault.is_only_late:
                raise fault.error()
            answer = await answer_batch(fake, http)
            if fault is not None and fault.is_after_work:
                raise fault.error()
        except ApiError as error:
            answer = fake.dispatcher.refused("POST /$batch", error)
        fake.stats.octets_out += len(answer.body)
        return _Answer(answer, _nothing)

    async def upload(self, request: Request) -> Response:
        """Take a range of a large attachment, tell how far it came, or end it."""
        fake = self._fake
        fake.stats.requests["upload"] += 1
        token = request.path_params["token"]
        body = await request.body()
        fake.stats.octets_in += len(body)
        fault = fake.faults.take("upload")
        try:
            if fault is not None and not fault.is_after_work:
                raise fault.error()
            answer = self._upload(request, token, body)
            if fault is not None:
                raise fault.error()
        except ApiError as error:
            return _Answer(fake.dispatcher.refused(f"{request.method} upload", error), _nothing)
        return answer

    def _upload(self, request: Request, token: str, body: bytes) -> Response:
        fake = self._fake
        if request.method == "DELETE":
            fake.uploads.cancel(token)
            return Response(status_code=204)
        session = fake.uploads.find(token)
        if request.method == "GET":
            return _progress(session)
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = fake.uploads.receive(token, headers, body)
        if isinstance(got, Session):
            return _progress(got)
        message = session.message
        if message.number not in session.mailbox.messages:
            raise not_found()
        place = add(session.mailbox, message, got)
        number = session.mailbox.ids.attachment(message.number, place)
        where = f"{fake.api_root}/users('{session.mailbox.address}')/messages('x')/attachments('{number}')"
        return Response(status_code=201, headers={"Location": where})

    async def _read(self, request: Request) -> HttpCall:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.scope["raw_path"].decode("ascii").partition("?")[0]
        body = await request.body()
        self._fake.stats.octets_in += len(body)
        origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return HttpCall(request.method, path, tuple(request.query_params.multi_items()), headers, body, origin)


def _progress(session: Session) -> Response:
    body = {"expirationDateTime": iso(to_ms(session.expires)), "nextExpectedRanges": session.next_ranges()}
    return JSONResponse(body)


def _nothing() -> None:
    return None
