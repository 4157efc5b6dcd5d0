"""FETCH (RFC 9051 sections 6.4.5 and 9: `fetch`, `fetch-att`, `section`; RFC 7162 section 7; RFC 3516, 8970, 9394)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.wire import commands
from gateway.wire.fetch import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    FetchItem,
    Preview,
    Section,
    SectionText,
)
from gateway.wire.parser.cursor import MAX_NUMBER64, Cursor, SyntaxFault
from gateway.wire.parser.partial import read_partial_range
from gateway.wire.search import PartialRange

_NAME = re.compile(rb"[A-Za-z0-9.\-]+")

# Told apart from the modifiers of the command, which look alike, by the word (RFC 8970 section 6).
_LAZY = re.compile(rb" +\( *LAZY(?: +LAZY)* *\)", re.IGNORECASE)

_FAST = (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE)
_MACROS: dict[bytes, tuple[FetchAttribute, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, FetchAttribute.ENVELOPE),
    b"FULL": (*_FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY),
}
_ATTRIBUTES = {attribute.value: attribute for attribute in FetchAttribute}
_TEXTS = {text.value: text for text in SectionText if text is not SectionText.ALL}
_HEADER_FIELDS = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


def read_fetch(cursor: Cursor, *, is_uid: bool) -> commands.Fetch:
    """Read `SP sequence-set SP items [SP "(" fetch-modifier *(SP fetch-modifier) ")"]`."""
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    items = read_items(cursor)
    modifiers = _Modifiers()
    if cursor.accept_space():
        cursor.in_parentheses(lambda: modifiers.read_one(cursor))
    if modifiers.vanished and not (is_uid and modifiers.changed_since is not None):
        # RFC 7162 section 3.2.6 asks for BAD.
        raise SyntaxFault("VANISHED is allowed only in UID FETCH with CHANGEDSINCE")
    return commands.Fetch(numbers, is_uid, items, modifiers.changed_since, modifiers.vanished, modifiers.partial)


def read_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """Read one item, a macro, or a list. An item asked for twice is answered once."""
    if cursor.peek() == b"(":
        lists = cursor.in_parentheses(lambda: _read_item(cursor))
        return tuple(dict.fromkeys(item for items in lists for item in items))
    return _read_item(cursor)


def _read_item(cursor: Cursor) -> tuple[FetchItem, ...]:
    match = cursor.match(_NAME)
    if match is None:
        raise cursor.fault("FETCH item expected")
    name = match[0].upper()
    if cursor.accept(b"["):
        return (_read_section_item(cursor, name),)
    # Laxer than RFC 9051 section 9 `fetch`: a macro is taken inside parentheses too.
    if name in _MACROS:
        return _MACROS[name]
    if name == b"PREVIEW":
        return (Preview(is_lazy=cursor.match(_LAZY) is not None),)
    if name not in _ATTRIBUTES:
        raise SyntaxFault(f"Unknown FETCH item {name[:40].decode('ascii')}")
    return (_ATTRIBUTES[name],)


def _read_section_item(cursor: Cursor, name: bytes) -> FetchItem:
    """Read what follows `name[`."""
    match name:
        case b"BODY" | b"BODY.PEEK":
            section = read_section(cursor)
            return BodySection(section, _read_partial(cursor), is_peek=name == b"BODY.PEEK")
        case b"BINARY" | b"BINARY.PEEK":
            part = _read_binary_part(cursor)
            return BinarySection(part, _read_partial(cursor), is_peek=name == b"BINARY.PEEK")
        case b"BINARY.SIZE":
            return BinarySize(_read_binary_part(cursor))
        case _:
            raise SyntaxFault(f"FETCH item {name[:40].decode('ascii')} takes no section")


def read_section(cursor: Cursor) -> Section:
    """Read `[section-spec] "]"`."""
    part: list[int] = []
    while cursor.peek().isdigit():
        cursor.count()
        part.append(cursor.number(smallest=1))
        if cursor.accept(b"]"):
            return Section(tuple(part))
        cursor.expect(b".")
    if not part and cursor.accept(b"]"):
        return Section()
    match = cursor.match(_NAME)
    text = _TEXTS.get(match[0].upper()) if match is not None else None
    if text is None:
        raise cursor.fault("Section expected")
    if text is SectionText.MIME and not part:
        raise SyntaxFault("MIME needs a part number")
    fields: list[bytes] = []
    if text in _HEADER_FIELDS:
        cursor.space()
        fields = cursor.in_parentheses(cursor.astring)
    while cursor.accept(b" "):
        pass
    cursor.expect(b"]")
    return Section(tuple(part), text, tuple(fields))


def _read_binary_part(cursor: Cursor) -> tuple[int, ...]:
    section = read_section(cursor)
    if section.text is not SectionText.ALL:
        raise SyntaxFault("BINARY takes part numbers only")
    return section.part


def _read_partial(cursor: Cursor) -> tuple[int, int] | None:
    """Read `["<" number64 "." nz-number64 ">"]`."""
    if not cursor.accept(b"<"):
        return None
    offset = cursor.number(largest=MAX_NUMBER64)
    cursor.expect(b".")
    length = cursor.number(largest=MAX_NUMBER64, smallest=1)
    cursor.expect(b">")
    return offset, length


@dataclass(slots=True)
class _Modifiers:
    """The modifiers of a FETCH, each at most once."""

    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None

    def read_one(self, cursor: Cursor) -> None:
        """Read `fetch-modifier`: CHANGEDSINCE, VANISHED (RFC 7162 section 7) or PARTIAL (RFC 9394 section 4)."""
        name = cursor.word()
        match name:
            case b"VANISHED":
                self.vanished = True
            case b"CHANGEDSINCE" if self.changed_since is None:
                cursor.space()
                # Laxer than RFC 7162 section 7 `mod-sequence-value`: iOS 16 sends 0.
                self.changed_since = cursor.mod_sequence(smallest=0)
            case b"PARTIAL" if self.partial is None:
                # Laxer than RFC 9394 section 3.3: taken with sequence numbers too.
                cursor.space()
                self.partial = read_partial_range(cursor)
            case b"CHANGEDSINCE" | b"PARTIAL":
                raise SyntaxFault(f"{name.decode('ascii')} given twice")
            case _:
                raise SyntaxFault("Unknown FETCH modifier")
