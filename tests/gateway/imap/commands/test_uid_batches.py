"""UIDBATCHES (RFC 10022)."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving

MESSAGE = b"Subject: x\r\n\r\n"


async def test_a_mailbox_is_told_in_batches(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        assert (await client.ask(b"a1 UIDBATCHES 500"))[-1].startswith(b"a1 BAD ")
        await client.ask(b"a2 SELECT INBOX")
        assert await client.ask(b"a3 UIDBATCHES 500") == [b'* UIDBATCHES (TAG "a3")', b"a3 OK Uidbatches completed"]
        one = b" {%d+}\r\n%b" % (len(MESSAGE), MESSAGE)
        await client.ask(b"a4 APPEND INBOX" + one * 501)
        assert (await client.ask(b"a5 UIDBATCHES 500"))[0] == b'* UIDBATCHES (TAG "a5") 501:2,1:1'
        assert (await client.ask(b"a6 UIDBATCHES 500 2:9"))[0] == b'* UIDBATCHES (TAG "a6") 1:1'
        assert (await client.ask(b"a7 UIDBATCHES 2000"))[0] == b'* UIDBATCHES (TAG "a7") 501:1'


async def test_batches_that_are_too_small_or_upside_down_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        await client.ask(b"a1 SELECT INBOX")
        assert (await client.ask(b"a2 UIDBATCHES 499"))[-1].startswith(b"a2 NO [TOOFEW] ")
        assert (await client.ask(b"a3 UIDBATCHES 500 3:2"))[-1].startswith(b"a3 BAD [CLIENTBUG] ")
