from __future__ import annotations

from pathlib import Path

from connectors.memory.faults import Operation
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving

MESSAGE = b"Subject: x\r\n\r\n" + b"y" * 1500 + b"\r\n"


async def test_limits_are_told_and_asked_for_once_a_minute(tmp_path: Path) -> None:
    outside = OutsideMemory()
    outside.backend.storage_limit = 100 * 1024
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        await client.ask(b"a1 APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        told = await client.ask(b"a2 GETQUOTAROOT INBOX")
        # A started unit of 1,024 octets is used.
        assert told[:2] == [b'* QUOTAROOT "INBOX" memory', b"* QUOTA memory (STORAGE 2 100)"]
        asked = outside.backend.faults.calls[Operation.QUOTA]
        assert (await client.ask(b"a3 GETQUOTA memory"))[0] == b"* QUOTA memory (STORAGE 2 100)"
        assert outside.backend.faults.calls[Operation.QUOTA] == asked == 1
        await client.close()


async def test_the_root_of_a_mailbox_yet_to_be_made_is_told(tmp_path: Path) -> None:
    """The mailbox "doesn't have to reference an existing mailbox" (RFC 9208 section 4.1.2)."""
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        told = await client.ask(b"a1 GETQUOTAROOT New/2024")
        assert told[:2] == [b'* QUOTAROOT "New/2024" memory', b"* QUOTA memory ()"]
        await client.close()


async def test_a_root_without_limits_is_told_empty(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        assert (await client.ask(b"a1 GETQUOTA memory"))[0] == b"* QUOTA memory ()"
        await client.close()


async def test_a_backend_out_of_reach_is_no_backend_without_limits(tmp_path: Path) -> None:
    outside = OutsideMemory()
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        outside.set_offline(True)
        assert (await client.ask(b"a1 GETQUOTAROOT INBOX"))[-1].startswith(b"a1 NO [UNAVAILABLE] ")
        await client.close()


async def test_octets_that_an_expunge_would_free(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        for number in (b"1", b"2"):
            await client.ask(number + b" APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        await client.ask(b"a1 SELECT INBOX")
        await client.ask(b"a2 STORE 2 +FLAGS (\\Deleted)")
        told = await client.ask(b"a3 STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)")
        assert told[0] == b'* STATUS "INBOX" (MESSAGES 2 DELETED 1 DELETED-STORAGE %d)' % len(MESSAGE)
        await client.close()


async def test_what_one_session_fills_another_finds_full(tmp_path: Path) -> None:
    outside = OutsideMemory()
    outside.backend.storage_limit = 2 * len(MESSAGE)
    async with serving(tmp_path, outside) as served:
        first, second = await served.log_in(), await served.log_in()
        append = b"a1 APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE)
        await first.ask(b"a0 SELECT INBOX")
        assert (await first.ask(append))[-1].startswith(b"a1 OK ")
        assert (await second.ask(append))[-1].startswith(b"a1 OK ")
        assert (await second.ask(append))[-1].startswith(b"a1 NO [OVERQUOTA] ")
        await first.ask(b"a2 STORE 1 +FLAGS (\\Deleted)")
        assert (await first.ask(b"a3 EXPUNGE"))[-1].startswith(b"a3 OK ")
        assert (await second.ask(append))[-1].startswith(b"a1 OK ")
        await first.close()
        await second.close()
