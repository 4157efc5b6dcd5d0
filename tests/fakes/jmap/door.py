"""The HTTP side: who is let in, what is refused, and how replies go wrong on purpose."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from tests.fakes.jmap.blobs import CutResponse, download, upload
from tests.fakes.jmap.connections import Connections
from tests.fakes.jmap.control import act, stats_document
from tests.fakes.jmap.dispatch import answer, parse_json
from tests.fakes.jmap.errors import RequestProblem, Unauthorised
from tests.fakes.jmap.eventsource import event_stream
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.faults import OF_METHODS, Fault, FaultKind
from tests.fakes.jmap.options import FakeUser
from tests.fakes.jmap.session import (
    API_PATH,
    DOWNLOAD_PATH,
    EVENTS_PATH,
    SESSION_PATH,
    SHORT_PATH,
    UPLOAD_PATH,
    WEBSOCKET_PATH,
    WELL_KNOWN_PATH,
    session_document,
)
from tests.fakes.jmap.stats import Exchange
from tests.fakes.jmap.websocket import WebSocketDoor

TEMPLATE_VARIABLE = re.compile(r"\{(accountId|blobId|name|type|types|closeafter|ping)\}")
Handler = Callable[[Request, FakeUser], Awaitable[Response]]
NO_CACHE = {"Cache-Control": "no-cache, no-store, must-revalidate"}
CHALLENGE = 'Basic realm="jmap", charset="UTF-8", Bearer realm="jmap"'


class Door:
    """Serves one stand-in."""

    def __init__(self, fake: FakeJmap, connections: Connections) -> None:
        self.fake = fake
        self.connections = connections

    def application(self) -> Starlette:
        """Return the ASGI application."""
        web_socket = WebSocketDoor(self.fake, self.connections, self.user_of)
        return Starlette(
            routes=[
                Route(WELL_KNOWN_PATH, self._redirect),
                Route("/jmap/hop/{left:int}", self._redirect),
                Route(SESSION_PATH, self._guarded("session", self._session)),
                Route(SHORT_PATH, self._guarded("session", self._session)),
                Route(API_PATH, self._guarded("api", self._api), methods=["POST"]),
                Route(UPLOAD_PATH + "{account_id}/", self._guarded("upload", self._upload), methods=["POST"]),
                Route(DOWNLOAD_PATH + "{account_id}/{blob_id}/{name:path}", self._guarded("download", self._download)),
                Route(EVENTS_PATH, self._guarded("events", self._events)),
                Route("/_fake/stats", self._stats),
                Route("/_fake/control", self._control, methods=["POST"]),
                WebSocketRoute(WEBSOCKET_PATH, web_socket.serve),
                Route("/{path:path}", self._elsewhere, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
            ],
            exception_handlers={HTTPException: self._refused},
        )

    # -- the way of a request ----------------------------------------------------------------------------------------

    def _guarded(self, kind: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._note(kind, request)
            fake = self.fake
            await fake.pass_gate(kind)
            if fake.options.delay_s:
                await asyncio.sleep(fake.options.delay_s)
            refusal = fake.throttling.refusal()
            if refusal is not None:
                fake.stats.throttled += 1
                status, retry_after = refusal
                return PlainTextResponse("slow down", status, {"Retry-After": retry_after} if retry_after else None)
            fault = fake.faults.take(kind) or (await self._fault_of_calls(request) if kind == "api" else None)
            early = await self._before(fault, request)
            if early is not None:
                return early
            return await self._after(fault, request, await self._answer(kind, handler, request))

        return endpoint

    async def _answer(self, kind: str, handler: Handler, request: Request) -> Response:
        try:
            user = self.user_of(request)
            with self._one_more(kind, user):
                response = await handler(request, user)
                # Still counted as in flight while a test holds it here.
                await self.fake.pass_gate(f"{kind}:done")
                return response
        except Unauthorised as refused:
            if refused.is_missing and kind != "session":
                self.fake.violation(kind, "no credentials")
            return PlainTextResponse("who are you?", 401, {"WWW-Authenticate": CHALLENGE})
        except RequestProblem as problem:
            self.fake.violation(kind, str(problem))
            return JSONResponse(problem.document(), problem.status, media_type="application/problem+json")

    def _note(self, kind: str, request: HTTPConnection) -> None:
        stats = self.fake.stats
        scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
        host = request.headers.get("host", "")
        method = str(request.scope.get("method", "GET"))
        stats.requests[kind] += 1
        stats.exchanges.append(Exchange(kind, method, host, request.url.path, scheme))
        if TEMPLATE_VARIABLE.search(unquote(str(request.url))):
            self.fake.violation(kind, "a URL template was not expanded")

    def user_of(self, connection: HTTPConnection) -> FakeUser:
        """Return who asks.

        Raises:
            Unauthorised.
        """
        header = connection.headers.get("authorization")
        if header is None:
            raise Unauthorised(is_missing=True)
        scheme, _, credential = header.partition(" ")
        for user in self.fake.options.users:
            if scheme.lower() == "bearer" and credential == user.token:
                return user
            if scheme.lower() == "basic" and _decoded(credential) == f"{user.name}:{user.password}":
                return user
        raise Unauthorised(is_missing=False)

    # -- planned failures --------------------------------------------------------------------------------------------

    async def _fault_of_calls(self, request: Request) -> Fault | None:
        """Return the failure planned for a method that the request calls."""
        if not self.fake.faults.pending:
            return None
        try:
            document = json.loads(await request.body())
            names = [str(call[0]) for call in document["methodCalls"]]
        except (ValueError, LookupError, TypeError):
            return None
        for name in names:
            fault = self.fake.faults.take(name, lambda fault: fault.kind not in OF_METHODS)
            if fault is not None:
                return fault
        return None

    async def _before(self, fault: Fault | None, request: Request) -> Response | None:
        match fault:
            case Fault(FaultKind.STATUS, status, retry_after=retry_after):
                return PlainTextResponse("planned", status, {"Retry-After": retry_after} if retry_after else None)
            case Fault(FaultKind.PAGE):
                return Response("<html><body>Please log in to the network.</body></html>", media_type="text/html")
            case Fault(FaultKind.CUT):
                return await self._cut(request)
            case Fault(FaultKind.HANG):
                return await _hang(request)
            case Fault(FaultKind.DELAY, delay_s=delay_s):
                await asyncio.sleep(delay_s)
        return None

    async def _after(self, fault: Fault | None, request: Request, response: Response) -> Response:
        match fault:
            case Fault(FaultKind.CUT_AFTER):
                return await self._cut(request)
            case Fault(FaultKind.HANG_AFTER):
                return await _hang(request)
            case Fault(FaultKind.STATUS_AFTER, status):
                return PlainTextResponse("planned", status)
            case Fault(FaultKind.BROKEN_JSON):
                body = bytes(response.body)
                return Response(body[: len(body) // 2], response.status_code, media_type="application/json")
            case Fault(FaultKind.CUT_BODY, octets=octets):
                return CutResponse(response, octets, self.connections)
        return response

    async def _cut(self, request: Request) -> Response:
        self.connections.close(request)
        return await _hang(request)

    # -- the resources -----------------------------------------------------------------------------------------------

    async def _redirect(self, request: Request) -> Response:
        """Lead from /.well-known/jmap to the session; no login is needed to learn where it is."""
        self._note("redirect", request)
        left = int(request.path_params.get("left", self.fake.options.redirects))
        return RedirectResponse(self.fake.session_location if left <= 1 else f"/jmap/hop/{left - 1}", 307)

    async def _session(self, request: Request, user: FakeUser) -> Response:
        fake = self.fake
        # Cyrus has it at the short path; both are one place until the session moves.
        if request.url.path != fake.session_path and fake.session_path != SESSION_PATH:
            return RedirectResponse(fake.session_location, 308)
        accounts = fake.accounts_of(user).values()
        document = session_document(fake.options, fake.origins, user, accounts, fake.session_state())
        return JSONResponse(document, headers=NO_CACHE)

    async def _api(self, request: Request, user: FakeUser) -> Response:
        fake, limit = self.fake, self.fake.options.max_size_request
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RequestProblem("notJSON", "the Content-Type is not application/json")
        body = await request.body()
        fake.stats.octets_in += len(body)
        if len(body) > limit:
            raise RequestProblem("limit", f"{len(body)} octets, {limit} are allowed", limit="maxSizeRequest")
        response = JSONResponse(await answer(fake, user, parse_json(body)))
        fake.stats.octets_out += len(response.body)
        return response

    async def _upload(self, request: Request, user: FakeUser) -> Response:
        return await upload(self.fake, request, user)

    async def _download(self, request: Request, user: FakeUser) -> Response:
        return await download(self.fake, request, user)

    async def _events(self, request: Request, user: FakeUser) -> Response:
        return event_stream(self.fake, self.connections, request, user)

    @contextmanager
    def _one_more(self, kind: str, user: FakeUser) -> Iterator[None]:
        """Count a request in flight, where their number is bounded.

        Raises:
            RequestProblem: there are as many as are allowed already.
        """
        options = self.fake.options
        limits = {
            "api": (options.max_concurrent_requests, "maxConcurrentRequests"),
            "upload": (options.max_concurrent_upload, "maxConcurrentUpload"),
        }
        if kind not in limits:
            yield
            return
        limit, name = limits[kind]
        key = kind, user.name
        if self.fake.in_flight[key] >= limit:
            raise RequestProblem("limit", f"{limit} at a time are allowed", limit=name)
        self.fake.in_flight[key] += 1
        try:
            yield
        finally:
            self.fake.in_flight[key] -= 1

    # -- the rest ----------------------------------------------------------------------------------------------------

    async def _stats(self, request: Request) -> Response:
        return JSONResponse(stats_document(self.fake, self.connections))

    async def _control(self, request: Request) -> Response:
        try:
            result = act(self.fake, json.loads(await request.body()))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            return JSONResponse({"error": reason}, 400)
        return JSONResponse(result)

    async def _elsewhere(self, request: Request) -> Response:
        if request.url.path == self.fake.session_path and request.method == "GET":
            return await self._guarded("session", self._session)(request)
        self._note("other", request)
        self.fake.violation("other", f"{request.method} {request.url.path}: there is nothing")
        return PlainTextResponse("there is nothing here", 404)

    async def _refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        self._note("other", request)
        self.fake.violation("other", f"{request.method} {request.url.path}: {status}")
        return PlainTextResponse("refused", status)


async def _hang(request: Request) -> Response:
    """Wait until the client has given up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=500)


def _decoded(credential: str) -> str:
    try:
        return base64.b64decode(credential, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
