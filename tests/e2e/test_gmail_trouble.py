"""Gmail refuses, lies and forgets: no message is lost, no UID changes, and no client is disconnected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.gmail_server import ALL_MAIL, GmailBack, GmailServer, running_gmail
from tests.e2e.keeping import assert_kept, uids
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, mixed
from tests.e2e.waiting import equals, eventually
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions, Quirks

WITHIN_S = 30.0
BOXES = ("INBOX", "Work", ALL_MAIL)


@dataclass(frozen=True, slots=True)
class Line:
    """A gateway, the stand-in behind it, and the hands of somebody else on its mail."""

    front: Endpoint
    server: GmailServer
    back: GmailBack

    def client(self) -> RawClient:
        return RawClient.logged_in(self.front)

    def throttle(self, seconds: float, reason: str, code: int) -> None:
        self.server.thread.call(lambda: self.server.fake.throttle(seconds, reason, code))

    def forget(self) -> None:
        self.server.thread.call(self.server.fake.expire_history)

    def settle(self, client: RawClient) -> None:
        """Wait until a client sees the mailboxes as they are: octets, sizes and flags."""
        for mailbox in BOXES:
            eventually(partial(self._seen, client, mailbox), equals(self._held(mailbox)), within_s=WITHIN_S)

    def _held(self, mailbox: str) -> list[tuple[str, int, frozenset[str]]]:
        flags = self.back.flags_in(mailbox)
        return sorted(_row(octets, flags[uid]) for uid, octets in self.back.contents(mailbox).items())

    def _seen(self, client: RawClient, mailbox: str) -> list[tuple[str, int, frozenset[str]]]:
        client.select(mailbox)
        seen = []
        flags = client.flags() if client.search() else {}
        for uid, row in client.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])").items() if flags else ():
            octets = row["BODY[]"]
            assert isinstance(octets, bytes)
            assert row["RFC822.SIZE"] == len(octets)
            seen.append(_row(octets, flags[uid]))
        return sorted(seen)


def _row(octets: bytes, flags: frozenset[str]) -> tuple[str, int, frozenset[str]]:
    return hashlib.sha256(octets).hexdigest(), len(octets), flags


@contextmanager
def running(directory: Path, quirks: Quirks | None = None) -> Iterator[Line]:
    """Run a gateway whose account has 30 messages in INBOX and 10 in Work."""
    fake = FakeGmail(FakeOptions(quirks=quirks or Quirks()))
    with running_gmail(fake) as server:
        back = GmailBack(server, fake.options.address)
        back.create("Work")
        back.append_many("INBOX", mixed(30))
        back.append_many("Work", mixed(10, first=100))
        account = server.declared("login", "password of login", fake.options.address, timeout_s=5)
        gateway = GatewayProcess(directory, [account])
        gateway.start()
        try:
            yield Line(gateway.endpoint("login"), server, back)
        finally:
            gateway.stop()


@pytest.fixture
def line(tmp_path: Path, is_direct: bool) -> Iterator[Line]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    with running(tmp_path) as line:
        yield line


def change_everything(line: Line, first: int) -> None:
    """Deliver, mark, file and remove messages, as other clients of the account do."""
    line.back.append("INBOX", message(first))
    line.back.append("Work", message(first + 1), "(\\Seen)")
    uids_now = list(line.back.contents("INBOX"))
    line.back.store("INBOX", uids_now[0], add="\\Seen \\Flagged")
    line.back.store("INBOX", uids_now[1], remove="\\Seen", add="\\Flagged")
    line.back.expunge("INBOX", uids_now[2])


@pytest.mark.parametrize(
    ("reason", "code"),
    [("rateLimitExceeded", 429), pytest.param("userRateLimitExceeded", 403, marks=pytest.mark.long)],
)
def test_what_is_known_is_served_while_gmail_refuses_everything(line: Line, reason: str, code: int) -> None:
    with line.client() as client, line.client() as idler:
        line.settle(client)
        before = uids(client, BOXES)
        idler.select("INBOX")
        idling = idler.idle()
        line.throttle(5, reason, code)
        change_everything(line, 500)
        assert_kept(before, uids(client, BOXES))
        client.select("INBOX")
        # It is waited for or refused; either is so then.
        reply = client.command(r"UID STORE 10 +FLAGS (\Flagged)")
        assert reply.is_ok or reply.status.code == "UNAVAILABLE"
        if not reply.is_ok:
            eventually(lambda: client.command(r"UID STORE 10 +FLAGS (\Flagged)").is_ok, within_s=WITHIN_S)
        line.settle(client)
        assert line.back.flags_in("INBOX")[10] == {"\\Flagged"}
        assert_kept(before, uids(client, BOXES))
        assert idler.done(idling).is_ok


def test_gmail_s_lies_are_not_passed_on(tmp_path: Path, is_direct: bool) -> None:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    lies = Quirks(
        lie_about_sizes=True,
        absent_label_ids=True,
        unknown_labels=True,
        empty_history_pages=True,
        bare_history_records=True,
        joined_history_records=True,
    )
    with running(tmp_path, lies) as line, line.client() as client, line.client() as idler:
        line.settle(client)
        before = uids(client, BOXES)
        idler.select("Work")
        idling = idler.idle()
        for first in (500, 600, 700):
            change_everything(line, first)
            line.settle(client)
        client.append("Work", message(800))
        client.select("INBOX")
        client.ok("UID MOVE 10:12 Work")
        line.settle(client)
        assert_kept(before, uids(client, BOXES))
        assert idler.done(idling).is_ok


def test_lies_that_begin_while_the_gateway_runs_do_no_harm(line: Line) -> None:
    with line.client() as client:
        line.settle(client)
        before = uids(client, BOXES)
        for number, lie in enumerate(("absent_label_ids", "unknown_labels", "lie_about_sizes")):
            line.server.thread.call(partial(line.server.fake.quirks.set, lie, True))
            change_everything(line, 500 + 100 * number)
            line.settle(client)
        assert_kept(before, uids(client, BOXES))


def test_history_that_ends_again_and_again_loses_nothing(line: Line) -> None:
    with line.client() as client, line.client() as idler:
        line.settle(client)
        before = uids(client, BOXES)
        idler.select("INBOX")
        idling = idler.idle()
        for first in (500, 600, 700, 800):
            change_everything(line, first)
            line.forget()
            change_everything(line, first + 50)
        line.settle(client)
        assert_kept(before, uids(client, BOXES))
        assert idler.done(idling).is_ok


def test_history_that_ends_while_mailboxes_are_listed_loses_nothing(line: Line) -> None:
    with line.client() as client:
        line.settle(client)
        before = uids(client, BOXES)
        listed = line.server.fake.stats.calls["gmail.users.messages.list"]
        line.forget()
        change_everything(line, 500)
        line.server.fake.latency_s = 0.2
        # It is listed anew; in the middle of that the position taken before is forgotten too.
        eventually(lambda: line.server.fake.stats.calls["gmail.users.messages.list"] > listed, within_s=WITHIN_S)
        change_everything(line, 600)
        line.forget()
        line.server.fake.latency_s = 0.0
        line.settle(client)
        assert_kept(before, uids(client, BOXES))


@pytest.mark.parametrize("fault", [{"is_cut": True}, {"status": 503}])
@pytest.mark.parametrize("is_repeated", [False, True])
def test_a_draft_whose_answer_is_lost_is_there_once(
    line: Line, fault: dict[str, bool | int], is_repeated: bool
) -> None:
    """Gmail gives it a Message-ID and other line ends, and does not know it again."""
    draft = b"Subject: to do\n\nText\n"
    drafts = "[Gmail]/Drafts"
    with line.client() as client:
        line.settle(client)
        before = client.append(drafts, draft.replace(b"Text", b"Test"))
        server, method = line.server, "gmail.users.drafts.create"
        server.thread.call(lambda: server.fake.fail_next(method, is_after_work=True, **fault))
        if is_repeated:
            # The look at what has become of it fails too, so the client is told that it is not known.
            server.thread.call(lambda: server.fake.fail_next("gmail.users.history.list", times=40, status=500))
            assert not client.command(f'APPEND "{drafts}" {{}}', draft).is_ok
            server.thread.call(server.fake.faults.clear)
        uid = client.append(drafts, draft)
        assert uid > before
        client.select(drafts)
        stored = {uid: row["BODY[]"] for uid, row in client.fetch("1:*", "(BODY.PEEK[])").items()}
        assert [uid for uid, data in stored.items() if isinstance(data, bytes) and b"Text" in data] == [uid]
        assert len(server.fake.mailbox.drafts) == 2
