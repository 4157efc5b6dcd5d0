"""mbsync in front: a full sync, an idle second run, and changes both ways."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backends import over_each_backend
from tests.e2e.client_scenarios import contents, flags
from tests.e2e.clients.mbsync import NOTHING, Mbsync, Transfer, as_sent
from tests.e2e.endpoint import Stage
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.wiretap import wiretap

pytestmark = [
    pytest.mark.skipif(shutil.which("mbsync") is None, reason="mbsync (Debian package isync) is not installed"),
    over_each_backend,
]

BOXES = {"INBOX": mixed(40), "Archive": mixed(25, first=100), "Archive/2023": mixed(3, first=200), "Empty": []}


@pytest.fixture
def back(stage: Stage) -> Iterator[RawClient]:
    with RawClient.logged_in(stage.back) as client:
        yield client


@pytest.fixture
def mbsync(stage: Stage, back: RawClient, tmp_path: Path) -> Mbsync:
    """A local copy that has been synced once, of four mailboxes."""
    for mailbox, messages in BOXES.items():
        if mailbox != "INBOX":
            back.ok(f'CREATE "{mailbox}"')
        back.append_many(mailbox, messages)
    settled(stage, *BOXES)
    mbsync = Mbsync(stage.front, tmp_path)
    assert mbsync.run() == first_run()
    return mbsync


def first_run() -> Transfer:
    return Transfer((0, 0, 0), (sum(len(messages) for messages in BOXES.values()), 0, 0))


def test_a_full_sync_brings_every_message(mbsync: Mbsync) -> None:
    assert {mailbox: mbsync.contents(mailbox) for mailbox in BOXES} == {
        mailbox: sorted(messages) for mailbox, messages in BOXES.items()
    }


def test_a_second_run_transfers_nothing(mbsync: Mbsync, back: RawClient) -> None:
    before = mbsync.tree(), {mailbox: flags(back, mailbox) for mailbox in BOXES}
    assert mbsync.run() == NOTHING
    assert (mbsync.tree(), {mailbox: flags(back, mailbox) for mailbox in BOXES}) == before


def test_local_changes_reach_dovecot(mbsync: Mbsync, back: RawClient) -> None:
    flagged, deleted = (_file(mbsync, number) for number in (1, 2))
    mbsync.set_flags(flagged, "FS")
    mbsync.set_flags(deleted, "T")
    mbsync.deliver("Archive", "1700000000.new.here", message(999), "S")
    transfer = mbsync.run()
    assert transfer.far[0] == 1
    assert flags(back, "INBOX")[1] == {"\\Flagged", "\\Seen"}
    assert contents(back, "INBOX").keys() == set(range(1, 41)) - {2}
    uid, content = contents(back, "Archive").popitem()
    assert _without_tuid(content) == message(999)
    assert flags(back, "Archive")[uid] == {"\\Seen"}
    assert mbsync.run() == NOTHING


def test_changes_on_dovecot_reach_the_local_copy(stage: Stage, mbsync: Mbsync, back: RawClient) -> None:
    back.select("INBOX")
    back.ok(r"UID STORE 1 +FLAGS.SILENT (\Flagged \Answered)")
    back.ok(r"UID STORE 2 +FLAGS.SILENT (\Deleted)")
    back.ok("UID EXPUNGE 2")
    back.append("Archive", message(999), r"(\Seen)")
    back.ok('CREATE "New/Box"')
    back.append("New/Box", message(1000))
    settled(stage, "INBOX", "Archive", "New/Box")
    transfer = mbsync.run()
    assert transfer.far == (0, 0, 0)
    assert transfer.near[0] == 2
    assert mbsync.contents("INBOX") == sorted(contents(back, "INBOX").values())
    assert _file(mbsync, 1).name.endswith(":2,FR")
    assert message(999) in mbsync.contents("Archive")
    assert mbsync.contents("New/Box") == [message(1000)]
    assert mbsync.run() == NOTHING


def test_what_is_deleted_locally_is_moved_to_the_trash(
    stage: Stage, back: RawClient, is_direct: bool, tmp_path: Path
) -> None:
    """MOVE (RFC 6851)."""
    if is_direct:
        pytest.skip("is about what the gateway offers")
    back.append_many("INBOX", [message(number) for number in range(1, 5)])
    back.ok("CREATE Bin")
    settled(stage, "INBOX", "Bin")
    with wiretap(stage.front) as tap:
        mbsync = Mbsync(tap.endpoint, tmp_path, trash="Bin")
        mbsync.run()
        for path in mbsync.files("INBOX"):
            if as_sent(path.read_bytes()) in (message(2), message(3)):
                mbsync.set_flags(path, "T")
        mbsync.run()
        sent = "".join(wire.sent for wire in tap.wires())
        assert mbsync.run().far == (0, 0, 0)
    assert list(contents(back, "INBOX").values()) == [message(1), message(4)]
    assert sorted(contents(back, "Bin").values()) == [message(2), message(3)]
    assert re.search(r'UID MOVE \S+ "?Bin"?\r\n', sent)
    assert "UID COPY" not in sent


def test_what_is_deleted_on_the_server_is_deleted_locally_and_kept_in_the_local_trash(
    stage: Stage, back: RawClient, tmp_path: Path
) -> None:
    back.append_many("INBOX", [message(number) for number in range(1, 5)])
    settled(stage, "INBOX")
    mbsync = Mbsync(stage.front, tmp_path, trash="Bin")
    mbsync.run()
    back.select("INBOX")
    back.ok(r"UID STORE 1,3 +FLAGS.SILENT (\Deleted)")
    back.ok("UID EXPUNGE 1,3")
    settled(stage, "INBOX")
    mbsync.run()
    assert mbsync.contents("INBOX") == [message(2), message(4)]
    assert mbsync.contents("Bin") == [message(1), message(3)]


def test_the_uid_of_a_message_it_uploads_is_told_to_it(
    stage: Stage, back: RawClient, is_direct: bool, tmp_path: Path
) -> None:
    """APPENDUID (RFC 4315): mbsync need not search for the header that it adds. All of it compressed."""
    if is_direct:
        pytest.skip("is about what the gateway offers")
    back.append_many("INBOX", [message(1), message(2)])
    settled(stage, "INBOX")
    with wiretap(stage.front) as tap:
        mbsync = Mbsync(tap.endpoint, tmp_path)
        mbsync.run()
        mbsync.deliver("INBOX", "1700000000.new.here", message(999), "S")
        (deleted,) = [path for path in mbsync.files("INBOX") if as_sent(path.read_bytes()) == message(1)]
        mbsync.set_flags(deleted, "T")
        back.select("INBOX")
        back.ok(r"UID STORE 2 +FLAGS.SILENT (\Seen)")
        settled(stage, "INBOX")
        mbsync.run()
        wires = tap.wires()
        assert mbsync.run() == NOTHING
    sent = "".join(wire.sent for wire in wires)
    assert any(" OK [APPENDUID " in wire.received for wire in wires)
    assert "HEADER.FIELDS (X-TUID)" not in sent
    assert all(wire.is_compressed for wire in wires)
    assert sorted(map(_without_tuid, contents(back, "INBOX").values())) == sorted([message(2), message(999)])


def test_changes_at_both_ends_meet(stage: Stage, mbsync: Mbsync, back: RawClient) -> None:
    mbsync.set_flags(_file(mbsync, 4), "F")
    mbsync.deliver("INBOX", "1700000000.new.here", message(901), "")
    back.select("INBOX")
    back.ok(r"UID STORE 4 +FLAGS.SILENT (\Seen)")
    back.append("INBOX", message(902))
    settled(stage, "INBOX")
    mbsync.run()
    assert flags(back, "INBOX")[4] == {"\\Flagged", "\\Seen"}
    assert sorted(map(_without_tuid, contents(back, "INBOX").values())) == mbsync.contents("INBOX")
    assert len(mbsync.files("INBOX")) == 42
    assert mbsync.run() == NOTHING


def _file(mbsync: Mbsync, number: int) -> Path:
    """Find the local file of the seeded message `number`, which has the UID `number` in INBOX."""
    wanted = BOXES["INBOX"][number - 1]
    (path,) = [path for path in mbsync.files("INBOX") if as_sent(path.read_bytes()) == wanted]
    return path


def _without_tuid(content: bytes) -> bytes:
    return re.sub(rb"(?m)^X-TUID: [^\r\n]*\r\n", b"", content)
