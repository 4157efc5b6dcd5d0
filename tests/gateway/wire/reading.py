"""What the tests of the reader and of the parsers share: a spool in memory, and ways to cut input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from gateway.wire.commands import Command
from gateway.wire.reader import BadCommand, CommandReader, Event, Limits, ReadCommand


@dataclass(frozen=True, slots=True)
class Stored:
    """What a `MemorySpool` makes of a message."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(slots=True)
class MemorySpool:
    """`announced` is the size of the first message."""

    announced: int
    data: bytearray = field(default_factory=bytearray)
    contents: list[Stored] = field(default_factory=list)
    is_aborted: bool = False

    def write(self, data: bytes) -> None:
        assert not self.is_aborted
        self.data += data

    def next_content(self) -> Stored:
        assert not self.is_aborted
        assert self.contents or len(self.data) == self.announced
        self.contents.append(Stored(bytes(self.data)))
        self.data.clear()
        return self.contents[-1]

    def abort(self) -> None:
        assert not self.is_aborted
        self.is_aborted = True


@dataclass(slots=True)
class Spools:
    """Makes spools and remembers them."""

    made: list[MemorySpool] = field(default_factory=list)

    def __call__(self, size: int) -> MemorySpool:
        spool = MemorySpool(size)
        self.made.append(spool)
        return spool


def make_reader(limits: Limits | None = None, *, utf8: bool = False) -> CommandReader:
    reader = CommandReader(limits or Limits(), Spools())
    reader.utf8 = utf8
    return reader


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    for position in range(len(data)):
        yield data[position : position + 1]


CUTS: tuple[Callable[[bytes], Iterable[bytes]], ...] = (whole, byte_by_byte)


def events(reader: CommandReader, pieces: Iterable[bytes]) -> list[Event]:
    """Feed the pieces, asking for all there is after each."""
    seen: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next_command()) is not None:
            seen.append(event)
    return seen


def parse(line: bytes, *, utf8: bool = False, limits: Limits | None = None) -> Command:
    """Return the command of a line without tag, read in every way of cutting, with another command behind it."""
    commands: list[Command] = []
    for cut in CUTS:
        reader = make_reader(limits, utf8=utf8)
        first, second = [
            event for event in events(reader, cut(b"a1 " + line + b"\r\nb2 NOOP\r\n")) if hasattr(event, "tag")
        ]
        assert isinstance(first, ReadCommand), first
        assert first.tag == "a1"
        assert isinstance(second, ReadCommand)
        assert second.tag == "b2"
        commands.append(first.command)
    assert all(command == commands[0] for command in commands)
    return commands[0]


def refusal(line: bytes, *, utf8: bool = False, limits: Limits | None = None) -> BadCommand:
    """Return how a line without tag is refused; the command behind it must still be read."""
    refusals: list[BadCommand] = []
    for cut in CUTS:
        reader = make_reader(limits, utf8=utf8)
        first, second = [
            event for event in events(reader, cut(b"a1 " + line + b"\r\nb2 NOOP\r\n")) if hasattr(event, "tag")
        ]
        assert isinstance(first, BadCommand), first
        assert first.tag == "a1"
        assert first.text
        assert isinstance(second, ReadCommand)
        assert second.tag == "b2"
        refusals.append(first)
    assert all(refused == refusals[0] for refused in refusals)
    return refusals[0]
