"""Object ids of whole users: accounts at JMAP servers, whose ids are told as they are or with a tag (RFC 8474)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.jmap import SPEC
from gateway.clock import SystemClock
from gateway.mailbox.fetch import Needs
from gateway.mailbox.service import MailService
from gateway.mailbox.user_mail import UserMail
from gateway.mailbox.view import View
from gateway.store import accounts, invariants, users
from gateway.store.accounts import AccountRow
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store, Transaction
from gateway.wire.search import EmailIdIs, ThreadIdIs
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, Quirk
from tests.fakes.jmap.server import running_fake
from tests.stack import QUIET, message, until_held


@dataclass
class Home:
    """The mail of one user, whose accounts are at stand-ins."""

    store: Store
    service: MailService

    async def add_account(self, name: str, fake: FakeJmap, login: str = "alex") -> None:
        async def body(tx: Transaction) -> None:
            user = await users.user_by_login(tx, login) or await users.add_user(tx, login, None)
            await accounts.add_account(tx, user.id, name, "jmap", {"url": fake.url, "push": "off"})

        await self.store.write(body)
        await self.service.start()

    async def user(self) -> UserMail:
        return await self.service.open_user("alex")


@asynccontextmanager
async def home(directory: Path) -> AsyncIterator[Home]:
    store = await Store.open(f"sqlite:///{directory}/gateway.db")
    cache = BodyCache(directory / "cache", 64 << 20)
    cache.load()
    alice = FakeOptions().users[0]

    def connect(row: AccountRow) -> Connector:
        credential = PasswordCredential(alice.name, Secret(alice.password))
        return SPEC.build(row.settings, FixedCredential(credential))

    service = MailService(store, cache, SystemClock(), connect, None, QUIET)
    await service.start()
    try:
        yield Home(store, service)
        assert await store.read_bulk(invariants.check) == []
    finally:
        await service.close()
        await store.close()


async def ids(view: View) -> dict[int, tuple[str | None, str | None]]:
    """Return (EMAILID, THREADID) by UID."""
    found = {}
    async for block in view.fetch(list(view.uids), Needs(object_ids=True)):
        found.update({row.uid: (row.email_id, row.thread_id) for row in block})
    return found


async def opened(user: UserMail, name: str, count: int) -> View:
    view = await user.open(name, is_read_only=True)
    await until_held(view, count)
    return view


async def test_the_first_account_tells_the_ids_of_its_server(tmp_path: Path) -> None:
    async with running_fake() as fake, home(tmp_path) as mail:
        both = fake.deliver("INBOX", message(1), also_in=["Archive"])
        fake.deliver("INBOX", message(2))
        await mail.add_account("work", fake)
        user = await mail.user()
        inbox, archive = await opened(user, "INBOX", 2), await opened(user, "Archive", 1)
        assert (await ids(inbox))[1][0] == (await ids(archive))[1][0] == both
        assert inbox.object_id == fake.mailbox("INBOX").id
        assert await archive.search(EmailIdIs(both)) == [1]
        created = await user.create("Projects")
        assert created == fake.mailbox("Projects").id
        await user.rename("Projects", "Done")
        assert (await user.status("Done")).mailbox_id == created


async def test_a_second_account_neither_shares_nor_changes_ids(tmp_path: Path) -> None:
    async with running_fake() as work, running_fake() as private, home(tmp_path) as mail:
        # Two stand-ins give the same ids.
        assert work.deliver("INBOX", message(1)) == private.deliver("INBOX", message(2))
        assert work.mailbox("INBOX").id == private.mailbox("INBOX").id
        await mail.add_account("work", work)
        user = await mail.user()
        view = await opened(user, "INBOX", 1)
        before = (await ids(view), view.object_id)
        await mail.add_account("private", private)
        user = await mail.user()
        mine, other = await opened(user, "work/INBOX", 1), await opened(user, "private/INBOX", 1)
        assert (await ids(mine), mine.object_id) == before
        assert not set((await ids(mine))[1]) & set((await ids(other))[1])
        assert mine.object_id != other.object_id
        names = [entry.name for entry in await user.mailboxes() if entry.is_selectable]
        mailbox_ids = [status.mailbox_id for status in (await user.statuses(names)).values()]
        assert len(mailbox_ids) == len(set(mailbox_ids)) == len(names)


async def test_an_emailid_is_never_a_threadid(tmp_path: Path) -> None:
    options = FakeOptions(quirks=frozenset({Quirk.THREAD_IS_EMAIL}))
    async with running_fake(options) as fake, home(tmp_path) as mail:
        for number in range(3):
            fake.deliver("INBOX", message(number))
        await mail.add_account("work", fake)
        view = await opened(await mail.user(), "INBOX", 3)
        told = await ids(view)
        emails, threads = ({pair[at] for pair in told.values()} for at in (0, 1))
        assert len(emails | threads) == 6
        for uid, (email_id, thread_id) in told.items():
            assert await view.search(ThreadIdIs(thread_id or "")) == [uid]
            assert await view.search(ThreadIdIs(email_id or "")) == []
