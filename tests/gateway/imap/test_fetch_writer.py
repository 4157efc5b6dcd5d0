"""Bodies on their way to the client, when all is well and when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.memory.backend import INBOX, MemoryBackend
from connectors.memory.faults import Operation
from gateway.imap.connection import Connection
from gateway.imap.settings import ImapSettings
from gateway.sync.open_body import CacheBody, MappedBody, MemoryBody
from tests.scenarios.line_client import PATIENCE_S, LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving
from tests.stack import message

MEBIBYTE = 1 << 20
SETTINGS = ImapSettings(output_high_water=65_536, input_high_water=65_536)


@pytest.fixture
def outside() -> OutsideMemory:
    return OutsideMemory()


@pytest.fixture
def backend(outside: OutsideMemory) -> MemoryBackend:
    return outside.backend


@pytest.fixture
async def served(tmp_path: Path, outside: OutsideMemory) -> AsyncIterator[Served]:
    async with serving(tmp_path, outside, SETTINGS) as running:
        yield running


async def selecting(served: Served) -> LineClient:
    client = await served.log_in()
    assert (await client.ask(b"s SELECT INBOX"))[-1].startswith(b"s OK ")
    return client


def only_connection(served: Served) -> Connection:
    (connection,) = served.door._connections
    return connection


def big_message(size: int) -> bytes:
    line = b"0123456789abcdef" * 4 + b"\r\n"
    head = b"Subject: big\r\n\r\n"
    return (head + line * (size // len(line) + 1))[:size]


async def test_a_big_body_arrives_octet_for_octet_with_little_of_it_in_memory(
    served: Served, backend: MemoryBackend
) -> None:
    data = big_message(8 * MEBIBYTE)
    backend.deliver(INBOX, data)
    client = await selecting(served)
    transport = only_connection(served)._transport
    assert transport is not None
    client.write(b"a FETCH 1 BODY.PEEK[]\r\n")
    assert await client.line() == b"* 1 FETCH (BODY[] {%d}" % len(data)
    received = bytearray()
    most = 0
    async with asyncio.timeout(PATIENCE_S):
        while len(received) < len(data):
            received += await client.reader.read(min(262_144, len(data) - len(received)))
            most = max(most, transport.get_write_buffer_size())
    assert received == data
    assert await client.line() == b")"
    assert (await client.line()).startswith(b"a OK ")
    # What is written at a time, on top of what may wait.
    assert most <= 262_144 + SETTINGS.output_high_water


async def test_a_part_of_a_big_body_is_cut_out_of_its_middle(served: Served, backend: MemoryBackend) -> None:
    data = big_message(MEBIBYTE)
    backend.deliver(INBOX, data)
    client = await selecting(served)
    client.write(b"a FETCH 1 BODY.PEEK[]<500000.300000>\r\n")
    assert await client.line() == b"* 1 FETCH (BODY[]<500000> {300000}"
    assert await client.reader.readexactly(300_000) == data[500_000:800_000]


async def test_a_message_that_cannot_be_shown_leaves_the_others_shown_and_is_not_marked_as_read(
    served: Served, backend: MemoryBackend
) -> None:
    for number in (1, 2):
        backend.deliver(INBOX, message(number))
    client = await selecting(served)
    backend.faults.fail_next(Operation.FETCH, errors.Rejected("a virus"), errors.Rejected("a virus"))
    lines = await client.ask(b"a FETCH 1 BODY[TEXT]")
    assert lines[-1].startswith(b"a NO ")
    assert not any(line.startswith(b"* 1 FETCH") for line in lines)
    assert await client.ask(b"b FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent))", b"b OK Fetch completed"]
    lines = await client.ask(b"c FETCH 1:2 BODY[TEXT]")
    assert lines[-1].startswith(b"c OK ")
    assert b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))" in lines


async def test_a_body_that_breaks_off_ends_the_connection(
    served: Served, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_self: object, _offset: int, _length: int) -> bytes:
        return b""

    for kind in (CacheBody, MappedBody, MemoryBody):
        monkeypatch.setattr(kind, "read", nothing)
    backend.deliver(INBOX, big_message(1000))
    client = await selecting(served)
    client.write(b"a FETCH 1 BODY.PEEK[]\r\n")
    # The octets announced will never come, so nothing that is sent now could be understood.
    with pytest.raises((EOFError, ConnectionError)):
        await client.lines_to(b"a ")
    assert (await (await selecting(served)).ask(b"b NOOP"))[-1].startswith(b"b OK ")


async def test_ten_thousand_commands_of_a_client_that_does_not_read_take_no_memory(
    served: Served, backend: MemoryBackend
) -> None:
    # A line of a thousand octets without any reading.
    backend.deliver(INBOX, message(1), frozenset(f"keyword-{number:032}" for number in range(25)))
    client = await selecting(served)
    connection = only_connection(served)
    transport = connection._transport
    assert transport is not None
    stalled = asyncio.Event()
    pause = connection.pause_writing

    def paused() -> None:
        pause()
        stalled.set()

    connection.pause_writing = paused  # type: ignore[method-assign]
    count = 10_000
    reading = client.writer.transport
    assert isinstance(reading, asyncio.Transport)
    reading.pause_reading()
    client.write(b"".join(b"%d FETCH 1 (UID FLAGS)\r\n" % number for number in range(count)))
    async with asyncio.timeout(PATIENCE_S):
        await stalled.wait()
    assert transport.get_write_buffer_size() <= 2 * SETTINGS.output_high_water
    assert connection.reader.buffered_octets <= SETTINGS.input_high_water + 262_144
    reading.resume_reading()
    for number in range(count):
        lines = await client.lines_to(b"%d OK " % number)
        assert len(lines) == 2


async def test_small_and_large_messages_arrive_in_order_and_are_marked_as_read(
    served: Served, backend: MemoryBackend
) -> None:
    sizes = [100, 300_000, 5000, 120_000, 130_000, 131_073, 60, 2_000_000, 40]
    for size in sizes:
        backend.deliver(INBOX, big_message(size))
    client = await selecting(served)
    for item, is_seen in ((b"BODY.PEEK[]", False), (b"BODY.PEEK[]", False), (b"RFC822", True), (b"BODY[]", False)):
        client.write(b"a UID FETCH 1:* (" + item + b")\r\n")
        for number, size in enumerate(sizes, 1):
            line = await client.line()
            while line.endswith(b"(\\Seen \\Recent))"):
                assert is_seen
                line = await client.line()
            assert line == b"* %d FETCH (UID %d %b {%d}" % (number, number, item.replace(b".PEEK", b""), size)
            assert await client.reader.readexactly(size) == big_message(size)
            assert await client.line() == b")"
        lines = await client.lines_to(b"a ")
        assert lines[-1] == b"a OK Fetch completed"
    assert (await client.ask(b"b SEARCH UNSEEN"))[0] == b"* SEARCH"


async def test_a_nul_becomes_0x80_since_no_literal_can_hold_it(served: Served, backend: MemoryBackend) -> None:
    header, text = b"Subject: a\0b\r\n\r\n", b"one\0two\r\n"
    backend.deliver(INBOX, header + text)
    client = await selecting(served)
    shown_header, shown_text = header.replace(b"\0", b"\x80"), text.replace(b"\0", b"\x80")
    for item, wanted in (
        (b"BODY.PEEK[]", shown_header + shown_text),
        (b"BODY.PEEK[TEXT]", shown_text),
        (b"BODY.PEEK[HEADER]", shown_header),
        (b"RFC822.HEADER", shown_header),
        (b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]", shown_header),
        (b"BODY.PEEK[TEXT]<2.4>", shown_text[2:6]),
    ):
        client.write(b"a FETCH 1 " + item + b"\r\n")
        assert (await client.line()).endswith(b" {%d}" % len(wanted))
        assert await client.reader.readexactly(len(wanted)) == wanted
        assert await client.line() == b")"
        assert (await client.line()).startswith(b"a OK ")
    asked = await client.ask(b"b FETCH 1 RFC822.SIZE")
    assert asked[0] == b"* 1 FETCH (RFC822.SIZE %d)" % len(header + text)
