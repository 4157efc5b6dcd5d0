"""Graph loses, repeats, refuses and forgets: no message is lost or doubled, no UID changes, no client is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.gateway_process import DeclaredAccount, GatewayProcess
from tests.e2e.gist import gist_of
from tests.e2e.graph_server import GraphBack, GraphServer, running_graph_server
from tests.e2e.keeping import assert_kept, uids
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message
from tests.e2e.waiting import equals, eventually
from tests.fakes.graph import GraphOptions, Quirks

WITHIN_S = 30.0
BOXES = ("INBOX", "Work")
INBOX_COUNT, WORK_COUNT = 30, 10


@dataclass(frozen=True, slots=True)
class Line:
    """A gateway, the stand-in behind it, and the hands of somebody else on its mail."""

    gateway: GatewayProcess
    server: GraphServer
    back: GraphBack

    def client(self) -> RawClient:
        return RawClient.logged_in(self.gateway.endpoint("login"), timeout_s=60.0)

    def quirk(self, name: str, value: bool | int = True) -> None:
        self.server.thread.call(lambda: self.server.fake.quirks.set(name, value))

    def move(self, mailbox: str, uid: int, other: str) -> None:
        """Move a message behind the gateway's back."""
        ref = self.back.refs(mailbox)[uid]
        self.server.thread.call(lambda: self.server.fake.move(ref, "inbox" if other == "INBOX" else other))

    def there_and_back(self, mailbox: str, uid: int, other: str) -> None:
        """Move a message away and back again before anybody looks."""
        ref = self.back.refs(mailbox)[uid]
        self.server.thread.call(lambda: self.server.fake.move_there_and_back(ref, other))

    def forget(self, status: int = 410) -> None:
        self.server.thread.call(lambda: self.server.fake.expire_delta_tokens(status=status))

    def settle(self, client: RawClient) -> None:
        """Wait until a client sees the mailboxes as they are: what messages say, and their flags."""
        for mailbox in BOXES:
            eventually(partial(self._seen, client, mailbox), equals(self._held(mailbox)), within_s=WITHIN_S)

    def _held(self, mailbox: str) -> list[tuple[bytes, list[str]]]:
        flags = self.back.flags_in(mailbox)
        return sorted((gist_of(octets), sorted(flags[uid])) for uid, octets in self.back.contents(mailbox).items())

    @staticmethod
    def _seen(client: RawClient, mailbox: str) -> list[tuple[bytes, list[str]]]:
        client.select(mailbox)
        flags = client.flags() if client.search() else {}
        seen = []
        for uid, row in client.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])").items() if flags else ():
            octets = row["BODY[]"]
            assert isinstance(octets, bytes)
            assert row["RFC822.SIZE"] == len(octets)
            seen.append((gist_of(octets), sorted(flags[uid])))
        return sorted(seen)


@contextmanager
def running(directory: Path, quirks: Quirks | None = None) -> Iterator[Line]:
    """Run a gateway whose account has 30 messages in INBOX and 10 in Work."""
    with running_graph_server(GraphOptions(requests_per_10_min=None, quirks=quirks or Quirks())) as server:
        address = server.fake.options.address
        account = server.declared("login", "password of login", address, timeout_s=5, poll_interval_s=1)
        with serving(directory, server, account) as line:
            yield line


@contextmanager
def serving(directory: Path, server: GraphServer, account: DeclaredAccount) -> Iterator[Line]:
    back = GraphBack(server, server.fake.options.address)
    back.create("Work")
    back.append_many("INBOX", [message(number) for number in range(1, INBOX_COUNT + 1)])
    back.append_many("Work", [message(number) for number in range(100, 100 + WORK_COUNT)])
    gateway = GatewayProcess(directory, [account])
    gateway.start()
    try:
        yield Line(gateway, server, back)
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
    there = list(line.back.contents("INBOX"))
    line.back.store("INBOX", there[0], add="\\Seen \\Flagged")
    line.back.store("INBOX", there[1], remove="\\Seen", add="\\Flagged $Forwarded project")
    line.back.expunge("INBOX", there[2])
    line.there_and_back("INBOX", there[3], "Work")
    line.there_and_back("INBOX", there[4], "Archive")
    line.there_and_back("Work", next(iter(line.back.contents("Work"))), "INBOX")


def test_moves_that_no_change_tells_of_lose_nothing(line: Line) -> None:
    """A message that left and came back between two looks is told as deleted, and never again."""
    with line.client() as client, line.client() as idler:
        line.settle(client)
        before = uids(client, BOXES)
        idler.select("INBOX")
        idling = idler.idle()
        for first in (500, 600):
            change_everything(line, first)
            line.settle(client)
        assert_kept(before, uids(client, BOXES))
        # Away, seen there, and back: it has left, so that it gets new UIDs, and it is there once.
        line.move("INBOX", 20, "Work")
        line.settle(client)
        line.move("Work", max(line.back.contents("Work")), "INBOX")
        line.settle(client)
        after = uids(client, BOXES)
        assert len([1 for held in after.values() for content in held.values() if "<20@seed" in content]) == 1
        assert idler.done(idling).is_ok


LIES = {
    "odd": Quirks(delta_repeats=True, delta_replays=True, delta_partial=True, delta_empty_pages=True),
    "late": Quirks(delta_lags=True, deleted_are_found=True, mime_varies=True),
    "lost": Quirks(delta_loses_arrivals=True, delta_replays=True),
}


@pytest.mark.long
@pytest.mark.parametrize("lies", LIES)
def test_disorder_and_replays_are_not_passed_on(tmp_path: Path, is_direct: bool, lies: str) -> None:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    with running(tmp_path, LIES[lies]) as line, line.client() as client:
        line.settle(client)
        before = uids(client, BOXES)
        for first in (500, 600):
            change_everything(line, first)
            line.move("INBOX", first // 50, "Work")
            line.settle(client)
        client.append("Work", message(800))
        client.select("INBOX")
        client.ok("UID MOVE 21:23 Work")
        line.settle(client)
        assert_kept(before, uids(client, BOXES))


def test_positions_that_are_forgotten_again_and_again_lose_nothing(line: Line) -> None:
    with line.client() as client, line.client() as idler:
        line.settle(client)
        before = uids(client, BOXES)
        idler.select("INBOX")
        idling = idler.idle()
        for first, status in ((500, 410), (600, 400), (700, 410)):
            change_everything(line, first)
            line.forget(status)
            change_everything(line, first + 50)
        line.settle(client)
        assert_kept(before, uids(client, BOXES))
        assert idler.done(idling).is_ok


@pytest.mark.long
def test_what_changes_while_the_gateway_is_down_is_found(line: Line) -> None:
    """And what has no trace in the changes: the position is forgotten meanwhile, and so is where messages went."""
    with line.client() as client:
        line.settle(client)
        before = uids(client, BOXES)
    line.gateway.kill()
    change_everything(line, 500)
    line.move("INBOX", 25, "Work")
    line.forget()
    change_everything(line, 600)
    line.gateway.start()
    with line.client() as client:
        line.settle(client)
        assert_kept(before, uids(client, BOXES))


@pytest.mark.long
@pytest.mark.parametrize("retry_after_s", [2, None])
def test_what_is_known_is_served_while_graph_refuses_everything(line: Line, retry_after_s: int | None) -> None:
    fake = line.server.fake
    with line.client() as client, line.client() as idler:
        line.settle(client)
        before = uids(client, BOXES)
        idler.select("INBOX")
        idling = idler.idle()
        line.server.thread.call(lambda: fake.throttle(4, retry_after_s=retry_after_s))
        change_everything(line, 500)
        assert_kept(before, uids(client, BOXES))
        client.select("INBOX")
        store = r"UID STORE 10 +FLAGS (\Flagged)"
        reply = client.command(store)
        # It is waited for or refused; either is so then.
        if not reply.is_ok:
            assert reply.status.code == "UNAVAILABLE"
            eventually(lambda: client.command(store).is_ok, within_s=WITHIN_S)
        line.settle(client)
        assert line.back.flags_in("INBOX")[10] == {"\\Flagged"}
        assert_kept(before, uids(client, BOXES))
        assert idler.done(idling).is_ok


@pytest.mark.long
def test_items_of_batches_that_are_refused_are_asked_for_again(line: Line) -> None:
    """Conflicts, too many at once, and an answer that is lost, in one STORE and one MOVE."""
    fake = line.server.fake
    with line.client() as client:
        line.settle(client)
        line.quirk("conflict_every", 7)
        line.server.thread.call(lambda: fake.fail_next("messages.patch", times=5, skip=3, status=429, retry_after_s=1))
        client.select("INBOX")
        assert client.ok(r"UID STORE 1:* +FLAGS.SILENT (\Flagged project)").is_ok
        assert all(flags == {"\\Flagged", "project"} for flags in line.back.flags_in("INBOX").values())
        line.server.thread.call(lambda: fake.fail_next("messages.move", times=3, skip=2, status=503))
        line.server.thread.call(lambda: fake.fail_next("messages.move", skip=4, status=504, is_after_work=True))
        moved = client.command("UID MOVE 1:15 Work")
        assert moved.is_ok or moved.status.code == "UNAVAILABLE"
        line.settle(client)
        if not moved.is_ok:
            client.select("INBOX")
            assert client.command("UID MOVE 1:15 Work").is_ok
            line.settle(client)
        assert len(line.back.contents("INBOX")) == INBOX_COUNT - 15
        assert len(line.back.contents("Work")) == WORK_COUNT + 15


@pytest.mark.long
def test_a_token_that_is_refused_ends_nothing_but_the_account_s_work(line: Line) -> None:
    """The token stands in the configuration, so nobody can get another."""
    with line.client() as client:
        line.settle(client)
        before = uids(client, BOXES)
        line.server.thread.call(line.server.fake.expire_access_tokens)
        line.back.append("INBOX", message(500))
        client.select("INBOX")
        reply = client.command(r"UID STORE 1 +FLAGS (\Flagged)")
        assert not reply.is_ok
        assert reply.status.code in ("CONTACTADMIN", "UNAVAILABLE", "AUTHORIZATIONFAILED", "EXPIRED")
        assert_kept(before, uids(client, BOXES))
        assert line.back.flags_in("INBOX")[1] == frozenset()


@pytest.mark.long
def test_an_application_gets_itself_a_new_token(tmp_path: Path, is_direct: bool) -> None:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    with running_graph_server(GraphOptions(requests_per_10_min=None, tls=True)) as server:
        fake = server.fake
        assert fake.ca_file is not None
        settings: dict[str, str | float] = {
            "api_root": fake.api_root,
            "authority": fake.login_origin,
            "ca_file": fake.ca_file,
            "mailbox": fake.options.address,
            "poll_interval_s": 1,
            "requests_per_10_minutes": 1_000_000,
        }
        known = {"client_id": fake.options.client_id, "tenant": fake.options.tenant}
        secrets = {"client_secret": fake.options.client_secret}
        account = DeclaredAccount("login", "password of login", "graph", settings, known, secrets)
        with serving(tmp_path, server, account) as line, line.client() as client:
            line.settle(client)
            server.thread.call(fake.expire_access_tokens)
            change_everything(line, 500)
            line.settle(client)
            assert client.append("Work", message(600)) > 0
            line.settle(client)
        assert fake.stats.tokens["client_credentials"] == 2
