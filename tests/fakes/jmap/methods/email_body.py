"""The body of a message as Email properties (RFC 8621 section 4.1.4), read with the parser of the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import cast

from tests.fakes.jmap.content import part_text, plain_text
from tests.fakes.jmap.methods.email_headers import READERS, is_header_property
from tests.fakes.jmap.records import Email

BODY_PROPERTIES = frozenset(
    {"bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "hasAttachment", "preview"}
)
DEFAULT_PART = (
    "partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location",
)  # fmt: skip
PART_PROPERTIES = frozenset({*DEFAULT_PART, "headers", "subParts"})
INLINE_MEDIA = ("image", "audio", "video")


@dataclass(frozen=True, slots=True)
class BodyOptions:
    """The arguments of Email/get that concern bodies; `max_octets` of 0 is no limit."""

    part_properties: list[str] | None = None
    wants_text: bool = False
    wants_html: bool = False
    wants_all: bool = False
    max_octets: int = 0


@dataclass(slots=True)
class _Part:
    message: EmailMessage
    part_id: str | None
    children: list[_Part]

    @property
    def type(self) -> str:
        return self.message.get_content_type()

    @property
    def name(self) -> str | None:
        return self.message.get_filename()

    def leaves(self) -> Iterator[_Part]:
        if self.part_id is not None:
            yield self
        for child in self.children:
            yield from child.leaves()

    def octets(self) -> bytes:
        if self.type == "message/rfc822":
            return b"".join(inner.as_bytes() for inner in cast(list[EmailMessage], self.message.get_payload()))
        payload = self.message.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""

    def document(self, blob_prefix: str, properties: list[str] | None) -> dict[str, object]:
        message = self.message
        everything: dict[str, object] = {
            "partId": self.part_id,
            "blobId": None if self.part_id is None else f"{blob_prefix}-{self.part_id}",
            "size": 0 if self.part_id is None else len(self.octets()),
            "name": self.name,
            "type": self.type,
            "charset": (message.get_content_charset() or "us-ascii") if self.type.startswith("text/") else None,
            "disposition": message.get_content_disposition(),
            "cid": str(message["Content-ID"]).strip().strip("<>") if message["Content-ID"] else None,
            "language": None,
            "location": str(message["Content-Location"]) if message["Content-Location"] else None,
            "headers": [{"name": name, "value": f" {value}"} for name, value in message.raw_items()],
            "subParts": [child.document(blob_prefix, properties) for child in self.children] or None,
        }
        wanted = DEFAULT_PART if properties is None else properties
        result = {name: everything[name] for name in wanted if name in everything}
        for name in wanted:
            if is_header_property(name) and name.startswith("header:"):
                result[name] = _part_header(message, name)
        if self.children:
            result["subParts"] = everything["subParts"]
        return result


def _part_header(message: EmailMessage, name: str) -> object:
    _, field, *form = name.removesuffix(":all").split(":")
    reader = READERS[form[0].removeprefix("as") if form else "Raw"]
    values = [reader(f" {value}".encode()) for key, value in message.raw_items() if key.lower() == field.lower()]
    return values if name.endswith(":all") else values[-1] if values else None


def body_values(email: Email, names: list[str], options: BodyOptions) -> dict[str, object]:
    """Return the body properties asked for."""
    message = email.content.parsed()
    root = _read(message, [0])
    text, html, attached = _views(root)
    shown = (text if options.wants_text else []) + (html if options.wants_html else [])
    if options.wants_all:
        shown = list(root.leaves())

    def documents(parts: list[_Part]) -> list[dict[str, object]]:
        return [part.document(email.blob_id, options.part_properties) for part in parts]

    def value(name: str) -> object:
        match name:
            case "bodyStructure":
                return root.document(email.blob_id, options.part_properties)
            case "bodyValues":
                return {part.part_id: _value(part, options) for part in shown if part.type.startswith("text/")}
            case "textBody":
                return documents(text)
            case "htmlBody":
                return documents(html)
            case "attachments":
                return documents(attached)
            case "hasAttachment":
                return has_attachment(attached)
            case _:
                return plain_text(message)[:256]

    return {name: value(name) for name in names}


def has_attachment(attached: list[_Part]) -> bool:
    return any(part.message.get_content_disposition() != "inline" for part in attached)


def email_has_attachment(email: Email) -> bool:
    return has_attachment(_views(_read(email.content.parsed(), [0]))[2])


def _read(message: EmailMessage, counter: list[int]) -> _Part:
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        return _Part(
            message, None, [_read(child, counter) for child in cast(list[EmailMessage], message.get_payload())]
        )
    counter[0] += 1
    return _Part(message, str(counter[0]), [])


def _views(root: _Part) -> tuple[list[_Part], list[_Part], list[_Part]]:
    """Return textBody, htmlBody and attachments, as the algorithm of RFC 8621 section 4.1.4 finds them."""
    text: list[_Part] = []
    html: list[_Part] = []
    attached: list[_Part] = []
    _walk([root], "mixed", False, text, html, attached)
    return text, html, attached


def _walk(
    parts: list[_Part],
    kind: str,
    in_alternative: bool,
    text: list[_Part] | None,
    html: list[_Part] | None,
    attached: list[_Part],
) -> None:
    text_length, html_length = len(text) if text is not None else -1, len(html) if html is not None else -1
    for place, part in enumerate(parts):
        is_inline = (
            part.message.get_content_disposition() != "attachment"
            and (part.type in ("text/plain", "text/html") or part.type.split("/")[0] in INLINE_MEDIA)
            and (place == 0 or (kind != "related" and (part.type.split("/")[0] in INLINE_MEDIA or not part.name)))
        )
        if part.part_id is None:
            subtype = part.type.split("/")[1]
            _walk(part.children, subtype, in_alternative or subtype == "alternative", text, html, attached)
        elif is_inline:
            if kind == "alternative":
                _place_alternative(part, text, html, attached)
                continue
            if in_alternative:
                text = None if part.type == "text/html" else text
                html = None if part.type == "text/plain" else html
            if text is not None:
                text.append(part)
            if html is not None:
                html.append(part)
            if (text is None or html is None) and part.type.split("/")[0] in INLINE_MEDIA:
                attached.append(part)
        else:
            attached.append(part)
    if kind == "alternative" and text is not None and html is not None:
        if text_length == len(text) and html_length != len(html):
            text.extend(html[html_length:])
        if html_length == len(html) and text_length != len(text):
            html.extend(text[text_length:])


def _place_alternative(part: _Part, text: list[_Part] | None, html: list[_Part] | None, attached: list[_Part]) -> None:
    if part.type == "text/plain" and text is not None:
        text.append(part)
    elif part.type == "text/html" and html is not None:
        html.append(part)
    else:
        attached.append(part)


def _value(part: _Part, options: BodyOptions) -> dict[str, object]:
    text = part_text(part.message)
    is_truncated = bool(options.max_octets) and len(text.encode()) > options.max_octets
    if is_truncated:
        text = text.encode()[: options.max_octets].decode("utf-8", "ignore")
    return {"value": text, "isEncodingProblem": "�" in text, "isTruncated": is_truncated}
