"""SELECT, EXAMINE, CREATE, RENAME, STATUS and others about mailboxes (RFC 9051 section 6.3, RFC 7162, RFC 6154)."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.wire import commands
from gateway.wire.codes import Code, Status
from gateway.wire.flags import canonical
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.sequence_set import SequenceSet

_STATUS_ITEMS = {item.value: item for item in commands.StatusItem}
_PLAIN_ITEMS = re.compile(rb"\(([A-Za-z-]+(?: [A-Za-z-]+){0,10})\)")
"""STATUS items as all clients write them, and no more than there are."""


def read_mailbox(cursor: Cursor) -> str:
    """Read `SP mailbox`."""
    cursor.space()
    return cursor.mailbox()


def read_select(cursor: Cursor, *, is_examine: bool) -> commands.Select:
    """Read `SP mailbox [SP "(" select-param *(SP select-param) ")"]` (RFC 7162 section 7)."""
    mailbox = read_mailbox(cursor)
    condstore = False
    qresync: commands.QresyncParameters | None = None
    if cursor.accept_space():
        parameters = cursor.in_parentheses(lambda: _read_select_parameter(cursor))
        condstore = None in parameters
        given = [parameter for parameter in parameters if parameter is not None]
        if len(given) > 1:
            raise SyntaxFault("QRESYNC given twice")
        qresync = given[0] if given else None
    return commands.Select(mailbox, is_examine, condstore, qresync)


def read_create(cursor: Cursor) -> commands.Create:
    """Read `SP mailbox [SP "(" "USE" SP "(" use-attr *(SP use-attr) ")" ")"]` (RFC 6154 section 6)."""
    cursor.space()
    mailbox = cursor.new_mailbox()
    uses: list[str] = []
    if cursor.accept_space():
        for parameter in cursor.in_parentheses(lambda: _read_use(cursor)):
            uses.extend(parameter)
    return commands.Create(mailbox, tuple(uses))


def read_rename(cursor: Cursor) -> commands.Rename:
    """Read `SP mailbox SP mailbox`."""
    old = read_mailbox(cursor)
    cursor.space()
    return commands.Rename(old, cursor.new_mailbox())


def read_status(cursor: Cursor) -> commands.Status:
    """Read `SP mailbox SP "(" status-att *(SP status-att) ")"`."""
    mailbox = read_mailbox(cursor)
    cursor.space()
    return commands.Status(mailbox, read_status_items(cursor))


def read_status_items(cursor: Cursor) -> tuple[commands.StatusItem, ...]:
    """Read the items in their parentheses; an item asked twice is answered once."""
    plain = cursor.match(_PLAIN_ITEMS)
    if plain is not None:
        return _plain_items(plain[1])
    return tuple(dict.fromkeys(cursor.in_parentheses(lambda: _read_status_item(cursor))))


@lru_cache(maxsize=256)
def _plain_items(words: bytes) -> tuple[commands.StatusItem, ...]:
    """Return the items; a client asks for the same ones all the time."""
    names = words.upper().split(b" ")
    if any(name not in _STATUS_ITEMS for name in names):
        raise SyntaxFault("Unknown STATUS item")
    return tuple(dict.fromkeys(_STATUS_ITEMS[name] for name in names))


def _read_status_item(cursor: Cursor) -> commands.StatusItem:
    name = cursor.word()
    if name not in _STATUS_ITEMS:
        raise SyntaxFault("Unknown STATUS item")
    return _STATUS_ITEMS[name]


def _read_select_parameter(cursor: Cursor) -> commands.QresyncParameters | None:
    """Read CONDSTORE, returned as None, or QRESYNC."""
    name = cursor.word()
    if name == b"CONDSTORE":
        return None
    if name != b"QRESYNC":
        raise SyntaxFault("Unknown SELECT parameter")
    cursor.space()
    return _read_qresync(cursor)


def _read_qresync(cursor: Cursor) -> commands.QresyncParameters:
    """Read `"(" uidvalidity SP mod-sequence [SP known-uids] [SP seq-match-data] ")"` (RFC 7162 section 7)."""
    cursor.expect(b"(")
    uidvalidity = cursor.number(smallest=1)
    cursor.space()
    # Laxer than RFC 7162 section 7: 0 as "I know nothing yet", as with CHANGEDSINCE.
    modseq = cursor.mod_sequence(smallest=0)
    known: SequenceSet | None = None
    match_sequence: SequenceSet | None = None
    match_uids: SequenceSet | None = None
    if cursor.accept(b" ") and cursor.peek() != b"(":
        known = _read_plain_set(cursor)
        cursor.accept(b" ")
    if cursor.accept(b"("):
        match_sequence = _read_plain_set(cursor)
        cursor.space()
        match_uids = _read_plain_set(cursor)
        cursor.expect(b")")
    cursor.expect(b")")
    return commands.QresyncParameters(uidvalidity, modseq, known, match_sequence, match_uids)


def _read_plain_set(cursor: Cursor) -> SequenceSet:
    """Read a set in which neither `*` nor `$` may stand (RFC 7162 section 3.2.5)."""
    numbers = cursor.sequence_set()
    if numbers.is_saved_result or any(0 in ends for ends in numbers.ranges):
        raise SyntaxFault("* and $ are not allowed in QRESYNC")
    return numbers


def _read_use(cursor: Cursor) -> list[str]:
    if not cursor.accept_word(b"USE"):
        raise SyntaxFault("Unknown CREATE parameter")
    cursor.space()
    return cursor.in_parentheses(lambda: _read_special_use(cursor), is_empty_allowed=True)


def _read_special_use(cursor: Cursor) -> str:
    if not cursor.accept(b"\\"):
        raise SyntaxFault("Special use expected", status=Status.BAD, code=Code.CLIENTBUG)
    name = "\\" + cursor.atom().decode("ascii")
    return _SPECIAL_USES.get(name.lower(), canonical(name))


_SPECIAL_USES = {
    use.lower(): use
    for use in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash")
}
