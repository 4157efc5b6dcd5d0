"""The whole of the gateway below the doors, over memory backends that a test can change from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential
from connectors.api.types import SEEN, MailboxInfo
from connectors.memory.backend import MemoryBackend
from connectors.memory.connector import shared_spec
from connectors.memory.mail import Mailbox
from gateway.clock import Clock, SystemClock
from gateway.mailbox.fetch import Needs
from gateway.mailbox.service import MailService, MailSettings
from gateway.mailbox.user_mail import UserMail
from gateway.mailbox.view import View, ViewChanges
from gateway.store import accounts, invariants, users
from gateway.store.accounts import AccountRow
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store, Transaction
from gateway.store.search_index import SearchIndex
from gateway.sync.engine import AccountEngine, SyncSettings
from gateway.sync.hydrate import Prefetch

T = TypeVar("T")

INBOX = ("INBOX",)
MESSAGE = b"From: Alex Example <alex@example.org>\r\nSubject: Hello\r\nMessage-ID: <1@example.org>\r\n\r\nBody\r\n"
QUIET = SyncSettings(prefetch=Prefetch.NONE, poll_interval_s=3600)
PATIENT_S = 10.0


def message(number: int) -> bytes:
    """Return a small message that differs from those of other numbers."""
    head = f"From: alex@example.org\r\nSubject: Number {number}\r\nMessage-ID: <{number}@example.org>\r\n"
    return f"{head}\r\nThis is the text of number {number}.\r\n".encode()


class SeenOnly(MemoryBackend):
    """A backend that holds no flag but \\Seen."""

    def info(self, mailbox: Mailbox) -> MailboxInfo:
        return replace(MemoryBackend.info(self, mailbox), storable_flags=frozenset({SEEN}), any_keyword=False)


@dataclass
class Stack:
    """A store, a mail service, and the backends of its accounts by account name. The user is called `alex`."""

    store: Store
    service: MailService
    backends: dict[str, MemoryBackend]
    directory: Path
    _users: list[UserMail] = field(default_factory=list)

    async def add_account(self, name: str = "work", login: str = "alex", **settings: object) -> MemoryBackend:
        """Add an account, its backend called like it, and start to synchronise it; return the backend."""
        await self.start_account(name, login, "memory", {"backend": name, **settings})
        return self.backends[name]

    async def start_account(self, name: str, login: str, connector: str, settings: dict[str, object]) -> None:
        """Add an account of any connector and start to synchronise it."""
        await self.store.write(lambda tx: _add_account(tx, login, name, connector, settings))
        await self.service.start()

    async def user(self, login: str = "alex") -> UserMail:
        """Return a session's mail."""
        mail = await self.service.open_user(login)
        self._users.append(mail)
        return mail

    async def open(self, name: str = "INBOX", *, is_read_only: bool = False) -> View:
        """Open a mailbox in a session of its own."""
        return await (await self.user()).open(name, is_read_only=is_read_only)

    def engine(self) -> AccountEngine:
        """Return the engine of the only account."""
        (engine,) = self.service.engines()
        return engine

    async def check(self) -> list[str]:
        """Return what is wrong with the store."""
        return await self.store.read_bulk(invariants.check)


async def _add_account(tx: Transaction, login: str, name: str, connector: str, settings: dict[str, object]) -> None:
    user = await users.user_by_login(tx, login)
    if user is None:
        user = await users.add_user(tx, login, None)
    await accounts.add_account(tx, user.id, name, connector, settings)


@asynccontextmanager
async def running_stack(
    directory: Path,
    backends: dict[str, MemoryBackend] | None = None,
    sync: SyncSettings = QUIET,
    mail: MailSettings | None = None,
    make_connector: Callable[[AccountRow], Connector] | None = None,
    clock: Clock | None = None,
    *,
    has_search_index: bool = False,
) -> AsyncIterator[Stack]:
    """Run a stack on a store in `directory`; given the backends of an earlier one, it is a restart.

    `make_connector` is for accounts at something else than a memory backend.
    """
    store = await Store.open(f"sqlite:///{directory}/gateway.db", clock=clock)
    cache = BodyCache(directory / "cache", 64 << 20)
    cache.load()
    held = backends if backends is not None else {}
    spec = shared_spec(held)

    def connect(row: AccountRow) -> Connector:
        settings = {key: value for key, value in row.settings.items() if key != "primary"}
        return spec.build(settings, FixedCredential(None))

    index = await SearchIndex.open(directory / "gateway.search") if has_search_index else None
    service = MailService(store, cache, clock or SystemClock(), make_connector or connect, mail, sync, index)
    stack = Stack(store, service, held, directory)
    await service.start()
    try:
        yield stack
    finally:
        for mail_of_user in stack._users:
            await mail_of_user.close()
        await service.close()
        if index is not None:
            await index.close()
        await store.close()


async def next_changes(view: View, *, allow_expunge: bool = True) -> ViewChanges:
    """Wait until the view has something to tell, and return it."""
    return await eventually(view, lambda: view.catch_up(allow_expunge=allow_expunge), lambda told: not told.is_empty)


async def eventually(view: View, take: Callable[[], T], is_it: Callable[[T], bool]) -> T:
    """Take again whenever the view's bell rings, until it is what is waited for."""
    rung = asyncio.Event()
    view.set_bell(rung.set)
    async with asyncio.timeout(PATIENT_S):
        while not is_it(value := take()):
            await rung.wait()
            rung.clear()
    return value


LAYOUTS = [
    pytest.param({"layout": "folders"}, id="folders"),
    pytest.param({"layout": "folders", "uids": True}, id="uids"),
    pytest.param({"layout": "items"}, id="items"),
    pytest.param({"layout": "labels"}, id="labels"),
    pytest.param({"layout": "labels", "listing": "sparse"}, id="sparse labels"),
    pytest.param({"layout": "labels", "lists_account": True, "reports_tree": True}, id="whole labels"),
]


async def silence(stack: Stack, backend: MemoryBackend) -> None:
    """Let the backend of the only account tell of nothing by itself any more, with all read that it has told of."""
    engine = stack.engine()
    backend.journal.watchers.clear()
    engine.demand.retries.drop_all()
    for row in await engine.context.rows():
        assert await engine.wait_until_read(row.id, PATIENT_S)


async def subjects(view: View) -> dict[int, bytes]:
    """Return the text of each message by UID."""
    found: dict[int, bytes] = {}
    async for block in view.fetch(list(view.uids), Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body as body:
                found[row.uid] = await body.read(0, body.size)
    return found


async def until_held(view: View, count: int) -> None:
    """Take over changes until the view has so many messages."""

    def held() -> int:
        view.catch_up(allow_expunge=True)
        return len(view.uids)

    await eventually(view, held, lambda number: number == count)
