"""A strict reader of ENVELOPE and BODYSTRUCTURE, rule by rule after RFC 9051 section 9, and a lenient one of any list.

Both give nested lists of None (NIL), bytes (strings) and int (numbers).
"""

from __future__ import annotations

import re
from typing import Any

Value = Any

_QUOTED = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]++|\\["\\])*+)"')
_LITERAL = re.compile(rb"\{(0|[1-9][0-9]*)\}\r\n")
_NUMBER = re.compile(rb"0|[1-9][0-9]*")
_ATOM = re.compile(rb"[^\s()\[\]\"{]+(?:\[[^\]]*\])?(?:<\d+>)?")


class NotInGrammar(AssertionError):
    """The data breaks a rule."""


class Reader:
    """Each method reads the rule of its name."""

    def __init__(self, data: bytes, max_quoted: int = 1000) -> None:
        self.data = data
        self.max_quoted = max_quoted
        self.position = 0

    def fail(self, wanted: str) -> NotInGrammar:
        around = self.data[max(0, self.position - 60) : self.position + 40]
        return NotInGrammar(f"expected {wanted} at {self.position}, near {around!r}")

    def sees(self, mark: bytes) -> bool:
        return self.data.startswith(mark, self.position)

    def take(self, mark: bytes) -> None:
        if not self.sees(mark):
            raise self.fail(repr(mark))
        self.position += len(mark)

    def end(self) -> None:
        if self.position != len(self.data):
            raise self.fail("the end")

    def string(self) -> bytes:
        match = _QUOTED.match(self.data, self.position)
        if match:
            text = re.sub(rb"\\(.)", rb"\1", match[1])
            if len(text) > self.max_quoted:
                raise self.fail("a quoted string of bearable length")
            self.position = match.end()
            return text
        match = _LITERAL.match(self.data, self.position)
        if not match:
            raise self.fail("string")
        start = match.end()
        self.position = start + int(match[1])
        text = self.data[start : self.position]
        if len(text) != int(match[1]) or b"\0" in text:
            raise self.fail("CHAR8 in a literal")
        return text

    def nil(self) -> bool:
        if self.sees(b"NIL"):
            self.position += 3
            return True
        return False

    def nstring(self) -> bytes | None:
        return None if self.nil() else self.string()

    def number(self) -> int:
        match = _NUMBER.match(self.data, self.position)
        if not match:
            raise self.fail("number")
        self.position = match.end()
        return int(match[0])

    # -- envelope ------------------------------------------------------------------------------------------------------

    def envelope(self) -> Value:
        self.take(b"(")
        result: list[Value] = []
        for index in range(10):
            if index:
                self.take(b" ")
            result.append(self.nstring() if index in (0, 1, 8, 9) else self.address_list())
        self.take(b")")
        return result

    def address_list(self) -> Value:
        if self.nil():
            return None
        self.take(b"(")
        result = [self.address()]
        while self.sees(b"("):
            result.append(self.address())
        self.take(b")")
        depth = 0
        for _, _, mailbox, host in result:
            depth += (mailbox is not None) - (mailbox is None) if host is None else 0
            if depth not in (0, 1):
                raise self.fail("balanced group marks")
        if depth:
            raise self.fail("the end of a group")
        return result

    def address(self) -> Value:
        self.take(b"(")
        result = [self.nstring()]
        for _ in range(3):
            self.take(b" ")
            result.append(self.nstring())
        self.take(b")")
        return result

    # -- body ----------------------------------------------------------------------------------------------------------

    def body(self, is_extensible: bool) -> Value:
        self.take(b"(")
        result = self.body_type_mpart(is_extensible) if self.sees(b"(") else self.body_type_1part(is_extensible)
        self.take(b")")
        return result

    def body_type_mpart(self, is_extensible: bool) -> Value:
        result = [self.body(is_extensible)]
        while self.sees(b"("):
            result.append(self.body(is_extensible))
        self.take(b" ")
        result.append(self.string())
        if is_extensible:
            self.take(b" ")
            result.append(self.body_fld_param())
            result += self.body_ext()
        return result

    def body_type_1part(self, is_extensible: bool) -> Value:
        result: list[Value] = [self.string()]
        self.take(b" ")
        result.append(self.string())
        for rule in (self.body_fld_param, self.nstring, self.nstring, self.string, self.number):
            self.take(b" ")
            result.append(rule())
        kind = result[0].upper(), result[1].upper()
        if kind in ((b"MESSAGE", b"RFC822"), (b"MESSAGE", b"GLOBAL")):
            self.take(b" ")
            result.append(self.envelope())
            self.take(b" ")
            result.append(self.body(is_extensible))
        if kind[0] == b"TEXT" or len(result) == 9:
            self.take(b" ")
            result.append(self.number())
        if is_extensible:
            self.take(b" ")
            result.append(self.nstring())
            result += self.body_ext()
        return result

    def body_fld_param(self) -> Value:
        if self.nil():
            return None
        self.take(b"(")
        result = [self.string()]
        while not self.sees(b")"):
            self.take(b" ")
            result.append(self.string())
        self.take(b")")
        if len(result) % 2:
            raise self.fail("pairs of parameters")
        return result

    def body_ext(self) -> list[Value]:
        self.take(b" ")
        disposition: Value = None
        if not self.nil():
            self.take(b"(")
            disposition = [self.string()]
            self.take(b" ")
            disposition.append(self.body_fld_param())
            self.take(b")")
        self.take(b" ")
        language: Value = None
        if self.sees(b"("):
            self.take(b"(")
            language = [self.string()]
            while not self.sees(b")"):
                self.take(b" ")
                language.append(self.string())
            self.take(b")")
        else:
            language = self.nstring()
        self.take(b" ")
        return [disposition, language, self.nstring()]


def read_envelope(data: bytes) -> Value:
    """Return the value of a whole ENVELOPE.

    Raises:
        NotInGrammar: it is none.
    """
    reader = Reader(data)
    value = reader.envelope()
    reader.end()
    return value


def read_body(data: bytes, is_extensible: bool = True) -> Value:
    """Return the value of a whole BODYSTRUCTURE, or of a BODY.

    Raises:
        NotInGrammar: it is none.
    """
    reader = Reader(data)
    value = reader.body(is_extensible)
    reader.end()
    return value


def read_any(data: bytes) -> Value:
    """Return the value of any parenthesised list, with `literal8` (RFC 3516 section 7); atoms come as bytes."""
    reader = Reader(data, max_quoted=1 << 20)
    stack: list[list[Value]] = [[]]
    while reader.position < len(data):
        if reader.sees(b" "):
            reader.position += 1
        elif reader.sees(b"("):
            reader.position += 1
            stack.append([])
        elif reader.sees(b")"):
            reader.position += 1
            done = stack.pop()
            stack[-1].append(done)
        elif reader.sees(b"~{"):
            size = _LITERAL.match(data, reader.position + 1)
            if not size:
                raise reader.fail("literal8")
            reader.position = size.end() + int(size[1])
            stack[-1].append(data[size.end() : reader.position])
        elif reader.sees(b'"') or reader.sees(b"{"):
            stack[-1].append(reader.string())
        else:
            match = _ATOM.match(data, reader.position)
            if not match:
                raise reader.fail("an item")
            reader.position = match.end()
            atom = match[0]
            stack[-1].append(None if atom == b"NIL" else int(atom) if atom.isdigit() else atom)
    (result,) = stack
    return result[0]
