"""GETMETADATA and SETMETADATA (RFC 5464 section 5)."""

from __future__ import annotations

from gateway.wire import metadata
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.mailboxes import read_mailbox

_DEPTHS = {b"0": 0, b"1": 1, b"INFINITY": None}
_Options = dict[bytes, int | None]


def read_get_metadata(cursor: Cursor) -> metadata.GetMetadata:
    """Read `[SP options] SP mailbox SP entries`.

    Laxer than RFC 5464 section 5: the options may stand behind the mailbox, and several entries without parentheses, as
    in its examples.
    """
    cursor.space()
    options: _Options = {}
    if cursor.peek() == b"(":
        options = _read_options(cursor)
        cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    entries = None
    if not options and cursor.peek() == b"(":
        found = _read_entries_or_options(cursor)
        if isinstance(found, dict):
            options = found
            cursor.space()
        else:
            entries = found
    if entries is None:
        entries = read_entries(cursor)
        while cursor.peek() == b" ":
            cursor.space()
            entries = tuple(dict.fromkeys((*entries, *read_entries(cursor))))
    return metadata.GetMetadata(mailbox, entries, options.get(b"DEPTH", 0), options.get(b"MAXSIZE"))


def read_set_metadata(cursor: Cursor) -> metadata.SetMetadata:
    """Read `SP mailbox SP "(" entry SP value *(SP entry SP value) ")"`."""
    mailbox = read_mailbox(cursor)
    cursor.space()
    values = cursor.in_parentheses(lambda: _read_value(cursor))
    if len({name for name, _ in values}) < len(values):
        raise SyntaxFault("An entry is given twice")
    return metadata.SetMetadata(mailbox, tuple(values))


def read_entries(cursor: Cursor) -> tuple[str, ...]:
    """Read `entries`: one, or several in parentheses; one asked twice is answered once."""
    if cursor.peek() == b"(":
        return tuple(dict.fromkeys(cursor.in_parentheses(lambda: _read_entry(cursor))))
    return (_read_entry(cursor),)


def _read_entries_or_options(cursor: Cursor) -> tuple[str, ...] | _Options:
    """Read the list behind the mailbox, whose first member says which it is: names begin with a slash."""
    members: list[str | tuple[bytes, int | None]] = cursor.in_parentheses(lambda: _read_entry_or_option(cursor))
    names = [member for member in members if isinstance(member, str)]
    options = [member for member in members if not isinstance(member, str)]
    if names and options:
        raise SyntaxFault("Options and entries in one list")
    return tuple(dict.fromkeys(names)) if names else _unique(options)


def _read_entry_or_option(cursor: Cursor) -> str | tuple[bytes, int | None]:
    is_entry = cursor.peek() in (b"/", b'"') or cursor.is_at_literal()
    return _read_entry(cursor) if is_entry else _read_option(cursor)


def _read_options(cursor: Cursor) -> _Options:
    return _unique(cursor.in_parentheses(lambda: _read_option(cursor)))


def _unique(options: list[tuple[bytes, int | None]]) -> _Options:
    found = dict(options)
    if len(found) < len(options):
        raise SyntaxFault("An option is given twice")
    return found


def _read_option(cursor: Cursor) -> tuple[bytes, int | None]:
    name = cursor.word()
    cursor.space()
    if name == b"MAXSIZE":
        return name, cursor.number()
    if name == b"DEPTH":
        depth = cursor.word()
        if depth in _DEPTHS:
            return name, _DEPTHS[depth]
        raise SyntaxFault("DEPTH is 0, 1 or infinity")
    raise SyntaxFault("Unknown GETMETADATA option")


def _read_entry(cursor: Cursor) -> str:
    try:
        return metadata.fold_entry(cursor.astring())
    except ValueError as error:
        raise SyntaxFault(f"Entry: {error}") from None


def _read_value(cursor: Cursor) -> tuple[str, bytes | None]:
    name = _read_entry(cursor)
    cursor.space()
    return name, cursor.nstring8()
