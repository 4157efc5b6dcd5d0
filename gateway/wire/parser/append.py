"""APPEND (RFC 9051 section 6.3.12, RFC 3501 section 6.3.11, RFC 3516 section 4.4, RFC 6855 section 4)."""

from __future__ import annotations

from datetime import datetime

from gateway.wire import commands, dates
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.store import read_flag


def read_head(cursor: Cursor) -> commands.Append:
    """Read up to and including the message, with the cursor at the mailbox name."""
    mailbox = cursor.mailbox()
    cursor.space()
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
    is_utf8 = cursor.accept_word(b"UTF8")
    if is_utf8:
        cursor.space()
        cursor.expect(b"(")
    return commands.Append(mailbox, cursor.message_literal(), flags, internal_date, is_utf8)


def read_append(cursor: Cursor) -> commands.Append:
    """Read APPEND's arguments; `content` is a `MessageLiteral` in place of what the spool will give."""
    cursor.space()
    command = read_head(cursor)
    if command.is_utf8:
        cursor.expect(b")")
    if cursor.accept_space():
        raise SyntaxFault("Only one message can be appended at a time")
    return command
