"""STORE, COPY, MOVE and EXPUNGE with its UID form (RFC 9051 section 6.4, RFC 7162 section 3.1.3, 6851, X-GM-EXT-1)."""

from __future__ import annotations

from gateway.wire import commands
from gateway.wire.flags import RECENT, canonical
from gateway.wire.gmail import Label
from gateway.wire.parser.cursor import Cursor, SyntaxFault

_DATA_ITEMS = {
    b"FLAGS": (commands.StoreAction.REPLACE, False),
    b"FLAGS.SILENT": (commands.StoreAction.REPLACE, True),
    b"+FLAGS": (commands.StoreAction.ADD, False),
    b"+FLAGS.SILENT": (commands.StoreAction.ADD, True),
    b"-FLAGS": (commands.StoreAction.REMOVE, False),
    b"-FLAGS.SILENT": (commands.StoreAction.REMOVE, True),
}

_LABEL_ITEMS = {name.replace(b"FLAGS", b"X-GM-LABELS"): meaning for name, meaning in _DATA_ITEMS.items()}


def read_flag(cursor: Cursor) -> str:
    """Read `flag`, in its canonical case. \\Recent is no flag to set (RFC 3501 section 2.3.2)."""
    backslash = "\\" if cursor.accept(b"\\") else ""
    flag = canonical(backslash + cursor.atom().decode("ascii"))
    if flag == RECENT:
        raise SyntaxFault("\\Recent cannot be set")
    return flag


def read_store(cursor: Cursor, *, is_uid: bool) -> commands.Store | commands.StoreLabels:
    """Read `SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence ")"] SP store-att-flags`, or labels for flags."""
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    unchanged_since = None
    if cursor.accept(b"("):
        unchanged_since = _read_unchanged_since(cursor)
        cursor.space()
    name = cursor.word()
    if name in _LABEL_ITEMS:
        action, is_silent = _LABEL_ITEMS[name]
        cursor.space()
        return commands.StoreLabels(numbers, is_uid, action, _read_labels(cursor), is_silent, unchanged_since)
    if name not in _DATA_ITEMS:
        raise SyntaxFault("Unknown STORE data item")
    action, is_silent = _DATA_ITEMS[name]
    cursor.space()
    return commands.Store(numbers, is_uid, action, _read_flags(cursor), is_silent, unchanged_since)


def read_copy(cursor: Cursor, *, is_uid: bool, is_move: bool) -> commands.Copy:
    """Read `SP sequence-set SP mailbox`."""
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    return commands.Copy(numbers, is_uid, cursor.mailbox(), is_move)


def read_uid_expunge(cursor: Cursor) -> commands.Expunge:
    """Read `SP sequence-set` (RFC 4315 section 2.1)."""
    cursor.space()
    return commands.Expunge(cursor.sequence_set())


def _read_unchanged_since(cursor: Cursor) -> int:
    if not cursor.accept_word(b"UNCHANGEDSINCE"):
        raise cursor.fault("UNCHANGEDSINCE expected")
    cursor.space()
    # Zero is valid here (RFC 7162 section 7, `mod-sequence-valzer`): only messages never changed match.
    modseq = cursor.mod_sequence(smallest=0)
    cursor.expect(b")")
    return modseq


def _read_flags(cursor: Cursor) -> tuple[str, ...]:
    if cursor.peek() == b"(":
        return tuple(cursor.in_parentheses(lambda: read_flag(cursor), is_empty_allowed=True))
    flags = [read_flag(cursor)]
    while cursor.accept_space():
        cursor.count()
        flags.append(read_flag(cursor))
    return tuple(flags)


def _read_labels(cursor: Cursor) -> tuple[Label, ...]:
    if cursor.peek() == b"(":
        return tuple(cursor.in_parentheses(cursor.label, is_empty_allowed=True))
    labels = [cursor.label()]
    while cursor.accept_space():
        cursor.count()
        labels.append(cursor.label())
    return tuple(labels)
