from __future__ import annotations

from pathlib import Path

from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving

MESSAGE = "Subject: Grüße\r\n\r\ntext\r\n".encode()


async def test_utf8_is_taken_in_either_form_once_it_is_enabled(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        in_utf8 = b"APPEND INBOX UTF8 (~{%d+}\r\n%b)" % (len(MESSAGE), MESSAGE)
        assert (await client.ask(b"a " + in_utf8))[-1].startswith(b"a BAD ")
        await client.ask(b"b ENABLE UTF8=ACCEPT")
        assert (await client.ask(b"c " + in_utf8))[-1].startswith(b"c OK [APPENDUID ")
        told = await client.ask(b"d APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        assert told[-1].startswith(b"d OK [APPENDUID ")
        await client.ask(b"e SELECT INBOX")
        read = b"\r\n".join(await client.ask(b"f FETCH 1:* (BODY.PEEK[])"))
        assert read.count(MESSAGE) == 2
        found = await client.ask('g SEARCH SUBJECT "Grüße"'.encode())
        assert found[0] == b"* SEARCH 1 2"
        await client.close()
