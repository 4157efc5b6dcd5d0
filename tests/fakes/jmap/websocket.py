"""JMAP over WebSocket (RFC 8887)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.fakes.jmap.account import PUSHED_TYPES
from tests.fakes.jmap.checks import Arguments, list_of, nullable, one_of, text
from tests.fakes.jmap.connections import Connections
from tests.fakes.jmap.dispatch import answer, parse_json
from tests.fakes.jmap.errors import MethodFailure, RequestProblem, Unauthorised
from tests.fakes.jmap.options import FakeUser
from tests.fakes.jmap.push import Dropped, Event, Subscription

if TYPE_CHECKING:
    from tests.fakes.jmap.fake import FakeJmap

REQUEST_EXTRAS = frozenset({"@type", "id"})
UNSUPPORTED_DATA = 1003


class WebSocketDoor:
    """Accepts WebSocket connections for one stand-in. `user_of` says who asks, or raises."""

    def __init__(self, fake: FakeJmap, connections: Connections, user_of: Callable[[HTTPConnection], FakeUser]) -> None:
        self.fake = fake
        self.connections = connections
        self.user_of = user_of

    async def serve(self, socket: WebSocket) -> None:
        """Serve one connection until it ends."""
        fake = self.fake
        fake.stats.requests["websocket"] += 1
        await fake.pass_gate("websocket")
        refusal = self._refusal(socket)
        if isinstance(refusal, Response):
            await socket.send_denial_response(refusal)
            return
        user = refusal
        await socket.accept(subprotocol="jmap")
        self.connections.websockets += 1
        conversation = _Conversation(fake, socket, user)
        try:
            await conversation.run()
        except Dropped:
            self.connections.close(socket)
        finally:
            self.connections.websockets -= 1
            conversation.end_push()

    def _refusal(self, socket: WebSocket) -> Response | FakeUser:
        """Return the answer to a handshake that is refused, or who is let in."""
        fake = self.fake
        throttled = fake.throttling.refusal()
        fault = fake.faults.take("websocket")
        if throttled is not None:
            status, retry_after = throttled
            return Response(status_code=status, headers={"Retry-After": retry_after} if retry_after else None)
        if fault is not None or not fake.options.websocket:
            return Response(status_code=fault.status if fault else 404)
        try:
            user = self.user_of(socket)
        except Unauthorised as refused:
            if refused.is_missing:
                self.fake.violation("websocket", "no credentials")
            return Response(status_code=401)
        if "jmap" not in socket.scope["subprotocols"]:
            fake.violation("websocket", "the subprotocol jmap is not asked for")
            return Response(status_code=400)
        return user


class _Conversation:
    """What goes on over one connection: requests, each in a task of its own, and pushes."""

    def __init__(self, fake: FakeJmap, socket: WebSocket, user: FakeUser) -> None:
        self.fake = fake
        self.socket = socket
        self.user = user
        self.subscription: Subscription | None = None
        self._push_wanted = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the client closes.

        Raises:
            Dropped: the stand-in was told to cut it.
        """
        is_dropped = False
        try:
            async with asyncio.TaskGroup() as tasks:
                self._running.add(tasks.create_task(self._push()))
                await self._receive(tasks)
                for task in self._running:
                    task.cancel()
        except* Dropped:
            is_dropped = True
        except* WebSocketDisconnect:
            pass  # the client went while something was being sent to it
        if is_dropped:
            raise Dropped

    async def _receive(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is None:
                self.fake.violation("websocket", "a binary frame")
                await self.socket.close(UNSUPPORTED_DATA)
                return
            task = tasks.create_task(self._handle(str(message["text"])))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _handle(self, frame: str) -> None:
        request_id: object = None
        try:
            document = parse_json(frame)
            if not isinstance(document, dict):
                raise RequestProblem("notRequest", "not an object")
            values = cast(dict[str, object], document)
            request_id = values.get("id")
            match values.get("@type"):
                case "Request":
                    await self._request(values)
                case "WebSocketPushEnable":
                    self._enable(values)
                case "WebSocketPushDisable":
                    self.end_push()
                case other:
                    raise RequestProblem("notRequest", f"@type {other!r}")
        except RequestProblem as problem:
            self.fake.violation("websocket", str(problem))
            await self._send({"@type": "RequestError", "requestId": request_id, **problem.document()})

    async def _request(self, values: dict[str, object]) -> None:
        request_id = values.get("id")
        if request_id is not None and not isinstance(request_id, str):
            raise RequestProblem("notRequest", "id must be a string")
        self.fake.stats.requests["websocket-request"] += 1
        key, limit = ("api", self.user.name), self.fake.options.max_concurrent_requests
        if self.fake.in_flight[key] >= limit:
            raise RequestProblem("limit", f"{limit} at a time are allowed", limit="maxConcurrentRequests")
        self.fake.in_flight[key] += 1
        try:
            reply = await answer(self.fake, self.user, values, REQUEST_EXTRAS)
        finally:
            self.fake.in_flight[key] -= 1
        echoed = {} if request_id is None else {"requestId": request_id}
        await self._send({"@type": "Response", **echoed, **reply})

    def _enable(self, values: dict[str, object]) -> None:
        arguments = Arguments(values)
        try:
            arguments.required("@type", text)
            types = arguments.required("dataTypes", nullable(list_of(one_of(PUSHED_TYPES))))
            since = arguments.optional("pushState", nullable(text), None)
            arguments.finish()
        except MethodFailure as failure:
            raise RequestProblem("notRequest", failure.description) from None
        self.end_push()
        self.subscription = subscription = Subscription(self.fake.accounts_of(self.user), types)
        self.fake.push.subscriptions.add(subscription)
        if since and not self.fake.push.replay(subscription, since):
            subscription.offer(Event(self.fake.push.state_id, self.fake.all_states(self.user)))
        self._push_wanted.set()

    def end_push(self) -> None:
        """Stop pushing."""
        if self.subscription is not None:
            self.fake.push.subscriptions.discard(self.subscription)
            self.subscription.retire()
            self.subscription = None

    async def _push(self) -> None:
        while True:
            await self._push_wanted.wait()
            self._push_wanted.clear()
            subscription = self.subscription
            while subscription is not None and not subscription.is_retired:
                event = await subscription.next(None)
                if event is not None:
                    await self._send({**event.document(), "pushState": event.id})

    async def _send(self, document: dict[str, object]) -> None:
        await self.socket.send_text(json.dumps(document))
