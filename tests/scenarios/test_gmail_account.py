"""The whole gateway over an account at the stand-in for Gmail: what reading costs, and Gmail's own extensions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connectors.api.connector import Connector
from connectors.api.settings import SettingValue
from tests.connectors.gmail.stage import NO_SETTINGS, GmailRig, over_sockets
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving
from tests.stack import message

MESSAGES = 150


class AtGmail(OutsideMemory):
    """How the gateway reaches the stand-in."""

    def __init__(self, rig: GmailRig) -> None:
        super().__init__()
        self._rig = rig

    def connect(self, settings: Mapping[str, object]) -> Connector:
        return self._rig.connector()


@asynccontextmanager
async def account(
    directory: Path, count: int = 0, settings: Mapping[str, SettingValue] = NO_SETTINGS
) -> AsyncIterator[tuple[GmailRig, Served]]:
    async with over_sockets(settings=settings) as rig:
        for number in range(1, count + 1):
            await rig.deliver(("INBOX",), message(number))
        async with serving(directory, AtGmail(rig)) as served:
            yield rig, served
            assert await served.problems() == []


async def selected(served: Served, name: str = "INBOX") -> LineClient:
    client = await served.log_in()
    assert (await client.ask(f's SELECT "{name}"'.encode()))[-1].startswith(b"s OK ")
    return client


async def test_the_newest_hundred_cost_a_hundred_reads(tmp_path: Path) -> None:
    async with account(tmp_path, MESSAGES) as (rig, served):
        client = await selected(served)
        rig.fake.stats.clear()
        first = MESSAGES - 99
        items = b"UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE X-GM-MSGID X-GM-THRID X-GM-LABELS"
        told = await client.ask(b"a FETCH %d:%d (%b)" % (first, MESSAGES, items))
        assert len(told) == 101
        for number, line in zip(range(first, MESSAGES + 1), told, strict=False):
            assert b"RFC822.SIZE %d " % len(message(number)) in line
            assert b"Number %d" % number in line
        assert rig.fake.stats.calls["gmail.users.messages.get"] == 100
        # In few requests; what else was asked meanwhile is one request for each call.
        stats = rig.fake.stats
        others = stats.calls.total() - 100
        assert stats.requests - others <= 10
        body = await client.ask(b"b FETCH %d BODY.PEEK[HEADER.FIELDS (Subject)]" % MESSAGES)
        assert any(b"Number %d" % MESSAGES in line for line in body)
        assert rig.fake.stats.calls["gmail.users.messages.get"] == 100


async def test_gmails_extensions_are_gmails(tmp_path: Path) -> None:
    async with account(tmp_path, 3) as (rig, served):
        client = await selected(served)
        assert b" X-GM-EXT-1 " in (await client.ask(b"a CAPABILITY"))[0]
        held = [rig.fake.mailbox.with_message_id(f"<{number}@example.org>")[0] for number in (1, 2, 3)]
        told = await client.ask(b"b FETCH 1:3 (X-GM-MSGID X-GM-THRID X-GM-LABELS)")
        for message_at_gmail, line in zip(held, told, strict=False):
            ids = (int(message_at_gmail.id, 16), message_at_gmail.thread)
            assert b"X-GM-MSGID %d X-GM-THRID %d X-GM-LABELS ()" % ids in line
        assert (await client.ask(b"c SEARCH X-GM-MSGID %d" % int(held[1].id, 16)))[0] == b"* SEARCH 2"
        assert (await client.ask(b'd SEARCH X-GM-RAW "subject:3"'))[0] == b"* SEARCH 3"
        told = await client.ask(b'e STORE 2 +X-GM-LABELS ("Work/2024" \\Starred)')
        assert told[0] == b'* 2 FETCH (UID 2 X-GM-LABELS ("\\\\Starred" Work/2024))'
        assert {"STARRED", rig.label(("Work", "2024"))} <= held[1].labels
        assert (await client.ask(b"f SEARCH X-GM-LABELS \\Starred"))[0] == b"* SEARCH 2"
        other = await selected(served, "Work/2024")
        told = await other.ask(b"g FETCH 1 (X-GM-MSGID X-GM-LABELS)")
        assert told[0].endswith(b'X-GM-LABELS ("\\\\Inbox" "\\\\Starred"))')
        assert (await client.ask(b"h STORE 2 -X-GM-LABELS.SILENT (Work/2024)"))[-1].startswith(b"h OK ")
        assert (await other.ask(b"i NOOP"))[0] == b"* 1 EXPUNGE"


@pytest.mark.parametrize("expunge", ["archive", "trash", "delete"])
async def test_a_message_that_loses_its_last_label_is_archived_whatever_expunge_does(
    tmp_path: Path, expunge: str
) -> None:
    async with account(tmp_path, 3, {"expunge": expunge}) as (rig, served):
        client = await selected(served)
        held = [rig.fake.mailbox.with_message_id(f"<{number}@example.org>")[0] for number in (1, 2, 3)]
        assert (await client.ask(b"a STORE 1 -X-GM-LABELS.SILENT (\\Inbox)"))[-1].startswith(b"a OK ")
        assert held[0].labels == {"UNREAD"}
        everything = await selected(served, "[Gmail]/All Mail")
        assert (await everything.ask(b"b FETCH 1:3 (UID)"))[:-1] == [b"* %d FETCH (UID %d)" % (n, n) for n in (1, 2, 3)]
        assert (await everything.ask(b"c STORE 2 -X-GM-LABELS (\\Inbox)"))[0] == b"* 2 FETCH (UID 2 X-GM-LABELS ())"
        assert held[1].labels == {"UNREAD"}
        assert (await everything.ask(b"d STORE 3 X-GM-LABELS ()"))[0] == b"* 3 FETCH (UID 3 X-GM-LABELS ())"
        assert held[2].labels == {"UNREAD"}
        assert (await everything.ask(b"e UID SEARCH ALL"))[0] == b"* SEARCH 1 2 3"


@pytest.mark.parametrize("label", ["Trash", "Spam"])
async def test_taking_the_label_of_trash_or_spam_takes_the_message_out_of_it(tmp_path: Path, label: str) -> None:
    async with account(tmp_path, 1) as (rig, served):
        client = await selected(served)
        (held,) = rig.fake.mailbox.with_message_id("<1@example.org>")
        assert (await client.ask(b"a MOVE 1 [Gmail]/%b" % label.encode()))[-1].startswith(b"a OK ")
        aside = await selected(served, f"[Gmail]/{label}")
        assert (await aside.ask(b"b STORE 1 -X-GM-LABELS (\\%b)" % label.encode()))[-1].startswith(b"b OK ")
        assert rig.fake.mailbox.with_message_id("<1@example.org>") == [held]
        assert held.labels == {"UNREAD"}


async def test_what_a_message_is_cannot_be_taken_from_it(tmp_path: Path) -> None:
    async with account(tmp_path) as (rig, served):
        client = await selected(served)
        for number, name, label in ((1, b"Sent Mail", b"Sent"), (2, b"Drafts", b"Draft")):
            data = message(number)
            client.write(b'a APPEND "[Gmail]/%b" {%d+}\r\n%b\r\n' % (name, len(data), data))
            await client.lines_to(b"a OK ")
            there = await selected(served, f"[Gmail]/{name.decode()}")
            (held,) = rig.fake.mailbox.with_message_id(f"<{number}@example.org>")
            before = set(held.labels)
            assert (await there.ask(b"b STORE 1 -X-GM-LABELS (\\%b)" % label))[-1].startswith(b"b NO [CANNOT] ")
            assert rig.fake.mailbox.with_message_id(f"<{number}@example.org>") == [held]
            assert held.labels == before


async def test_of_labels_of_which_one_cannot_be_had_none_is_made(tmp_path: Path) -> None:
    async with account(tmp_path, 1) as (rig, served):
        client = await selected(served)
        told = await client.ask(b"a STORE 1 +X-GM-LABELS (Work Other work)")
        assert told[-1].startswith(b"a NO [ALREADYEXISTS] "), told
        assert not any(rig.fake.mailbox.labels.named(name) for name in ("Work", "Other", "work"))
        assert await client.ask(b'b LIST "" "Work"') == [b"b OK List completed"]


async def test_what_is_deleted_as_soon_as_it_is_marked_is_gone_at_once(tmp_path: Path) -> None:
    settings: Mapping[str, SettingValue] = {"auto_expunge": True, "expunge": "delete", "poll_interval_s": 600.0}
    async with account(tmp_path, 2, settings) as (rig, served):
        client = await selected(served)
        other = await selected(served, "[Gmail]/All Mail")
        assert await client.ask(b"a UID STORE 1 +FLAGS.SILENT (\\Deleted)") == [b"* 1 EXPUNGE", b"a OK Store completed"]
        assert (await other.ask(b"b NOOP"))[0] == b"* 1 EXPUNGE"
        assert rig.fake.mailbox.index.count(None) == 1


async def test_what_gmail_cannot_hold_is_kept(tmp_path: Path) -> None:
    async with account(tmp_path, 1) as (rig, served):
        client = await selected(served)
        await client.ask(b"a STORE 1 +FLAGS (\\Answered $Forwarded later)")
        data = message(7)
        client.write(b'b APPEND INBOX (\\Answered) " 6-May-2020 09:08:09 +0200" {%d+}\r\n%b\r\n' % (len(data), data))
        await client.lines_to(b"b OK ")
        rig.fake.expire_history()
        await rig.set_flags(("INBOX",), "<1@example.org>", frozenset({"\\Seen"}))
        await rig.set_flags(("INBOX",), "<7@example.org>", frozenset({"\\Seen"}))
        await served.settle_mailbox(("INBOX",))
        told = await client.ask(b"c FETCH 1:2 (FLAGS INTERNALDATE)")
        flags = [line.partition(b"FLAGS (")[2].partition(b")")[0].split() for line in told if b"INTERNALDATE" in line]
        assert {b"\\Seen", b"\\Answered", b"$Forwarded", b"later"} <= set(flags[0])
        assert {b"\\Seen", b"\\Answered"} <= set(flags[1])
        assert any(b'INTERNALDATE " 6-May-2020 09:08:09 +0200"' in line for line in told)
