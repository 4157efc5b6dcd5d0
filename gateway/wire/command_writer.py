"""Writes commands for the client side: each argument as atom, quoted string or literal, whichever its octets need.

A command comes out as segments, because a synchronising literal may be sent only after the server has asked for it
(RFC 9051 section 4.3), and because a message is not held in memory but streamed between two segments.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.wire import strings

LITERAL_MINUS_OCTETS = 4096
"""The largest non-synchronising literal under LITERAL- (RFC 7888 section 5)."""

UNASKED_MESSAGE_OCTETS = 65536
"""The largest message sent without asking under LITERAL+: a larger one is worth the round trip that tells a refusal."""

_FORBIDDEN = re.compile(rb"[\r\n\0]")
_TAG = re.compile(rb"[A-Za-z0-9]+")
_NAME = re.compile(rb"[A-Z]+(?: [A-Z]+)?")


class UnsafeArgument(ValueError):
    """An argument holds CR, LF or NUL, which could end the command and begin another."""


class LiteralMode(enum.Enum):
    """Which literals the server takes without being asked (RFC 7888)."""

    SYNCHRONISING = "synchronising"
    MINUS = "minus"
    PLUS = "plus"


@dataclass(frozen=True, slots=True)
class Text:
    """An `astring`: a mailbox name in wire encoding, a user name, a password, words to search for."""

    data: bytes

    def __repr__(self) -> str:
        return f"Text(<{len(self.data)} octets>)"


@dataclass(frozen=True, slots=True)
class Message:
    """The literal of APPEND; its octets are sent by the caller between two segments."""

    size: int


# Plain bytes are syntax and go out as they are: atoms, sequence sets, `(UID FLAGS)`. A tuple is a parenthesised list.
Argument = bytes | Text | Message | tuple["Argument", ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """Octets to send. Then, if `is_asking`, wait for `+`; then, if `message_octets` is not None, send that message."""

    data: bytes
    is_asking: bool = False
    message_octets: int | None = None


class CommandWriter:
    """Builds commands for one connection; `mode` and `utf8` follow what the server advertises and what is enabled."""

    def __init__(self, mode: LiteralMode = LiteralMode.SYNCHRONISING, *, utf8: bool = False) -> None:
        self.mode = mode
        self.utf8 = utf8

    def encode(self, tag: bytes, name: bytes, arguments: Sequence[Argument] = ()) -> list[Segment]:
        """Return the segments of `tag name arguments`; the last neither asks nor announces a message.

        Raises:
            UnsafeArgument: CR, LF or NUL in an argument.
            ValueError: `tag` or `name` is not one.
        """
        if not _TAG.fullmatch(tag) or not _NAME.fullmatch(name):
            raise ValueError("not a tag or command name")
        pieces = _Pieces()
        pieces.text(b"%b %b" % (tag, name))
        for argument in arguments:
            pieces.text(b" ")
            self._argument(argument, pieces)
        pieces.text(b"\r\n")
        return pieces.finish()

    def _argument(self, argument: Argument, pieces: _Pieces) -> None:
        match argument:
            case tuple():
                pieces.text(b"(")
                for position, item in enumerate(argument):
                    if position:
                        pieces.text(b" ")
                    self._argument(item, pieces)
                pieces.text(b")")
            case Text(data):
                self._text(data, pieces)
            case Message(size):
                is_asking = self._must_ask(size, UNASKED_MESSAGE_OCTETS)
                pieces.text(b"{%d}\r\n" % size if is_asking else b"{%d+}\r\n" % size)
                pieces.cut(is_asking, size)
            case _:
                pieces.text(_checked(argument))

    def _text(self, data: bytes, pieces: _Pieces) -> None:
        written = strings.astring(_checked(data), utf8=self.utf8)
        if not written.startswith(b"{"):
            pieces.text(written)
            return
        # `astring` never begins an atom with a brace, so this is a literal: announce it in the client's way.
        is_asking = self._must_ask(len(data), len(data))
        pieces.text(b"{%d}\r\n" % len(data) if is_asking else b"{%d+}\r\n" % len(data))
        if is_asking:
            pieces.cut(is_asking, None)
        pieces.text(data)

    def _must_ask(self, size: int, unasked_limit: int) -> bool:
        if self.mode is LiteralMode.PLUS:
            return size > unasked_limit
        return self.mode is LiteralMode.SYNCHRONISING or size > LITERAL_MINUS_OCTETS


class _Pieces:
    """Collects octets into segments."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._data = bytearray()

    def text(self, data: bytes) -> None:
        self._data += data

    def cut(self, is_asking: bool, message_octets: int | None) -> None:
        self._segments.append(Segment(bytes(self._data), is_asking, message_octets))
        self._data.clear()

    def finish(self) -> list[Segment]:
        self.cut(False, None)
        return self._segments


def _checked(data: bytes) -> bytes:
    if _FORBIDDEN.search(data):
        raise UnsafeArgument("an argument holds CR, LF or NUL")
    return data
