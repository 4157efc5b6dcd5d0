"""The server's reader: octets in, commands out, however they are cut into packets. No I/O.

It is pulled: the session asks for one command, acts on it, and asks again. So what a client pipelined behind IDLE's
`DONE`, STARTTLS or AUTHENTICATE is read by whoever should read it, and never thrown away (RFC 9051 section 5.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.wire.codes import Code, Status
from gateway.wire.commands import Append, AppendMessage, Catenation, Command, Literal, Replace
from gateway.wire.limits import Limits
from gateway.wire.line_buffer import TAIL_OCTETS, LineBuffer, LineTooLong
from gateway.wire.parser import append, grammar
from gateway.wire.parser.cursor import AnyLiteral, Cursor, InlineLiteral, MessageLiteral, SyntaxFault

__all__ = [
    "BadCommand",
    "CommandReader",
    "ContinuationNeeded",
    "Event",
    "FatalError",
    "Limits",
    "LineTooLong",
    "ReadCommand",
    "Spool",
]

_ANNOUNCEMENT = re.compile(rb"(~?)\{([0-9]+)(\+?)\}$")
_BEFORE_MAILBOX = re.compile(rb" *[^ ]+ +(?:APPEND|(?:UID +)?REPLACE +[0-9*]+) +", re.IGNORECASE)
_DRAIN_FACTOR = 10
_MESSAGES_FACTOR = 10
"""The messages of one command may have so many times the octets of the largest message."""


class Spool(Protocol):
    """Where the messages of an APPEND go, one behind the other.

    Its owner are in the end those who have the contents; until the whole command is there, `abort` ends it.
    """

    def write(self, data: bytes) -> None:
        """Take the next octets.

        Raises:
            OSError: it cannot be stored; the reader aborts, drains the literal and answers NO.
        """

    def next_content(self) -> Literal:
        """Return what was written since the last call, as a value of its own."""

    def abort(self) -> None:
        """Forget what was written. Never raises."""


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """A command to carry out. `name` is as in the RFCs, in capitals: `FETCH`, `UID FETCH`."""

    tag: str
    command: Command
    name: str


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A command that was refused; the stream is at the start of the next.

    `tag` is None if none could be read: answer `* BAD`. `status` is BAD or NO. `arguments` goes into the response code
    behind `code`: the list of charsets for BADCHARSET. `is_saving`: what was found would have been saved (RFC 5182).
    """

    tag: str | None
    text: str
    code: Code | None = None
    status: Status = Status.BAD
    arguments: bytes = b""
    is_saving: bool = False


@dataclass(frozen=True, slots=True)
class ContinuationNeeded:
    """The client waits for `+` before it sends a literal."""


@dataclass(frozen=True, slots=True)
class FatalError:
    """The stream cannot be brought back in step: answer `* BYE` with `text` and close. Nothing more will be read."""

    text: str
    code: Code | None = None


Event = ReadCommand | BadCommand | ContinuationNeeded | FatalError


class _Command:
    """A command of which part has been read."""

    __slots__ = (
        "contents",
        "drained",
        "inline",
        "is_message",
        "line_octets",
        "literals",
        "message_octets",
        "name",
        "octets",
        "refusal",
        "spool",
        "texts",
    )

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.literals: list[AnyLiteral] = []
        self.inline = bytearray()  # the literal being read
        self.line_octets = 0
        self.name = ""  # known from the first literal on
        self.octets = 0  # announced as inline literals
        self.drained = 0
        self.spool: Spool | None = None
        self.is_message = False  # the literal being read goes to the spool
        self.message_octets = 0  # announced as messages
        self.contents: list[Literal] = []
        self.refusal: BadCommand | None = None

    def refuse(self, refusal: BadCommand) -> None:
        """Keep nothing of the command but the answer; what is left of it is read and dropped."""
        self.abort()
        self.texts.clear()
        self.literals.clear()
        self.inline.clear()
        self.refusal = refusal

    def abort(self) -> None:
        if self.spool is not None:
            self.spool.abort()
            self.spool = None


class CommandReader:
    """Cuts a client's octets into commands and parses them. Linear in time, bounded in memory by `limits`.

    `feed` only buffers; watch `buffered_octets` and stop reading from the network while it is large.
    """

    __slots__ = (
        "_command",
        "_input",
        "_is_dead",
        "_limits",
        "_literal",
        "_make_spool",
        "_remaining",
        "utf8",
    )

    def __init__(self, limits: Limits, spool: Callable[[int], Spool]) -> None:
        """`spool` is called with a size in octets when an APPEND's message begins; it may raise OSError."""
        self.utf8 = False
        self._limits = limits
        self._make_spool = spool
        self._input = LineBuffer()
        self._is_dead = False
        self._command = _Command()
        self._literal: tuple[int, bool] | None = None  # size, is binary; of the literal being read
        self._remaining = 0

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def append_octets(self) -> int:
        """The largest message that APPEND takes; 0 before the login keeps strangers from filling the spool."""
        return self._limits.append_octets

    @append_octets.setter
    def append_octets(self, octets: int) -> None:
        self._limits = replace(self._limits, append_octets=octets)

    @property
    def buffered_octets(self) -> int:
        """How many octets were fed and not read yet."""
        return len(self._input)

    @property
    def is_receiving_message(self) -> bool:
        """Whether the message of an APPEND is being read."""
        return self._literal is not None and self._command.is_message

    def feed(self, data: bytes) -> None:
        """Add octets from the network."""
        if not self._is_dead:
            self._input.feed(data)

    def take_input(self) -> bytes:
        """Return every octet that was fed and not read yet, and forget it. To be called only between commands."""
        return self._input.take(len(self._input))

    def discard_input(self) -> None:
        """Forget every octet and any half-read command.

        At STARTTLS, where what came before the handshake must not count (RFC 9051 section 6.2.1), and when the client
        is gone.
        """
        self._input.clear()
        self._remaining = 0
        self._literal = None
        self._command.abort()
        self._command = _Command()

    def next_line(self) -> bytes | LineTooLong | None:
        """Return the next line without its end: an answer to AUTHENTICATE, or IDLE's `DONE`. None: needs more octets.

        To be called only between commands.
        """
        return self._input.take_line(self._limits.line_octets)

    def next_command(self) -> Event | None:
        """Return what comes next; None: needs more octets. Never raises, whatever was fed."""
        while not self._is_dead:
            if self._literal is not None:
                if not self._read_literal():
                    return None
                continue
            command = self._command
            line = self._input.take_line(max(self._limits.line_octets - command.line_octets, 0))
            if line is None:
                return None
            if line == b"" and not command.texts and command.refusal is None:
                # Laxer than RFC 9051 section 9: some clients end a command with two line ends.
                continue
            event = self._end_of_line(command, line)
            if event is not None:
                return event
        return None

    # -- lines --------------------------------------------------------------------------------------------------------

    def _end_of_line(self, command: _Command, line: bytes | LineTooLong) -> Event | None:
        if isinstance(line, LineTooLong):
            if command.refusal is None:
                head = command.texts[0] if command.texts else line.head
                # A head without a space may have cut the tag short.
                tag = _tag_of(head) if b" " in head else None
                command.refuse(BadCommand(tag, "Command line too long", Code.LIMIT))
            line = line.tail
        command.line_octets += len(line)
        announcement = _ANNOUNCEMENT.search(line, max(len(line) - TAIL_OCTETS, 0)) if line.endswith(b"}") else None
        if announcement is not None:
            return self._announced(command, line[: announcement.start()], announcement)
        self._command = _Command()
        if command.refusal is not None:
            return command.refusal
        command.texts.append(line)
        return self._parse(command)

    # -- literals -----------------------------------------------------------------------------------------------------

    def _announced(self, command: _Command, text: bytes, announcement: re.Match[bytes]) -> Event | None:
        size = int(announcement[2])
        is_binary, is_synchronising = bool(announcement[1]), not announcement[3]
        if command.refusal is None:
            command.texts.append(text)
            refusal = self._prepare(command, size, is_binary)
            if refusal is None and not is_synchronising:
                refusal = self._check_unasked(command, size)
            if refusal is not None:
                command.refuse(refusal)
        if command.refusal is None:
            self._begin_literal(size, is_binary)
            return ContinuationNeeded() if is_synchronising else None
        if is_synchronising:
            # The client waits for our answer and sends no literal after a refusal (RFC 9051 section 4.3).
            self._command = _Command()
            return command.refusal
        command.drained += size
        if command.drained > _DRAIN_FACTOR * max(self._limits.append_octets, self._limits.literal_octets):
            self.discard_input()
            self._is_dead = True
            return FatalError("Literal too large", Code.TOOBIG)
        self._begin_literal(size, is_binary)
        return None

    def _begin_literal(self, size: int, is_binary: bool) -> None:
        self._literal = (size, is_binary)
        self._remaining = size

    def _prepare(self, command: _Command, size: int, is_binary: bool) -> BadCommand | None:
        """Make room for the literal just announced; return the refusal if the command cannot become a good one."""
        tag = _tag_of(command.texts[0])
        try:
            if not command.name:
                command.name = self._name_of(command.texts[0])
            command.is_message = self._is_message(command, MessageLiteral(size, is_binary))
        except SyntaxFault as fault:
            return _bad_command(tag, fault)
        if command.is_message:
            return self._prepare_message(command, tag, size)
        command.octets += size
        if command.octets > self._limits.literal_octets:
            return BadCommand(tag, "Literal too large", Code.LIMIT, Status.NO)
        return None

    def _check_unasked(self, command: _Command, size: int) -> BadCommand | None:
        """Return the refusal of a literal that is too large to be sent without waiting for us."""
        largest = self._limits.unasked_octets
        if largest is None or size <= largest:
            return None
        code = Code.TOOBIG if command.name in append.NAMES else None
        return BadCommand(_tag_of(command.texts[0]), f"Literals above {largest} octets wait for the server", code)

    def _name_of(self, text: bytes) -> str:
        cursor = self._cursor([text], [])
        grammar.read_tag(cursor)
        return grammar.read_name(cursor)

    def _is_message(self, command: _Command, literal: MessageLiteral) -> bool:
        """Tell whether the literal just announced is one of those that go to the spool.

        Raises:
            SyntaxFault: it is, and what stands before it does not fit.
        """
        if command.name not in append.NAMES or (
            len(command.texts) == 1 and _BEFORE_MAILBOX.fullmatch(command.texts[0])
        ):
            return False
        if append.is_url_next(command.texts[-1]):
            return False
        if command.spool is not None:
            append.check_between(command.texts[-1])
            return True
        cursor = self._cursor([*command.texts, b""], [*command.literals, literal])
        grammar.read_tag(cursor)
        append.read_head(cursor, grammar.read_name(cursor))
        return True

    def _prepare_message(self, command: _Command, tag: str | None, size: int) -> BadCommand | None:
        largest = self._limits.append_octets
        if size > largest:
            return BadCommand(tag, "Message too large", Code.TOOBIG, Status.NO)
        command.message_octets += size
        if command.message_octets > _MESSAGES_FACTOR * largest or len(command.contents) >= self._limits.arguments:
            return BadCommand(tag, "Too many messages at a time", Code.LIMIT, Status.NO)
        try:
            command.spool = command.spool or self._make_spool(size)
        except OSError:
            return _unstorable(tag)
        return None

    def _read_literal(self) -> bool:
        """Move what there is of the literal to where it goes; tell whether that was all."""
        assert self._literal is not None
        command = self._command
        taken = min(self._remaining, len(self._input))
        if taken:
            if command.refusal is None:
                self._keep(command, self._input.take(taken))
            else:
                self._input.drop(taken)
            self._remaining -= taken
        if self._remaining:
            return False
        size, is_binary = self._literal
        self._literal = None
        if command.refusal is not None:
            return True
        if command.is_message and command.spool is not None:
            command.literals.append(MessageLiteral(size, is_binary))
            command.contents.append(command.spool.next_content())
        else:
            command.literals.append(InlineLiteral(bytes(command.inline), is_binary))
            command.inline.clear()
        return True

    def _keep(self, command: _Command, data: bytes) -> None:
        if command.spool is None or not command.is_message:
            command.inline += data
            return
        try:
            command.spool.write(data)
        except OSError:
            command.refuse(_unstorable(_tag_of(command.texts[0])))

    # -- commands -----------------------------------------------------------------------------------------------------

    def _cursor(self, texts: Sequence[bytes], literals: Sequence[AnyLiteral]) -> Cursor:
        return Cursor(texts, literals, limits=self._limits, utf8=self.utf8)

    def _parse(self, command: _Command) -> ReadCommand | BadCommand:
        cursor = self._cursor(command.texts, command.literals)
        tag: str | None = None
        try:
            tag = grammar.read_tag(cursor)
            name = grammar.read_name(cursor)
            parsed = grammar.read_arguments(name, cursor)
        except SyntaxFault as fault:
            command.abort()
            return replace(_bad_command(tag, fault), is_saving=cursor.is_saving)
        if isinstance(parsed, Append | Replace):
            parsed = _with_contents(parsed, iter(command.contents))
        return ReadCommand(tag, parsed, name)


def _with_contents(command: Append | Replace, contents: Iterator[Literal]) -> Append | Replace:
    """Put what the spool has given in place of the literals, in order."""
    if isinstance(command, Replace):
        return replace(command, message=_with_content(command.message, contents))
    return replace(command, messages=tuple(_with_content(message, contents) for message in command.messages))


def _with_content(message: AppendMessage, contents: Iterator[Literal]) -> AppendMessage:
    if isinstance(message.content, Catenation):
        parts = (part if isinstance(part, str) else next(contents) for part in message.content.parts)
        return replace(message, content=Catenation(tuple(parts)))
    return replace(message, content=next(contents))


def _tag_of(text: bytes) -> str | None:
    try:
        return grammar.read_tag(Cursor([text]))
    except SyntaxFault:
        return None


def _bad_command(tag: str | None, fault: SyntaxFault) -> BadCommand:
    return BadCommand(tag, fault.text, fault.code, fault.status, fault.arguments)


def _unstorable(tag: str | None) -> BadCommand:
    return BadCommand(tag, "The message cannot be stored at present", Code.UNAVAILABLE, Status.NO)
