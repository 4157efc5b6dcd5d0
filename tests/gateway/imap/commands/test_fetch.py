from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.memory.backend import INBOX
from connectors.memory.faults import Operation
from gateway.imap.capabilities import OFFER
from gateway.imap.capability import Situation
from tests.gateway.wire.reading import parse
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving

OCTETS = bytes(octet for octet in range(256) if octet != 0x0A) * 9000
"""2.3 MB, more than is kept of a part that was measured; on one line."""


def part(encoding: bytes, body: bytes, kind: bytes = b"application/octet-stream") -> bytes:
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b\r\n" % (kind, encoding, body)


def multipart(*parts: bytes) -> bytes:
    body = b"".join(b"--cut\r\n" + one for one in parts)
    return b'Subject: parts\r\nContent-Type: multipart/mixed; boundary="cut"\r\n\r\n%b--cut--\r\n' % body


MIXED = multipart(
    part(b"quoted-printable", b"gr=C3=BC=C3=9Fe=\r\n!", b"text/plain; charset=utf-8"),
    part(b"base64", b"AAECAwQ="),
    part(b"base64", b"SGVsbG8="),
)
UNKNOWN = multipart(part(b"x-uuencode", b"begin"), part(b"7bit", b"plain"))


@pytest.fixture
def outside() -> OutsideMemory:
    return OutsideMemory()


@pytest.fixture
async def served(tmp_path: Path, outside: OutsideMemory) -> AsyncIterator[Served]:
    async with serving(tmp_path, outside) as running:
        yield running


async def selecting(served: Served, outside: OutsideMemory, *messages: bytes) -> LineClient:
    for data in messages:
        outside.backend.deliver(INBOX, data)
    client = await served.log_in()
    assert (await client.ask(b"s SELECT INBOX"))[-1].startswith(b"s OK ")
    return client


async def answer(client: LineClient, command: bytes) -> bytes:
    """Return all octets up to the tagged line, which is left out if it is OK."""
    lines = await client.ask(b"f " + command)
    if lines[-1].startswith(b"f OK "):
        lines.pop()
    return b"\r\n".join(lines)


@pytest.mark.parametrize(
    ("item", "written"),
    [
        (b"BINARY.PEEK[1]", b"BINARY[1] {8}\r\n" + "grüße!".encode()),
        (b"BINARY.SIZE[1]", b"BINARY.SIZE[1] 8"),
        # Only what holds a NUL is a literal8.
        (b"BINARY.PEEK[2]", b"BINARY[2] ~{5}\r\n\0\1\2\3\4"),
        (b"BINARY.PEEK[2]<1.3>", b"BINARY[2]<1> {3}\r\n\1\2\3"),
        (b"BINARY.PEEK[2]<0.1>", b"BINARY[2]<0> ~{1}\r\n\0"),
        (b"BINARY.PEEK[2]<9.1>", b"BINARY[2]<9> {0}\r\n"),
        (b"BINARY.PEEK[3]<3.99>", b"BINARY[3]<3> {2}\r\nlo"),
        (b"BINARY.PEEK[4]", b"BINARY[4] NIL"),
        (b"BINARY.SIZE[4]", b"BINARY.SIZE[4] 0"),
        (b"BINARY.SIZE[]", b"BINARY.SIZE[] %d" % len(MIXED)),
        (b"BINARY.PEEK[]", b"BINARY[] {%d}\r\n" % len(MIXED) + MIXED),
        (b"(BINARY.PEEK[3] UID BINARY.SIZE[3])", b"BINARY[3] {5}\r\nHello UID 1 BINARY.SIZE[3] 5"),
    ],
)
async def test_parts_are_sent_decoded(served: Served, outside: OutsideMemory, item: bytes, written: bytes) -> None:
    client = await selecting(served, outside, MIXED)
    assert await answer(client, b"FETCH 1 " + item) == b"* 1 FETCH (" + written + b")"


async def test_a_large_part_is_sent_decoded(served: Served, outside: OutsideMemory) -> None:
    client = await selecting(served, outside, multipart(part(b"base64", base64.encodebytes(OCTETS))))
    written = b"* 1 FETCH (BINARY.SIZE[1] %d BINARY[1] ~{%d}\r\n" % (len(OCTETS), len(OCTETS)) + OCTETS + b")"
    assert await answer(client, b"FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])") == written
    start, length = 300_000, 1_500_000
    piece = OCTETS[start : start + length]
    written = b"* 1 FETCH (BINARY[1]<%d> ~{%d}\r\n%b)" % (start, length, piece)
    assert await answer(client, b"FETCH 1 BINARY.PEEK[1]<%d.%d>" % (start, length)) == written


async def test_reading_decoded_marks_as_seen_unless_by_peek(served: Served, outside: OutsideMemory) -> None:
    client = await selecting(served, outside, MIXED)
    await client.ask(b"a FETCH 1 (BINARY.PEEK[3] BINARY.SIZE[3])")
    assert b"\\Seen" not in await answer(client, b"FETCH 1 FLAGS")
    assert b"\\Seen" in await answer(client, b"FETCH 1 BINARY[3]")


async def test_a_part_in_an_unknown_encoding_fails_the_command_and_the_others_are_shown(
    served: Served, outside: OutsideMemory
) -> None:
    client = await selecting(served, outside, MIXED, UNKNOWN, MIXED)
    lines = await client.ask(b"a FETCH 1:3 (UID BINARY.SIZE[1])")
    assert lines[:2] == [b"* 1 FETCH (UID 1 BINARY.SIZE[1] 8)", b"* 3 FETCH (UID 3 BINARY.SIZE[1] 8)"]
    assert lines[2].startswith(b"a NO [UNKNOWN-CTE] ")
    assert (await client.ask(b"b FETCH 2 BINARY[1]"))[0].startswith(b"b NO [UNKNOWN-CTE] ")
    assert await answer(client, b"FETCH 2 (FLAGS BINARY.PEEK[2])") == (
        b"* 2 FETCH (FLAGS (\\Recent) BINARY[2] {5}\r\nplain)"
    )


async def test_nul_goes_in_and_comes_out(served: Served, outside: OutsideMemory) -> None:
    client = await selecting(served, outside)
    data = part(b"binary", b"a\0b")
    await client.ask(b"a APPEND INBOX ~{%d+}\r\n%b" % (len(data), data))
    assert await answer(client, b"FETCH 1 BINARY.PEEK[1]") == b"* 1 FETCH (BINARY[1] ~{5}\r\na\0b\r\n)"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("BINARY", b"FETCH 1 (UID BINARY.SIZE[1])"),
        ("BINARY", b"FETCH 1 BINARY.PEEK[1]"),
        ("SAVEDATE", b"FETCH 1 (SAVEDATE)"),
        ("SAVEDATE", b"SEARCH NOT SAVEDON 1-Feb-1994"),
        ("SAVEDATE", b"ESEARCH IN (inboxes) SAVEDON 1-Feb-1994"),
        ("SAVEDATE", b"SORT (DATE) UTF-8 OR ALL SAVEDSINCE 1-Feb-1994"),
        ("PREVIEW", b"FETCH 1 (PREVIEW (LAZY))"),
        ("PARTIAL", b"UID FETCH 1:* UID (PARTIAL 1:5)"),
        ("PARTIAL", b"SEARCH RETURN (PARTIAL 1:5) ALL"),
    ],
)
def test_what_is_switched_off_is_missed_by_commands_that_use_it(name: str, line: bytes) -> None:
    situation = Situation(is_authenticated=True, can_start_tls=False, can_log_in=True, append_limit=1000)
    assert OFFER.missing(parse(line), situation) is None
    assert OFFER.missing(parse(line), replace(situation, disabled=frozenset({name}))) == name


async def test_a_preview_is_made_when_it_is_asked_for_and_not_before(served: Served, outside: OutsideMemory) -> None:
    client = await selecting(served, outside, MIXED, b"Subject: no text\r\n\r\n", b"Subject: x\r\n\r\nHello\r\nthere")
    lines = await client.ask(b"a FETCH 1:3 (PREVIEW (LAZY))")
    assert lines[:-1] == [b"* %d FETCH (PREVIEW NIL)" % number for number in (1, 2, 3)]
    assert outside.backend.faults.calls[Operation.FETCH] == outside.backend.faults.calls[Operation.FETCH_MANY] == 0
    text = b"PREVIEW {8}\r\n" + "grüße!".encode()
    assert await answer(client, b"FETCH 1 (FLAGS PREVIEW)") == b"* 1 FETCH (FLAGS (\\Recent) " + text + b")"
    assert await answer(client, b"UID FETCH 2:3 (PREVIEW)") == (
        b'* 2 FETCH (UID 2 PREVIEW "")\r\n* 3 FETCH (UID 3 PREVIEW "Hello there")'
    )
    # Now they are at hand, with and without LAZY.
    outside.set_offline(True)
    assert await answer(client, b"FETCH 1 PREVIEW (LAZY)") == b"* 1 FETCH (" + text + b")"
    assert await answer(client, b"FETCH 3 (PREVIEW PREVIEW (LAZY))") == (
        b'* 3 FETCH (PREVIEW "Hello there" PREVIEW "Hello there")'
    )


async def test_a_preview_that_cannot_be_made_now_is_an_error_and_never_nil(
    served: Served, outside: OutsideMemory
) -> None:
    client = await selecting(served, outside, MIXED)
    outside.set_offline(True)
    assert await answer(client, b"FETCH 1 PREVIEW (LAZY)") == b"* 1 FETCH (PREVIEW NIL)"
    lines = await client.ask(b"a FETCH 1 PREVIEW")
    assert len(lines) == 1
    assert lines[0].startswith(b"a NO [UNAVAILABLE] ")
