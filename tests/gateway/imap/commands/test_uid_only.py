"""UIDONLY (RFC 9586), where the operator asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, Served, serving

SETTINGS = ImapSettings(switches=Switches(added=frozenset({"UIDONLY"})))
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


async def filled(served: Served, count: int) -> LineClient:
    """Return a client that has stored messages with the UIDs from 1 to `count` and removed the first."""
    client = await served.log_in()
    for _ in range(count):
        await client.ask(b"m APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
    await client.ask(b"m1 SELECT INBOX")
    await client.ask(b"m2 STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ask(b"m3 EXPUNGE")
    # From now on none is recent.
    await client.ask(b"m4 SELECT INBOX")
    return client


async def enabled(client: LineClient) -> None:
    assert (await client.ask(b"e ENABLE UIDONLY"))[0] == b"* ENABLED UIDONLY"
    # RFC 5161 section 3.2: only what is new is told.
    assert (await client.ask(b"e ENABLE UIDONLY"))[0] == b"* ENABLED"


async def test_it_is_not_offered_unasked(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await filled(served, 2)
        assert b"UIDONLY" not in (await client.ask(b"a1 CAPABILITY"))[0]
        assert (await client.ask(b"a2 ENABLE UIDONLY"))[0] == b"* ENABLED"
        assert (await client.ask(b"a3 FETCH 1 FLAGS"))[-1].startswith(b"a3 OK ")


@pytest.mark.parametrize(
    "command",
    [
        b"FETCH 1 FLAGS",
        b"FETCH * FLAGS",
        b"SEARCH ALL",
        b"SEARCH RETURN (COUNT) ALL",
        b"UID SEARCH 1",
        b"UID SEARCH NOT (SEEN OR * FLAGGED)",
        b"SORT (DATE) UTF-8 ALL",
        b"UID SORT (DATE) UTF-8 1:2",
        b"THREAD REFERENCES UTF-8 ALL",
        b"UID THREAD REFERENCES UTF-8 1",
        b"STORE 1 FLAGS ()",
        b"COPY 1 INBOX",
        b"MOVE 1 INBOX",
        b"REPLACE 1 INBOX {1+}\r\nx",
        b"SELECT INBOX (QRESYNC (1 5 1:9 (1,3,6 1,3,6)))",
    ],
)
async def test_sequence_numbers_are_refused(tmp_path: Path, command: bytes) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await filled(served, 3)
        await client.ask(b"a0 ENABLE QRESYNC")
        await enabled(client)
        assert (await client.ask(b"a1 " + command))[-1].startswith(b"a1 BAD [UIDREQUIRED] ")
        # The mailbox is still selected.
        assert (await client.ask(b"a2 UID SEARCH ALL"))[0] == b"* SEARCH 2 3"


async def test_messages_are_told_by_uid_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await filled(served, 3)
        await enabled(client)
        assert (await client.ask(b"a1 UID FETCH 1:* FLAGS"))[:-1] == [
            b"* 2 UIDFETCH (FLAGS ())",
            b"* 3 UIDFETCH (FLAGS ())",
        ]
        assert (await client.ask(b"a2 UID FETCH 3 (UID RFC822.SIZE)"))[0] == b"* 3 UIDFETCH (UID 3 RFC822.SIZE 20)"
        told = await client.ask(b"a3 UID FETCH 3 (BODY[TEXT] EMAILID)")
        assert told[0] == b"* 3 UIDFETCH (BODY[TEXT] {6}"
        assert told[3] == b"* 3 UIDFETCH (FLAGS (\\Seen))"
        assert (await client.ask(b"a4 UID STORE 2 +FLAGS (\\Flagged)"))[0] == b"* 2 UIDFETCH (FLAGS (\\Flagged))"
        (modseq,) = [line for line in await client.ask(b"a5 UID FETCH 2 MODSEQ") if b"UIDFETCH" in line]
        assert modseq.startswith(b"* 2 UIDFETCH (MODSEQ (")
        silent = await client.ask(b"a6 UID STORE 2 -FLAGS.SILENT (\\Flagged)")
        assert silent[0].startswith(b"* 2 UIDFETCH (MODSEQ (")
        told = await client.ask(b"a7 UID MOVE 2 INBOX")
        assert [line for line in told if b"EXPUNGE" in line] == []
        assert b"* VANISHED 2" in told


async def test_select_tells_no_sequence_number(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await filled(served, 3)
        assert any(b"[UNSEEN 1]" in line for line in await client.ask(b"a1 SELECT INBOX"))
        await enabled(client)
        told = await client.ask(b"a2 SELECT INBOX")
        assert b"* 2 EXISTS" in told
        assert not any(b"UNSEEN" in line for line in told)


async def test_news_of_others_are_told_by_uid_to_those_who_want_it_so(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        first = await filled(served, 3)
        second = await served.log_in()
        await enabled(first)
        await second.ask(b"b1 SELECT INBOX")
        assert (await second.ask(b"b2 STORE 2 +FLAGS (\\Deleted)"))[0] == b"* 2 FETCH (UID 3 FLAGS (\\Deleted))"
        assert (await first.ask(b"a1 NOOP"))[0] == b"* 3 UIDFETCH (FLAGS (\\Deleted))"
        assert (await first.ask(b"a2 UID EXPUNGE 1:*"))[0] == b"* VANISHED 3"
        assert (await second.ask(b"b3 NOOP"))[0] == b"* 2 EXPUNGE"


async def test_searches_that_are_kept_up_to_date_go_on_by_uid_or_end(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await filled(served, 3)
        await client.ask(b"a1 UID SEARCH RETURN (UPDATE (RFC822.SIZE)) ALL")
        await client.ask(b"a2 SEARCH RETURN (UPDATE) ALL")
        await client.ask(b"a3 SORT RETURN (UPDATE) (DATE) UTF-8 ALL")
        told = await client.ask(b"e ENABLE UIDONLY")
        assert told[0] == b"* ENABLED UIDONLY"
        assert [line.partition(b"]")[0] for line in told[1:-1]] == [
            b'* NO [NOUPDATE "a2"',
            b'* NO [NOUPDATE "a3"',
        ]
        told = await client.ask(b"a4 APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        assert b"* 4 UIDFETCH (RFC822.SIZE %d)" % len(MESSAGE) in told
        assert [line for line in told if b"ESEARCH" in line] == [b'* ESEARCH (TAG "a1") UID ADDTO (0 4)']
        assert not any(b" FETCH " in line for line in told)


async def test_unauthenticate_ends_it(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await filled(served, 2)
        await enabled(client)
        await client.ask(b"a1 UNAUTHENTICATE")
        await client.ask(f"a2 LOGIN {LOGIN} {PASSWORD}".encode())
        await client.ask(b"a3 SELECT INBOX")
        assert (await client.ask(b"a4 FETCH 1 FLAGS"))[0] == b"* 1 FETCH (FLAGS ())"
