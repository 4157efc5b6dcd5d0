"""NOTIFY (RFC 5465 section 8)."""

from __future__ import annotations

import re

from gateway.wire.codes import Code, Status
from gateway.wire.fetch import FetchItem
from gateway.wire.mailbox_filter import FilterKind
from gateway.wire.notify import MESSAGE_EVENTS, Event, EventGroup, Notify
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.fetch import read_items
from gateway.wire.parser.mailbox_filter import read_filter

_EVENTS = {event.value.upper(): event for event in Event}
_EVENT_LIST = b"(%b)" % b" ".join(event.value for event in Event)
_OF_SELECTED = frozenset({FilterKind.SELECTED, FilterKind.SELECTED_DELAYED})
# RFC 7377 section 4 adds `subtree-one` to the filters of RFC 5465.
_FILTERS = frozenset(FilterKind)
_COUNTS = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})

_BEFORE_ITEMS = re.compile(rb" +(?=\()")

_Wanted = tuple[Event, tuple[FetchItem, ...]]


def read_notify(cursor: Cursor) -> Notify:
    """Read `SP "NONE"` or `SP "SET" [SP "STATUS"] 1*(SP event-group)`."""
    cursor.space()
    if cursor.accept_word(b"NONE"):
        return Notify()
    if not cursor.accept_word(b"SET"):
        raise cursor.fault("SET or NONE expected")
    cursor.space()
    wants_status = cursor.accept_word(b"STATUS")
    if wants_status:
        cursor.space()
    groups = [_read_group(cursor)]
    while cursor.accept_space():
        groups.append(_read_group(cursor))
    if sum(group.mailboxes.kind in _OF_SELECTED for group in groups) > 1:
        raise SyntaxFault("Events of the selected mailbox are given twice")
    return Notify(tuple(groups), wants_status)


def _read_group(cursor: Cursor) -> EventGroup:
    """Read `"(" filter-mailboxes SP events ")"`.

    Laxer than RFC 5465 section 8: the parentheses around the events may be missing, as in its example in section 3.1.
    """
    cursor.count()
    cursor.expect(b"(")
    mailboxes = read_filter(cursor, _FILTERS)
    cursor.space()
    wanted: list[_Wanted] = []
    if cursor.peek() == b"(":
        wanted = cursor.in_parentheses(lambda: _read_event(cursor))
    elif not cursor.accept_word(b"NONE"):
        wanted.append(_read_event(cursor))
        while cursor.accept_space():
            wanted.append(_read_event(cursor))
    cursor.expect(b")")
    group = EventGroup(
        mailboxes, frozenset(event for event, _ in wanted), next((items for _, items in wanted if items), ())
    )
    _check(group)
    return group


def _read_event(cursor: Cursor) -> _Wanted:
    event = _EVENTS.get(cursor.word())
    if event is None:
        # AnnotationChange is one of these: messages have no annotations here (section 3.1).
        raise SyntaxFault("Unsupported event", status=Status.NO, code=Code.BADEVENT, arguments=_EVENT_LIST)
    has_items = event is Event.MESSAGE_NEW and cursor.match(_BEFORE_ITEMS) is not None
    return event, read_items(cursor) if has_items else ()


def _check(group: EventGroup) -> None:
    """Refuse what makes no sense: sections 5 and 6.1 ask for BAD."""
    if 0 < len(group.events & _COUNTS) < len(_COUNTS):
        raise SyntaxFault("MessageNew and MessageExpunge must come together")
    if Event.FLAG_CHANGE in group.events and not group.events >= _COUNTS:
        raise SyntaxFault("FlagChange needs MessageNew and MessageExpunge")
    if group.mailboxes.kind in _OF_SELECTED:
        if not group.events <= MESSAGE_EVENTS:
            raise SyntaxFault("Only events of messages can be asked of the selected mailbox")
    elif group.items:
        raise SyntaxFault("Items can be fetched of messages in the selected mailbox only")
