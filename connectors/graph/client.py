"""The client of one mailbox: calls, pages, batches, streams and uploads, within the quota and at Graph's pace."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Final, TypeVar, overload

import httpx
import msgspec

from connectors.api.credentials import CredentialSource
from connectors.api.errors import ConnectorError, Unavailable
from connectors.api.types import MessageContent
from connectors.graph.batching import Batcher, BatchItem
from connectors.graph.odata import decode, query_string, with_preference
from connectors.graph.sending import STREAM_TIMEOUT_S, Outgoing, Sender
from connectors.graph.settings import GraphSettings
from connectors.graph.structs import Page
from connectors.graph.uploads import Uploader
from connectors.transport.client import StreamedReply
from connectors.transport.clock import Clock
from connectors.transport.messages import SUCCESS, Effect, Reply, shown
from connectors.transport.origins import MalformedUrl, Origin
from connectors.transport.paging import pages as walk

__all__ = ["ACCEPTED", "BatchItem", "GraphClient"]

T = TypeVar("T")

ACCEPTED: Final = frozenset({200, 201, 202, 204})

_NO_HEADERS: Final[Mapping[str, str]] = {}


class GraphClient:
    """All methods may be called concurrently, from the beginning until `close`.

    Every one of them may raise `Unavailable`, `AuthExpired` and `RateLimited`. What Graph refuses is raised as a
    `connectors.graph.errors.Refused` that is also the error of the contract. A path is below the mailbox, as in
    `/mailFolders/inbox`, its ids percent-encoded; every request asks for immutable ids.
    """

    def __init__(
        self,
        settings: GraphSettings,
        credentials: CredentialSource,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare a client; nothing is sent yet. `chance` gives random numbers in 0..1.

        Raises:
            SettingError: `ca_file` cannot be read.
        """
        self.settings = settings
        self._sender = Sender(settings, credentials, clock=clock, transport=transport, chance=chance)
        self.clock = self._sender.clock
        self._batcher = Batcher(self._sender)
        self._uploader = Uploader(self._sender)
        self.closed = asyncio.Event()
        """Set while the client is closed."""

    @property
    def root(self) -> str:
        """The address of the mailbox, to which paths are appended."""
        return self.settings.api_root + self.settings.mailbox_path

    @property
    def max_concurrent(self) -> int:
        """How many requests may be under way now: as set, or fewer while Graph finds them too many."""
        return self._sender.crowding.limit

    async def open(self) -> None:
        """Make the client usable again after `close`; nothing is sent."""
        self._sender.open()
        self.closed.clear()

    async def close(self) -> None:
        """End all connections. Never raises; may be called twice, and `open` after it."""
        self.closed.set()
        await self._sender.close()

    @overload
    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: object | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        reply: type[T],
        effect: Effect,
        accept: frozenset[int] = ACCEPTED,
    ) -> T: ...

    @overload
    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: object | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        reply: None = None,
        effect: Effect,
        accept: frozenset[int] = ACCEPTED,
    ) -> None: ...

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: object | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        reply: type[T] | None = None,
        effect: Effect,
        accept: frozenset[int] = ACCEPTED,
    ) -> T | None:
        """Call a method and return its reply, None if none is asked for.

        `path` may be a whole address below `api_root` too, for what is not of the mailbox. `body` goes out as JSON, or
        as it is if it is octets: `headers` then hold its Content-Type. `accept` are the statuses that mean success.

        Raises:
            Refused: Graph refused the call; `RefusedUnknown` also if a WRITE had another success than was accepted.
            OutcomeUnknown: the connection was lost under a WRITE, or its reply cannot be read.
        """
        what = f"Graph's {method} {shown_path(path)}"
        url = (path if "://" in path else self.root + path) + query_string(query)
        answer = await self._send(method, url, what, body, headers, effect, accept)
        return None if reply is None else decode(answer.body, reply, what, effect)

    def pages(
        self,
        path_or_link: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] = _NO_HEADERS,
        page_size: int,
        reply: type[Page[T]],
    ) -> AsyncGenerator[Page[T], None]:
        """Yield the pages of a collection; begin at a path, or go on at the link of an earlier page, as it is.

        `page_size` is what is preferred; pages may be smaller, and empty, and yet not the last.

        Raises:
            Unavailable: a link leads elsewhere than to Graph, or the pages in a circle.
        """
        is_link = "://" in path_or_link
        what = "Graph's next page" if is_link else f"Graph's GET {shown_path(path_or_link)}"
        first = path_or_link if is_link else self.root + path_or_link + query_string(query)
        preferring = with_preference(headers, f"odata.maxpagesize={page_size}")

        async def fetch(link: str | None) -> tuple[Page[T], str | None]:
            url = first if link is None else link
            self._check(url)
            outgoing = Outgoing(what, "GET", url, Effect.READ, headers={"Accept": "application/json", **preferring})
            page = decode((await self._sender.send(outgoing)).body, reply, what, Effect.READ)
            return page, page.next_link

        return walk(fetch)

    async def batch(self, items: Sequence[BatchItem], reply: type[T]) -> list[T | ConnectorError]:
        """Make many calls in few requests; return their replies, or what became of them, in the same order.

        Calls that are refused for their number, or fail, are repeated alone, as `call` would repeat them. What failed
        stands in the list, and is raised only if it befell the whole before anything was done. An item that depends on
        one that failed was not done.
        """
        return await self._batcher.run(items, reply)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, *, query: Sequence[tuple[str, str]] = ()) -> AsyncIterator[StreamedReply]:
        """Hand over what is at a path, a message's `$value` for instance, as it comes."""
        outgoing = Outgoing(
            f"Graph's GET {shown_path(path)}",
            "GET",
            self.root + path + query_string(query),
            Effect.READ,
            headers=with_preference({}),
            timeout_s=max(STREAM_TIMEOUT_S, self.settings.timeout_s),
        )
        async with self._sender.stream(outgoing) as streamed:
            yield streamed

    async def upload(self, upload_url: str, content: MessageContent) -> None:
        """Send content to an upload session, in pieces, which are resumed where they stopped.

        Raises:
            OutcomeUnknown: the connection was lost, and it cannot be found out whether all of it is there.
            Refused: the session has ended, or does not take it.
            Anything that reading the content raises.
        """
        await self._uploader.run(upload_url, content)

    # -- sending ------------------------------------------------------------------------------------------------------

    async def _send(
        self,
        method: str,
        url: str,
        what: str,
        body: object | None,
        headers: Mapping[str, str],
        effect: Effect,
        accept: frozenset[int],
    ) -> Reply:
        given = with_preference(headers)
        content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        if content is not None and not isinstance(body, bytes):
            given = {"Content-Type": "application/json", **given}
        if not accept <= SUCCESS:
            raise ValueError("a call accepts statuses of success only")
        outgoing = Outgoing(
            what, method, url, effect, headers={"Accept": "application/json", **given}, content=content, accept=accept
        )
        return await self._sender.send(outgoing)

    def _check(self, url: str) -> None:
        """Make sure that a page is at Graph, where the token may go.

        Raises:
            Unavailable: it is not.
        """
        try:
            is_own = Origin.of(url) == Origin.of(self.settings.api_root)
        except MalformedUrl:
            is_own = False
        if not is_own:
            raise Unavailable(f"a page of Graph's goes on at {shown(url)}, which is not {self.settings.api_root}")


def shown_path(path: str) -> str:
    """Return a path fit for logs: its ids shortened."""
    return "/".join(part if len(part) <= 24 else f"{part[:4]}..{part[-8:]}" for part in path.split("/"))
