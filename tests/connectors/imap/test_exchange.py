"""What is kept of a reply."""

from __future__ import annotations

import pytest

from connectors.imap.errors import MalformedReply
from connectors.imap.exchange import Exchange, Reply
from gateway.wire.codes import Code, Status
from gateway.wire.responses import (
    FetchData,
    LiteralChunk,
    LiteralStart,
    ResponseCode,
    StatusResponse,
    StreamedLiteral,
)


class Sink:
    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes) -> None:
        self.data += data


async def test_large_literals_that_nobody_takes_are_put_into_their_response() -> None:
    exchange = Exchange(b"G1", None)
    for data in (b"header", b"body"):
        exchange.begin_literal(LiteralStart(b"BODY[]", len(data)))
        await exchange.write(data[:2])
        await exchange.write(data[2:])
    exchange.add(LiteralChunk(b"dy", is_last=True))
    exchange.add(
        FetchData(1, sections={b"BODY[1]": StreamedLiteral(6), b"BODY[2]": b"small", b"BODY[3]": StreamedLiteral(4)})
    )
    (fetched,) = exchange.take()
    assert isinstance(fetched, FetchData)
    assert fetched.sections == {b"BODY[1]": b"header", b"BODY[2]": b"small", b"BODY[3]": b"body"}


async def test_large_literals_go_where_the_caller_says() -> None:
    sinks: dict[bytes, Sink] = {}
    exchange = Exchange(b"G1", lambda start: sinks.setdefault(start.item, Sink()))
    for item in (b"BODY[1]", b"BODY[2]"):
        exchange.begin_literal(LiteralStart(item, 7))
        await exchange.write(item)
    assert {item: sink.data for item, sink in sinks.items()} == {b"BODY[1]": b"BODY[1]", b"BODY[2]": b"BODY[2]"}


def test_a_server_cannot_make_us_hold_literals_without_end() -> None:
    exchange = Exchange(b"G1", None)
    exchange.begin_literal(LiteralStart(b"BODY[]", 60 << 20))
    with pytest.raises(MalformedReply, match="more than was asked for"):
        exchange.begin_literal(LiteralStart(b"BODY[]", 5 << 20))


def test_responses_are_handed_over_once_and_in_order() -> None:
    exchange = Exchange(b"G1", None)
    first, second, third = FetchData(1), FetchData(2), FetchData(3)
    exchange.add(first)
    exchange.add(second)
    assert exchange.take() == [first, second]
    exchange.add(third)
    assert exchange.take() == [third]
    assert exchange.take() == []


def test_the_code_of_the_end_goes_before_that_of_an_untagged_line() -> None:
    def code(uidnext: int) -> ResponseCode:
        return ResponseCode(Code.UIDNEXT, b"UIDNEXT", uidnext)

    untagged = StatusResponse(Status.OK, code(1), "")
    assert Reply(Status.OK, None, "", [untagged]).find_code(Code.UIDNEXT) == code(1)
    assert Reply(Status.OK, code(2), "", [untagged]).find_code(Code.UIDNEXT) == code(2)
    assert Reply(Status.OK, None, "", [untagged]).find_code(Code.UIDVALIDITY) is None
