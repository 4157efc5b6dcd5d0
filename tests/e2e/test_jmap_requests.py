"""How many HTTP requests the whole gateway makes of a JMAP server, which checks strictly what it is sent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import DeclaredAccount, GatewayProcess
from tests.e2e.loop_thread import LoopThread
from tests.e2e.raw_client import RawClient
from tests.e2e.waiting import equals, eventually
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.seeding import seed
from tests.fakes.jmap.server import running_fake

MESSAGES = 10_000
OPTIONS = FakeOptions()
PER_REQUEST = math.ceil(1000 / OPTIONS.max_objects_in_set)
"""Requests that change a thousand messages."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A gateway whose one account is at a stand-in that counts."""

    front: Endpoint
    thread: LoopThread
    fake: FakeJmap

    def client(self) -> RawClient:
        return RawClient.logged_in(self.front)

    def requests(self) -> Counter[str]:
        """Return the requests since the counts were last reset, by kind."""
        return self.thread.call(lambda: Counter(self.fake.stats.requests))

    def calls(self) -> Counter[str]:
        """Return the method calls since then, by name."""
        return self.thread.call(lambda: Counter(self.fake.stats.methods))

    def reset(self) -> None:
        """Count from here on; see first that nothing that was sent was out of order."""
        self.thread.call(self.fake.assert_no_violations)
        self.thread.call(self.fake.stats.reset)

    def ids(self, mailbox: str) -> list[str]:
        """Return what the mailbox holds at the server, oldest first."""
        return self.thread.call(lambda: [email.id for email in self.fake.emails_in(mailbox)])


@contextmanager
def counting(directory: Path, messages: int, **settings: str | int) -> Iterator[Counted]:
    """Run a stand-in with so many messages, and a gateway that asks for nothing nobody wants."""
    fake = FakeJmap(OPTIONS)
    seed(fake, messages)
    with LoopThread() as thread:
        thread.enter(running_fake(fake=fake))
        user = OPTIONS.users[0]
        account = DeclaredAccount(
            "login",
            "password of login",
            "jmap",
            {"url": fake.url, **settings},
            {"username": user.name},
            {"password": user.password},
        )
        gateway = GatewayProcess(directory, [account], prefetch="none")
        gateway.start()
        try:
            yield Counted(gateway.endpoint(account.login), thread, fake)
        finally:
            gateway.stop()
        fake.assert_no_violations()


@pytest.fixture(scope="module")
def first_requests() -> Counter[str]:
    """The requests that were made until everything had been listed."""
    return Counter()


@pytest.fixture(scope="module")
def large(is_direct: bool, tmp_path_factory: pytest.TempPathFactory, first_requests: Counter[str]) -> Iterator[Counted]:
    """A large account that has been listed, where nothing happens by itself."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    with counting(tmp_path_factory.mktemp("large"), MESSAGES, push="off", poll_interval_s=3600) as counted:
        with counted.client() as client:
            for mailbox in ("INBOX", "Archive", "Sent", "Trash"):
                wanted = {"MESSAGES": len(counted.ids(mailbox))}
                eventually(partial(client.status, mailbox, "MESSAGES"), equals(wanted))
        first_requests.update(counted.requests())
        yield counted


@pytest.fixture
def client(large: Counted) -> Iterator[RawClient]:
    with large.client() as client:
        client.select("INBOX")
        large.reset()
        yield client


def test_the_first_listing_is_a_request_per_full_reply_and_a_few_more(
    large: Counted, first_requests: Counter[str]
) -> None:
    assert len(large.fake.account().emails) == MESSAGES
    assert first_requests.total() <= MESSAGES / OPTIONS.max_objects_in_get + 10
    assert first_requests["download"] == 0


def test_what_a_list_of_messages_shows_is_a_request_or_two(large: Counted, client: RawClient) -> None:
    newest = client.search()[-100:]
    shown = f"{newest[0]}:{newest[-1]}", "(UID INTERNALDATE RFC822.SIZE ENVELOPE)"
    rows = client.fetch(*shown)
    assert len(rows) == 100
    assert large.requests().total() <= 2
    assert large.requests()["download"] == 0
    with large.client() as other:
        other.select("INBOX")
        assert other.fetch(*shown) == rows
    assert large.requests().total() <= 2


def test_flags_sizes_and_dates_of_all_cost_nothing(large: Counted, client: RawClient) -> None:
    assert len(client.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE)")) == len(large.ids("INBOX"))
    assert large.requests().total() == 0


def test_a_thousand_flags_are_a_request_per_full_set(large: Counted, client: RawClient) -> None:
    client.ok(r"UID STORE 1:1000 +FLAGS.SILENT ($Label)")
    assert large.requests().total() <= PER_REQUEST
    emails = large.thread.call(lambda: large.fake.emails_in("INBOX"))
    assert sum("$label" in email.keywords for email in emails) == 1000


def test_a_thousand_copies_are_a_request_per_full_set(large: Counted, client: RawClient) -> None:
    oldest = large.ids("INBOX")[:1000]
    client.ok('UID COPY 1:1000 "Archive"')
    assert large.requests().total() <= PER_REQUEST
    assert set(oldest) <= set(large.ids("INBOX"))
    assert set(oldest) <= set(large.ids("Archive"))
    assert client.status("Archive", "MESSAGES") == {"MESSAGES": len(large.ids("Archive"))}


def test_a_thousand_moves_are_a_request_per_full_set(large: Counted, client: RawClient) -> None:
    moved = large.ids("INBOX")[1000:2000]
    client.ok('UID MOVE 1001:2000 "Sent"')
    assert large.requests().total() <= PER_REQUEST
    assert not set(moved) & set(large.ids("INBOX"))
    assert set(moved) <= set(large.ids("Sent"))
    assert client.status("Sent", "MESSAGES") == {"MESSAGES": len(large.ids("Sent"))}


def test_a_thousand_expunges_are_a_look_and_a_request_per_full_set(large: Counted, client: RawClient) -> None:
    client.ok(r"UID STORE 2001:3000 +FLAGS.SILENT (\Deleted)")
    assert large.requests().total() == 0
    count = len(large.ids("INBOX"))
    client.ok("UID EXPUNGE 2001:3000")
    assert large.requests().total() <= PER_REQUEST
    assert len(large.ids("INBOX")) == count - 1000
    assert client.status("INBOX", "MESSAGES") == {"MESSAGES": count - 1000}


def test_a_poll_without_news_is_one_request(tmp_path: Path, is_direct: bool) -> None:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    with counting(tmp_path, 50, push="off", poll_interval_s=1) as counted, counted.client() as client:
        client.select("INBOX")
        tag = client.idle()
        eventually(lambda: counted.calls()["Email/changes"] > 0)
        counted.reset()
        eventually(lambda: counted.calls()["Email/changes"] >= 3)
        assert counted.requests().keys() == {"api"}
        assert counted.requests().total() == counted.calls()["Email/changes"]
        assert client.done(tag).is_ok
