"""The gateway is killed without warning in the middle of its work; after the restart nothing is lost or doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.e2e.backends import over_each_backend
from tests.e2e.client_scenarios import contents, flags
from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.gateway_process import Account, GatewayFactory, GatewayProcess
from tests.e2e.raw_client import ConnectionEnded, RawClient
from tests.e2e.raw_values import Fetched, Status, WireError
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.stage_pool import StagePool

pytestmark = over_each_backend


@pytest.fixture
def account(stages: StagePool) -> Account:
    return stages.accounts(1)[0]


def stage_of(gateway: GatewayProcess, account: Account) -> Stage:
    return account.stage(gateway.endpoint(account.login))


def kill_after(
    gateway: GatewayProcess, client: RawClient, count: int, counts: Callable[[object], bool]
) -> list[Status]:
    """Read until `count` responses were counted, kill the gateway, and return the tagged answers that came at all."""
    answers: list[Status] = []
    seen = 0
    try:
        while True:
            response = client.next_response()
            if isinstance(response, Status) and response.tag != "*":
                answers.append(response)
            seen += counts(response)
            if seen == count:
                seen += 1
                gateway.kill()
    except (ConnectionEnded, WireError):
        # The last line may be cut off.
        return answers


def names(endpoint: Endpoint) -> set[str]:
    with RawClient.logged_in(endpoint) as client:
        return set(client.mailboxes())


def is_answer(response: object) -> bool:
    return isinstance(response, Status) and response.tag != "*"


def same_at_both_ends(stage: Stage, *mailboxes: str) -> None:
    """See that flags and contents are the server's own, and UIDVALIDITY and UIDs where they are kept."""
    settled(stage, *mailboxes)
    with RawClient.logged_in(stage.front) as front, RawClient.logged_in(stage.back) as back:
        for mailbox in mailboxes:
            ours, theirs = (with_flags(end, mailbox) for end in (front, back))
            assert ours == theirs if stage.keeps_uids else sorted_messages(ours) == sorted_messages(theirs)


def with_flags(client: RawClient, mailbox: str) -> dict[int, tuple[bytes, frozenset[str]]]:
    """Return content and flags, by UID."""
    marks = flags(client, mailbox)
    return {uid: (content, marks[uid]) for uid, content in contents(client, mailbox).items()}


def sorted_messages(held: dict[int, tuple[bytes, frozenset[str]]]) -> list[tuple[bytes, list[str]]]:
    return sorted((content, sorted(marks)) for content, marks in held.values())


@pytest.mark.parametrize(
    ("rows", "count"), [(100, 500), *(pytest.param(rows, 1600, marks=pytest.mark.long) for rows in (1, 300, 1500))]
)
def test_killed_during_the_first_sync(account: Account, gateways: GatewayFactory, rows: int, count: int) -> None:
    with RawClient.logged_in(account.backend) as back:
        back.append_many("INBOX", [message(number, lines=1) for number in range(1, count + 1)])
    gateway = gateways([account])
    stage = stage_of(gateway, account)
    with RawClient.logged_in(stage.front) as front:
        front.select("INBOX")
        front.send(b"a UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)\r\nb UID FETCH 1:* BODY.PEEK[]\r\n")
        kill_after(gateway, front, rows, lambda response: isinstance(response, Fetched))
    gateway.start()
    same_at_both_ends(stage, "INBOX")


def test_uids_are_the_same_after_a_kill_and_after_a_stop(account: Account, gateways: GatewayFactory) -> None:
    with RawClient.logged_in(account.backend) as back:
        back.ok('CREATE "Box"')
        back.append_many("INBOX", mixed(30))
        back.append_many("Box", mixed(7))
    gateway = gateways([account])
    stage = stage_of(gateway, account)
    settled(stage, "INBOX", "Box")

    def seen() -> list[object]:
        with RawClient.logged_in(stage.front) as front:
            return [(front.status(box, "UIDVALIDITY", "UIDNEXT"), contents(front, box)) for box in ("INBOX", "Box")]

    before = seen()
    gateway.kill()
    gateway.start()
    assert seen() == before
    gateway.stop()
    gateway.start()
    assert seen() == before


@pytest.mark.parametrize("answered", [25, *(pytest.param(count, marks=pytest.mark.long) for count in (1, 60))])
def test_killed_during_appends(account: Account, gateways: GatewayFactory, answered: int) -> None:
    gateway = gateways([account])
    stage = stage_of(gateway, account)
    messages = {f"a{number}": message(number) for number in range(100)}
    with RawClient.logged_in(stage.front) as front:
        front.send(
            b"".join(
                b"%s APPEND INBOX (\\Seen) {%d+}\r\n%s\r\n" % (tag.encode(), len(content), content)
                for tag, content in messages.items()
            )
        )
        answers = kill_after(gateway, front, answered, is_answer)
    gateway.start()
    same_at_both_ends(stage, "INBOX")
    with RawClient.logged_in(stage.front) as front:
        stored = contents(front, "INBOX")
    assert Counter(stored.values()).most_common(1)[0][1] == 1
    assert set(stored.values()) <= set(messages.values())
    for answer in answers:
        assert answer.kind == "OK"
        uid = int(answer.code.split()[2])
        assert stored[uid] == messages[answer.tag]


@pytest.mark.parametrize("answered", [20, pytest.param(1, marks=pytest.mark.long)])
def test_killed_during_moves(account: Account, gateways: GatewayFactory, answered: int) -> None:
    messages = {uid: message(uid) for uid in range(1, 61)}
    with RawClient.logged_in(account.backend) as back:
        back.ok('CREATE "Box"')
        back.append_many("INBOX", messages.values())
    gateway = gateways([account])
    stage = stage_of(gateway, account)
    settled(stage, "INBOX", "Box")
    with RawClient.logged_in(stage.front) as front:
        front.select("INBOX")
        front.send(b"".join(b'm%d UID MOVE %d "Box"\r\n' % (uid, uid) for uid in messages))
        answers = kill_after(gateway, front, answered, is_answer)
    gateway.start()
    same_at_both_ends(stage, "INBOX", "Box")
    with RawClient.logged_in(stage.front) as front:
        left, moved = contents(front, "INBOX"), contents(front, "Box")
    assert sorted((*left.values(), *moved.values())) == sorted(messages.values())
    for answer in answers:
        assert answer.kind == "OK"
        assert messages[int(answer.tag[1:])] in moved.values()


def test_killed_during_stores(account: Account, gateways: GatewayFactory) -> None:
    with RawClient.logged_in(account.backend) as back:
        back.append_many("INBOX", [message(uid) for uid in range(1, 61)])
    gateway = gateways([account])
    stage = stage_of(gateway, account)
    settled(stage, "INBOX")
    with RawClient.logged_in(stage.front) as front:
        front.select("INBOX")
        front.send(
            b"".join(
                b"s%d UID STORE %d +FLAGS.SILENT (\\Flagged $k%d)\r\n" % (uid, uid, uid % 5) for uid in range(1, 61)
            )
        )
        answers = kill_after(gateway, front, 15, is_answer)
    gateway.start()
    same_at_both_ends(stage, "INBOX")
    with RawClient.logged_in(stage.front) as front:
        after = flags(front, "INBOX")
    for answer in answers:
        assert answer.kind == "OK"
        uid = int(answer.tag[1:])
        assert after[uid] == {"\\Flagged", f"$k{uid % 5}"}


def test_killed_again_and_again(account: Account, gateways: GatewayFactory) -> None:
    gateway = gateways([account])
    stage = stage_of(gateway, account)
    for round_ in range(4):
        with RawClient.logged_in(stage.front) as front:
            _work(front, round_)
            gateway.kill()
        gateway.start()
    same_at_both_ends(stage, "INBOX", "Box")
    with RawClient.logged_in(stage.front) as front:
        assert sorted((*contents(front, "INBOX").values(), *contents(front, "Box").values())) == sorted(
            message(number) for number in range(8)
        )


def _work(front: RawClient, round_: int) -> None:
    if not round_:
        front.ok('CREATE "Box"')
    front.append("INBOX", message(2 * round_))
    uid = front.append("INBOX", message(2 * round_ + 1))
    front.select("INBOX")
    front.ok(rf"UID STORE {uid} +FLAGS (\Seen)")
    front.ok(f'UID MOVE {uid} "Box"')


def test_mailboxes_created_before_a_kill_are_there_after_it(account: Account, gateways: GatewayFactory) -> None:
    gateway = gateways([account])
    stage = stage_of(gateway, account)
    with RawClient.logged_in(stage.front) as front:
        front.ok('CREATE "One/Two"')
        front.ok('CREATE "Three"')
        front.ok('RENAME "Three" "Four"')
        gateway.kill()
    gateway.start()
    assert names(stage.front) == names(stage.back) == {"INBOX", "Sent", "One", "One/Two", "Four"}
