"""LIST, LSUB and XLIST (RFC 9051 section 6.3.9, RFC 3501 section 6.3.9, RFC 5258, RFC 5819, RFC 6154 section 6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.wire import commands
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.mailboxes import read_status_items
from gateway.wire.parser.metadata import read_entries

_SELECTIONS = {option.value: option for option in commands.ListSelection}
_RETURNS = {option.value: option for option in commands.ListReturn}


@dataclass(slots=True)
class _Returns:
    options: set[commands.ListReturn] = field(default_factory=set)
    status: tuple[commands.StatusItem, ...] = ()
    annotations: tuple[str, ...] = ()


def read_list(cursor: Cursor) -> commands.List:
    """Read `[SP "(" selection ")"] SP mailbox SP mbox-or-pat [SP "RETURN" SP "(" options ")"]`."""
    cursor.space()
    is_extended = False
    selection: frozenset[commands.ListSelection] = frozenset()
    if cursor.peek() == b"(":
        is_extended = True
        selection = _read_selection(cursor)
        cursor.space()
    reference = cursor.mailbox_reference()
    cursor.space()
    if cursor.peek() == b"(":
        is_extended = True
        patterns = tuple(cursor.in_parentheses(cursor.mailbox_pattern))
    else:
        patterns = (cursor.mailbox_pattern(),)
    returns = _Returns()
    if cursor.accept_space():
        is_extended = True
        if not cursor.accept_word(b"RETURN"):
            raise cursor.fault("RETURN expected")
        cursor.space()
        cursor.in_parentheses(lambda: _read_return(cursor, returns), is_empty_allowed=True)
    return commands.List(
        commands.ListKind.LIST,
        reference,
        patterns,
        is_extended,
        selection,
        frozenset(returns.options),
        returns.status,
        returns.annotations,
    )


def read_plain_list(cursor: Cursor, kind: commands.ListKind) -> commands.List:
    """Read `SP mailbox SP list-mailbox`, which is all that LSUB and XLIST have."""
    cursor.space()
    reference = cursor.mailbox_reference()
    cursor.space()
    return commands.List(kind, reference, (cursor.mailbox_pattern(),))


def _read_selection(cursor: Cursor) -> frozenset[commands.ListSelection]:
    options = frozenset(cursor.in_parentheses(lambda: _read_selection_option(cursor), is_empty_allowed=True))
    if commands.ListSelection.RECURSIVEMATCH in options and commands.ListSelection.SUBSCRIBED not in options:
        # RFC 5258 section 3.1 asks for BAD: it modifies a base option, and SUBSCRIBED is the only one.
        raise SyntaxFault("RECURSIVEMATCH needs SUBSCRIBED")
    return options


def _read_selection_option(cursor: Cursor) -> commands.ListSelection:
    name = cursor.word()
    if name not in _SELECTIONS:
        raise SyntaxFault("Unknown LIST selection option")
    return _SELECTIONS[name]


def _read_return(cursor: Cursor, returns: _Returns) -> None:
    name = cursor.word()
    if name == b"STATUS":
        cursor.space()
        returns.status = read_status_items(cursor)
    elif name == b"METADATA":
        cursor.space()
        returns.annotations = read_entries(cursor)
    elif name in _RETURNS:
        returns.options.add(_RETURNS[name])
    else:
        raise SyntaxFault("Unknown LIST return option")
