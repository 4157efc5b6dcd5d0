"""MESSAGELIMIT and SAVELIMIT (RFC 9738), with bounds that a few messages reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving

MESSAGE = b"Subject: x\r\n\r\n"
ONE = b" {%d+}\r\n%b" % (len(MESSAGE), MESSAGE)
LIMITED = ImapSettings(messages_per_command=3)
CODE = b" OK [MESSAGELIMIT 3 3] "
"""Five messages, of which the last three were looked at."""


async def filled(served: Served) -> LineClient:
    """Return a client with INBOX selected, which has the UIDs 1 to 5, none of them recent."""
    client = await served.log_in()
    for _ in range(5):
        assert b" OK " in (await client.ask(b"m APPEND INBOX" + ONE))[-1]
    await client.ask(b"m SELECT INBOX")
    await client.ask(b"m SELECT INBOX")
    return client


async def test_it_is_offered_only_where_it_is_set(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await filled(served)
        assert b"LIMIT=3" not in (await client.ask(b"a1 CAPABILITY"))[0]
        assert len(await client.ask(b"a2 FETCH 1:* FLAGS")) == 6


async def test_fetch_shows_the_last_messages(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        assert b" MESSAGELIMIT=3" in (await client.ask(b"a1 CAPABILITY"))[0]
        told = await client.ask(b"a2 FETCH 1:* FLAGS")
        assert told[:-1] == [b"* %d FETCH (FLAGS ())" % number for number in (3, 4, 5)]
        assert told[-1].startswith(b"a2" + CODE)
        # The rest, as the client goes on.
        assert len(await client.ask(b"a3 UID FETCH 1:2 FLAGS")) == 3
        # Exactly so many are not too many.
        assert b"MESSAGELIMIT" not in (await client.ask(b"a4 UID FETCH 2:4 FLAGS"))[-1]


async def test_a_range_of_too_many_is_refused_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        told = await client.ask(b"a1 UID FETCH 1:* FLAGS (PARTIAL -1:-4)")
        assert told[0].startswith(b"a1 NO [MESSAGELIMIT 3] ")
        assert len(await client.ask(b"a2 UID FETCH 1:* FLAGS (PARTIAL -1:-3)")) == 4


async def test_another_code_stays_in_the_tagged_line(tmp_path: Path) -> None:
    outside = OutsideMemory()
    async with serving(tmp_path, outside, LIMITED) as served:
        client, other = await filled(served), await served.log_in()
        await other.ask(b"b1 SELECT INBOX")
        await other.ask(b"b2 UID STORE 5 +FLAGS.SILENT (\\Deleted)")
        await other.ask(b"b3 EXPUNGE")
        told = await client.ask(b"a1 FETCH 1:* BODY.PEEK[TEXT]")
        assert [line for line in told if line.startswith(b"* NO [MESSAGELIMIT 3 3] ")]
        assert told[-1].startswith(b"a1 OK [EXPUNGEISSUED] ")


async def test_store_changes_the_last_messages(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        told = await client.ask(b"a1 UID STORE 1:* +FLAGS (\\Flagged)")
        assert told[:-1] == [b"* %d FETCH (UID %d FLAGS (\\Flagged))" % (uid, uid) for uid in (3, 4, 5)]
        assert told[-1].startswith(b"a1" + CODE)
        assert (await client.ask(b"a2 UID SEARCH UIDAFTER 2 UNFLAGGED"))[0] == b"* SEARCH"


async def test_copy_is_done_for_all_or_none(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        await client.ask(b"a0 CREATE Archive")
        assert (await client.ask(b"a1 UID COPY 1:* Archive"))[-1].startswith(b"a1 NO [MESSAGELIMIT 3 3] ")
        assert (await client.ask(b"a2 STATUS Archive (MESSAGES)"))[0] == b'* STATUS "Archive" (MESSAGES 0)'
        assert (await client.ask(b"a3 UID COPY 1:3 Archive"))[-1].startswith(b"a3 OK [COPYUID ")


async def test_move_repeated_moves_all(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        await client.ask(b"a0 CREATE Archive")
        told = await client.ask(b"a1 UID MOVE 1:* Archive")
        assert b" 3:5 1:3] " in told[0]
        assert told[1:-1] == [b"* 3 EXPUNGE"] * 3
        assert told[-1].startswith(b"a1" + CODE)
        assert b"MESSAGELIMIT" not in (await client.ask(b"a2 UID MOVE 1:* Archive"))[-1]
        assert (await client.ask(b"a3 STATUS Archive (MESSAGES)"))[0] == b'* STATUS "Archive" (MESSAGES 5)'


async def test_uid_expunge_counts_what_is_deleted_and_expunge_is_not_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        await client.ask(b"a0 UID STORE 3:5 +FLAGS.SILENT (\\Deleted)")
        await client.ask(b"a0 UID STORE 2 +FLAGS.SILENT (\\Deleted)")
        told = await client.ask(b"a1 UID EXPUNGE 1:*")
        assert told[-1].startswith(b"a1" + CODE)
        assert len(told) == 4
        # Two are left, one of them deleted: nothing is left out.
        assert (await client.ask(b"a2 UID EXPUNGE 1:*"))[-1].startswith(b"a2 OK Expunge")

    async with serving(tmp_path / "second", OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        for uid in range(1, 6):
            await client.ask(b"a0 UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
        assert len(await client.ask(b"a1 EXPUNGE")) == 6


@pytest.mark.parametrize(
    ("criteria", "found", "is_limited"),
    [
        (b"ALL", b"3 4 5", True),
        (b"UNDELETED", b"3 4 5", True),
        # What counts is what is looked at, not what is found.
        (b"DELETED", b"", True),
        (b"UID 1:3 UNDELETED", b"1 2 3", False),
        (b"1:3", b"1 2 3", False),
        (b"1:9", b"3 4 5", True),
        (b"UID 1:4 2:9", b"2 3 4", False),
        (b"UIDBEFORE 4", b"1 2 3", False),
        (b"UIDAFTER 3", b"4 5", False),
        (b"UIDBEFORE 1", b"", True),
        (b"OR UID 1 UID 5", b"5", True),
    ],
)
async def test_search_looks_at_the_last_messages(
    tmp_path: Path, criteria: bytes, found: bytes, is_limited: bool
) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        told = await client.ask(b"a1 UID SEARCH " + criteria)
        assert told[0].split()[2:] == found.split()
        assert told[-1].startswith(b"a1" + CODE if is_limited else b"a1 OK Search")


async def test_the_saved_result_is_cut_as_well(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        assert (await client.ask(b"a1 UID SEARCH RETURN (SAVE) ALL"))[-1].startswith(b"a1" + CODE)
        assert (await client.ask(b"a2 UID SEARCH $"))[:1] == [b"* SEARCH 3 4 5"]


async def test_many_messages_are_stored_for_all_or_none(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), LIMITED) as served:
        client = await filled(served)
        assert (await client.ask(b"a1 APPEND INBOX" + ONE * 4))[-1].startswith(b"a1 NO [MESSAGELIMIT 3] ")
        assert (await client.ask(b"a2 STATUS INBOX (MESSAGES)"))[0] == b'* STATUS "INBOX" (MESSAGES 5)'
        assert b" OK [APPENDUID " in (await client.ask(b"a3 APPEND INBOX" + ONE * 3))[-1]


async def test_savelimit_is_of_copy_and_append_alone(tmp_path: Path) -> None:
    settings = ImapSettings(messages_per_command=3, switches=Switches(added=frozenset({"SAVELIMIT"})))
    async with serving(tmp_path, OutsideMemory(), settings) as served:
        client = await filled(served)
        told = (await client.ask(b"a1 CAPABILITY"))[0]
        assert b" SAVELIMIT=3" in told
        assert b"MESSAGELIMIT" not in told
        assert len(await client.ask(b"a2 FETCH 1:* FLAGS")) == 6
        assert (await client.ask(b"a3 COPY 1:* INBOX"))[-1].startswith(b"a3 NO [MESSAGELIMIT 3 3] ")
        assert (await client.ask(b"a4 APPEND INBOX" + ONE * 4))[-1].startswith(b"a4 NO [MESSAGELIMIT 3] ")


async def test_who_is_not_offered_it_is_not_bounded(tmp_path: Path) -> None:
    settings = ImapSettings(messages_per_command=3, switches=Switches(disabled=frozenset({"MESSAGELIMIT"})))
    async with serving(tmp_path, OutsideMemory(), settings) as served:
        client = await filled(served)
        assert len(await client.ask(b"a1 FETCH 1:* FLAGS")) == 6
        assert b" OK [COPYUID " in (await client.ask(b"a2 COPY 1:* INBOX"))[-1]
