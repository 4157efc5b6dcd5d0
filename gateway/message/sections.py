"""`BODY[section]`: where in a message a section lies (RFC 9051 section 6.4.5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.message.headers import select_fields
from gateway.message.octets import Buffer, take
from gateway.message.part import Part
from gateway.wire.fetch import Section, SectionText


@dataclass(frozen=True, slots=True)
class Span:
    """Octets of a message: `offset` >= 0, `length` >= 0."""

    offset: int
    length: int


def locate(part: Part, section: Section, buffer: Buffer) -> Span | bytes | None:
    """Return where the section lies in the message whose tree is `part`; None (NIL) if it has no such section.

    HEADER.FIELDS gives composed octets instead. HEADER and TEXT with part numbers exist for embedded messages only.
    MIME of the only part of a message that is not multipart is the message's own header.
    """
    found = part.child(section.part)
    if found is None:
        return None
    if section.text is SectionText.MIME:
        return _span(found.header_start, found.body_start) if section.part else None
    if section.text is SectionText.ALL:
        return _span(found.body_start if section.part else found.header_start, found.end)
    message = found.message if section.part else found
    if message is None:
        return None
    if section.text is SectionText.TEXT:
        return _span(message.body_start, message.end)
    if section.text is SectionText.HEADER:
        return _span(message.header_start, message.body_start)
    block = take(buffer, message.header_start, message.body_start)
    return select_fields(block, section.fields, section.text is SectionText.HEADER_FIELDS_NOT)


def _span(start: int, end: int) -> Span:
    return Span(start, end - start)
