"""The tokens of one response that has arrived whole: its lines, and the literals between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.wire.responses import Atom, Nested, SectionData, StreamedLiteral

DEFAULT_NESTING = 200
"""Levels of parentheses, far more than the MIME parts of any real message are nested."""

_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
# Laxer than RFC 9051 section 9 `QUOTED-CHAR`: 8-bit octets, and a bare CR or LF, which some servers let through in
# ENVELOPE; the end of the string is clear all the same.
_TOKEN = re.compile(
    rb" *(?:"
    rb"(?P<open>\()"
    rb"|(?P<close>\))"
    rb'|"(?P<quoted>[^"\\]*(?:\\.[^"\\]*)*)"'
    rb"|(?P<literal>~?\{[0-9]+\+?\})\Z"
    rb"|(?P<number>[0-9]{1,20})(?=[ )]|\Z)"
    rb'|(?P<atom>[^ ()"{]+)'
    rb")",
    re.DOTALL,
)
_WORD = re.compile(rb'[^ ()\[\]<>"{]+')


class ResponseSyntaxError(ValueError):
    """The response is against the grammar."""


class Scanner:
    """Reads tokens from `lines`, where literal `n` stands at the end of line `n` in place of its `{size}`."""

    __slots__ = ("_index", "_lines", "_literals", "_nesting", "line", "position")

    def __init__(
        self,
        lines: Sequence[bytes],
        literals: Sequence[bytes | StreamedLiteral],
        position: int = 0,
        nesting: int = DEFAULT_NESTING,
    ) -> None:
        self._lines = lines
        self._literals = literals
        self._nesting = nesting
        self._index = 0
        self.line = lines[0]
        self.position = position

    @property
    def is_at_end(self) -> bool:
        return self.position >= len(self.line) and self._index == len(self._lines) - 1

    def peek(self) -> bytes:
        """Return the next octet, spaces skipped; empty at the end of a line."""
        line, position = self.line, self.position
        while line[position : position + 1] == b" ":
            position += 1
        self.position = position
        return line[position : position + 1]

    def accept(self, octet: bytes) -> bool:
        """Step over `octet` if it is next, spaces skipped."""
        if self.peek() != octet:
            return False
        self.position += 1
        return True

    def expect(self, octet: bytes) -> None:
        if not self.accept(octet):
            raise ResponseSyntaxError(f"{octet.decode()} expected")

    def word(self) -> bytes:
        """Return the next run of octets that are neither space, bracket nor quote, in upper case."""
        self.peek()
        match = _WORD.match(self.line, self.position)
        if match is None:
            raise ResponseSyntaxError("a word expected")
        self.position = match.end()
        return match[0].upper()

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Step over what `pattern` matches here in this line."""
        match = pattern.match(self.line, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def number(self) -> int:
        value = self.value()
        if not isinstance(value, int):
            raise ResponseSyntaxError("a number expected")
        return value

    def nstring(self) -> bytes | None:
        """Return a string, or None for NIL. A bare word or number is taken for its text."""
        value = self.value()
        if isinstance(value, int):
            return b"%d" % value
        if isinstance(value, tuple):
            raise ResponseSyntaxError("a string expected, not a list")
        return bytes(value) if value is not None else None

    def astring(self) -> bytes:
        """Return an `astring`; NIL, where no NIL can be, is the word. A number keeps its leading zeros.

        Laxer than RFC 9051 section 9: an atom may hold any octet but space, parentheses, quote and brace.
        """
        self.peek()
        match = _TOKEN.match(self.line, self.position)
        if match is not None and match.lastgroup in ("atom", "number"):
            self.position = match.end()
            return match[match.lastgroup]
        value = self.value()
        if not isinstance(value, bytes):
            raise ResponseSyntaxError("a string expected")
        return value

    def message_data(self) -> SectionData:
        """Return the octets of a section: a string, a literal (possibly handed out before), or None for NIL."""
        self.peek()
        match = _TOKEN.match(self.line, self.position)
        if match is not None and match.lastgroup == "literal":
            return self._literal()
        return self.nstring()

    def object_id(self) -> str | None:
        """Return the id of `(id)`, which may look like a number or like NIL; None for NIL (RFC 8474 section 7)."""
        if not self.accept(b"("):
            # Laxer than RFC 8474 section 7: an id without its parentheses is one too.
            bare = self.nstring()
            return None if bare is None else bare.decode("ascii", "replace")
        found = self.astring()
        self.expect(b")")
        return found.decode("ascii", "replace")

    def value(self) -> Nested:
        """Return whatever stands next: a string, number, NIL, bare word, or a list of such."""
        lists: list[list[Nested]] = []
        while True:
            match = _TOKEN.match(self.line, self.position)
            if match is None:
                raise ResponseSyntaxError("unfinished or unexpected data")
            self.position = match.end()
            kind = match.lastgroup
            item: Nested
            if kind == "quoted":
                item = match["quoted"]
                if b"\\" in item:
                    item = _ESCAPE.sub(rb"\1", item)
            elif kind == "number":
                item = int(match["number"])
            elif kind == "open":
                if len(lists) >= self._nesting:
                    raise ResponseSyntaxError("too many levels of parentheses")
                lists.append([])
                continue
            elif kind == "close":
                if not lists:
                    raise ResponseSyntaxError("unexpected )")
                item = tuple(lists.pop())
            elif kind == "literal":
                item = self._plain_literal()
            else:
                item = match["atom"]
                item = None if item.upper() == b"NIL" else Atom(item)
            if not lists:
                return item
            lists[-1].append(item)

    def skip_line(self) -> None:
        """Step over the rest of this line, up to and including a literal at its end."""
        if self._index < len(self._literals):
            self._literal()
        else:
            self.position = len(self.line)

    def _plain_literal(self) -> bytes:
        literal = self._literal()
        if isinstance(literal, StreamedLiteral):
            raise ResponseSyntaxError("a large literal where none can be")
        return literal

    def _literal(self) -> bytes | StreamedLiteral:
        if self._index >= len(self._literals):
            raise ResponseSyntaxError("a literal without its octets")
        literal = self._literals[self._index]
        self._index += 1
        self.line = self._lines[self._index]
        self.position = 0
        return literal
