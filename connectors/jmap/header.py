"""The raw header block of a message: rebuilt from what JMAP tells of it, or cut from the message itself.

JMAP gives the name and the raw value of each header field (RFC 8621 section 4.1.2.1), not the block. It drops NUL,
replaces what is not UTF-8, and says nothing of lines that are no field, of blanks before a colon, of bare LF and of a
missing empty line; Cyrus 3.6 leaves out a field whose value is not UTF-8. So the block is rebuilt only if nothing tells
against its being exact. A body that is sent as it is proves it by its size. In multipart and encoded messages a field
that is left out shows only if the server tells its meaning all the same, or if hardly any message lacks it; one that
does neither (a rare extension field with a value that is not UTF-8) stays away until the message is read whole.
"""

from __future__ import annotations

import re

import msgspec

from connectors.api.types import MessageContent
from connectors.jmap.structs import EmailHeader

PROPERTIES = (
    "headers", "bodyStructure",
    "from", "sender", "replyTo", "to", "cc", "bcc", "subject", "messageId", "inReplyTo", "references", "sentAt",
)  # fmt: skip
"""What `rebuild` looks at, beside the size."""

BODY_PROPERTIES = ("partId", "type", "size")

MAX_OCTETS = 256 * 1024
"""Of a header that is cut from its message; many are held at a time, and where none ends all of the message is one."""

_NAME = re.compile(r"[!-9;-~]+")
# What can stand behind the colon of a field: folds are CRLF and a blank; other control octets but the tab, NUL among
# them, have no safe way through JSON text and back.
_VALUE = re.compile(r"(?:[\t\x20-\x7e\u00a0-\ufffc\U00010000-\U0010ffff]|\r\n[ \t])*")
_END = re.compile(rb"\n\r?\n")
_USUAL = frozenset({"from", "date", "message-id"})
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """The outermost part of a message; `size` is in octets after the transfer encoding is undone."""

    part_id: str | None = None
    type: str = ""
    size: int | None = None


class Header(msgspec.Struct, frozen=True, rename="camel"):
    """A message with `PROPERTIES`. Those that say what a field means are only looked at for whether they are there."""

    id: str
    blob_id: str | None = None
    size: int | None = None
    received_at: str | None = None
    headers: list[EmailHeader] | None = None
    body_structure: Part | None = None
    sender: object = None
    reply_to: object = None
    to: object = None
    cc: object = None
    bcc: object = None
    subject: object = None
    message_id: object = None
    in_reply_to: object = None
    references: object = None
    sent_at: object = None
    from_: object = msgspec.field(name="from", default=None)


def rebuild(message: Header) -> bytes | None:
    """Return the header block with its empty line; None if it may not be, octet for octet, what the message has."""
    fields = message.headers
    if not fields or any(not _NAME.fullmatch(field.name) or not _VALUE.fullmatch(field.value) for field in fields):
        return None
    values: dict[str, str] = {}
    for field in fields:
        values.setdefault(field.name.lower(), field.value)
    told = {
        "from": message.from_,
        "sender": message.sender,
        "reply-to": message.reply_to,
        "to": message.to,
        "cc": message.cc,
        "bcc": message.bcc,
        "subject": message.subject,
        "message-id": message.message_id,
        "in-reply-to": message.in_reply_to,
        "references": message.references,
        "date": message.sent_at,
    }
    if not values.keys() >= _USUAL or any(meaning and name not in values for name, meaning in told.items()):
        # The server does not give a field that it knows of, or one that is hardly ever missing.
        return None
    block = "".join(f"{field.name}:{field.value}\r\n" for field in fields).encode() + b"\r\n"
    return block if _may_be(len(block), message, values) else None


def _may_be(length: int, message: Header, values: dict[str, str]) -> bool:
    """Whether a header of that length fits what is known of the whole; a body sent as it is leaves just one length."""
    part, size = message.body_structure, message.size
    if part is None or size is None or length > size:
        return False
    kind, given = part.type.lower(), values.get("content-type", "").partition(";")[0].strip().lower()
    if kind != (given or "text/plain"):
        # Where the field is missing, the server took the type from one that it does not give.
        return False
    if kind.startswith("multipart/"):
        return True
    encoding = values.get("content-transfer-encoding", "").strip().lower()
    return encoding not in _IDENTITY or (part.size is not None and length + part.size == size)


async def cut(content: MessageContent) -> bytes | None:
    """Return the header block of a message, reading no more than that takes; all of it if no empty line ends it.

    None if it is longer than `MAX_OCTETS`.
    """
    data = bytearray()
    chunks = content.chunks()
    try:
        async for chunk in chunks:
            # An empty line may begin in one chunk and end in the next.
            searched = max(len(data) - 3, 0)
            data += chunk
            found = _find_end(data, searched)
            if found is not None:
                return bytes(data[:found])
            if len(data) > MAX_OCTETS:
                return None
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    return bytes(data)


def _find_end(data: bytearray, searched: int) -> int | None:
    if searched == 0 and data[:1] == b"\n":
        return 1
    if searched == 0 and data[:2] == b"\r\n":
        return 2
    found = _END.search(data, searched)
    return found.end() if found else None
