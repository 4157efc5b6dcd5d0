"""The server stops while the gateway serves: what is known goes on, writes are refused, and it mends by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.backends import Backend, over_each_backend
from tests.e2e.client_scenarios import contents, flags
from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.gateway_process import Account, GatewayFactory, Server, new_account
from tests.e2e.outage import CyrusOutage, DovecotOutage, Outage
from tests.e2e.raw_client import RawClient, is_exists
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.waiting import eventually
from tests.servers.cyrus import Cyrus, running_cyrus
from tests.servers.dovecot import running_dovecot

pytestmark = over_each_backend

RECOVERY_S = 30.0


@pytest.fixture
def server(backend: Backend) -> Iterator[Server]:
    with running_cyrus() if backend is Backend.CYRUS else running_dovecot() as server:
        yield server


@pytest.fixture
def outage(server: Server) -> Iterator[Outage]:
    outage = CyrusOutage(server) if isinstance(server, Cyrus) else DovecotOutage(server)
    yield outage
    outage.close()


@pytest.fixture
def account(server: Server) -> Account:
    return new_account(server, "alice", "secret")


@pytest.fixture
def stage(account: Account, gateways: GatewayFactory) -> Stage:
    with RawClient.logged_in(account.backend) as back:
        back.ok('CREATE "Box"')
        back.append_many("INBOX", mixed(12))
        back.append_many("Box", mixed(3, first=100))
    stage = account.stage(gateways([account]).endpoint(account.login))
    settled(stage, "INBOX", "Box")
    return stage


def test_known_mail_is_served_while_the_server_is_down(stage: Stage, outage: Outage) -> None:
    with RawClient.logged_in(stage.front) as front:
        before = contents(front, "INBOX"), flags(front, "INBOX")
        listing = front.mailboxes().keys()
        front.select("INBOX")
        headers = front.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
        outage.begin()
        assert (contents(front, "INBOX"), flags(front, "INBOX")) == before
        assert front.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)") == headers
        assert front.search("SUBJECT number") == [1, 2, 4, 5, 7, 8, 10, 11]
    with RawClient.logged_in(stage.front) as front:
        assert front.mailboxes().keys() == listing
        assert front.status("INBOX", "MESSAGES", "UNSEEN") == {"MESSAGES": 12, "UNSEEN": 12}
        assert (contents(front, "INBOX"), flags(front, "INBOX")) == before


MORE_WRITES = ('UID COPY 1 "Box"', 'DELETE "Box"', 'RENAME "Box" "New"')


@pytest.mark.parametrize(
    "command",
    [
        r"UID STORE 1 +FLAGS (\Flagged)",
        'UID MOVE 1 "Box"',
        'CREATE "New"',
        "APPEND INBOX {}",
        *(pytest.param(each, marks=pytest.mark.long) for each in MORE_WRITES),
    ],
)
def test_a_write_is_refused_while_the_server_is_down(stage: Stage, outage: Outage, command: str) -> None:
    with RawClient.logged_in(stage.front) as front:
        before = {end: held(end) for end in (stage.front, stage.back)}
        front.select("INBOX")
        outage.begin()
        reply = front.command(command, *([message(99)] if "{}" in command else []))
        assert (reply.status.kind, reply.status.code.split(" ")[0]) == ("NO", "UNAVAILABLE")
        assert front.ok("NOOP").is_ok
        outage.end()
        eventually(lambda: front.command(r"UID STORE 2 +FLAGS (\Answered)").is_ok, within_s=RECOVERY_S)
    settled(stage, "INBOX", "Box")
    # Nothing of what was refused was done, at either end.
    for end, was in before.items():
        was["INBOX"][1][2] = frozenset({"\\Answered"})
        assert held(end) == was


def held(end: Endpoint) -> dict[str, tuple[dict[int, bytes], dict[int, frozenset[str]]]]:
    """Return the contents and flags of everything."""
    with RawClient.logged_in(end) as client:
        boxes = client.mailboxes()
        assert set(boxes) == {"INBOX", "Box", "Sent"}
        return {box: (contents(client, box), flags(client, box)) for box in boxes}


def test_everything_goes_on_after_the_restart_of_the_server(stage: Stage, outage: Outage) -> None:
    with RawClient.logged_in(stage.front) as idler:
        idler.select("INBOX")
        tag = idler.idle()
        outage.begin()
        outage.end()
        with RawClient.logged_in(stage.back) as back:
            back.append("INBOX", message(99))
            idler.wait_for(is_exists(13), within_s=RECOVERY_S)
            assert idler.done(tag).is_ok
            assert stage.agrees(contents(idler, "INBOX"), contents(back, "INBOX"))
            idler.append("INBOX", message(100))
            assert list(contents(back, "INBOX").values())[-1] == message(100)


def test_the_gateway_starts_while_the_server_is_down(
    outage: Outage, account: Account, gateways: GatewayFactory
) -> None:
    with RawClient.logged_in(account.backend) as back:
        back.append_many("INBOX", mixed(3))
    outage.begin()
    gateway = gateways([account])
    stage = account.stage(gateway.endpoint(account.login))
    with RawClient.logged_in(stage.front) as front:
        assert front.command('STATUS "INBOX" (MESSAGES)').status.kind in ("OK", "NO")
        outage.end()
    settled(stage, "INBOX", within_s=RECOVERY_S)
    with RawClient.logged_in(stage.front) as front, RawClient.logged_in(stage.back) as back:
        assert stage.agrees(contents(front, "INBOX"), contents(back, "INBOX"))


def test_a_body_that_is_not_known_is_refused_and_read_later(stage: Stage, outage: Outage) -> None:
    with RawClient.logged_in(stage.back) as back:
        back.append("Box", message(5, lines=100))
    settled(stage, "Box")
    with RawClient.logged_in(stage.front) as front:
        front.select("Box")
        uid = front.search()[-1]
        outage.begin()
        reply = front.command(f"UID FETCH {uid} BODY.PEEK[]")
        assert (reply.status.kind, reply.status.code.split(" ")[0]) == ("NO", "UNAVAILABLE")
        assert reply.fetched() == []
        outage.end()
        eventually(lambda: front.command(f"UID FETCH {uid} BODY.PEEK[]").is_ok, within_s=RECOVERY_S)
        assert front.fetch(str(uid), "BODY.PEEK[]")[uid]["BODY[]"] == message(5, lines=100)
