"""The real server on a loopback port: listener, sessions, mail service, synchronisation and store, over one backend."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from argon2 import PasswordHasher

from connectors.api.connector import Connector
from gateway.auth.named_users import NamedUsers
from gateway.auth.passwords import hash_password
from gateway.auth.scram_users import ScramUsers
from gateway.auth.tokens import TokenChecker
from gateway.auth.users import UserDirectory
from gateway.clock import SystemClock
from gateway.imap.capabilities import OFFER
from gateway.imap.limits import ConnectionLimits
from gateway.imap.listener import ImapDoor, Protocol
from gateway.imap.services import ImapServices
from gateway.imap.settings import ImapSettings
from gateway.mailbox.quota import Quotas
from gateway.mailbox.service import MailService, MailSettings
from gateway.store import accounts, invariants, mailboxes, users
from gateway.store.accounts import AccountRow
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store, Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.engine import AccountEngine, SyncSettings
from gateway.sync.hydrate import Prefetch
from gateway.tls import ServerTls
from tests.scenarios.line_client import PATIENCE_S, LineClient
from tests.scenarios.outside import MailboxPath, Outside

LOGIN = "alex"
PASSWORD = "secret"
QUIET = SyncSettings(prefetch=Prefetch.NONE, poll_interval_s=3600)


def cheap_hasher() -> PasswordHasher:
    """Return a hasher that costs next to nothing; the hashes are of the same kind as real ones."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class Served:
    """A running server with one user, `LOGIN`, who has one account. `services` is what the sessions share."""

    door: ImapDoor
    services: ImapServices
    store: Store
    port: int
    clients: list[LineClient] = field(default_factory=list)

    async def connect(self, tls: ssl.SSLContext | None = None) -> LineClient:
        """Return a client that has not read the greeting yet; it hangs up at the end of the test."""
        client = await LineClient.connect(self.port, tls)
        self.clients.append(client)
        return client

    async def log_in(self) -> LineClient:
        """Return a client that is logged in."""
        client = await self.connect()
        await client.expect(b"* OK ")
        client.write(f"login LOGIN {LOGIN} {PASSWORD}\r\n".encode())
        await client.expect(b"login OK ")
        return client

    @property
    def engine(self) -> AccountEngine:
        (engine,) = self.services.mail.engines()
        return engine

    async def mailbox_row(self, path: MailboxPath) -> MailboxRow | None:
        """Return a mailbox as the store has it."""

        async def read(tx: Transaction) -> list[MailboxRow]:
            return await mailboxes.mailboxes_of(tx, self.engine.context.account.id)

        return next((row for row in await self.store.read(read) if row.path == path), None)

    async def settle_tree(self, path: MailboxPath, *, exists: bool) -> None:
        """Wait until the gateway knows that a mailbox is there, or gone."""
        changed = asyncio.Event()
        stop = self.services.mail.bus.subscribe_tree(self.engine.context.account.id, lambda _: changed.set())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.engine.wait_for_tree(PATIENCE_S)
                while (await self.mailbox_row(path) is not None) is not exists:
                    self.engine.demand.request_tree()
                    await changed.wait()
                    changed.clear()
        finally:
            stop()

    async def settle_mailbox(self, path: MailboxPath) -> None:
        """Wait until every session could be told of what has happened at the backend in a mailbox."""
        await self.settle_tree(path, exists=True)
        row = await self.mailbox_row(path)
        assert row is not None
        assert await self.engine.wait_until_read(row.id, PATIENCE_S), f"{path} cannot be read"
        # Views of a mailbox share its columns; who opens it waits until they are as the store is.
        await self.services.mail.open_mailbox(row.id)

    def forget_bodies(self) -> None:
        """Let the cache be empty, as after a time in which other messages were read."""
        context = self.engine.context
        context.cache.remove_account(context.account_id)

    async def problems(self) -> list[str]:
        """Return what is wrong with the store."""
        return await self.store.read_bulk(invariants.check)


@asynccontextmanager
async def serving(
    directory: Path,
    outside: Outside,
    settings: ImapSettings | None = None,
    tls: ServerTls | None = None,
    *,
    make_users: Callable[[Store], UserDirectory] | None = None,
    make_scram: Callable[[Store], ScramUsers] | None = None,
    make_named: Callable[[Store], NamedUsers] | None = None,
    tokens: TokenChecker | None = None,
    protocol: Protocol = Protocol.IMAP,
    host: str = "127.0.0.1",
) -> AsyncIterator[Served]:
    """Serve `outside` on a free loopback port."""
    store = await Store.open(f"sqlite:///{directory}/gateway.db")
    cache = BodyCache(directory / "cache", 64 << 20)
    cache.load()

    def connect(row: AccountRow) -> Connector:
        return outside.connect(row.settings)

    async def set_up(tx: Transaction) -> None:
        user = await users.add_user(tx, LOGIN, hash_password(PASSWORD, cheap_hasher()))
        await accounts.add_account(tx, user.id, "work", outside.connector_name, dict(outside.settings))

    await store.write(set_up)
    chosen = settings or ImapSettings()
    # What is known is never taken for fresh, so that no answer depends on how fast the test is.
    mail_settings = MailSettings(append_limit=chosen.append_limit, fresh_wait_s=PATIENCE_S, fresh_age_s=0.0)
    mail = MailService(store, cache, SystemClock(), connect, mail_settings, QUIET)
    limits = ConnectionLimits(
        total=chosen.connections_total,
        per_address=chosen.connections_per_address,
        per_user=chosen.connections_per_user,
    )
    user_directory = make_users(store) if make_users else UserDirectory(store, hasher=cheap_hasher())
    scram = make_scram(store) if make_scram else None
    named = make_named(store) if make_named else None
    services = ImapServices(
        chosen, OFFER, mail, Quotas(SystemClock()), user_directory, limits, tls, "1.2.3", scram, named, tokens
    )
    door = ImapDoor(services)
    try:
        await mail.start()
        ((_, port),) = await door.listen(protocol, host, 0)
        served = Served(door, services, store, port)
        try:
            yield served
        finally:
            for client in served.clients:
                await client.close()
    finally:
        await door.drain(PATIENCE_S)
        await mail.close()
        await store.close()
