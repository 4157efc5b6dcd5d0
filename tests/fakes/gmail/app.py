"""The stand-in as a web application: API, uploads, batch, OAuth, and the doors for tests under /_fake."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.fakes.gmail.batch import answer_batch
from tests.fakes.gmail.calls import HttpAnswer, HttpCall
from tests.fakes.gmail.control import routes as control_routes
from tests.fakes.gmail.discovery import Method, Upload
from tests.fakes.gmail.dispatch import UPLOAD_PARAMETERS
from tests.fakes.gmail.errors import ApiError, malformed, not_found
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.faults import Cut
from tests.fakes.gmail.uploads import Media, check_length, check_media_type, read_multipart

_VERBS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_UPLOAD_PREFIXES: Final = ("/resumable/upload/", "/upload/")
_JSON_LIMIT: Final = 10_485_760


def application(fake: FakeGmail) -> Starlette:
    """Return the ASGI application of `fake`."""
    web = _Web(fake)
    routes = [
        *control_routes(fake),
        *fake.oauth.routes(),
        Route("/batch", web.batch, methods=["POST"]),
        Route("/batch/gmail/v1", web.batch, methods=["POST"]),
        Route("/{path:path}", web.call, methods=_VERBS),
    ]
    compression = [Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)] if fake.options.compresses else []
    return Starlette(routes=routes, middleware=compression, exception_handlers={Cut: _cut})


class _NoAnswer(Response):
    """Closes the connection in place of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn hands out a bound method of its request, which knows the transport; ASGI has no word for this.
        cycle = getattr(receive, "__self__", None)
        if cycle is None:
            raise Cut
        cycle.transport.abort()
        await receive()


async def _cut(request: Request, exception: Exception) -> Response:
    return _NoAnswer()


class _Web:
    def __init__(self, fake: FakeGmail) -> None:
        self._fake = fake

    async def call(self, request: Request) -> Response:
        """Answer a call of the API, plain or with media."""
        http = await self._read(request)
        try:
            prefix = next((each for each in _UPLOAD_PREFIXES if http.path.startswith(each)), None)
            if prefix is None:
                if len(http.body) > _JSON_LIMIT:
                    raise malformed(f"Request payload size exceeds the limit: {_JSON_LIMIT} bytes.")
                return _response(await self._fake.dispatcher.answer(http))
            return await self._upload(http, prefix)
        except ApiError as error:
            return _response(self._fake.dispatcher.refused(f"{http.verb} {http.path}", error))

    async def batch(self, request: Request) -> Response:
        """Answer a batch."""
        http = await self._read(request)
        try:
            return _response(await answer_batch(self._fake.dispatcher, http.headers, http.body))
        except ApiError as error:
            return _response(self._fake.dispatcher.refused("batch", error))

    async def _read(self, request: Request) -> HttpCall:
        self._fake.stats.requests += 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.scope["raw_path"].decode("ascii").partition("?")[0]
        query = tuple(request.query_params.multi_items())
        return HttpCall(request.method, path, query, headers, await request.body())

    async def _upload(self, http: HttpCall, prefix: str) -> Response:
        query = dict(http.query)
        kind = query.get("uploadType") or query.get("upload_protocol") or "media"
        # A resumable upload goes on with PUT, whatever the verb of its method is.
        path = "/" + http.path.removeprefix(prefix)
        upload_id = query.get("upload_id")
        if upload_id is not None:
            return await self._go_on(http, path, upload_id)
        method, upload, limit = self._upload_of(http.verb, path)
        if kind == "resumable":
            return self._start(http, path, method, upload, limit)
        if kind == "multipart":
            media = read_multipart(upload, http.headers.get("content-type", ""), http.body)
        elif kind in {"media", "raw"}:
            check_media_type(http.headers.get("content-type", "message/rfc822"), upload)
            media = Media({}, http.body)
        else:
            raise malformed(f"Invalid uploadType {kind}")
        check_length(len(media.octets), limit)
        return await self._complete(http, path, http.verb, media)

    def _start(self, http: HttpCall, path: str, method: Method, upload: Upload, limit: int) -> Response:
        self._fake.tokens.check(http.headers.get("authorization"), method.scopes)
        number = self._fake.uploads.start(f"{http.verb} {path}", upload, limit, http.headers, http.body)
        others = [(name, value) for name, value in http.query if name not in UPLOAD_PARAMETERS]
        query = urlencode([*others, ("uploadType", "resumable"), ("upload_id", number)])
        location = f"http://{http.headers['host']}{http.path}?{query}"
        return Response(status_code=200, headers={"Location": location, "X-GUploader-UploadID": number})

    async def _go_on(self, http: HttpCall, path: str, upload_id: str) -> Response:
        if http.verb != "PUT":
            raise malformed("A resumable upload goes on with PUT")
        found = self._fake.uploads.find(upload_id)
        if found is None:
            # Not a fault of the client: the upload has expired, and the guide says to begin anew.
            return _response(self._fake.dispatcher.refused("upload", not_found()))
        verb = found.partition(" ")[0]
        method, _, limit = self._upload_of(verb, path)
        self._fake.tokens.check(http.headers.get("authorization"), method.scopes)
        got = self._fake.uploads.receive(upload_id, f"{verb} {path}", limit, http.headers, http.body)
        if isinstance(got, Media):
            return await self._complete(http, path, verb, got)
        headers = {"Range": f"bytes=0-{got - 1}"} if got else {}
        return Response(status_code=308, headers={**headers, "Content-Length": "0"})

    async def _complete(self, http: HttpCall, path: str, verb: str, media: Media) -> Response:
        query = tuple((name, value) for name, value in http.query if name not in UPLOAD_PARAMETERS)
        headers = {name: value for name, value in http.headers.items() if not name.startswith("content-")}
        return _response(await self._fake.dispatcher.answer(HttpCall(verb, path, query, headers, b"", media)))

    def _upload_of(self, verb: str, path: str) -> tuple[Method, Upload, int]:
        _, method, _ = self._fake.dispatcher.find(verb, path)
        if method.upload is None:
            raise not_found()
        return method, method.upload, self._fake.options.max_upload_octets or method.upload.max_octets


def _response(answer: HttpAnswer) -> Response:
    return Response(answer.body, answer.status, answer.headers)
