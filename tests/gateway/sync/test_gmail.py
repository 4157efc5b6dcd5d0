"""A Gmail account behind the engine: what opening a mailbox costs, and what survives its history's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from connectors.api.connector import Connector
from gateway.clock import SystemClock
from gateway.mailbox.fetch import Needs
from gateway.mailbox.service import MailService
from gateway.mailbox.user_mail import UserMail
from gateway.store import accounts, invariants, placements, users
from gateway.store.accounts import AccountRow
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store, Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync import hydrate
from gateway.sync.bodies import Bodies, Wanted
from gateway.sync.engine import AccountEngine
from gateway.sync.hydrate import Prefetch
from tests.conformance.rig import mail
from tests.connectors.gmail.stage import in_process
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.stack import PATIENT_S, QUIET, until_held


@dataclass
class Line:
    """A user's mail and the stand-in behind it."""

    user: UserMail
    fake: FakeGmail
    engines: Callable[[], Sequence[AccountEngine]]
    store: Store

    def poll(self) -> None:
        """Have the engine look for changes now."""
        (engine,) = self.engines()
        engine.demand.request_tree()


@asynccontextmanager
async def gmail_line(directory: Path, options: FakeOptions, prefetch: Prefetch = Prefetch.NONE) -> AsyncIterator[Line]:
    """Serve a stand-in with these options; nobody looks for changes unless a test has it done."""
    store = await Store.open(f"sqlite:///{directory}/gateway.db")
    cache = BodyCache(directory / "cache", 64 << 20)
    cache.load()
    async with in_process(options) as rig:

        def connect(_: AccountRow) -> Connector:
            return rig.connector()

        async def add(tx: Transaction) -> None:
            alex = await users.add_user(tx, "alex", None)
            await accounts.add_account(tx, alex.id, "work", "gmail", {})

        await store.write(add)
        service = MailService(store, cache, SystemClock(), connect, None, replace(QUIET, prefetch=prefetch))
        await service.start()
        try:
            yield Line(await service.open_user("alex"), rig.fake, service.engines, store)
            assert await store.read_bulk(invariants.check) == []
        finally:
            await service.close()
            await store.close()


async def test_a_mailbox_can_be_opened_before_the_account_is_listed(tmp_path: Path) -> None:
    async with gmail_line(tmp_path, FakeOptions(messages=20_000, labels=10)) as line:
        view = await line.user.open("INBOX", is_read_only=False)
        assert len(view.uids) == len([m for m in line.fake.mailbox.messages.values() if "INBOX" in m.labels])
        # All of them have some 540 ids for every 500 messages to be told.
        assert line.fake.stats.calls["gmail.users.messages.list"] < 30
        assert not line.fake.stats.calls["gmail.users.messages.get"]


async def test_nothing_is_read_ahead_until_the_listings_have_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client opens one mailbox after the other: what that costs is all that is spent meanwhile."""
    begun = asyncio.Event()
    settled_s: list[float] = []
    learn_many = Bodies.learn_many

    async def noting(self: Bodies, row: MailboxRow, wanted: Sequence[Wanted]) -> list[Wanted]:
        listed_at = self._context.listed_at
        assert listed_at is not None
        settled_s.append(self._context.clock.monotonic() - listed_at)
        begun.set()
        return await learn_many(self, row, wanted)

    monkeypatch.setattr(Bodies, "learn_many", noting)
    monkeypatch.setattr(hydrate, "SETTLED_S", 1.0)
    async with gmail_line(tmp_path, FakeOptions(messages=2_000, labels=10), Prefetch.HEADERS) as line:
        for name in ("INBOX", "[Gmail]/All Mail", "Project 2"):
            await line.user.open(name, is_read_only=True)
        async with asyncio.timeout(PATIENT_S):
            await begun.wait()
    assert min(settled_s) >= 1.0


@pytest.mark.parametrize("quirk", ["absent_dates", "nonsense_dates"])
async def test_a_date_that_gmail_does_not_tell_is_asked_for_once(tmp_path: Path, quirk: str) -> None:
    """With the message itself, if that is read, and not again at every look."""
    async with gmail_line(tmp_path, FakeOptions()) as line:
        for number in range(4):
            line.fake.deliver(mail(number))
        line.fake.quirks.set(quirk, True)
        view = await line.user.open("INBOX", is_read_only=True)
        dates = []
        for _ in range(3):
            dates.append([row.internal_date async for block in view.fetch([1, 2], DATES) for row in block])
            assert line.fake.stats.calls["gmail.users.messages.get"] == 2
        assert dates[0] == dates[1] == dates[2]
        # What has a date by now is told like any other message.
        line.fake.quirks.set(quirk, False)
        (row,) = [row async for block in view.fetch([3], DATES) for row in block]
        assert row.internal_date not in dates[0]


DATES = Needs(date=True, envelope=True)


async def test_uids_outlive_the_end_of_the_history(tmp_path: Path) -> None:
    async with gmail_line(tmp_path, FakeOptions()) as line:
        for number in range(5):
            line.fake.deliver(mail(number))
        view = await line.user.open("INBOX", is_read_only=False)
        before = list(view.uids)
        line.fake.expire_history()
        line.fake.deliver(mail(5))
        line.poll()
        await until_held(view, 6)
        assert list(view.uids)[:5] == before


async def test_what_nobody_opens_is_not_listed(tmp_path: Path) -> None:
    async with gmail_line(tmp_path, FakeOptions(messages=2_000, labels=10)) as line:
        view = await line.user.open("INBOX", is_read_only=False)
        here = len(view.uids)
        listed = line.fake.stats.calls["gmail.users.messages.list"]
        line.fake.deliver(mail(1))
        line.poll()
        await until_held(view, here + 1)
        assert line.fake.stats.calls["gmail.users.messages.list"] == listed


async def test_a_mailbox_opened_late_has_its_messages_in_their_order(tmp_path: Path) -> None:
    async with gmail_line(tmp_path, FakeOptions(messages=200)) as line:
        view = await line.user.open("INBOX", is_read_only=False)
        here = len(view.uids)
        line.fake.deliver(mail(1))
        line.poll()
        await until_held(view, here + 1)
        everything = await line.user.open("[Gmail]/All Mail", is_read_only=False)
        told = await line.store.read(lambda tx: placements.refs_of(tx, everything.mailbox_id))
        held = line.fake.mailbox.messages.values()
        shown = [message for message in held if not message.labels & {"SPAM", "TRASH"}]
        oldest_first = sorted(shown, key=lambda message: (message.date_ms, message.number))
        assert [ref for ref, *_ in told] == [message.id for message in oldest_first]


async def test_what_is_moved_out_of_sent_mail_stays_there_under_its_uid(tmp_path: Path) -> None:
    async with gmail_line(tmp_path, FakeOptions()) as line:
        line.fake.new_label("Work")
        line.fake.deliver(mail(1), ["SENT"])
        view = await line.user.open("[Gmail]/Sent Mail", is_read_only=False)
        (uid,) = view.uids
        outcome = await view.copy([uid], "Work", is_move=True)
        assert [source for source, _ in outcome.pairs] == [uid]
        line.poll()
        work = await line.user.open("Work", is_read_only=False)
        await until_held(work, 1)
        view.catch_up(allow_expunge=True)
        assert list(view.uids) == [uid]
