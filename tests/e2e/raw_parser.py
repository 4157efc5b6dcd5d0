"""A strict reader of IMAP responses, made for the end-to-end tests alone.

It shares nothing with the gateway's own reader and forgives nothing: one space where the grammar has one, quoted
strings of 7-bit characters with only the two escapes, literals where a string may stand and nowhere else, ENVELOPE and
BODYSTRUCTURE of exactly the prescribed shape (RFC 3501 section 9, RFC 9051 section 9).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, TypeVar

from tests.e2e.raw_values import (
    Continuation,
    Data,
    Fetched,
    Listed,
    Numbered,
    Response,
    Status,
    Value,
    WireError,
)

_QUOTED = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\["\\])*)"')
_QUOTED_UTF8 = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"(~?)\{(\d+)\}$")
_NUMBER = re.compile(rb"(?:0|[1-9]\d*)(?=[ )>\]]|$)")
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_FLAG = re.compile(rb'\\\*|\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_WORD = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_STATUS_LINE = re.compile(rb"(OK|NO|BAD|BYE|PREAUTH) (?:\[([^\]\r\n]+)\] ?)?([^\r\n]*)$", re.IGNORECASE)
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_DATE = re.compile(
    rb'"(?:[ 0-3]\d)-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"',
)
_ITEM = re.compile(rb"[A-Z][A-Z0-9.]*")
_SECTION_TEXT = re.compile(rb"(?:HEADER|TEXT|MIME|[1-9]\d*(?:\.[1-9]\d*)*(?:\.(?:HEADER|TEXT|MIME))?)?", re.IGNORECASE)
_HEADER_LIST = re.compile(rb"(?:[1-9]\d*\.)*HEADER\.FIELDS(?:\.NOT)? \(", re.IGNORECASE)
_ORIGIN = re.compile(rb"<(\d+)>")
_RANGE = re.compile(rb"\d+(?::\d+)?(?:,\d+(?::\d+)?)*$")


T = TypeVar("T")


class Source(Protocol):
    """Where octets come from."""

    def read_line(self) -> bytes:
        """Return the next line without its CRLF."""

    def read_exactly(self, count: int) -> bytes:
        """Return the next `count` octets."""


class ResponseParser:
    """Reads one response after the other; what does not fit raises `WireError`."""

    def __init__(self, source: Source, *, is_utf8: bool = False) -> None:
        self._source = source
        self._line = b""
        self._pos = 0
        self.is_utf8 = is_utf8

    def next_response(self) -> Response:
        self._line = self._source.read_line()
        self._pos = 0
        if self._line.startswith(b"+"):
            return self._continuation()
        if not self._line.startswith(b"* "):
            return self._tagged()
        self._pos = 2
        status = _STATUS_LINE.match(self._line, 2)
        if status:
            return self._status("*", status)
        if self._line[2:3].isdigit():
            return self._numbered()
        return self._data()

    # -- lines --------------------------------------------------------------------------------------------------------

    def _continuation(self) -> Continuation:
        if self._line != b"+" and not self._line.startswith(b"+ "):
            raise self._wrong("a continuation starts with '+ '")
        return Continuation(self._line[2:].decode("utf-8", "surrogateescape"))

    def _tagged(self) -> Status:
        tag = self._match(_TAG, "a tag")
        self._space()
        status = _STATUS_LINE.match(self._line, self._pos)
        if not status or status[1].upper() in (b"BYE", b"PREAUTH"):
            raise self._wrong("a tagged status")
        return self._status(tag.decode(), status)

    def _status(self, tag: str, found: re.Match[bytes]) -> Status:
        code = (found[2] or b"").decode("utf-8", "surrogateescape")
        return Status(tag, found[1].decode().upper(), code, found[3].decode("utf-8", "surrogateescape"))

    def _numbered(self) -> Numbered | Fetched:
        number = self._number()
        self._space()
        kind = self._match(_ITEM, "EXISTS, RECENT, EXPUNGE or FETCH").decode()
        if kind in ("EXISTS", "RECENT", "EXPUNGE"):
            self._end()
            if kind == "EXPUNGE" and not number:
                raise self._wrong("a sequence number from 1")
            return Numbered(number, kind)
        if kind != "FETCH" or not number:
            raise self._wrong("FETCH")
        self._space()
        items: dict[str, Value] = {}
        self._take(b"(")
        self._item(items)
        while self._taken(b" "):
            self._item(items)
        self._take(b")")
        self._end()
        return Fetched(number, items)

    def _data(self) -> Listed | Data:
        kind = self._match(_ITEM, "the name of a response").decode()
        if kind in ("LIST", "LSUB", "XLIST"):
            return self._listed(kind)
        values: list[Value] = []
        if kind == "SEARCH":
            while self._taken(b" "):
                values.append(self._value() if self._peek() == b"(" else self._number())
        elif kind == "FLAGS":
            self._space()
            values.append(self._flags())
        elif kind == "STATUS":
            self._space()
            values.append(self._astring())
            self._space()
            values.append(self._value())
        elif kind == "VANISHED":
            self._space()
            if self._taken(b"(EARLIER) "):
                values.append("EARLIER")
            if not _RANGE.match(self._line, self._pos):
                raise self._wrong("a set of UIDs")
            values.append(self._line[self._pos :].decode())
            self._pos = len(self._line)
        else:
            while self._taken(b" "):
                values.append(self._value())
        self._end()
        return Data(kind, tuple(values))

    def _listed(self, kind: str) -> Listed:
        self._space()
        attributes = self._flags()
        self._space()
        separator = self._nil_or(self._quoted)
        if separator is not None and len(separator) != 1:
            raise self._wrong("one character of separator")
        self._space()
        name = self._astring()
        extended: list[Value] = []
        while self._taken(b" "):
            extended.append(self._value())
        self._end()
        return Listed(
            kind,
            frozenset(attributes),
            None if separator is None else separator.decode(),
            name.decode("utf-8"),
            tuple(extended),
        )

    # -- FETCH items --------------------------------------------------------------------------------------------------

    def _item(self, items: dict[str, Value]) -> None:
        name = self._match(_ITEM, "the name of a FETCH item").decode()
        value: Value
        if name in ("BODY", "BINARY", "BINARY.SIZE") and self._peek() == b"[":
            name += self._section()
            self._space()
            value = self._number() if name.startswith("BINARY.SIZE") else self._nstring()
        else:
            self._space()
            value = self._plain_item(name)
        if name in items:
            raise self._wrong(f"{name} only once")
        items[name] = value

    def _plain_item(self, name: str) -> Value:
        match name:
            case "UID" | "RFC822.SIZE":
                return self._number()
            case "FLAGS":
                return self._flags()
            case "INTERNALDATE":
                return self._match(_DATE, "a date-time")[1:-1]
            case "ENVELOPE":
                return self._envelope()
            case "BODY" | "BODYSTRUCTURE":
                return self._body(is_extensible=name == "BODYSTRUCTURE")
            case "RFC822" | "RFC822.HEADER" | "RFC822.TEXT":
                return self._nstring()
            case "MODSEQ" | "EMAILID" | "THREADID" | "SAVEDATE" | "PREVIEW":
                return self._value()
            case _:
                raise self._wrong("a FETCH item that is known")

    def _section(self) -> str:
        self._take(b"[")
        listed = _HEADER_LIST.match(self._line, self._pos)
        if listed:
            self._pos = listed.end()
            names = [self._astring().upper()]
            while self._taken(b" "):
                names.append(self._astring().upper())
            self._take(b")")
            text = listed[0].upper() + b" ".join(names) + b")"
        else:
            text = self._match(_SECTION_TEXT, "a section").upper()
        self._take(b"]")
        origin = _ORIGIN.match(self._line, self._pos)
        if origin:
            self._pos = origin.end()
            text += b"]" + origin[0]
        else:
            text += b"]"
        return "[" + text.decode()

    def _envelope(self) -> Value:
        self._take(b"(")
        fields: list[Value] = [self._nstring()]
        self._space()
        fields.append(self._nstring())
        for _ in range(6):
            self._space()
            fields.append(self._nil_or(self._addresses))
        for _ in range(2):
            self._space()
            fields.append(self._nstring())
        self._take(b")")
        return tuple(fields)

    def _addresses(self) -> tuple[Value, ...]:
        self._take(b"(")
        found = [self._address()]
        while self._peek() == b"(":
            found.append(self._address())
        self._take(b")")
        return tuple(found)

    def _address(self) -> tuple[Value, ...]:
        self._take(b"(")
        parts: list[Value] = [self._nstring()]
        for _ in range(3):
            self._space()
            parts.append(self._nstring())
        self._take(b")")
        return tuple(parts)

    def _body(self, *, is_extensible: bool) -> tuple[Value, ...]:
        self._take(b"(")
        if self._peek() == b"(":
            value = self._multipart(is_extensible=is_extensible)
        else:
            value = self._single_part(is_extensible=is_extensible)
        self._take(b")")
        return value

    def _multipart(self, *, is_extensible: bool) -> tuple[Value, ...]:
        parts = [self._body(is_extensible=is_extensible)]
        while self._peek() == b"(":
            parts.append(self._body(is_extensible=is_extensible))
        self._space()
        fields: list[Value] = [tuple(parts), self._string()]
        if is_extensible and self._taken(b" "):
            fields.append(self._nil_or(self._parameters))
            self._extension(fields)
        return tuple(fields)

    def _single_part(self, *, is_extensible: bool) -> tuple[Value, ...]:
        kind = self._string()
        self._space()
        subtype = self._string()
        self._space()
        fields: list[Value] = [kind, subtype, self._nil_or(self._parameters)]
        for read in (self._nstring, self._nstring, self._string, self._number):
            self._space()
            fields.append(read())
        # Only the type decides what follows. An opaque message/global, as Dovecot 2.3 has it, has no envelope.
        media = (kind.upper(), subtype.upper())
        is_message = media == (b"MESSAGE", b"RFC822")
        if media == (b"MESSAGE", b"GLOBAL"):
            is_message = self._line.startswith(b" (", self._pos)
        if is_message:
            self._space()
            fields.append(self._envelope())
            self._space()
            fields.append(self._body(is_extensible=is_extensible))
        if is_message or media[0] == b"TEXT":
            self._space()
            fields.append(self._number())
        if is_extensible and self._taken(b" "):
            fields.append(self._nstring())
            self._extension(fields)
        return tuple(fields)

    def _extension(self, fields: list[Value]) -> None:
        """Read the optional tail: disposition, language, location, and whatever comes after."""
        readers: tuple[Callable[[], Value], ...] = (self._disposition, self._language, self._nstring)
        for read in readers:
            if not self._taken(b" "):
                return
            fields.append(read())
        while self._taken(b" "):
            fields.append(self._value())

    def _parameters(self) -> tuple[Value, ...]:
        self._take(b"(")
        found: list[Value] = []
        while True:
            name = self._string()
            self._space()
            found.append((name, self._string()))
            if not self._taken(b" "):
                break
        self._take(b")")
        return tuple(found)

    def _disposition(self) -> Value:
        def read() -> tuple[Value, ...]:
            self._take(b"(")
            kind = self._string()
            self._space()
            parameters = self._nil_or(self._parameters)
            self._take(b")")
            return kind, parameters

        return self._nil_or(read)

    def _language(self) -> Value:
        if self._peek() != b"(":
            return self._nstring()
        self._take(b"(")
        found: list[Value] = [self._string()]
        while self._taken(b" "):
            found.append(self._string())
        self._take(b")")
        return tuple(found)

    # -- terminals ----------------------------------------------------------------------------------------------------

    def _value(self) -> Value:
        """Read a value of unknown kind: list, string, number, NIL or atom."""
        if self._taken(b"("):
            found: list[Value] = []
            if not self._taken(b")"):
                found.append(self._value())
                while self._taken(b" "):
                    found.append(self._value())
                self._take(b")")
            return tuple(found)
        if self._peek() == b'"' or _LITERAL.match(self._line, self._pos):
            return self._string()
        number = _NUMBER.match(self._line, self._pos)
        if number:
            return self._number()
        word = self._match(_FLAG if self._peek() == b"\\" else _WORD, "a value").decode()
        return None if word.upper() == "NIL" else word

    def _nil_or(self, read: Callable[[], T]) -> T | None:
        return None if self._taken(b"NIL") else read()

    def _nstring(self) -> bytes | None:
        return None if self._taken(b"NIL") else self._string()

    def _astring(self) -> bytes:
        if self._peek() in (b'"', b"{"):
            return self._string()
        return self._match(_ASTRING, "an astring")

    def _string(self) -> bytes:
        if self._peek() == b'"':
            return self._quoted()
        literal = _LITERAL.match(self._line, self._pos)
        if not literal:
            raise self._wrong("a string")
        data = self._source.read_exactly(int(literal[2]))
        if not literal[1] and b"\0" in data:
            raise WireError("NUL in a literal that is not a literal8")
        self._line = self._source.read_line()
        self._pos = 0
        return data

    def _quoted(self) -> bytes:
        found = (_QUOTED_UTF8 if self.is_utf8 else _QUOTED).match(self._line, self._pos)
        if not found:
            raise self._wrong("a quoted string")
        self._pos = found.end()
        text = found[1]
        return re.sub(rb"\\(.)", rb"\1", text) if b"\\" in text else text

    def _flags(self) -> tuple[str, ...]:
        self._take(b"(")
        found: list[str] = []
        if not self._taken(b")"):
            found.append(self._match(_FLAG, "a flag").decode())
            while self._taken(b" "):
                found.append(self._match(_FLAG, "a flag").decode())
            self._take(b")")
        return tuple(found)

    def _number(self) -> int:
        return int(self._match(_NUMBER, "a number"))

    def _match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        found = pattern.match(self._line, self._pos)
        if not found:
            raise self._wrong(what)
        self._pos = found.end()
        return found[0]

    def _peek(self) -> bytes:
        return self._line[self._pos : self._pos + 1]

    def _taken(self, token: bytes) -> bool:
        if self._line.startswith(token, self._pos):
            self._pos += len(token)
            return True
        return False

    def _take(self, token: bytes) -> None:
        if not self._taken(token):
            raise self._wrong(repr(token.decode()))

    def _space(self) -> None:
        self._take(b" ")

    def _end(self) -> None:
        if self._pos != len(self._line):
            raise self._wrong("the end of the line")

    def _wrong(self, expected: str) -> WireError:
        shown = self._line[max(0, self._pos - 200) : self._pos] + b" >>> " + self._line[self._pos : self._pos + 200]
        return WireError(f"expected {expected}: {shown!r}")
