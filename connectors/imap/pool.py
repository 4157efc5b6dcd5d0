"""The connections of one account: how many, who has which, and which mailbox is selected where."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from connectors.api.credentials import CredentialSource
from connectors.api.errors import Denied, NotFound, RateLimited, Rejected, Unavailable
from connectors.api.types import MailboxRef
from connectors.imap import names
from connectors.imap.client import Connection
from connectors.imap.errors import ConnectionLost, Throttled
from connectors.imap.login import connect
from connectors.imap.mailbox_state import SelectedMailbox
from connectors.imap.settings import ImapSettings
from gateway.wire.command_writer import Text
from gateway.wire.responses import ListData

T = TypeVar("T")

REST_LIMIT_S = 150.0
"""A connection that rested longer is replaced: firewalls forget it silently, and finding that out costs a time-out."""

TRUST_S = 5.0
"""A write on a connection that rested longer is preceded by NOOP, lest its outcome be unknown for no need."""

SCARCE_S = 600.0
"""For so long no more connections are opened than the server let us have when it refused one."""

_log = logging.getLogger(__name__)


class Pool:
    """At most `max_connections` at a time, those that wait for news included; who comes first is served first.

    A server may take fewer, from all of a user's devices together. Then who wants another one waits, and `on_scarce` is
    called, for those that only wait for news to make room.
    """

    def __init__(
        self,
        settings: ImapSettings,
        credentials: CredentialSource,
        on_select: Callable[[SelectedMailbox], None],
        is_current: Callable[[SelectedMailbox], bool] = lambda _selected: True,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._on_select = on_select
        self._is_current = is_current
        self._permits = asyncio.Semaphore(settings.max_connections)
        self._free: list[Connection] = []
        self._lent: set[Connection] = set()
        self._in_use = 0  # those that are being made among them
        self._in_making = 0
        self._allowed = settings.max_connections
        self._allowed_until = 0.0
        self._freed = asyncio.Event()
        self._held_until = 0.0
        self._is_open = False
        self.on_scarce: Callable[[], None] = lambda: None

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def allowed(self) -> int:
        """How many connections there may be now: `max_connections`, or fewer if the server was found to take fewer."""
        is_scarce = asyncio.get_running_loop().time() < self._allowed_until
        return self._allowed if is_scarce else self._settings.max_connections

    async def open(self) -> frozenset[str]:
        """Log in once and return what the server offers.

        Raises:
            Unavailable, AuthExpired, RateLimited, Unsupported: see `connect`.
        """
        connection = await connect(self._settings, self._credentials)
        self._is_open = True
        self._held_until = 0.0
        self._free.append(connection)
        return connection.capabilities

    async def close(self) -> None:
        """Close all connections, those in use too; whoever uses one sees it lost. Never raises."""
        self._is_open = False
        free, self._free = self._free, []
        lent = list(self._lent)
        for connection in lent:
            connection.abort()
        await asyncio.gather(*(connection.close() for connection in (*free, *lent)))

    async def read(
        self,
        mailbox: MailboxRef | None,
        operation: Callable[[Connection], Awaitable[T]],
        *,
        is_fresh: bool = False,
    ) -> T:
        """Run an operation that changes nothing; once more if a connection that had rested turns out dead.

        `is_fresh` makes the server report what has changed in the mailbox first; otherwise the operation may see it as
        it was some time ago.
        """
        # A new connection may be lost before there is one to ask.
        was_resting = False
        try:
            async with self.connection(mailbox, is_fresh=is_fresh) as connection:
                was_resting = connection.has_rested
                return await operation(connection)
        except ConnectionLost:
            if not was_resting or not self._is_open:
                raise
        async with self.connection(mailbox, is_fresh=is_fresh) as connection:
            return await operation(connection)

    @asynccontextmanager
    async def connection(self, mailbox: MailboxRef | None, *, is_fresh: bool = True) -> AsyncIterator[Connection]:
        """Lend a connection with the mailbox selected, or in any state if that is None.

        Raises:
            NotFound: no such mailbox.
            RateLimited: the server has asked to wait, or takes no more connections.
            Unavailable: the server cannot be reached, or the pool is closed.
        """
        async with self._permits:
            self._check_held()
            try:
                connection = await self._ready(mailbox, is_fresh)
                self._lent.add(connection)
                try:
                    yield connection
                finally:
                    self._lent.discard(connection)
                    self._take_back(connection)
            except Throttled as exc:
                # Whatever is asked meanwhile is refused too, and may count.
                until = asyncio.get_running_loop().time() + exc.retry_after_s
                self._held_until = max(self._held_until, until)
                raise

    def _check_held(self) -> None:
        left_s = self._held_until - asyncio.get_running_loop().time()
        if left_s > 0:
            raise RateLimited(f"{self._settings.endpoint} has asked to wait", retry_after_s=left_s)

    async def renew(self, connection: Connection) -> None:
        """Select the mailbox of a lent connection again, if it has one; if it cannot be, none is selected then.

        To whoever has it selected a server may go on showing a mailbox that others have deleted and made anew as it
        was, in STATUS and LIST too (Dovecot 2.3 does).
        """
        if connection.mailbox is not None:
            with contextlib.suppress(NotFound, Denied, Rejected):
                self._on_select(await connection.select(connection.mailbox.ref))

    async def evict(self, is_concerned: Callable[[MailboxRef], bool]) -> None:
        """Close resting connections that have such a mailbox selected, as before it is renamed or deleted."""
        leaving = [c for c in self._free if c.mailbox is not None and is_concerned(c.mailbox.ref)]
        self._free = [c for c in self._free if c not in leaving]
        await asyncio.gather(*(connection.close() for connection in leaving))

    async def _ready(self, mailbox: MailboxRef | None, is_fresh: bool) -> Connection:
        """Return a connection prepared for use; one that proves dead in preparing is replaced."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        while True:
            self._check_open()
            connection = self._pick(mailbox)
            is_reused = connection is not None
            if connection is None:
                connection = await self._connected(deadline)
                if connection is None:
                    continue
            else:
                self._in_use += 1
            connection.has_rested = is_reused
            try:
                self._check_open()
                await self._prepare(connection, mailbox, is_fresh)
            except BaseException as exc:
                self._take_back(connection)
                if is_reused and isinstance(exc, ConnectionLost):
                    continue
                raise
            return connection

    async def _connected(self, deadline: float) -> Connection | None:
        """Return a new connection; None once there may be a resting one, where the server takes no more.

        Raises:
            RateLimited: it takes none, or none comes free until the deadline.
        """
        if self._in_use >= self.allowed:
            self._freed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._freed.wait()
            except TimeoutError as exc:
                text = f"{self._settings.endpoint} takes {self._allowed} connections at a time, and all are in use"
                raise RateLimited(text) from exc
            return None
        self._in_use += 1
        self._in_making += 1
        try:
            return await connect(self._settings, self._credentials)
        except RateLimited as exc:
            self._give_up_place()
            others = self._in_use - self._in_making + 1
            if others <= 0 or isinstance(exc, Throttled):
                raise
            self._restrict(others, exc)
            return None
        except BaseException:
            self._give_up_place()
            raise
        finally:
            self._in_making -= 1

    def _restrict(self, connections: int, refusal: RateLimited) -> None:
        """Take note that the server takes no more than so many, which are there."""
        if connections < self.allowed:
            _log.warning("no more than %d connections for now: %s", connections, refusal.operator_text)
        self._allowed = connections
        self._allowed_until = asyncio.get_running_loop().time() + SCARCE_S
        self.on_scarce()

    def _check_open(self) -> None:
        if not self._is_open:
            raise Unavailable(f"the account at {self._settings.endpoint} is closed")

    async def _prepare(self, connection: Connection, mailbox: MailboxRef | None, is_fresh: bool) -> None:
        selected = connection.mailbox
        if mailbox is not None and (selected is None or selected.ref != mailbox or not self._is_current(selected)):
            self._on_select(await _select(connection, mailbox))
            return
        rested_s = asyncio.get_running_loop().time() - connection.last_used
        if is_fresh and (mailbox is not None or rested_s > TRUST_S):
            await connection.run(b"NOOP")

    def _pick(self, mailbox: MailboxRef | None) -> Connection | None:
        """Take a resting connection: one with the mailbox selected, else the one whose mailbox is missed least."""
        now = asyncio.get_running_loop().time()
        usable = []
        for connection in self._free:
            if connection.is_usable and now - connection.last_used <= REST_LIMIT_S:
                usable.append(connection)
            else:
                connection.abort()
        self._free = usable
        if not usable:
            return None
        chosen = next((c for c in reversed(usable) if c.mailbox is not None and c.mailbox.ref == mailbox), None)
        if chosen is None and mailbox is None:
            chosen = usable[-1]
        if chosen is None:
            chosen = next((c for c in usable if c.mailbox is None), usable[0])
        usable.remove(chosen)
        return chosen

    def _take_back(self, connection: Connection) -> None:
        if connection.is_usable and self._is_open:
            self._free.append(connection)
        else:
            connection.abort()
        self._give_up_place()

    def _give_up_place(self) -> None:
        self._in_use -= 1
        self._freed.set()


async def _select(connection: Connection, mailbox: MailboxRef) -> SelectedMailbox:
    try:
        return await connection.select(mailbox)
    except Rejected as exc:
        await check_exists(connection, mailbox, exc)
        raise


async def check_exists(
    connection: Connection, mailbox: MailboxRef, refusal: Rejected, *, selectable_only: bool = True
) -> None:
    """Tell whether a mailbox was refused because there is none: servers without RFC 5530 codes do not say why.

    Raises:
        NotFound: there is none, or with `selectable_only` it can hold no messages.
    """
    reply = await connection.run(b"LIST", b'""', Text(names.ref_to_wire(mailbox)))
    for listed in reply.responses:
        if isinstance(listed, ListData) and names.ref_from_wire(listed.name) == mailbox:
            if not selectable_only or not listed.attributes & {"\\nonexistent", "\\noselect"}:
                return
            break
    raise NotFound(f"no mailbox {names.readable(mailbox)} at {connection.where}") from refusal
