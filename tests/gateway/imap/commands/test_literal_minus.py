"""LITERAL- (RFC 7888 section 5), where the operator asks for it."""

from __future__ import annotations

from pathlib import Path

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving

SETTINGS = ImapSettings(switches=Switches(added=frozenset({"LITERAL-"})))


async def test_a_message_above_the_bound_waits_to_be_invited(tmp_path: Path) -> None:
    message = b"Subject: x\r\n\r\n" + b"y" * 5000
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await served.log_in()
        told = (await client.ask(b"a1 CAPABILITY"))[0]
        assert b" LITERAL- " in told
        assert b"LITERAL+" not in told
        client.write(b"a2 APPEND INBOX {%d+}\r\n%b\r\na3 NOOP\r\n" % (len(message), message))
        assert (await client.line()).startswith(b"a2 BAD [TOOBIG] ")
        assert (await client.line()).startswith(b"a3 OK ")
        client.write(b"a4 APPEND INBOX {%d}\r\n" % len(message))
        assert (await client.line()).startswith(b"+ ")
        client.write(message + b"\r\n")
        assert (await client.line()).startswith(b"a4 OK ")
        client.write(b"a5 APPEND INBOX {4096+}\r\n" + message[:4096] + b"\r\n")
        assert (await client.line()).startswith(b"a5 OK ")


async def test_a_literal_far_too_large_to_be_thrown_away_ends_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await served.log_in()
        client.write(b"a1 APPEND INBOX {99999999999+}\r\n")
        assert (await client.line()).startswith(b"* BYE [TOOBIG] ")
        assert await client.at_end()
