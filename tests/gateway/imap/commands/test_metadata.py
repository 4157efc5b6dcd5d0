from __future__ import annotations

from pathlib import Path

import pytest

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from gateway.mailbox import metadata
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving


async def test_values_and_entries_are_bounded_and_a_refusal_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "MAX_ENTRIES", 2)
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        too_large = b"x" * (metadata.MAX_VALUE_OCTETS + 1)
        told = await client.ask(
            b'a SETMETADATA INBOX (/private/a "1" /private/b {%d+}\r\n%b)' % (len(too_large), too_large)
        )
        assert told[-1].startswith(b"a NO [METADATA MAXSIZE 60000] ")
        assert (await client.ask(b"b GETMETADATA INBOX /private/a"))[0] == b'* METADATA "INBOX" (/private/a NIL)'
        told = await client.ask(b'c SETMETADATA INBOX (/private/a "1" /private/b "2" /private/c "3")')
        assert told[-1].startswith(b"c NO [METADATA TOOMANY] ")
        assert (await client.ask(b'd SETMETADATA INBOX (/private/a "1" /private/b "2")'))[-1].startswith(b"d OK ")
        # What is there can be changed, and one can take the place of another.
        assert (await client.ask(b'e SETMETADATA INBOX (/private/a "9")'))[-1].startswith(b"e OK ")
        told = await client.ask(b'f SETMETADATA INBOX (/private/a NIL /private/c "3")')
        assert told[-1].startswith(b"f OK ")
        await client.close()


async def test_octets_come_back_as_they_were_given(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        await client.ask(b"a SETMETADATA INBOX (/private/a ~{3+}\r\nx\0y)")
        told = b"\r\n".join(await client.ask(b"b GETMETADATA INBOX /private/a"))
        assert b"(/private/a ~{3}\r\nx\0y)" in told
        await client.close()


async def test_metadata_server_is_of_the_server_only(tmp_path: Path) -> None:
    settings = ImapSettings(switches=Switches(added=frozenset({"METADATA-SERVER"})))
    async with serving(tmp_path, OutsideMemory(), settings) as served:
        client = await served.log_in()
        told = (await client.ask(b"a CAPABILITY"))[0].split()
        assert b"METADATA-SERVER" in told
        assert not {b"METADATA", b"LIST-METADATA"} & set(told)
        assert (await client.ask(b'b SETMETADATA "" (/private/a "1")'))[-1].startswith(b"b OK ")
        assert (await client.ask(b'c GETMETADATA "" /private/a'))[0] == b'* METADATA "" (/private/a "1")'
        for command in (
            b"GETMETADATA INBOX /private/a",
            b'SETMETADATA INBOX (/private/a "1")',
            b'LIST "" "*" RETURN (METADATA (/private/a))',
        ):
            assert (await client.ask(b"d " + command))[-1].startswith(b"d BAD ")
        await client.close()
