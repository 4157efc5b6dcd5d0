from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.imap import notifier
from gateway.mailbox import mailbox_watch
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, Served, serving

COUNTS = b"(MessageNew MessageExpunge)"
ALL = b"(MessageNew MessageExpunge FlagChange)"


@pytest.fixture
def outside() -> OutsideMemory:
    return OutsideMemory()


@pytest.fixture
async def served(tmp_path: Path, outside: OutsideMemory) -> AsyncIterator[Served]:
    for name in ("INBOX", "Archive"):
        deliver(outside, name)
    async with serving(tmp_path, outside) as running:
        yield running


@pytest.fixture
async def client(served: Served) -> LineClient:
    return await served.log_in()


@pytest.fixture
async def other(served: Served) -> LineClient:
    return await served.log_in()


def deliver(outside: OutsideMemory, name: str) -> None:
    outside.deliver((name,), b"Subject: s\r\n\r\ntext\r\n", frozenset(), datetime(2024, 1, 1, tzinfo=UTC))


async def ask(client: LineClient, command: bytes) -> list[bytes]:
    told = await client.ask(command)
    assert b" OK " in told[-1], told
    return told[:-1]


async def test_flags_elsewhere_are_told_by_what_clients_can_use(client: LineClient, other: LineClient) -> None:
    await ask(client, b"a NOTIFY SET (mailboxes Archive %b)" % ALL)
    await ask(other, b"b SELECT Archive")
    # Nobody can tell from any figure that this has happened, so that the next thing told is the other.
    await ask(other, b"c STORE 1 +FLAGS.SILENT (\\Flagged)")
    await ask(other, b"d STORE 1 +FLAGS.SILENT (\\Seen)")
    assert await client.line() == b'* STATUS "Archive" (UNSEEN 0)'
    await ask(client, b"e ENABLE CONDSTORE")
    await ask(other, b"f STORE 1 -FLAGS.SILENT (\\Flagged)")
    told = await client.expect(b'* STATUS "Archive" (HIGHESTMODSEQ ')
    assert b" UIDVALIDITY " in told


async def test_the_figures_come_first_if_they_are_asked_for(client: LineClient) -> None:
    (told,) = await ask(client, b"a NOTIFY SET STATUS (mailboxes Archive %b)" % ALL)
    assert told.startswith(b'* STATUS "Archive" (UIDVALIDITY ')
    assert told.split()[5::2] == [b"UIDNEXT", b"MESSAGES", b"HIGHESTMODSEQ"]


async def test_only_what_is_asked_of_the_selected_mailbox_is_told(client: LineClient, other: LineClient) -> None:
    await ask(client, b"a SELECT INBOX")
    await ask(client, b"b NOTIFY SET (selected %b) (personal %b)" % (COUNTS, COUNTS))
    await ask(other, b"c SELECT INBOX")
    await ask(other, b"d STORE 1 +FLAGS (\\Flagged)")
    assert await ask(client, b"e NOOP") == []
    # Its own STORE is answered all the same, and what was left out comes when it is asked for.
    told = await ask(client, b"f STORE 1 +FLAGS (\\Seen)")
    assert len(told) == 1
    await ask(other, b"g NOOP")
    await ask(other, b"h STORE 1 -FLAGS.SILENT (\\Seen)")
    (told_later,) = await ask(client, b"i NOTIFY SET (selected %b)" % ALL)
    assert told_later.startswith(b"* 1 FETCH (UID ")


async def test_messages_that_the_client_expunges_are_told_whatever_it_has_asked_for(client: LineClient) -> None:
    await ask(client, b"a SELECT INBOX")
    await ask(client, b"b NOTIFY SET (personal (MailboxName))")
    await ask(client, b"c STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await ask(client, b"d EXPUNGE") == [b"* 1 EXPUNGE"]


async def test_a_mailbox_made_later_is_watched_where_it_is_meant(client: LineClient, other: LineClient) -> None:
    await ask(client, b"a NOTIFY SET (personal %b)" % COUNTS)
    await ask(other, b"b CREATE New")
    await ask(other, b"c APPEND New {4+}\r\na: b")
    told = await client.expect(b'* STATUS "New" (')
    assert b" MESSAGES 1" in told


async def test_idle_without_a_mailbox_tells_of_others(client: LineClient, other: LineClient) -> None:
    await ask(client, b"a NOTIFY SET (mailboxes Archive %b)" % COUNTS)
    client.write(b"b IDLE\r\n")
    await client.expect(b"+ ")
    await ask(other, b"c APPEND Archive {4+}\r\na: b")
    await client.expect(b'* STATUS "Archive" (UIDNEXT ')
    client.write(b"DONE\r\n")
    await client.expect(b"b OK ")


async def test_a_command_that_is_half_sent_goes_on_where_it_was(client: LineClient, other: LineClient) -> None:
    await ask(client, b"a NOTIFY SET (mailboxes Archive %b)" % COUNTS)
    client.write(b"b APPEND Arch")
    await ask(other, b"c APPEND Archive {4+}\r\na: b")
    await client.expect(b'* STATUS "Archive" (')
    client.write(b"ive {4+}\r\na: b\r\n")
    await client.lines_to(b"b OK ")


async def test_more_mailboxes_than_can_be_watched_are_refused(
    client: LineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_watch, "MAX_MAILBOXES", 2)
    told = await client.ask(b"a NOTIFY SET (personal %b)" % COUNTS)
    assert told[-1].startswith(b"a NO [NOTIFICATIONOVERFLOW] ")
    await ask(client, b"b NOTIFY SET (mailboxes (INBOX Archive) %b)" % COUNTS)


async def test_a_refusal_leaves_what_was_asked_before(
    client: LineClient, other: LineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(client, b"a NOTIFY SET (mailboxes Archive %b)" % COUNTS)
    monkeypatch.setattr(mailbox_watch, "MAX_MAILBOXES", 2)
    assert (await client.ask(b"b NOTIFY SET (personal %b)" % COUNTS))[-1].startswith(b"b NO ")
    assert (await client.ask(b"c NOTIFY SET (personal (Nonsense))"))[-1].startswith(b"c NO [BADEVENT ")
    await ask(other, b"d APPEND Archive {4+}\r\na: b")
    await client.expect(b'* STATUS "Archive" (')


async def test_when_it_gets_too_much_the_client_is_told_and_then_nothing_more(
    served: Served, client: LineClient, other: LineClient, outside: OutsideMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "MAX_NEW", 2)
    await ask(client, b"a SELECT INBOX")
    await ask(client, b"b NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) (personal %b)" % COUNTS)
    for _ in range(3):
        deliver(outside, "INBOX")
    await served.settle_mailbox(("INBOX",))
    await client.expect(b"* 4 EXISTS")
    await client.expect(b"* 4 RECENT")
    await client.expect(b"* OK [NOTIFICATIONOVERFLOW] ")
    await ask(other, b"c APPEND Archive {4+}\r\na: b")
    await ask(other, b"d APPEND INBOX {4+}\r\na: b")
    assert await ask(client, b"e NOOP") == []


async def test_annotations_that_nobody_reads_of_are_not_piled_up(
    client: LineClient, other: LineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "MAX_ANNOTATIONS", 2)
    await ask(client, b"a NOTIFY SET (personal (ServerMetadataChange))")
    await ask(other, b'b SETMETADATA "" (/private/a "1" /private/b "2" /private/c "3")')
    await client.expect(b"* OK [NOTIFICATIONOVERFLOW] ")


async def test_items_of_new_messages_are_not_marked_as_read_by_headers(
    served: Served, client: LineClient, outside: OutsideMemory
) -> None:
    await ask(client, b"a SELECT INBOX")
    items = b"UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]"
    await ask(client, b"b NOTIFY SET (selected (MessageNew (%b) MessageExpunge))" % items)
    deliver(outside, "INBOX")
    await served.settle_mailbox(("INBOX",))
    await client.expect(b"* 2 EXISTS")
    await client.expect(b"* 2 RECENT")
    await client.expect(b"* 2 FETCH (UID ")
    assert await client.lines_to(b")") == [b"Subject: s", b"", b")"]


async def test_the_end_of_the_selected_mailbox_is_told_at_once(client: LineClient, other: LineClient) -> None:
    await ask(client, b"a SELECT Archive")
    await ask(client, b"b NOTIFY SET (selected %b)" % COUNTS)
    await ask(other, b"c DELETE Archive")
    await client.expect(b"* BYE ")
    assert await client.at_end()


async def test_who_has_gone_is_watched_for_no_more(served: Served, client: LineClient) -> None:
    await ask(client, b"a NOTIFY SET (personal %b)" % COUNTS)
    assert served.services.mail.bus.interest()
    await ask(client, b"b UNAUTHENTICATE")
    assert not served.services.mail.bus.interest()
    await ask(client, f"c LOGIN {LOGIN} {PASSWORD}".encode())


async def test_many_sessions_hear_of_the_same(served: Served, other: LineClient) -> None:
    clients = [await served.log_in() for _ in range(10)]
    for one in clients:
        await ask(one, b"a NOTIFY SET (mailboxes Archive %b)" % COUNTS)
    await ask(other, b"b APPEND Archive {4+}\r\na: b")
    told = await asyncio.gather(*(one.expect(b'* STATUS "Archive" (UIDNEXT ') for one in clients))
    assert len(set(told)) == 1
