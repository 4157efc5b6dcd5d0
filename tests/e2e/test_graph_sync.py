"""mbsync over Graph, and the gateway killed amid its work there: everything comes once, and nothing a second time."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.back import Back, open_back
from tests.e2e.backends import over_graph
from tests.e2e.clients.mbsync import NOTHING, Mbsync, Transfer, as_sent
from tests.e2e.endpoint import Stage
from tests.e2e.gateway_process import Account, GatewayFactory
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.stage_pool import StagePool
from tests.e2e.test_crash import is_answer, kill_after

pytestmark = over_graph

BOXES = {"INBOX": mixed(20), "Work": mixed(12, first=100), "Work/2023": mixed(3, first=200), "Empty": []}


@pytest.fixture
def back(stage: Stage) -> Iterator[Back]:
    with open_back(stage) as back:
        for mailbox, messages in BOXES.items():
            if mailbox != "INBOX":
                back.create(mailbox)
            back.append_many(mailbox, messages)
        settled(stage, *BOXES)
        yield back


@pytest.mark.skipif(shutil.which("mbsync") is None, reason="mbsync (Debian package isync) is not installed")
def test_mbsync_brings_every_message_and_nothing_twice(stage: Stage, back: Back, tmp_path: Path) -> None:
    mbsync = Mbsync(stage.front, tmp_path)
    assert mbsync.run() == Transfer((0, 0, 0), (sum(map(len, BOXES.values())), 0, 0))
    assert {box: mbsync.contents(box) for box in BOXES} == {box: sorted(back.contents(box).values()) for box in BOXES}
    tree = mbsync.tree()
    assert mbsync.run() == NOTHING
    assert mbsync.tree() == tree
    # What changes here goes there, and the next run finds nothing to do, though Graph has other octets by then.
    first, second = (
        next(path for path in mbsync.files("INBOX") if as_sent(path.read_bytes()) == back.contents("INBOX")[uid])
        for uid in (1, 2)
    )
    mbsync.set_flags(first, "FS")
    mbsync.set_flags(second, "T")
    mbsync.deliver("Work", "1700000000.new.here", message(999), "S")
    # To mark a message deleted is a flag, too; that it is expunged then is not counted.
    assert mbsync.run() == Transfer((1, 2, 0), (0, 0, 0))
    assert mbsync.run() == NOTHING
    assert back.flags_in("INBOX")[1] == {"\\Flagged", "\\Seen"}
    assert 2 not in back.contents("INBOX")
    new = [re.sub(rb"(?m)^X-TUID: [^\r\n]*\r\n", b"", octets) for octets in back.contents("Work").values()]
    assert stage.gist(new[-1]) == stage.gist(message(999))
    assert len(new) == len(BOXES["Work"]) + 1
    # And the other way about.
    back.store("INBOX", 3, add="\\Flagged")
    back.expunge("INBOX", 4)
    back.append("Work", message(1000))
    settled(stage, "INBOX", "Work")
    transfer = mbsync.run()
    assert (transfer.far, transfer.near[0]) == ((0, 0, 0), 1)
    assert mbsync.run() == NOTHING


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def account(stages: StagePool) -> Account:
    return stages.accounts(1)[0]


def contents(client: RawClient, mailbox: str) -> dict[int, bytes]:
    client.select(mailbox)
    rows = client.fetch("1:*", "(BODY.PEEK[])") if client.search() else {}
    return {uid: body for uid, row in rows.items() if isinstance(body := row["BODY[]"], bytes)}


@pytest.mark.long
def test_killed_during_appends(account: Account, gateways: GatewayFactory) -> None:
    gateway = gateways([account])
    stage = account.stage(gateway.endpoint(account.login))
    messages = {f"a{number}": message(number) for number in range(30)}
    with RawClient.logged_in(stage.front) as front:
        front.send(
            b"".join(
                b"%s APPEND INBOX (\\Seen) {%d+}\r\n%s\r\n" % (tag.encode(), len(content), content)
                for tag, content in messages.items()
            )
        )
        answers = kill_after(gateway, front, 8, is_answer)
    gateway.start()
    settled(stage, "INBOX")
    with RawClient.logged_in(stage.front) as front, open_back(stage) as back:
        stored, held = contents(front, "INBOX"), back.contents("INBOX")
    gists = {stage.gist(content): content for content in messages.values()}
    assert Counter(map(stage.gist, held.values())) == Counter(map(stage.gist, stored.values()))
    assert Counter(map(stage.gist, held.values())).most_common(1)[0][1] == 1
    assert {stage.gist(content) for content in stored.values()} <= gists.keys()
    for answer in answers:
        assert answer.kind == "OK"
        assert stored[int(answer.code.split()[2])] == messages[answer.tag]


@pytest.mark.long
def test_killed_during_stores_and_moves(account: Account, gateways: GatewayFactory) -> None:
    messages = {uid: message(uid) for uid in range(1, 41)}
    with open_back(account.stage(account.backend)) as back:
        back.create("Box")
        back.append_many("INBOX", messages.values())
    gateway = gateways([account])
    stage = account.stage(gateway.endpoint(account.login))
    settled(stage, "INBOX", "Box")
    with RawClient.logged_in(stage.front) as front:
        before = contents(front, "INBOX")
        front.send(
            b"".join(
                b's%d UID STORE %d +FLAGS.SILENT (\\Flagged)\r\nm%d UID MOVE %d "Box"\r\n' % (uid, uid, uid, uid)
                for uid in messages
            )
        )
        answers = kill_after(gateway, front, 25, is_answer)
    gateway.start()
    settled(stage, "INBOX", "Box")
    with RawClient.logged_in(stage.front) as front, open_back(stage) as back:
        left, moved = contents(front, "INBOX"), contents(front, "Box")
        marks = back.flags_in("Box")
        held = [*back.contents("INBOX").values(), *back.contents("Box").values()]
    assert {uid: before[uid] for uid in left} == left
    everything = sorted(map(stage.gist, messages.values()))
    assert sorted(map(stage.gist, (*left.values(), *moved.values()))) == everything
    assert sorted(map(stage.gist, held)) == everything
    there = set(map(stage.gist, moved.values()))
    for answer in answers:
        assert answer.kind == "OK"
        if answer.tag.startswith("m"):
            assert stage.gist(messages[int(answer.tag[1:])]) in there
    assert all(flags == {"\\Flagged"} for flags in marks.values())
