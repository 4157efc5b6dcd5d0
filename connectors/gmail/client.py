"""The client of one Gmail mailbox: calls, batches of calls and uploads, within the quota and at Google's pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TypeVar

import httpx

from connectors.api.credentials import CredentialSource
from connectors.api.errors import ConnectorError
from connectors.api.types import MessageContent
from connectors.gmail.batch import BatchCall
from connectors.gmail.batching import Batcher
from connectors.gmail.methods import Method
from connectors.gmail.sending import Outgoing, Sender, decode, encode
from connectors.gmail.settings import GmailSettings
from connectors.gmail.uploads import Uploader
from connectors.transport.clock import Clock
from connectors.transport.messages import Effect

__all__ = ["BatchCall", "GmailClient"]

T = TypeVar("T")


class GmailClient:
    """All methods may be called concurrently, from the beginning until `close`.

    Every one of them may raise `Unavailable`, `AuthExpired` and `RateLimited`. What the API refuses is raised as a
    `connectors.gmail.errors.Refused` that is also the error of the contract.
    """

    def __init__(
        self,
        settings: GmailSettings,
        credentials: CredentialSource,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare a client; nothing is sent yet. `chance` gives random numbers in 0..1.

        Raises:
            SettingError: `ca_file` cannot be read, or `costs` or `cost_overrides` is wrong.
        """
        self.settings = settings
        self._sender = Sender(settings, credentials, clock=clock, transport=transport, chance=chance)
        self.clock = self._sender.clock
        self._batcher = Batcher(self._sender)
        self._uploader = Uploader(self._sender)
        self.closed = asyncio.Event()
        """Set while the client is closed."""

    async def open(self) -> None:
        """Make the client usable again after `close`; nothing is sent."""
        self._sender.open()
        self.closed.clear()

    async def close(self) -> None:
        """End all connections. Never raises; may be called twice, and `open` after it."""
        self.closed.set()
        await self._sender.close()

    def cost(self, method: Method) -> int:
        """Return what a call costs, in quota units."""
        return self._sender.cost(method)

    async def call(
        self,
        method: Method,
        *,
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: object | None = None,
        reply: type[T],
        effect: Effect | None = None,
    ) -> T:
        """Call a method and return its reply; `NoReply` is for those that answer with nothing.

        `path` are the parameters in the path but for `userId`. `effect` is the method's own unless given.

        Raises:
            Refused: the API refused the call.
            OutcomeUnknown: the connection was lost under a WRITE, or its reply cannot be read.
        """
        content = encode(body)
        outgoing = Outgoing(
            what=f"Gmail's {method.name}",
            verb=method.verb,
            url=self.settings.api_root + self._sender.target(method, path or {}, query),
            effect=effect or method.effect,
            headers={"Accept": "application/json"} | ({"Content-Type": "application/json"} if content else {}),
            content=content,
            cost=self._sender.cost(method),
        )
        answer = await self._sender.send(outgoing)
        return decode(answer.body, reply, outgoing.what, outgoing.effect)

    async def batch(self, calls: Sequence[BatchCall], reply: type[T]) -> list[T | ConnectorError]:
        """Make many calls in few requests; return their replies, or what became of them, in the same order.

        Calls that are refused for their number, or fail, are repeated alone, as `call` would repeat them. What failed
        stands in the list, and is raised only if it befell the whole before anything was done.
        """
        found: dict[int, T | ConnectorError] = {}
        async for number, result in self._batcher.run(calls, reply):
            found[number] = result
        return [found[number] for number in range(len(calls))]

    def batch_each(
        self, calls: Sequence[BatchCall], reply: type[T]
    ) -> AsyncGenerator[tuple[int, T | ConnectorError], None]:
        """As `batch`, but yield each result with its place in `calls` once it is there, in any order.

        Large replies are thus never all in memory together. To be closed if it is not read to its end.
        """
        return self._batcher.run(calls, reply)

    async def upload(
        self,
        method: Method,
        metadata: object,
        content: MessageContent,
        *,
        reply: type[T],
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> T:
        """Call a method that takes a message; `metadata` is what its body would be, without `raw`.

        Up to 5 MB go in one request. More go in pieces, which are resumed where they stopped if the connection is lost.

        Raises:
            TooLarge: the message is larger than the method takes; nothing was sent.
            OutcomeUnknown: the connection was lost, and it cannot be found out whether the message is there.
            Refused: the API refused it.
            Anything that reading the content raises.
        """
        return await self._uploader.run(method, metadata, content, reply, path or {}, query)
