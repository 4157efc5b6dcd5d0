"""A JMAP server whose answers get lost on the way: what the gateway makes of it, with the real connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.api.types import BytesContent
from connectors.jmap import SPEC
from gateway.clock import SystemClock
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.service import MailService
from gateway.mailbox.user_mail import UserMail
from gateway.store import accounts, intents, invariants, users
from gateway.store.accounts import AccountRow
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store, Transaction
from gateway.wire.commands import StoreAction
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, UrlStyle
from tests.fakes.jmap.server import running_fake
from tests.servers.fault_proxy import FaultProxy, fault_proxy
from tests.servers.faults import Answer, Cut, LoseReply, body_has, broken_json, html_page, path, throttled
from tests.stack import QUIET, message, subjects, until_held


@dataclass
class Line:
    """A user's mail, the server behind it, and the proxy in between."""

    user: UserMail
    fake: FakeJmap
    proxy: FaultProxy
    store: Store

    def held(self, mailbox: str = "INBOX") -> list[bytes]:
        """Return what the server has, in no order."""
        return sorted(email.content.data for email in self.fake.emails_in(mailbox))


@asynccontextmanager
async def _line(directory: Path) -> AsyncIterator[Line]:
    options = FakeOptions(urls=UrlStyle.RELATIVE)
    store = await Store.open(f"sqlite:///{directory}/gateway.db")
    cache = BodyCache(directory / "cache", 64 << 20)
    cache.load()
    async with running_fake(options) as fake:
        place = urlsplit(fake.url)
        assert place.hostname is not None
        assert place.port is not None
        async with fault_proxy(place.hostname, place.port) as proxy:
            alice = options.users[0]
            credential = FixedCredential(PasswordCredential(alice.name, Secret(alice.password)))
            url = proxy.url + place.path

            def connect(_: AccountRow) -> Connector:
                return SPEC.build({"url": url, "push": "off"}, credential)

            async def add(tx: Transaction) -> None:
                alex = await users.add_user(tx, "alex", None)
                await accounts.add_account(tx, alex.id, "work", "jmap", {})

            await store.write(add)
            service = MailService(store, cache, SystemClock(), connect, None, QUIET)
            await service.start()
            try:
                yield Line(await service.open_user("alex"), fake, proxy, store)
                assert await store.read_bulk(invariants.check) == []
            finally:
                await service.close()
                await store.close()


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with _line(tmp_path) as made:
        yield made


async def test_an_append_whose_answer_is_lost_is_found_and_not_repeated(line: Line) -> None:
    view = await line.user.open("INBOX", is_read_only=False)
    lost = line.proxy.fail(LoseReply(), when=body_has("Email/import"))
    stored = await line.user.append("INBOX", BytesContent(message(1)), ["\\Seen"], None)
    assert lost.hits.value == 1
    assert line.held() == [message(1)]
    await until_held(view, 1)
    assert list(view.uids) == [stored.uid]
    assert await subjects(view) == {stored.uid: message(1)}
    assert await line.store.read(lambda tx: intents.pending(tx, view.account_id)) == []


@pytest.mark.parametrize("fault", [Answer(502), broken_json(), html_page()])
async def test_an_append_that_did_not_reach_the_server_is_refused_and_can_be_repeated(
    line: Line, fault: Answer
) -> None:
    line.proxy.fail(fault, when=body_has("Email/import"))
    with pytest.raises(MailError) as caught:
        await line.user.append("INBOX", BytesContent(message(1)), (), None)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert line.held() == []
    await line.user.append("INBOX", BytesContent(message(1)), (), None)
    assert line.held() == [message(1)]


@pytest.mark.parametrize(
    "fault", [*(replace(answer, is_work_done=True) for answer in (Answer(502), broken_json(), html_page())), Cut(20)]
)
async def test_an_append_whose_answer_makes_no_sense_is_found_and_not_repeated(line: Line, fault: Answer | Cut) -> None:
    view = await line.user.open("INBOX", is_read_only=False)
    line.proxy.fail(fault, when=body_has("Email/import"))
    await line.user.append("INBOX", BytesContent(message(1)), (), None)
    assert line.held() == [message(1)]
    await until_held(view, 1)


@pytest.mark.parametrize("is_move", [False, True])
async def test_a_copy_whose_answer_is_lost_is_told_by_reading(line: Line, is_move: bool) -> None:
    line.fake.deliver("INBOX", message(1))
    view = await line.user.open("INBOX", is_read_only=False)
    archive = await line.user.open("Archive", is_read_only=True)
    line.proxy.fail(LoseReply(), when=body_has("Email/set"))
    outcome = await view.copy([1], "Archive", is_move=is_move)
    assert outcome.pairs or outcome.error is not None
    await until_held(archive, 1)
    assert line.held("Archive") == [message(1)]
    await until_held(view, 0 if is_move else 1)
    assert len(line.held()) == (0 if is_move else 1)


async def test_an_expunge_whose_answer_is_lost_is_told_by_reading(line: Line) -> None:
    line.fake.deliver("INBOX", message(1))
    line.fake.deliver("INBOX", message(2))
    view = await line.user.open("INBOX", is_read_only=False)
    await view.store([1], StoreAction.ADD, ["\\Deleted"])
    line.proxy.fail(LoseReply(), when=body_has("Email/set"))
    await view.expunge(None)
    await until_held(view, 1)
    assert (line.held(), line.held("Trash")) == ([message(2)], [message(1)])


async def test_a_message_cut_off_half_way_is_never_served_short(line: Line) -> None:
    line.fake.deliver("INBOX", message(1))
    view = await line.user.open("INBOX", is_read_only=True)
    cut = line.proxy.fail(Cut(10), when=path("/jmap/download"), times=1)
    with pytest.raises(MailError) as caught:
        await subjects(view)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert cut.hits.value == 1
    assert await subjects(view) == {1: message(1)}


async def test_a_throttled_write_is_done_once_when_the_time_has_come(line: Line) -> None:
    line.fake.deliver("INBOX", message(1))
    view = await line.user.open("INBOX", is_read_only=False)
    rule = line.proxy.fail(throttled(0), when=body_has("Email/set"))
    await view.store([1], StoreAction.ADD, ["\\Flagged"])
    assert rule.hits.value == 1
    (email,) = line.fake.emails_in("INBOX")
    assert "$flagged" in email.keywords
    assert view.flag_rows([1])[0].flags == b"(\\Flagged \\Recent)"


async def test_reading_goes_on_from_the_store_while_the_server_is_gone(line: Line) -> None:
    line.fake.deliver("INBOX", message(1))
    view = await line.user.open("INBOX", is_read_only=False)
    assert await subjects(view) == {1: message(1)}
    async with line.proxy.refusing():
        assert await subjects(view) == {1: message(1)}
        outcome = await view.store([1], StoreAction.ADD, ["\\Seen"])
        assert outcome.error is not None
        assert outcome.error.kind is ErrorKind.UNAVAILABLE
    (email,) = line.fake.emails_in("INBOX")
    assert not email.keywords
