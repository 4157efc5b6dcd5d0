from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.memory.faults import Operation
from gateway.imap import updates
from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from gateway.mailbox import sorted_places, updating
from gateway.wire.sequence_set import SequenceSet
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
WORDS = ("abacus", "report", "Re: report", "zebra", "[list] Abacus", "")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted")


@pytest.fixture
def outside() -> OutsideMemory:
    return OutsideMemory()


@pytest.fixture
async def served(tmp_path: Path, outside: OutsideMemory) -> AsyncIterator[Served]:
    async with serving(tmp_path, outside) as running:
        yield running


def deliver(outside: OutsideMemory, subject: str = "s", day: int = 0, flags: frozenset[str] = frozenset()) -> None:
    date = f"{day % 28 + 1} Jan 2024 00:00:00 +0000"
    data = f"From: x{day}@example.org\r\nSubject: {subject}\r\nDate: {date}\r\n\r\ntext\r\n".encode()
    outside.deliver(("INBOX",), data, flags, EPOCH + timedelta(days=day))


async def ask(client: LineClient, command: bytes) -> list[bytes]:
    told = await client.ask(command)
    assert b" OK " in told[-1], told
    return told[:-1]


class Shown:
    """The results as a client has them that follows what it is told, to the letter."""

    def __init__(self) -> None:
        self.results: dict[bytes, list[int]] = {}
        self.by_number: set[bytes] = set()

    def take(self, lines: list[bytes]) -> None:
        for line in lines:
            if match := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
                self._expunge(int(match[1]))
            elif match := re.fullmatch(rb'\* ESEARCH \(TAG "(\w+)"\) (?:UID )?((?:ADDTO|REMOVEFROM) .*)', line):
                if match[1] in self.results:
                    self.results[match[1]] = self._changed(self.results[match[1]], match[2])
            else:
                assert b"NOUPDATE" not in line, line

    def _expunge(self, number: int) -> None:
        for tag in self.by_number:
            assert number not in self.results[tag], "it was to leave the result before"
            self.results[tag] = [other - (other > number) for other in self.results[tag]]

    def _changed(self, result: list[int], told: bytes) -> list[int]:
        for word, pairs in re.findall(rb"(ADDTO|REMOVEFROM) \(([^)]*)\)", told):
            tokens = pairs.split()
            for at, numbers in zip(tokens[::2], tokens[1::2], strict=True):
                position = int(at)
                listed = [one for low, high in SequenceSet.parse(numbers).ranges for one in range(low, high + 1)]
                if word == b"ADDTO":
                    assert not set(listed) & set(result)
                    start = position - 1 if position else len(result)
                    assert 0 <= start <= len(result)
                    result = result[:start] + listed + result[start:]
                    result = result if position else sorted(result)
                else:
                    assert set(listed) <= set(result)
                    assert not position or result[position - 1 : position - 1 + len(listed)] == listed
                    result = [one for one in result if one not in listed]
        return result


SEARCHES = {
    b"n1": b"SEARCH %b UNSEEN",
    b"n2": b"SEARCH %b OR FLAGGED SUBJECT report",
    b"n3": b"SORT %b (SUBJECT REVERSE DATE) UTF-8 NOT DELETED",
    b"u1": b"UID SEARCH %b NOT (SEEN FLAGGED)",
    b"u2": b"UID SEARCH %b UID 5:* MODSEQ 1",
    b"u3": b"UID SORT %b (REVERSE ARRIVAL) UTF-8 UNSEEN LARGER 10",
    b"u4": b"UID SORT %b (FROM SIZE) UTF-8 ALL",
}


@pytest.mark.parametrize("looked_up", [0, 100], ids=["sorting anew", "looking up places"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_client_that_follows_has_what_a_new_search_would_find(
    served: Served, outside: OutsideMemory, monkeypatch: pytest.MonkeyPatch, seed: int, looked_up: int
) -> None:
    monkeypatch.setattr(sorted_places, "MOST_LOOKED_UP", looked_up)
    monkeypatch.setattr(updating, "FEW", 2)
    chance = random.Random(seed)
    for _ in range(12):
        deliver(outside, chance.choice(WORDS), chance.randrange(9))
    client, other = await served.log_in(), await served.log_in()
    for each in (client, other):
        await ask(each, b"s SELECT INBOX")
    shown = Shown()
    for tag, command in SEARCHES.items():
        answer = await ask(client, tag + b" " + command % b"RETURN (ALL UPDATE)")
        shown.results[tag] = numbers_in(answer[-1])
    shown.by_number = {b"n1", b"n2", b"n3"}
    for step in range(20):
        for _ in range(chance.randrange(1, 4)):
            who = chance.choice((client, other, other))
            told = await ask(who, b"o " + chance.choice(commands_for(chance)))
            if who is client:
                shown.take(told)
        for _ in range(chance.randrange(3)):
            deliver(outside, chance.choice(WORDS), chance.randrange(9))
        await served.settle_mailbox(("INBOX",))
        shown.take(await ask(client, b"p " + chance.choice((b"NOOP", b"FETCH 1:* UID", b"UID SEARCH ALL"))))
        if step % 5 == 4:
            shown.take(await ask(client, b"q NOOP"))
            for tag, command in SEARCHES.items():
                found = numbers_in((await ask(client, b"v " + command % b"RETURN (ALL)"))[-1])
                assert shown.results[tag] == found, (step, tag)


def numbers_in(line: bytes) -> list[int]:
    _, found, numbers = line.partition(b" ALL ")
    if not found:
        return []
    return [one for low, high in SequenceSet.parse(numbers.split()[0]).ranges for one in range(low, high + 1)]


def commands_for(chance: random.Random) -> list[bytes]:
    flag, sign = chance.choice(FLAGS).encode(), chance.choice((b"+", b"-"))
    first = chance.randrange(5, 30)
    return [
        b"UID STORE %d:%d %bFLAGS.SILENT (%b)" % (first, first + chance.randrange(6), sign, flag),
        b"UID STORE %d:%d %bFLAGS (%b)" % (first, first + chance.randrange(3), sign, flag),
        b"UID COPY %d INBOX" % first,
        b"EXPUNGE" if chance.random() < 0.4 else b"NOOP",
    ]


async def test_only_what_has_changed_is_looked_at(
    served: Served, outside: OutsideMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        deliver(outside)
    client = await served.log_in()
    await ask(client, b"a SELECT INBOX")
    looked_at: list[list[int]] = []
    look_at = updating.UpdatingSearch.look_at

    async def noting(self: updating.UpdatingSearch, uids: set[int]) -> list[updating.Change]:
        looked_at.append(sorted(uids))
        return await look_at(self, uids)

    monkeypatch.setattr(updating.UpdatingSearch, "look_at", noting)
    await ask(client, b"b SEARCH RETURN (UPDATE COUNT) SEEN")
    await ask(client, b"c NOOP")
    await ask(client, b"d STORE 3 +FLAGS.SILENT (\\Seen)")
    await ask(client, b'e CANCELUPDATE "b"')
    await ask(client, b"f STORE 4 +FLAGS.SILENT (\\Seen)")
    assert looked_at == [[3]]


async def test_there_is_a_limit_to_them(
    served: Served, outside: OutsideMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "MOST_KEPT", 2)
    deliver(outside)
    client = await served.log_in()
    await ask(client, b"a SELECT INBOX")
    await ask(client, b"b SEARCH RETURN (UPDATE) UNSEEN")
    await ask(client, b"c SORT RETURN (UPDATE) (DATE) UTF-8 UNSEEN")
    refused = b'* NO [NOUPDATE "d"] Too many searches are kept up to date'
    assert await ask(client, b"d SEARCH RETURN (UPDATE COUNT) ALL") == [b'* ESEARCH (TAG "d") COUNT 1', refused]
    await ask(client, b'e CANCELUPDATE "c"')
    assert await ask(client, b"d SEARCH RETURN (UPDATE COUNT) ALL") == [b'* ESEARCH (TAG "d") COUNT 1']
    told = await ask(client, b"f STORE 1 +FLAGS.SILENT (\\Seen)")
    assert told == [b'* ESEARCH (TAG "b") REMOVEFROM (0 1)']


@pytest.mark.parametrize(
    "key", [b"BODY text", b"NOT TEXT text", b"OR SEEN YOUNGER 5", b"(SEEN OLDER 5)", b"UID *", b"UID 100:*"]
)
async def test_what_would_have_to_be_read_or_changes_by_itself_is_found_once(
    served: Served, outside: OutsideMemory, key: bytes
) -> None:
    deliver(outside)
    client = await served.log_in()
    await ask(client, b"a SELECT INBOX")
    told = await ask(client, b"b UID SEARCH RETURN (UPDATE COUNT) " + key)
    assert told[0].startswith(b'* ESEARCH (TAG "b") UID COUNT ')
    assert told[1].startswith(b'* NO [NOUPDATE "b"] ')
    told = await ask(client, b"c UID SORT RETURN (UPDATE COUNT) (ARRIVAL) UTF-8 " + key)
    assert told[1].startswith(b'* NO [NOUPDATE "c"] ')
    assert await ask(client, b"d STORE 1 +FLAGS.SILENT (\\Seen)") == []


async def test_what_the_backend_cannot_tell_ends_it(served: Served, outside: OutsideMemory) -> None:
    deliver(outside, "report")
    client = await served.log_in()
    await ask(client, b"a SELECT INBOX")
    await ask(client, b"b SEARCH RETURN (UPDATE) SUBJECT report")
    await ask(client, b"c SEARCH RETURN (UPDATE) UNSEEN")
    deliver(outside, "report")
    await served.settle_mailbox(("INBOX",))
    outside.set_offline(True)
    told = await ask(client, b"d NOOP")
    assert b'* NO [NOUPDATE "b"] Whether new messages are found cannot be told at present' in told
    assert told[-1] == b'* ESEARCH (TAG "c") ADDTO (0 2)'
    outside.set_offline(False)


async def test_a_slow_backend_is_not_waited_for(
    served: Served, outside: OutsideMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "PATIENCE_S", 0.01)
    deliver(outside, "report")
    client = await served.log_in()
    await ask(client, b"a SELECT INBOX")
    await ask(client, b"b SORT RETURN (UPDATE) (SUBJECT) UTF-8 ALL")
    deliver(outside, "other")
    await served.settle_mailbox(("INBOX",))
    outside.backend.faults.hold(Operation.OUTLINES)
    assert (await ask(client, b"c NOOP"))[-1].startswith(b'* NO [NOUPDATE "b"] ')
    outside.backend.faults.release(Operation.OUTLINES)
    assert (await ask(client, b"d SORT (SUBJECT) UTF-8 ALL"))[-1] == b"* SORT 2 1"


async def test_items_of_new_messages_come_before_they_are_in_the_result(served: Served, outside: OutsideMemory) -> None:
    # RFC 5465 section 7
    deliver(outside, "report", flags=frozenset({"\\Seen"}))
    client = await served.log_in()
    await ask(client, b"a SELECT INBOX")
    told = await ask(client, b"b SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])) UNSEEN")
    assert told == [b'* ESEARCH (TAG "b") COUNT 0']
    deliver(outside, "other")
    await served.settle_mailbox(("INBOX",))
    told = await ask(client, b"c NOOP")
    assert told[0] == b"* 2 EXISTS"
    assert told[-5:] == [
        b"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (SUBJECT)] {18}",
        b"Subject: other",
        b"",
        b")",
        b'* ESEARCH (TAG "b") ADDTO (0 2)',
    ]
    # Not of one that was there before.
    told = await ask(client, b"d STORE 1 -FLAGS.SILENT (\\Seen)")
    assert told == [b'* ESEARCH (TAG "b") ADDTO (0 1)']


async def test_with_notify_nothing_has_to_be_asked(served: Served, outside: OutsideMemory) -> None:
    deliver(outside)
    client, other = await served.log_in(), await served.log_in()
    for each in (client, other):
        await ask(each, b"a SELECT INBOX")
    await ask(client, b"b NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange))")
    await ask(client, b"c UID SEARCH RETURN (UPDATE) UNSEEN")
    await ask(other, b"d STORE 1 +FLAGS.SILENT (\\Seen)")
    await client.expect(b"* 1 FETCH ")
    assert await client.line() == b'* ESEARCH (TAG "c") UID REMOVEFROM (0 1)'
    deliver(outside)
    await served.settle_mailbox(("INBOX",))
    assert await client.line() == b"* 2 EXISTS"
    await client.expect(b"* 2 RECENT")
    assert await client.line() == b'* ESEARCH (TAG "c") UID ADDTO (0 2)'
    # RFC 5465 section 5.2: what NOTIFY has asked for of new messages comes behind.
    assert await client.line() == b"* 2 FETCH (UID 2)"
    await ask(other, b"e NOOP")
    await ask(other, b"f STORE 2 +FLAGS.SILENT (\\Deleted)")
    await ask(other, b"g EXPUNGE")
    await client.lines_to(b"* ESEARCH ")
    assert await client.line() == b"* 2 EXPUNGE"


async def test_of_many_mailboxes_only_the_selected_one_is_kept_up_to_date(
    served: Served, outside: OutsideMemory
) -> None:
    # RFC 7377 section 2.2
    deliver(outside)
    client = await served.log_in()
    assert (await client.ask(b"a ESEARCH IN (personal) RETURN (UPDATE) UNSEEN"))[-1].startswith(b"a BAD ")
    await ask(client, b"b CREATE Other")
    await ask(client, b"c SELECT INBOX")
    (told,) = await ask(client, b"d ESEARCH IN (personal) RETURN (COUNT UPDATE) UNSEEN")
    correlator = told.removesuffix(b" UID COUNT 1")
    assert correlator.startswith(b'* ESEARCH (TAG "d" MAILBOX "INBOX" UIDVALIDITY ')
    told_next = await ask(client, b"e STORE 1 +FLAGS.SILENT (\\Seen)")
    assert told_next == [correlator + b" UID REMOVEFROM (0 1)"]
    refused = await ask(client, b"f ESEARCH IN (mailboxes Other) RETURN (COUNT UPDATE) UNSEEN")
    assert refused == [b'* NO [NOUPDATE "f"] It is not selected']


async def test_only_uids_are_told_after_uidonly(tmp_path: Path, outside: OutsideMemory) -> None:
    deliver(outside)
    settings = ImapSettings(switches=Switches(added=frozenset({"UIDONLY"})))
    async with serving(tmp_path, outside, settings) as served:
        client = await served.log_in()
        await ask(client, b"a ENABLE UIDONLY")
        await ask(client, b"b SELECT INBOX")
        assert (await client.ask(b"c SEARCH RETURN (UPDATE) ALL"))[-1].startswith(b"c BAD [UIDREQUIRED] ")
        await ask(client, b"d UID SEARCH RETURN (UPDATE (FLAGS)) ALL")
        await ask(client, b"e UID STORE 1 +FLAGS.SILENT (\\Deleted)")
        told = await ask(client, b"f EXPUNGE")
        assert told == [b'* ESEARCH (TAG "d") UID REMOVEFROM (0 1)', b"* VANISHED 1"]
        deliver(outside)
        await served.settle_mailbox(("INBOX",))
        told = await ask(client, b"g NOOP")
        assert told[0] == b"* 1 EXISTS"
        assert told[-2].startswith(b"* 2 UIDFETCH (FLAGS (")
        assert told[-1] == b'* ESEARCH (TAG "d") UID ADDTO (0 2)'
