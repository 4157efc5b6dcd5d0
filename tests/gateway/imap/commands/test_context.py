from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving


@pytest.mark.parametrize(
    ("off", "needed", "command"),
    [
        ("CONTEXT=SEARCH", "CONTEXT=SEARCH", b"SEARCH RETURN (UPDATE) ALL"),
        ("CONTEXT=SEARCH", "CONTEXT=SEARCH", b"UID SEARCH RETURN (CONTEXT COUNT) ALL"),
        ("CONTEXT=SEARCH", "CONTEXT=SEARCH", b"ESEARCH RETURN (UPDATE) ALL"),
        ("CONTEXT=SEARCH", "CONTEXT=SEARCH", b'CANCELUPDATE "a"'),
        ("PARTIAL", "CONTEXT=SEARCH", b"SEARCH RETURN (UPDATE) ALL"),
        ("CONTEXT=SORT", "CONTEXT=SORT", b"SORT RETURN (UPDATE) (DATE) UTF-8 ALL"),
        ("CONTEXT=SEARCH", "CONTEXT=SORT", b"UID SORT RETURN (CONTEXT) (DATE) UTF-8 ALL"),
        ("NOTIFY", "NOTIFY", b"SEARCH RETURN (UPDATE (UID)) ALL"),
    ],
)
async def test_it_is_refused_where_it_is_switched_off(tmp_path: Path, off: str, needed: str, command: bytes) -> None:
    settings = ImapSettings(switches=Switches(disabled=frozenset({off})))
    async with serving(tmp_path, OutsideMemory(), settings) as served:
        client = await served.log_in()
        await client.ask(b"a SELECT INBOX")
        (told,) = await client.ask(b"b " + command)
        assert told.endswith(f" needs {needed}, which is not offered".encode())


async def test_without_sorts_searches_are_kept_up_to_date_all_the_same(tmp_path: Path) -> None:
    settings = ImapSettings(switches=Switches(disabled=frozenset({"CONTEXT=SORT"})))
    async with serving(tmp_path, OutsideMemory(), settings) as served:
        client = await served.log_in()
        assert b" CONTEXT=SEARCH " in (await client.ask(b"a CAPABILITY"))[0]
        await client.ask(b"b SELECT INBOX")
        assert (await client.ask(b"c SEARCH RETURN (UPDATE COUNT) ALL"))[0] == b'* ESEARCH (TAG "c") COUNT 0'
        assert (await client.ask(b'd CANCELUPDATE "c"'))[-1].startswith(b"d OK ")


async def test_nothing_is_told_of_a_search_that_was_cancelled_or_of_another_mailbox(tmp_path: Path) -> None:
    outside = OutsideMemory()
    outside.deliver(("INBOX",), b"Subject: s\r\n\r\nx\r\n", frozenset(), datetime(2024, 1, 1, tzinfo=UTC))
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        assert (await client.ask(b'a CANCELUPDATE "x"'))[-1].startswith(b"a BAD ")
        await client.ask(b"b SELECT INBOX")
        await client.ask(b"c SEARCH RETURN (UPDATE) UNSEEN")
        await client.ask(b"d SORT RETURN (UPDATE) (DATE) UTF-8 UNSEEN")
        await client.ask(b'e CANCELUPDATE "c" "never"')
        told = await client.ask(b"f STORE 1 +FLAGS.SILENT (\\Seen)")
        assert told[:-1] == [b'* ESEARCH (TAG "d") REMOVEFROM (1 1)']
        await client.ask(b"g SELECT INBOX")
        assert len(await client.ask(b"h STORE 1 -FLAGS.SILENT (\\Seen)")) == 1


async def test_a_search_with_numbers_is_of_the_messages_that_have_them_now(tmp_path: Path) -> None:
    # RFC 5267 section 4.3
    outside = OutsideMemory()
    for _ in range(3):
        outside.deliver(("INBOX",), b"Subject: s\r\n\r\nx\r\n", frozenset(), datetime(2024, 1, 1, tzinfo=UTC))
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        await client.ask(b"a SELECT INBOX")
        await client.ask(b"b SEARCH RETURN (SAVE) 3")
        await client.ask(b"c UID SEARCH RETURN (UPDATE) OR 2:9 NOT ALL UNSEEN")
        await client.ask(b"d UID SEARCH RETURN (UPDATE) $ UNSEEN")
        await client.ask(b"e STORE 1 +FLAGS.SILENT (\\Deleted)")
        await client.ask(b"f EXPUNGE")
        await client.ask(b"g SEARCH RETURN (SAVE) 1")
        # What was 2 and 3 is 1 and 2 now.
        told = await client.ask(b"h STORE 1:2 +FLAGS.SILENT (\\Seen)")
        assert told[:-1] == [
            b'* ESEARCH (TAG "c") UID REMOVEFROM (0 2:3)',
            b'* ESEARCH (TAG "d") UID REMOVEFROM (0 3)',
        ]
