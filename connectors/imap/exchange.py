"""What a server answers to one command, collected while it comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from connectors.imap.errors import MalformedReply
from gateway.wire.codes import Code, Status
from gateway.wire.response_rows import FetchRow
from gateway.wire.responses import (
    Event,
    FetchData,
    LiteralChunk,
    LiteralStart,
    Response,
    ResponseCode,
    SectionData,
    StatusResponse,
    StreamedLiteral,
)

_MAX_RESPONSES = 2_000_000
_MAX_COLLECTED_OCTETS = 64 << 20


class LiteralSink(Protocol):
    """Takes a large literal as it arrives."""

    async def write(self, data: bytes) -> None:
        """Take the next octets; the connection is not read before this returns."""


@dataclass(frozen=True, slots=True)
class Reply:
    """All that came between a command and its end. `responses` are in the order sent, continuations left out."""

    status: Status
    code: ResponseCode | None
    text: str
    responses: list[Response] = field(default_factory=list)

    def fetches(self) -> Iterator[FetchData]:
        return (response for response in self.responses if isinstance(response, FetchData))

    def find_code(self, code: Code) -> ResponseCode | None:
        """Return the last response code of that name, from the tagged line or an untagged one."""
        found = None
        for response in self.responses:
            if isinstance(response, StatusResponse) and response.code is not None and response.code.code is code:
                found = response.code
        return self.code if self.code is not None and self.code.code is code else found


@dataclass(slots=True)
class Listed:
    """What came of a listing: its plain lines as rows, their items in `order`, and each other response with the number
    of rows that came before it."""

    rows: list[FetchRow] = field(default_factory=list)
    order: tuple[bytes, ...] = ()
    others: list[tuple[int, Response]] = field(default_factory=list)


class Exchange:
    """A command in progress. `is_asked` says that the server has sent `+` with `challenge` and waits for more."""

    def __init__(self, tag: bytes, on_literal: Callable[[LiteralStart], LiteralSink] | None) -> None:
        self.tag = tag
        self.responses: list[Response] = []
        self.challenge = b""
        self.is_asked = False
        self.is_sent = False
        self._on_literal = on_literal
        self._sink: LiteralSink | None = None
        self._collected: list[bytearray] = []
        self._collected_octets = 0

    def begin_literal(self, start: LiteralStart) -> None:
        if self._on_literal is not None:
            self._sink = self._on_literal(start)
            return
        self._collected_octets += start.size
        if self._collected_octets > _MAX_COLLECTED_OCTETS:
            raise MalformedReply("the server sends more than was asked for")
        self._collected.append(bytearray())

    async def write(self, data: bytes) -> None:
        if self._sink is not None:
            await self._sink.write(data)
        else:
            self._collected[-1] += data

    def add(self, response: Event) -> None:
        """Keep a response, with the literals that were collected for it put in."""
        if isinstance(response, (LiteralStart, LiteralChunk)):
            return
        if len(self.responses) >= _MAX_RESPONSES:
            raise MalformedReply("the server sends more responses than was asked for")
        if self._collected and isinstance(response, FetchData):
            collected = iter(self._collected)
            sections: dict[bytes, SectionData] = {
                item: bytes(next(collected)) if isinstance(data, StreamedLiteral) else data
                for item, data in response.sections.items()
            }
            response = dataclasses.replace(response, sections=sections)
            self._collected = []
            self._collected_octets = 0
        self.responses.append(response)

    def take(self) -> list[Response]:
        """Return the responses since the last call and keep them no longer."""
        taken, self.responses = self.responses, []
        return taken
