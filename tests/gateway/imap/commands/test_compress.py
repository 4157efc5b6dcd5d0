"""COMPRESS=DEFLATE (RFC 4978), with clients that use zlib themselves."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import pytest

from gateway.imap.settings import ImapSettings
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, Served, serving

MESSAGE = b"Subject: x\r\n\r\n" + b"All work and no play\r\n" * 20_000


class DeflateClient:
    """Speaks over a connection that has just become compressed."""

    def __init__(self, client: LineClient) -> None:
        self._client = client
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._inflate = zlib.decompressobj(-15)
        self._text = b""
        self.octets = 0

    def compressed(self, data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(flush)

    async def ask(self, command: bytes) -> bytes:
        """Send a command, its tag in front, and return everything up to its tagged line."""
        return await self.answer_to(self.compressed(command + b"\r\n"), command.partition(b" ")[0])

    async def answer_to(self, sent: bytes, tag: bytes) -> bytes:
        """Send octets as they are, and return everything up to the tagged line."""
        self._client.write(sent)
        start = 0
        while (found := (b"\r\n" + self._text).find(b"\r\n" + tag + b" ", start)) < 0 or (
            end := self._text.find(b"\r\n", found)
        ) < 0:
            start = max(0, len(self._text) - 100)
            data = await self._client.reader.read(65_536)
            if not data:
                raise EOFError
            self.octets += len(data)
            self._text += self._inflate.decompress(data)
        answer, self._text = self._text[: end + 2], self._text[end + 2 :]
        return answer

    @property
    def is_at_end(self) -> bool:
        return self._inflate.eof


async def compressing(served: Served) -> DeflateClient:
    client = await served.log_in()
    assert await client.ask(b"c COMPRESS DEFLATE") == [b"c OK DEFLATE active"]
    return DeflateClient(client)


async def test_everything_behind_the_ok_is_compressed(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await compressing(served)
        stored = await client.ask(b"a1 APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        assert stored.startswith(b"a1 OK [APPENDUID ")
        await client.ask(b"a2 SELECT INBOX")
        assert MESSAGE in await client.ask(b"a3 FETCH 1 BODY.PEEK[]")
        # Octets that repeat themselves take next to nothing.
        assert client.octets < len(MESSAGE) / 20


async def test_it_is_offered_until_it_is_active(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        plain = await served.connect()
        await plain.expect(b"* OK ")
        assert (await plain.ask(b"a1 COMPRESS DEFLATE"))[-1].startswith(b"a1 BAD ")
        assert b"COMPRESS=DEFLATE" in (await plain.ask(f"a2 LOGIN {LOGIN} {PASSWORD}".encode()))[-1]
        assert (await plain.ask(b"a3 COMPRESS GZIP"))[-1].startswith(b"a3 BAD ")
        assert (await plain.ask(b"a4 COMPRESS"))[-1].startswith(b"a4 BAD ")
        client = await compressing(served)
        assert b"COMPRESS" not in await client.ask(b"a5 CAPABILITY")
        assert (await client.ask(b"a6 COMPRESS DEFLATE")).startswith(b"a6 BAD [COMPRESSIONACTIVE] ")
        assert (await client.ask(b"a7 NOOP")).startswith(b"a7 OK ")


async def test_what_is_pipelined_behind_the_command_is_compressed(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        plain = await served.log_in()
        client = DeflateClient(plain)
        plain.write(b"c COMPRESS DEFLATE\r\n" + client.compressed(b"a1 IDLE\r\nDONE\r\na2 NOOP\r\n"))
        await plain.expect(b"c OK ")
        answer = await client.answer_to(b"", b"a2")
        assert answer.index(b"+ ") < answer.index(b"a1 OK ") < answer.index(b"a2 OK ")


async def test_done_in_a_packet_of_its_own_ends_idle(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await compressing(served)
        assert b"+ " in await client.answer_to(client.compressed(b"a1 IDLE\r\n"), b"+")
        assert (await client.answer_to(client.compressed(b"DONE\r\n"), b"a1")).startswith(b"a1 OK ")


async def test_garbage_ends_the_connection_without_a_trace_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.imap")
    async with serving(tmp_path, OutsideMemory()) as served:
        plain = await served.log_in()
        await plain.ask(b"c COMPRESS DEFLATE")
        plain.write(b"a1 NOOP\r\n")
        assert await plain.at_end()
    assert "cannot be expanded" in caplog.text
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.INFO]


async def test_the_end_of_the_clients_stream_is_the_end_of_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await compressing(served)
        assert b"a1 OK " in await client.answer_to(client.compressed(b"a1 NOOP\r\n", zlib.Z_FINISH), b"a1")
        with pytest.raises(EOFError):
            await client.answer_to(b"", b"a2")


async def test_few_octets_that_stand_for_many_are_a_line_too_long(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), ImapSettings(input_high_water=20_000)) as served:
        client = await compressing(served)
        bomb = client.compressed(b"a1 " + bytes(20_000_000) + b"\r\na2 NOOP\r\n")
        assert len(bomb) < 25_000
        answer = await client.answer_to(bomb, b"a2")
        assert answer.startswith(b"a1 BAD [LIMIT] ")


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
async def test_unauthenticate_ends_both_streams(tmp_path: Path, flush: int) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        plain = await served.log_in()
        await plain.ask(b"c COMPRESS DEFLATE")
        client = DeflateClient(plain)
        answer = await client.answer_to(client.compressed(b"a1 UNAUTHENTICATE\r\n", flush), b"a1")
        assert answer.startswith(b"a1 OK ")
        assert client.is_at_end
        assert b"COMPRESS=DEFLATE" in (await plain.ask(f"a2 LOGIN {LOGIN} {PASSWORD}".encode()))[-1]
        await plain.ask(b"c2 COMPRESS DEFLATE")
        again = DeflateClient(plain)
        assert (await again.ask(b"a3 NOOP")).startswith(b"a3 OK ")
