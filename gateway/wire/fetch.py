"""What a client can ask of FETCH (RFC 9051, RFC 3501 section 6.4.5, RFC 7162, 3516, 8474, 8514, 8970, X-GM-EXT-1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FetchAttribute(enum.Enum):
    """Items without arguments; the value is the name as it is echoed. FAST, ALL and FULL are expanded by the parser."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    RFC822_SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    MODSEQ = b"MODSEQ"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"
    X_GM_MSGID = b"X-GM-MSGID"
    X_GM_THRID = b"X-GM-THRID"
    X_GM_LABELS = b"X-GM-LABELS"
    RFC822 = b"RFC822"
    RFC822_HEADER = b"RFC822.HEADER"
    RFC822_TEXT = b"RFC822.TEXT"
    # In no current RFC, sent by Outlook: BODY.PEEK[] answered under the name RFC822.
    RFC822_PEEK = b"RFC822.PEEK"


class SectionText(enum.Enum):
    """What of a part is meant (RFC 9051 section 9, `section-text`); ALL is the part's whole content."""

    ALL = b""
    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """`BODY[...]`'s section: the part's numbers (1-based, empty for the message itself), and what of it.

    `fields` are header names as the client wrote them, for the two HEADER.FIELDS forms only.
    """

    part: tuple[int, ...] = ()
    text: SectionText = SectionText.ALL
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class BodySection:
    """`BODY[section]<offset.length>`; `partial` is (offset, length >= 1) in octets."""

    section: Section
    partial: tuple[int, int] | None = None
    is_peek: bool = False


@dataclass(frozen=True, slots=True)
class BinarySection:
    """`BINARY[part]<offset.length>` (RFC 3516): the part with its transfer encoding undone."""

    part: tuple[int, ...]
    partial: tuple[int, int] | None = None
    is_peek: bool = False


@dataclass(frozen=True, slots=True)
class BinarySize:
    """`BINARY.SIZE[part]`: the decoded size in octets."""

    part: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """`PREVIEW`, or `PREVIEW (LAZY)` if only what is at hand is asked for (RFC 8970)."""

    is_lazy: bool = False


FetchItem = FetchAttribute | BodySection | BinarySection | BinarySize | Preview
