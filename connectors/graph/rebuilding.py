"""A message made anew out of JSON, since Graph takes MIME for drafts only. Pure: octets in, what to send out.

What is kept: the date it came (0x0E06) and was sent (0x0039), From, Sender, To, Cc, Bcc, Reply-To, Subject,
Message-ID, In-Reply-To (0x1042), References (0x1039), importance, one text (HTML where there is HTML), every other part
as a file with its octets and Content-ID, attached messages as .eml files, and the header itself as text (0x007D).

What is lost at Exchange, though not in the gateway, which keeps serving the octets it was given:
* the MIME structure: multiparts, boundaries, transfer encodings, descriptions and languages of parts, text around them;
* the plain text beside HTML; Exchange makes its own. Control characters in texts;
* names of groups and comments in addresses, and addresses that cannot be ones: they are in the header's text only;
* signatures over the octets, as DKIM's. S/MIME is kept the way Exchange keeps it: what is encrypted or signed is a
  file `smime.p7m` of a message of class IPM.Note.SMIME or IPM.Note.SMIME.MultipartSigned (MS-OXOSMIME);
* requests for receipts: else reading old mail would have them sent;
* of a header what is beyond 128 K characters; of a subject what is beyond 255.
What cannot be taken apart, or what Exchange refuses otherwise, is attached whole, as `message.eml`, behind what text
was found. A draft gets no header as text: when it is edited or sent, that would no longer be its own.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from connectors.graph.addressing import Mailbox, read_addresses, read_date, system_time
from connectors.graph.charsets import decode, decode_words, storable
from connectors.graph.layout import Layout, lay_out, whole
from connectors.graph.mime import Buffer, Entity, read_tree
from connectors.graph.parts import Octets, Part

REQUEST_OCTETS: Final = 3_500_000
"""Of a request that creates something; Graph takes 4 MB (Graph throttling and limits, Outlook)."""

_TEXT_OCTETS: Final = 2_500_000
_HEADER_CHARS: Final = 128 * 1024
_SUBJECT_CHARS: Final = 255
_ID_CHARS: Final = 998
_IDS_CHARS: Final = 16 * 1024

_NOT_UNSENT: Final = "1"
"""PidTagMessageFlags without mfUnsent; only in the request that creates a message can it be set (MS-OXCMSG 2.2.1.6)."""

MESSAGE_FLAGS: Final = "Integer 0x0E07"
DELIVERY_TIME: Final = "SystemTime 0x0E06"
SUBMIT_TIME: Final = "SystemTime 0x0039"
HEADER: Final = "String 0x007D"
REFERENCES: Final = "String 0x1039"
IN_REPLY_TO: Final = "String 0x1042"
MESSAGE_CLASS: Final = "String 0x001A"

_MESSAGE_ID: Final = re.compile(r"[\x21-\x7e]{3,998}")
_USUAL_ID: Final = re.compile(r"<[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}>")
_IMPORTANCE: Final = {
    "high": "high", "low": "low", "normal": "normal", "urgent": "high", "non-urgent": "low",
    "1": "high", "2": "high", "3": "normal", "4": "low", "5": "low",
}  # fmt: skip


class Fidelity(enum.Enum):
    """How much is asked of Exchange: a message that it refuses is asked for with less."""

    FULL = "full"
    BARE = "bare"
    """Text, subject, dates, author and Message-ID, and the message itself attached."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What to send: the fields of Graph's `message`, the parts to attach in the same request, and those for later.

    `message_id` is the Message-ID that it gets, as it stands in the header; None leaves that to Exchange.
    """

    fields: Mapping[str, object]
    together: Sequence[Part]
    later: Sequence[Part]
    message_id: str | None

    def payload(self) -> dict[str, object]:
        """Return the body of the request that creates the message."""
        if not self.together:
            return dict(self.fields)
        return {**self.fields, "attachments": [part.as_json() for part in self.together]}


def rebuild(
    buffer: Buffer,
    *,
    marks: Mapping[str, object],
    properties: Mapping[str, str],
    received: datetime,
    is_draft: bool = False,
    fidelity: Fidelity = Fidelity.FULL,
) -> Rebuilt:
    """Return what a message is created from. Never fails, whatever the octets are.

    `marks` are fields that are not of the content (`isRead`, `flag`, `categories`), `properties` extended properties
    beside those that are made here. Reads the message several times; call it beside the event loop if it is large.
    """
    tree = read_tree(buffer)
    root = tree.root
    is_full = fidelity is Fidelity.FULL
    layout = lay_out(buffer, tree, keeps_signed=is_full)
    text, is_cut = _fitting(layout.body)
    header, is_header_cut = _header_text(buffer, root)
    parts = layout.parts
    if not is_full or (is_header_cut and not layout.message_class):
        parts = [whole(buffer)]
    elif (is_cut or layout.is_cut) and layout.text is not None and not layout.is_one_file:
        parts = [_text_as_file(buffer, layout, layout.text), *parts]
    set_properties = _properties(root, header, received, layout.message_class, is_draft=is_draft, fidelity=fidelity)
    fields: dict[str, object] = {
        "subject": _subject(root),
        "body": {"contentType": "html" if layout.is_html else "text", "content": text},
        **_people(root, fidelity),
        "importance": _importance(root),
        **marks,
        "singleValueExtendedProperties": [
            {"id": key, "value": value} for key, value in {**set_properties, **properties}.items()
        ],
    }
    message_id = _message_id(root)
    if not is_full and message_id is not None and not _USUAL_ID.fullmatch(message_id):
        message_id = None
    if message_id is not None:
        fields["internetMessageId"] = message_id
    together, later = _shared_out(fields, parts)
    return Rebuilt(fields, together, later, message_id)


def _shared_out(fields: Mapping[str, object], parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Return the parts that fit into the creating request, and the others."""
    room = REQUEST_OCTETS - len(msgspec.json.encode(fields))
    together: list[Part] = []
    later: list[Part] = []
    for part in parts:
        # The length as it lies in the message bounds what is decoded; so nothing large is decoded to be measured.
        is_small = part.octets.end - part.octets.start <= 2 * REQUEST_OCTETS and part.json_octets <= room
        (together if is_small else later).append(part)
        room -= part.json_octets if is_small else 0
    return together, later


# -- text -------------------------------------------------------------------------------------------------------------


def _fitting(text: str) -> tuple[str, bool]:
    """Return as much of the text as fits into a request, and whether that is not all."""
    octets = len(msgspec.json.encode(text))
    if octets <= _TEXT_OCTETS:
        return text, False
    while octets > _TEXT_OCTETS:
        text = text[: len(text) * _TEXT_OCTETS // octets - 1]
        octets = len(msgspec.json.encode(text))
    return text, True


def _text_as_file(buffer: Buffer, layout: Layout, entity: Entity) -> Part:
    charset = entity.parameters.get("charset", "")
    kind = f'{entity.type}; charset="{charset}"' if re.fullmatch(r"[\w.:+\-]{1,64}", charset) else entity.type
    return Part("message.html" if layout.is_html else "message.txt", kind, Octets.of_body(buffer, entity))


def _header_text(buffer: Buffer, root: Entity) -> tuple[str, bool]:
    """Return the header as text with lines that end in CRLF, and whether it is too long to be kept like that."""
    octets = buffer[root.start : min(root.body_start, root.start + 4 * _HEADER_CHARS)]
    lines = storable(decode(octets, None)).replace("\r\n", "\n").replace("\r", " ").rstrip("\n")
    text = lines.replace("\n", "\r\n")
    is_cut = len(text) > _HEADER_CHARS or root.body_start - root.start > len(octets)
    if len(text) > _HEADER_CHARS:
        text = text[:_HEADER_CHARS].rpartition("\r\n")[0] or text[:_HEADER_CHARS]
    return (f"{text}\r\n\r\n" if text else ""), is_cut


def _subject(root: Entity) -> str:
    return " ".join(storable(decode_words(root.first("subject") or b"")).split("\t"))[:_SUBJECT_CHARS]


# -- people -----------------------------------------------------------------------------------------------------------


def _people(root: Entity, fidelity: Fidelity) -> dict[str, object]:
    """Return who it is from and to. Without a Sender it is sent by whom it is from: else by the mailbox's owner."""
    authors = _mailboxes(root, "from")
    senders = _mailboxes(root, "sender") or authors
    people: dict[str, object] = {}
    if authors or senders:
        people["from"] = (authors or senders)[0].as_json()
        people["sender"] = senders[0].as_json()
    if fidelity is Fidelity.BARE:
        return people
    for name, key in (
        ("to", "toRecipients"),
        ("cc", "ccRecipients"),
        ("bcc", "bccRecipients"),
        ("reply-to", "replyTo"),
    ):
        found = _mailboxes(root, name)
        if found:
            people[key] = [mailbox.as_json() for mailbox in found]
    return people


def _mailboxes(root: Entity, name: str) -> list[Mailbox]:
    return [mailbox for value in root.every(name) for mailbox in read_addresses(value)]


# -- other fields -----------------------------------------------------------------------------------------------------


def _properties(
    root: Entity, header: str, received: datetime, message_class: str, *, is_draft: bool, fidelity: Fidelity
) -> dict[str, str]:
    found = {} if is_draft else {MESSAGE_FLAGS: _NOT_UNSENT}
    found[DELIVERY_TIME] = system_time(received)
    sent = read_date(root.first("date") or b"")
    if sent is not None:
        found[SUBMIT_TIME] = system_time(sent)
    if fidelity is Fidelity.BARE:
        return found
    if header and not is_draft:
        found[HEADER] = header
    for key, name in ((REFERENCES, "references"), (IN_REPLY_TO, "in-reply-to")):
        value = storable(decode(root.first(name) or b"", None)).strip()[:_IDS_CHARS]
        if value:
            found[key] = value
    if message_class:
        found[MESSAGE_CLASS] = message_class
    return found


def _message_id(root: Entity) -> str | None:
    """Return the Message-ID; of several the first counts, and one in which there are blanks is none."""
    value = (root.first("message-id") or b"").decode("latin-1")[: _ID_CHARS + 1].strip()
    return value if _MESSAGE_ID.fullmatch(value) else None


def _importance(root: Entity) -> str:
    """Read Importance (RFC 2156 section 5.3.4), or the fields that others use for it."""
    for name in ("importance", "x-priority", "priority", "x-msmail-priority"):
        words = decode(root.first(name) or b"", None).lower().split(None, 1)
        if words and words[0] in _IMPORTANCE:
            return _IMPORTANCE[words[0]]
    return "normal"
