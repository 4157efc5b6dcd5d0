"""Clients that keep a whole Gmail mailbox on their own disk: everything comes once, and nothing a second time."""

from __future__ import annotations

import imaplib
import re
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.back import Back, open_back
from tests.e2e.backends import Backend
from tests.e2e.clients.mbsync import NOTHING, Mbsync, Transfer, as_sent
from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.raw_client import RawClient, is_exists, is_expunge, is_flag_change
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.waiting import equals, eventually

pytestmark = pytest.mark.parametrize("backend", [Backend.GMAIL], ids=["gmail"], indirect=True)

BOXES = {"INBOX": mixed(40), "Work": mixed(25, first=100), "Work/2023": mixed(3, first=200), "Empty": []}
ALL_MAIL = "[Gmail]/All Mail"
HELD = sum(map(len, BOXES.values()))


@pytest.fixture
def back(stage: Stage) -> Iterator[Back]:
    with open_back(stage) as back:
        for mailbox, messages in BOXES.items():
            if mailbox != "INBOX":
                back.create(mailbox)
            back.append_many(mailbox, messages)
        settled(stage, *BOXES)
        yield back


# -- mbsync ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mbsync(stage: Stage, back: Back, tmp_path_factory: pytest.TempPathFactory) -> Mbsync:
    """A local copy that has been synced once: each message in its mailbox, and in All Mail."""
    if shutil.which("mbsync") is None:
        pytest.skip("mbsync (Debian package isync) is not installed")
    mbsync = Mbsync(stage.front, tmp_path_factory.mktemp("mbsync"))
    assert mbsync.run() == Transfer((0, 0, 0), (2 * HELD, 0, 0))
    return mbsync


def runs_until_still(mbsync: Mbsync) -> int:
    """Run until nothing is transferred; return how many runs did transfer something.

    A message is in All Mail as well: what a run does in a mailbox shows there in the next.
    """
    for count in range(4):
        if mbsync.run() == NOTHING:
            return count
    raise AssertionError("mbsync transfers something in each run")


def test_mbsync_brings_every_message_and_nothing_twice(mbsync: Mbsync, back: Back) -> None:
    assert {mailbox: mbsync.contents(mailbox) for mailbox in BOXES} == {
        mailbox: sorted(messages) for mailbox, messages in BOXES.items()
    }
    assert mbsync.contents(ALL_MAIL) == sorted(octets for messages in BOXES.values() for octets in messages)
    before = mbsync.tree(), {mailbox: back.flags_in(mailbox) for mailbox in BOXES}
    assert mbsync.run() == NOTHING
    assert (mbsync.tree(), {mailbox: back.flags_in(mailbox) for mailbox in BOXES}) == before


def test_mbsync_takes_changes_there(mbsync: Mbsync, back: Back) -> None:
    first, second = (
        next(path for path in mbsync.files("INBOX") if as_sent(path.read_bytes()) == BOXES["INBOX"][number])
        for number in (0, 1)
    )
    mbsync.set_flags(first, "FS")
    mbsync.set_flags(second, "T")
    mbsync.deliver("Work", "1700000000.new.here", message(999), "S")
    assert runs_until_still(mbsync) <= 3
    assert back.flags_in("INBOX")[1] == {"\\Flagged", "\\Seen"}
    assert 2 not in back.contents("INBOX")
    new = [re.sub(rb"(?m)^X-TUID: [^\r\n]*\r\n", b"", octets) for octets in back.contents("Work").values()]
    assert new == [*BOXES["Work"], message(999)]
    # The last label went, and the message did not.
    assert len(mbsync.files(ALL_MAIL)) == HELD + 1
    assert len(mbsync.files("[Gmail]/Starred")) == 1


def test_mbsync_brings_changes_here(stage: Stage, mbsync: Mbsync, back: Back) -> None:
    back.store("INBOX", 1, add="\\Flagged \\Seen")
    back.expunge("INBOX", 2)
    back.append("Work", message(999), "(\\Seen)")
    back.create("New/Box")
    back.append("New/Box", message(1000))
    settled(stage, "INBOX", "Work", "New/Box")
    transfer = mbsync.run()
    assert transfer.far == (0, 0, 0)
    # In Work, New/Box, All Mail twice, and Starred.
    assert transfer.near[0] == 5
    assert mbsync.contents("INBOX") == sorted(back.contents("INBOX").values())
    assert message(999) in mbsync.contents("Work")
    assert mbsync.contents("New/Box") == [message(1000)]
    assert mbsync.run() == NOTHING


# -- imaplib -----------------------------------------------------------------------------------------------------------


class Offline:
    """A copy kept with imaplib as offline clients do: new messages by UID, flags of all, what is gone dropped."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.messages: dict[tuple[str, str, int], bytes] = {}
        self.flags: dict[tuple[str, str, int], frozenset[bytes]] = {}

    def sync(self) -> int:
        """Bring the copy up to date; return how many messages were fetched, changed or dropped."""
        with imaplib.IMAP4(self._endpoint.host, self._endpoint.port, timeout=30) as server:
            server.login(self._endpoint.login, self._endpoint.password)
            _, listed = server.list()
            lines = [line.decode() for line in listed if isinstance(line, bytes)]
            names = [line.partition(' "/" ')[2] for line in lines if "\\Noselect" not in line]
            return sum(self._sync_one(server, name) for name in names)

    def _sync_one(self, server: imaplib.IMAP4, name: str) -> int:
        assert server.select(name, readonly=True)[0] == "OK"
        validity = server.response("UIDVALIDITY")[1][0]
        assert isinstance(validity, bytes)
        _, rows = server.uid("FETCH", "1:*", "(UID FLAGS)")
        there: dict[tuple[str, str, int], frozenset[bytes]] = {}
        for row in rows:
            if isinstance(row, bytes) and (found := re.search(rb"UID (\d+) FLAGS \(([^)]*)\)", row)):
                there[name, validity.decode(), int(found[1])] = frozenset(found[2].split()) - {b"\\Recent"}
        changes = 0
        for key in [key for key in self.messages if key[0] == name and key not in there]:
            del self.messages[key], self.flags[key]
            changes += 1
        for key, flags in there.items():
            if key not in self.messages:
                _, parts = server.uid("FETCH", str(key[2]), "(BODY.PEEK[])")
                self.messages[key] = next(part[1] for part in parts if isinstance(part, tuple))
                changes += 1
            elif self.flags[key] != flags:
                changes += 1
            self.flags[key] = flags
        return changes


def test_imaplib_brings_every_message_and_nothing_twice(stage: Stage, back: Back) -> None:
    copy = Offline(stage.front)
    assert copy.sync() == 2 * HELD
    for mailbox, messages in BOXES.items():
        assert [octets for key, octets in copy.messages.items() if key[0].strip('"') == mailbox] == messages
    assert copy.sync() == 0
    back.store("INBOX", 1, add="\\Seen")
    back.append("Work", message(999))
    settled(stage, "INBOX", "Work", ALL_MAIL)
    # One changed and one new, both in All Mail as well.
    assert copy.sync() == 4
    assert copy.sync() == 0


# -- one message, three mailboxes --------------------------------------------------------------------------------------


def test_a_message_with_three_labels_is_in_three_mailboxes_and_told_in_all(stage: Stage) -> None:
    with open_back(stage) as back:
        back.create("Work")
        back.create("Travel")
        back.append("INBOX", message(1))
        back.append("INBOX", message(2))
        settled(stage, "INBOX")
        with RawClient.logged_in(stage.front) as client:
            client.select("INBOX")
            client.ok("UID COPY 2 Work")
            client.ok("UID COPY 2 Travel")
            with (
                RawClient.logged_in(stage.front) as at_inbox,
                RawClient.logged_in(stage.front) as at_work,
                RawClient.logged_in(stage.front) as at_travel,
            ):
                idling = []
                for idler, mailbox in ((at_inbox, "INBOX"), (at_work, "Work"), (at_travel, "Travel")):
                    idler.select(mailbox)
                    assert idler.fetch("*", "(BODY.PEEK[])").popitem()[1]["BODY[]"] == message(2)
                    idling.append((idler, idler.idle()))
                client.ok(r"UID STORE 2 +FLAGS.SILENT (\Seen)")
                for idler, _ in idling:
                    idler.wait_for(is_flag_change("\\Seen"))
                assert back.flags_in("Work") == back.flags_in("Travel") == {1: frozenset({"\\Seen"})}
                back.expunge("Travel", 1)
                at_travel.wait_for(is_expunge)
                back.store("INBOX", 2, add="\\Flagged", remove="\\Seen")
                for idler, _ in idling[:2]:
                    idler.wait_for(is_flag_change("\\Flagged"))
                back.append("INBOX", message(3))
                at_inbox.wait_for(is_exists(3))
                for idler, tag in idling:
                    assert idler.done(tag).is_ok
            eventually(lambda: client.status("Travel", "MESSAGES"), equals({"MESSAGES": 0}))
