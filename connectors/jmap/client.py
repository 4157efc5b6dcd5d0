"""The client of one account at a JMAP server: method calls, downloads and uploads, within the server's limits."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable

import httpx
import msgspec

from connectors.api.credentials import CredentialSource
from connectors.api.errors import OutcomeUnknown, RateLimited, TooLarge, Unavailable
from connectors.api.priority import Priority
from connectors.api.types import MessageContent
from connectors.jmap.blobs import Blob, BlobContent
from connectors.jmap.calls import Call, encode
from connectors.jmap.discovery import Discovery, DnsResolver, ServiceResolver
from connectors.jmap.errors import map_problem
from connectors.jmap.results import Results
from connectors.jmap.session import SessionKeeper, SessionView
from connectors.jmap.settings import JmapSettings
from connectors.jmap.structs import (
    CORE,
    MAIL,
    CoreCapability,
    MailCapability,
    Problem,
    Response,
    Session,
    UploadReply,
)
from connectors.jmap.trust import Trust
from connectors.transport.authorise import CredentialAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.clock import Clock, LoopClock
from connectors.transport.limits import ConcurrencyLimit
from connectors.transport.messages import Effect, Reply, Request
from connectors.transport.options import TransportOptions
from connectors.transport.retry import RetryPolicy

__all__ = ["Blob", "JmapClient", "Results", "transport_options"]

MAX_REPLY_OCTETS = 128 * 1024 * 1024
"""Of one API reply. The largest that is asked for, the headers of a few hundred messages, is a fraction of it."""

_GONE = frozenset({404, 410})
_PAUSES = RetryPolicy(attempts=5, first_s=0.25, max_s=4.0)
"""For requests refused because too many are under way: by others of the same login, as ours are counted."""
_UPLOADS = 4
"""How often an upload is sent at most while the server has no place for it."""


class JmapClient:
    """Open it before anything else; all methods may be called concurrently.

    Every method may raise `Unavailable`, `AuthExpired` and `RateLimited`.
    """

    def __init__(
        self,
        settings: JmapSettings,
        credentials: CredentialSource,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        resolver: ServiceResolver | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare a client; nothing is sent yet. `chance` gives random numbers in 0..1.

        Raises:
            SettingError: `ca_file` cannot be read.
        """
        self.settings = settings
        self.clock = clock or LoopClock()
        self.options = transport_options(settings)
        self.authoriser = CredentialAuthoriser(credentials)
        self._trust = Trust(settings, self.authoriser)
        self._resolver = resolver or DnsResolver()
        self._transport = transport
        self._chance = chance
        self._requests = ConcurrencyLimit(settings.max_concurrent)
        self._uploads = ConcurrencyLimit(settings.max_concurrent)
        self._http, self._keeper = self._begin()
        self.closed = asyncio.Event()
        """Set while the client is closed."""

    def _begin(self) -> tuple[HttpClient, SessionKeeper]:
        http = HttpClient("jmap", self.authoriser, self.options, clock=self.clock, transport=self._transport)
        discovery = Discovery(self.settings, http, self._trust, self._resolver)
        return http, SessionKeeper(discovery, self._trust, self.settings.account_id, self.clock)

    # -- the session --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Find the server and read the session; may be called again to read it anew.

        Raises:
            Denied: the login has no mail account, or not the one that is set.
            Rejected: a server is involved that gets no credentials, or it is not clear which account is meant.
        """
        if self.closed.is_set():
            self._http, self._keeper = self._begin()
            self.closed.clear()
        await self._keeper.open()
        self._obey_limits()

    async def close(self) -> None:
        """End all connections. Never raises; may be called twice, and `open` after it."""
        self.closed.set()
        await self._http.close()

    @property
    def http(self) -> HttpClient:
        """The HTTP client in use; another one after `close` and `open`."""
        return self._http

    @property
    def view(self) -> SessionView:
        """The session with its addresses, as it was last read."""
        return self._keeper.view

    @property
    def session(self) -> Session:
        return self.view.session

    @property
    def account_id(self) -> str:
        """The account whose mail this is; the same until `open` is called again."""
        return self.view.account_id

    @property
    def limits(self) -> CoreCapability:
        return self.view.core

    @property
    def mail(self) -> MailCapability:
        return self.view.mail

    def has(self, capability: str) -> bool:
        """Tell whether the server offers the capability for the account."""
        return self.view.has(capability)

    async def refresh(self) -> SessionView:
        """Return the session, read anew if the server has said that it changed."""
        before = self.view
        view = await self._keeper.settle()
        if view is not before:
            self._obey_limits()
        return view

    def _obey_limits(self) -> None:
        ours, server = self.settings.max_concurrent, self.limits
        self._requests.resize(min(ours, server.max_concurrent_requests))
        self._uploads.resize(min(ours, server.max_concurrent_upload))

    # -- method calls -------------------------------------------------------------------------------------------------

    async def call(self, *calls: Call, effect: Effect = Effect.READ, using: Iterable[str] = (CORE, MAIL)) -> Results:
        """Send the calls as one request. An error of one of them is raised by `Results.get` only.

        `effect` is that of repeating the whole request. `accountId` is for the caller to give.

        Raises:
            TooLarge: the request exceeds `maxSizeRequest`; nothing was sent, or nothing was done.
            Unsupported: the server lacks a capability of `using`.
            OutcomeUnknown: the connection was lost under a WRITE, or its reply cannot be read.
            ValueError: there are no calls, or more than `maxCallsInRequest`, or two with one id.
        """
        view = await self.refresh()
        if not 0 < len(calls) <= view.core.max_calls_in_request:
            raise ValueError(f"{len(calls)} calls in a request; the server takes {view.core.max_calls_in_request}")
        body = encode(calls, using)
        what = f"{', '.join(call.name for call in calls)} at {view.endpoints.host}"
        if len(body) > view.core.max_size_request:
            raise TooLarge(f"{what}: {len(body)} octets; the server takes {view.core.max_size_request}")
        reply = await self._post_patiently(view, body, effect, what)
        response = self._decoded(reply, effect, what)
        self._keeper.note(response.session_state)
        results = Results(response, calls, view.endpoints.host, effect)
        if "accountNotFound" in results.error_types():
            self._keeper.suspect()
        return results

    async def _post_patiently(self, view: SessionView, body: bytes, effect: Effect, what: str) -> Reply:
        """Post the request; wait and try again while the server says that too many are under way."""
        failed = 0
        while True:
            reply = await self._post(view, body, effect)
            if reply.status == 200:
                return reply
            if reply.status in _GONE:
                # The mail is not gone, only its address: `NotFound` would be taken for the former.
                self._keeper.suspect()
                raise Unavailable(f"{what}: HTTP {reply.status}; the session will be read again")
            failed += 1
            error = map_problem(_problem(reply.body), reply.status, what)
            if not isinstance(error, RateLimited) or failed >= _PAUSES.attempts:
                raise error
            await self.clock.sleep(_PAUSES.delay(failed, self._chance()))

    async def _post(self, view: SessionView, body: bytes, effect: Effect) -> Reply:
        request = Request(
            "POST",
            view.endpoints.api,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            content=body,
            effect=effect,
            accept=frozenset({200, 400}) | _GONE,
            max_reply_octets=MAX_REPLY_OCTETS,
        )
        async with self._turn(self._requests):
            return await self._http.request(request)

    @contextlib.asynccontextmanager
    async def _turn(self, limit: ConcurrencyLimit) -> AsyncIterator[None]:
        """Hold one of the permits that the server gives to this login.

        Raises:
            RateLimited: none came free in time.
        """
        try:
            async with asyncio.timeout(self.options.max_wait_s):
                await limit.acquire(Priority.CURRENT)
        except TimeoutError as exc:
            raise RateLimited(f"the JMAP server takes {limit.limit} requests at a time; none ended in time") from exc
        try:
            yield
        finally:
            limit.release()

    def _decoded(self, reply: Reply, effect: Effect, what: str) -> Response:
        try:
            return msgspec.json.decode(reply.body, type=Response)
        except (msgspec.MsgspecError, ValueError) as exc:
            text = f"{what}: a reply that is not JMAP: {exc}"
            raise (OutcomeUnknown(text) if effect is Effect.WRITE else Unavailable(text)) from exc

    # -- blobs --------------------------------------------------------------------------------------------------------

    async def download(
        self, blob_id: str, size: int, *, name: str = "message.eml", type: str = "message/rfc822"
    ) -> MessageContent:
        """Return the content of a blob, to be downloaded when it is read; `size` is its exact length.

        Reading raises `NotFound` if the blob is gone and `Unavailable` if its length differs. Source: RFC 8620 6.2.
        """
        return BlobContent(self._http, self.view.endpoints.download(self.account_id, blob_id, name, type), size)

    async def upload(self, content: MessageContent, *, type: str = "message/rfc822") -> Blob:
        """Store the content at the server, for at least an hour (RFC 8620 section 6).

        A blob that nothing refers to is nothing to anybody, so that the upload may be repeated.

        Raises:
            TooLarge: the content exceeds `maxSizeUpload`; nothing was sent, or nothing was kept.
            OverQuota, Denied, Rejected: it is refused.
        """
        view = await self.refresh()
        what = f"upload to {view.endpoints.host}"
        if content.size > view.core.max_size_upload:
            raise TooLarge(f"{what}: {content.size} octets; the server takes {view.core.max_size_upload}")
        request = Request(
            "POST",
            view.endpoints.upload(view.account_id),
            headers={"Content-Type": type, "Accept": "application/json"},
            content=content.chunks,
            content_octets=content.size,
            effect=Effect.IDEMPOTENT_WRITE,
            accept=frozenset({200, 201, 400}) | _GONE,
        )
        reply = await self._upload_patiently(request)
        if reply.status in _GONE:
            self._keeper.suspect()
            raise Unavailable(f"{what}: HTTP {reply.status}; the session will be read again")
        if reply.status == 400:
            raise map_problem(_problem(reply.body), reply.status, what)
        return _stored(reply.body, content.size, what)

    async def _upload_patiently(self, request: Request) -> Reply:
        """Upload; wait and try again if there is no such place.

        Cyrus 3.6 answers 404 to all but one of the first uploads of a login that come at once: each makes the place
        where they are kept.
        """
        failed = 0
        while True:
            async with self._turn(self._uploads):
                reply = await self._http.request(request)
            failed += 1
            if reply.status not in _GONE or failed >= _UPLOADS:
                return reply
            await self.clock.sleep(_PAUSES.delay(failed, self._chance()))


def transport_options(settings: JmapSettings) -> TransportOptions:
    """Return what the settings say of the HTTP connections."""
    return TransportOptions(
        timeout_s=settings.timeout_s,
        max_concurrent=settings.max_concurrent,
        ca_file=settings.ca_file,
        verify=settings.verify,
    )


def _problem(body: bytes) -> Problem:
    try:
        return msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, ValueError):
        return Problem()


def _stored(body: bytes, size: int, what: str) -> Blob:
    """Read the reply to an upload of `size` octets.

    Raises:
        Unavailable: it is none, or the server has kept another number of octets.
    """
    try:
        stored = msgspec.json.decode(body, type=UploadReply)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise Unavailable(f"{what}: a reply that cannot be read: {exc}") from exc
    if stored.size is not None and stored.size != size:
        raise Unavailable(f"{what}: {stored.size} of {size} octets were stored")
    return Blob(stored.blob_id, size)
