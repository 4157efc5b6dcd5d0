"""APPEND and REPLACE: RFC 9051 section 6.3.12, RFC 3501 section 6.3.11, RFC 3502, RFC 3516 section 4.4, RFC 4469,
RFC 6855 section 4, RFC 8508."""

from __future__ import annotations

import re
from datetime import datetime

from gateway.wire import commands, dates
from gateway.wire.commands import AppendMessage, Catenation
from gateway.wire.parser.cursor import Cursor, MessageLiteral, SyntaxFault
from gateway.wire.parser.store import read_flag
from gateway.wire.sequence_set import SequenceSet

NAMES = frozenset({"APPEND", "REPLACE", "UID REPLACE"})
"""The commands that bring messages."""

# What may stand between a message's literal and the next. The whole is parsed once all is there; this is to know the
# literals of messages from those of URLs, and to refuse what cannot become a command before its octets are taken.
_URL_PART = rb'URL (?:"(?:[^"\\]|\\.)*"|[^ ()"]+)'
_PARTS = rb"(?:" + _URL_PART + rb" )*(?:TEXT |(?:TEXT )?UTF8 \()\Z"
_FLAGS_AND_DATE = rb'(?:\([^()]*\) +)?(?:"[^"]*" +)?'
# A message whose parts are URLs, none of which is a literal.
_OF_URLS = _FLAGS_AND_DATE + rb"CATENATE \(" + _URL_PART + rb"(?: " + _URL_PART + rb")*\) "
_NEXT_PART = re.compile(rb"(?: ?|\) )" + _PARTS, re.IGNORECASE)
_NEXT_MESSAGE = re.compile(
    rb"(?:\)? " + _URL_PART + rb")*\)*? "
    rb"(?:" + _OF_URLS + rb")*" + _FLAGS_AND_DATE + rb"(?:(?:UTF8 \()?\Z|CATENATE \(" + _PARTS + rb")",
    re.IGNORECASE,
)
_URL_ENDS = (b" URL ", b"CATENATE (URL ")


def is_url_next(text: bytes) -> bool:
    """Tell whether what is announced behind `text` is a URL of CATENATE."""
    known = text.upper()
    return known.endswith(_URL_ENDS) and (known.startswith(b" ") or b"CATENATE (" in known)


def check_between(text: bytes) -> None:
    """Check what stands between the octets of two messages, or of two parts of one.

    Raises:
        SyntaxFault: nothing that fits.
    """
    if not (_NEXT_PART.match(text) or _NEXT_MESSAGE.match(text)):
        raise SyntaxFault("Another message expected")


def read_head(cursor: Cursor, name: str) -> None:
    """Read up to and including the first octets of a message, with the cursor behind the command's name.

    Raises:
        SyntaxFault: what has come cannot be the beginning of the command.
    """
    cursor.space()
    if name != "APPEND":
        _read_number(cursor)
        cursor.space()
    cursor.mailbox()
    cursor.space()
    while True:
        _read_flags_and_date(cursor)
        if not cursor.accept_word(b"CATENATE"):
            _accept_utf8(cursor)
            cursor.message_literal()
            return
        cursor.space()
        cursor.expect(b"(")
        if _read_to_octets(cursor):
            return
        if name != "APPEND":
            raise SyntaxFault("One message expected")
        cursor.space()


def _read_to_octets(cursor: Cursor) -> bool:
    """Read parts up to and including the first octets; False if they end first: all of them are URLs."""
    while not isinstance(_read_part(cursor, is_whole=False), MessageLiteral):
        if cursor.peek() == b")":
            cursor.expect(b")")
            return False
        cursor.space()
    return True


def read_append(cursor: Cursor) -> commands.Append:
    """Read APPEND's arguments; contents are `MessageLiteral`s in place of what the spool will give."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    messages = [_read_message(cursor)]
    while cursor.accept_space():
        cursor.count()
        messages.append(_read_message(cursor))
    return commands.Append(mailbox, tuple(messages))


def read_replace(cursor: Cursor, *, is_uid: bool) -> commands.Replace:
    """Read `SP seq-number SP mailbox append-message`."""
    cursor.space()
    number = _read_number(cursor)
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    return commands.Replace(number, is_uid, mailbox, _read_message(cursor))


def _read_number(cursor: Cursor) -> SequenceSet:
    """Read `seq-number`, of which `*` is one."""
    number = cursor.sequence_set()
    if number.is_saved_result or len(number.ranges) != 1 or number.ranges[0][0] != number.ranges[0][1]:
        raise SyntaxFault("One message expected")
    return number


def _read_message(cursor: Cursor) -> AppendMessage:
    flags, internal_date = _read_flags_and_date(cursor)
    if cursor.accept_word(b"CATENATE"):
        cursor.space()
        parts = cursor.in_parentheses(lambda: _read_part(cursor))
        return AppendMessage(Catenation(tuple(parts)), flags, internal_date)
    is_utf8 = _accept_utf8(cursor)
    content = cursor.message_literal()
    if is_utf8:
        cursor.expect(b")")
    return AppendMessage(content, flags, internal_date, is_utf8)


def _read_flags_and_date(cursor: Cursor) -> tuple[tuple[str, ...], datetime | None]:
    flags: tuple[str, ...] = ()
    if cursor.peek() == b"(":
        flags = tuple(cursor.in_parentheses(lambda: read_flag(cursor), is_empty_allowed=True))
        cursor.space()
    internal_date: datetime | None = None
    if cursor.peek() == b'"':
        try:
            internal_date = dates.parse_date_time(cursor.string())
        except ValueError as error:
            raise SyntaxFault(f"Invalid date: {error}") from None
        cursor.space()
    return flags, internal_date


def _accept_utf8(cursor: Cursor) -> bool:
    """Read `UTF8 SP "("` if it comes next."""
    if not cursor.accept_word(b"UTF8"):
        return False
    cursor.space()
    cursor.expect(b"(")
    return True


def _read_part(cursor: Cursor, *, is_whole: bool = True) -> MessageLiteral | str:
    """Read `cat-part`; without `is_whole` the octets of a text part may be the last that has come."""
    # RFC 6855 section 4 has `utf8-literal` as a part of its own; it is taken behind TEXT as well.
    is_utf8 = _accept_utf8(cursor)
    if not is_utf8:
        word = cursor.word()
        cursor.space()
        if word == b"URL":
            url = cursor.astring()
            try:
                return url.decode("ascii")
            except UnicodeDecodeError:
                raise SyntaxFault("A URL is US-ASCII") from None
        if word != b"TEXT":
            raise SyntaxFault("TEXT or URL expected")
        is_utf8 = _accept_utf8(cursor)
    literal = cursor.message_literal()
    if is_utf8 and is_whole:
        cursor.expect(b")")
    return literal
