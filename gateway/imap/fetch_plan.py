"""What a FETCH needs of each message, and how the items that are at hand without its body are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any

from gateway.mailbox.column_block import Column, ColumnBlock
from gateway.mailbox.fetch import FetchRow, Needs
from gateway.message.headers import field_selector
from gateway.message.structure import render_plain_body
from gateway.message.usual_fields import are_usual
from gateway.wire import gmail, write_fetch
from gateway.wire.dates import format_save_dates
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

WHOLE = Section()


@dataclass(frozen=True, slots=True)
class RowItem:
    """An item that a row holds: `template % value(row)` is what is written of it.

    `column` is set if it can be had without rows: from the values of that column, as `convert` makes them.
    """

    template: bytes
    value: Callable[[FetchRow], Any]
    column: Column | None = None
    convert: Callable[[Any], Any] | None = None

    def values(self, block: ColumnBlock) -> Iterable[Any]:
        """Return the item's value of every message, in order; only if it has a column."""
        assert self.column is not None, "the caller has asked"
        values = block.values(self.column)
        return values if self.convert is None else map(self.convert, values)

    def render(self, row: FetchRow) -> bytes:
        """Return name and value."""
        return bytes(self.template % self.value(row))


@dataclass(frozen=True, slots=True)
class BodyItem:
    """An item that is cut out of the message's octets; `name` is as it is echoed.

    The whole message, or a partial of it, can be had without rows where it is small.
    """

    name: bytes
    section: Section
    partial: tuple[int, int] | None

    @property
    def template(self) -> bytes:
        return self.name + b" %b"

    @property
    def column(self) -> Column | None:
        return Column.BODY if self.section == WHOLE else None

    def values(self, block: ColumnBlock) -> Iterable[bytes]:
        """Return the item's value of every message, in order; only if it has a column."""
        if self.partial is None:
            return map(write_fetch.literal, block.values(Column.BODY))
        start, length = self.partial
        return (write_fetch.literal(data[start : start + length]) for data in block.values(Column.BODY))


@dataclass(frozen=True, slots=True)
class BinaryItem:
    """A part with its transfer encoding undone (RFC 3516), or if `is_size` the number of its octets then."""

    name: bytes
    part: tuple[int, ...]
    partial: tuple[int, int] | None
    is_size: bool
    column: None = None

    @property
    def template(self) -> bytes:
        return self.name + b" %b"


PlannedItem = RowItem | BodyItem | BinaryItem


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """A FETCH, made ready: the items in the order asked, as clients that split answers by position expect.

    `marks_seen`: one of the items sets \\Seen. `is_uid_only`: the lines begin with the UID, not the sequence number.
    """

    items: tuple[PlannedItem, ...]
    needs: Needs
    marks_seen: bool
    line: bytes
    """The template of a whole line: number and items."""
    is_uid_only: bool = False

    def open_line(self, row: FetchRow) -> bytes:
        """Return what stands before the first item."""
        if self.is_uid_only:
            return write_fetch.open_uid_line(row.uid)
        return write_fetch.open_line(row.sequence_number)

    def row_writer(self) -> Callable[[FetchRow], bytes] | None:
        """Return what writes a whole line from a row, by one template; None if bodies are needed."""
        items = [item for item in self.items if isinstance(item, RowItem)]
        if len(items) != len(self.items):
            return None
        template = self.line
        number: Callable[[FetchRow], Any] = attrgetter("uid" if self.is_uid_only else "sequence_number")
        values = [number, *(item.value for item in items)]

        def write_row(row: FetchRow) -> bytes:
            return template % tuple([value(row) for value in values])

        return write_row

    def columns(self) -> tuple[Column, ...] | None:
        """Return the columns of which a line consists, in their order; None if something else is needed."""
        columns = [item.column for item in self.items if item.column is not None]
        return tuple(columns) if len(columns) == len(self.items) else None

    def block_writer(self) -> Callable[[ColumnBlock], bytes]:
        """Return what writes the lines of a whole block by one template; only if there are `columns`."""
        items, line = [item for item in self.items if not isinstance(item, BinaryItem)], self.line
        # All blocks but the last are of one length.
        lines: dict[int, bytes] = {}

        def write_block(block: ColumnBlock) -> bytes:
            template = lines.get(len(block))
            if template is None:
                template = lines[len(block)] = line * len(block)
            numbers = block.values(Column.UID) if self.is_uid_only else block.sequence_numbers
            values = zip(numbers, *(item.values(block) for item in items), strict=True)
            return template % tuple(chain.from_iterable(values))

        return write_block


@lru_cache(maxsize=256)
def plan(items: tuple[FetchItem, ...], *, with_uid: bool, with_modseq: bool, is_uid_only: bool = False) -> FetchPlan:
    """Make a plan, or give the one made before: clients ask for few different things.

    UID and MODSEQ are added where the command implies them and does not ask for them; UID not where `is_uid_only`, as
    every line begins with it then.
    """
    asked = list(items)
    if with_uid and not is_uid_only and FetchAttribute.UID not in asked:
        asked.insert(0, FetchAttribute.UID)
    if with_modseq and FetchAttribute.MODSEQ not in asked:
        asked.append(FetchAttribute.MODSEQ)
    planned = tuple(_planned(item) for item in asked)
    start = write_fetch.UID_LINE_START if is_uid_only else write_fetch.LINE_START
    line = start + b" ".join(item.template for item in planned) + write_fetch.CLOSE_LINE
    return FetchPlan(planned, _needs(asked, planned), any(map(_marks_seen, asked)), line, is_uid_only)


_HEADER = Section(text=SectionText.HEADER)
_TEXT = Section(text=SectionText.TEXT)

_IN_BODY = {
    FetchAttribute.RFC822: WHOLE,
    FetchAttribute.RFC822_PEEK: WHOLE,
    FetchAttribute.RFC822_TEXT: _TEXT,
}


def _planned(item: FetchItem) -> PlannedItem:
    name = write_fetch.item_name(item)
    match item:
        case BodySection(section, partial):
            if not section.part and section.text in _OF_HEADER:
                return _header_item(name, section, partial)
            return BodyItem(name, section, partial)
        case BinarySection(part, partial):
            return BinaryItem(name, part, partial, is_size=False)
        case Preview(is_lazy):
            return RowItem(name + b" %b", _lazy_preview if is_lazy else _preview)
        case BinarySize(part):
            return BinaryItem(name, part, None, is_size=True)
        case FetchAttribute():
            if item in _IN_BODY:
                return BodyItem(name, _IN_BODY[item], None)
            if item is FetchAttribute.RFC822_HEADER:
                return _header_item(name, _HEADER, None)
            return RowItem(name + _FORMATS.get(item, b" %b"), _VALUES[item], _COLUMNS.get(item), _CONVERSIONS.get(item))


def _lazy_preview(row: FetchRow) -> bytes:
    return write_fetch.preview(row.preview)


def _preview(row: FetchRow) -> bytes:
    # RFC 8970 section 3.2: of what cannot be had there is no text, but NIL is only for those who asked for no delay.
    return write_fetch.preview(row.preview or "")


def _plain_body(row: FetchRow) -> bytes:
    assert row.structure is not None, "the plan asked for it"
    return render_plain_body(row.structure)


_VALUES: dict[FetchAttribute, Callable[[FetchRow], Any]] = {
    FetchAttribute.UID: attrgetter("uid"),
    FetchAttribute.FLAGS: attrgetter("flags"),
    FetchAttribute.INTERNALDATE: attrgetter("internal_date"),
    FetchAttribute.RFC822_SIZE: attrgetter("size"),
    FetchAttribute.ENVELOPE: attrgetter("envelope"),
    FetchAttribute.BODYSTRUCTURE: attrgetter("structure"),
    FetchAttribute.BODY: _plain_body,
    FetchAttribute.MODSEQ: attrgetter("modseq"),
    FetchAttribute.EMAILID: lambda row: write_fetch.object_id(row.email_id),
    FetchAttribute.THREADID: lambda row: write_fetch.object_id(row.thread_id),
    FetchAttribute.SAVEDATE: lambda row: format_save_dates((row.save_date,))[0],
    FetchAttribute.X_GM_MSGID: lambda row: gmail.number(row.gmail_message_id),
    FetchAttribute.X_GM_THRID: lambda row: gmail.number(row.gmail_thread_id),
    FetchAttribute.X_GM_LABELS: lambda row: gmail.label_list(row.labels),
}

_FORMATS = {
    FetchAttribute.UID: b" %d",
    FetchAttribute.RFC822_SIZE: b" %d",
    FetchAttribute.MODSEQ: b" (%d)",
}

_COLUMNS = {
    FetchAttribute.UID: Column.UID,
    FetchAttribute.FLAGS: Column.FLAGS,
    FetchAttribute.MODSEQ: Column.MODSEQ,
    FetchAttribute.INTERNALDATE: Column.INTERNAL_DATE,
    FetchAttribute.SAVEDATE: Column.SAVE_DATE,
    FetchAttribute.RFC822_SIZE: Column.SIZE,
    FetchAttribute.ENVELOPE: Column.ENVELOPE,
    FetchAttribute.BODYSTRUCTURE: Column.STRUCTURE,
    FetchAttribute.BODY: Column.STRUCTURE,
}

_CONVERSIONS: dict[FetchAttribute, Callable[[Any], Any]] = {FetchAttribute.BODY: render_plain_body}

_OF_HEADER = frozenset({SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT})


def _header_item(name: bytes, section: Section, partial: tuple[int, int] | None) -> RowItem:
    select: Callable[[bytes], bytes] | None = None
    if section.text is not SectionText.HEADER:
        select = field_selector(section.fields, section.text is SectionText.HEADER_FIELDS_NOT)

    def literal(header: bytes) -> bytes:
        if select is not None:
            header = select(header)
        if partial is not None:
            header = header[partial[0] : partial[0] + partial[1]]
        return write_fetch.literal(header)

    def value(row: FetchRow) -> bytes:
        assert row.header is not None, "the plan asked for it"
        return literal(row.header)

    is_usual = section.text is SectionText.HEADER_FIELDS and are_usual(section.fields)
    return RowItem(name + b" %b", value, Column.USUAL_HEADER if is_usual else Column.HEADER, literal)


def _needs(asked: Iterable[FetchItem], planned: Iterable[PlannedItem]) -> Needs:
    attributes = {item for item in asked if isinstance(item, FetchAttribute)}
    return Needs(
        date=FetchAttribute.INTERNALDATE in attributes,
        size=FetchAttribute.RFC822_SIZE in attributes,
        envelope=FetchAttribute.ENVELOPE in attributes,
        structure=bool(attributes & {FetchAttribute.BODY, FetchAttribute.BODYSTRUCTURE}),
        header=FetchAttribute.RFC822_HEADER in attributes or any(map(_is_of_header, asked)),
        body=any(isinstance(item, BodyItem | BinaryItem) for item in planned),
        object_ids=bool(attributes & {FetchAttribute.EMAILID, FetchAttribute.THREADID}),
        gmail_ids=bool(attributes & {FetchAttribute.X_GM_MSGID, FetchAttribute.X_GM_THRID}),
        labels=FetchAttribute.X_GM_LABELS in attributes,
        preview=any(isinstance(item, Preview) for item in asked),
        makes_previews=Preview() in asked,
    )


def _is_of_header(item: FetchItem) -> bool:
    return isinstance(item, BodySection) and not item.section.part and item.section.text in _OF_HEADER


def _marks_seen(item: FetchItem) -> bool:
    """RFC 3501 section 6.4.5: what is not PEEK marks as read, RFC822.HEADER excepted."""
    if isinstance(item, BodySection | BinarySection):
        return not item.is_peek
    return item in (FetchAttribute.RFC822, FetchAttribute.RFC822_TEXT)
