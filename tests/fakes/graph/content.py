"""What a message says, as Exchange keeps it: properties, not octets. Read from MIME, or built by a client's JSON."""

from __future__ import annotations

import base64
import email
import email.policy
import email.utils
import functools
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message as Mime
from typing import Any, Final

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")
_SURROGATES: Final = re.compile("[\ud800-\udfff]+")
_TAGS: Final = re.compile(r"(?is)<head.*?</head>|<style.*?</style>|<script.*?</script>|<[^>]*>")
_BLANKS: Final = re.compile(r"\s+")
_FIELD: Final = re.compile(r"^([!-9;-~]+)[ \t]*:(.*(?:\n[ \t].*)*)", re.MULTILINE)
_PREVIEW: Final = 255

Address = tuple[str, str]
"""Name and address; both may be empty."""


def with_crlf(raw: bytes) -> bytes:
    """Return `raw` with CRLF line ends."""
    return _BARE_LF.sub(b"\r\n", raw)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands in the header. `block`: the whole header as it came, folded, without the empty line at its end, or
    what makes it when it is needed. `message_id` has its angle brackets. `custom`: further fields that a client gave.
    """

    subject: str = ""
    sender: Address | None = None
    author: Address | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    message_id: str = ""
    in_reply_to: str = ""
    references: str = ""
    sent: datetime | None = None
    importance: str = "normal"
    block: str | Callable[[], str] = ""
    custom: tuple[tuple[str, str], ...] = ()
    wants_receipt: bool = False
    wants_delivery_receipt: bool = False

    def header_block(self) -> str:
        """Return the block."""
        return self.block if isinstance(self.block, str) else self.block()

    def fields(self) -> list[tuple[str, str]]:
        """Return the fields of the block: name as written, value unfolded."""
        block = self.header_block().replace("\r\n", "\n")
        return [(name, _FOLD.sub("", value).strip()) for name, value in _FIELD.findall(block)]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file, or a message (`item`: its resource where it was given as one; `data`: its octets)."""

    kind: str
    name: str
    content_type: str
    data: bytes
    is_inline: bool = False
    content_id: str | None = None
    content_location: str | None = None
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The text, and what hangs on the message. `kind`: `text` or `html`, as it was given; Graph serves either."""

    kind: str = "text"
    text: str = ""
    attachments: tuple[Attachment, ...] = ()

    def as_html(self) -> str:
        """Return the text as HTML, which Graph gives unless asked otherwise."""
        if self.kind == "html":
            return self.text
        lines = html.escape(self.text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\n")
        return (
            '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>'
            f'<div class="PlainText">{lines}</div></body></html>'
        )

    def as_text(self) -> str:
        """Return the text without markup."""
        return self.text if self.kind == "text" else html.unescape(_TAGS.sub(" ", self.text)).strip()

    def preview(self) -> str:
        """Return the beginning on one line."""
        return _BLANKS.sub(" ", self.as_text()[: _PREVIEW * 8]).strip()[:_PREVIEW]


@dataclass(slots=True)
class Content:
    """A message's content. `mime`: the octets it came as; None for what was made from JSON. Both are made when needed.

    Several seeded messages share one body, and what was read out of it.
    """

    envelope: Envelope
    read_body: Callable[[], Body]
    mime: Callable[[], bytes] | None = None
    octets: int | None = field(default=None)

    @property
    def body(self) -> Body:
        """The body."""
        return self.read_body()

    @classmethod
    def of_mime(cls, raw: bytes) -> Content:
        """Read a message; line ends become CRLF. Broken MIME is read as far as it goes."""
        data = with_crlf(raw)
        head, gap, _ = data.partition(b"\r\n\r\n")
        block = head if gap else data if not data.startswith(b"\r\n") else b""
        return cls(read_envelope(block), functools.cache(lambda: read_body(data)), lambda: data, len(data))

    @classmethod
    def built(cls, envelope: Envelope, body: Body) -> Content:
        """Return the content of a message made from properties."""
        return cls(envelope, lambda: body)

    def changed(self, envelope: Envelope | None = None, body: Body | None = None) -> Content:
        """Return it with other properties; what it once came as is forgotten."""
        return Content.built(envelope or self.envelope, body if body is not None else self.body)


def read_envelope(block: bytes) -> Envelope:
    """Read a header block."""
    text = clean(block.decode("utf-8", "surrogateescape"))
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(text.replace("\r\n", "\n")):
        found.setdefault(name.lower(), _FOLD.sub("", value).strip())
    author = next(iter(_addresses(found.get("from", ""))), None)
    importance = found.get("importance", "").lower()
    return Envelope(
        subject=decoded(found.get("subject", "")),
        author=author,
        sender=next(iter(_addresses(found.get("sender", ""))), author),
        to=_addresses(found.get("to", "")),
        cc=_addresses(found.get("cc", "")),
        bcc=_addresses(found.get("bcc", "")),
        reply_to=_addresses(found.get("reply-to", "")),
        message_id=found.get("message-id", ""),
        in_reply_to=found.get("in-reply-to", ""),
        references=found.get("references", ""),
        sent=_date(found.get("date", "")),
        importance=importance if importance in {"low", "high"} else "normal",
        block=text,
        wants_receipt="disposition-notification-to" in found,
    )


def read_body(raw: bytes) -> Body:
    """Read what follows the header: the text Exchange would show, and everything else as attachments."""
    mime = email.message_from_bytes(raw, policy=email.policy.compat32)
    texts: list[tuple[str, str]] = []
    attachments: list[Attachment] = []
    if mime.get_content_type() in {"multipart/signed", "application/pkcs7-mime", "multipart/encrypted"}:
        # What is signed or encrypted is kept whole, as one attachment.
        inner = raw.partition(b"\r\n\r\n")[2]
        head = f"Content-Type: {mime.get('Content-Type')}\r\n\r\n".encode("utf-8", "replace")
        attachments.append(Attachment("file", "smime.p7m", "multipart/signed", head + inner))
        _collect(mime, texts, [])
    else:
        _collect(mime, texts, attachments)
    chosen = next((each for each in texts if each[0] == "html"), texts[0] if texts else ("text", ""))
    return Body(chosen[0], chosen[1], tuple(attachments))


def _collect(mime: Mime, texts: list[tuple[str, str]], attachments: list[Attachment]) -> None:
    if mime.get_content_maintype() == "multipart" and mime.is_multipart():
        for child in mime.get_payload():
            if isinstance(child, Mime):
                _collect(child, texts, attachments)
        return
    name = mime.get_filename()
    is_attached = mime.get_content_disposition() == "attachment"
    if mime.get_content_maintype() == "text" and not name and not is_attached:
        texts.append(("html" if mime.get_content_subtype() == "html" else "text", _text(mime)))
        return
    content_id = str(mime.get("Content-ID", "")).strip().strip("<>") or None
    kind = "item" if mime.get_content_type() == "message/rfc822" else "file"
    attachments.append(
        Attachment(
            kind=kind,
            name=decoded(name) if name else f"attachment-{len(attachments) + 1}",
            content_type=clean(mime.get_content_type()),
            data=part_data(mime),
            is_inline=not is_attached and content_id is not None,
            content_id=content_id,
        )
    )


def part_data(mime: Mime) -> bytes:
    """Return the octets of a part with its transfer encoding undone."""
    if mime.get_content_maintype() == "message" and mime.is_multipart():
        parts = (each for each in mime.get_payload() if isinstance(each, Mime))
        return with_crlf(b"".join(each.as_bytes() for each in parts))
    payload = mime.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Mime) -> str:
    data = part_data(part)
    try:
        return clean(data.decode(part.get_content_charset("utf-8"), "replace"))
    except LookupError:
        return data.decode("utf-8", "replace")


def decoded(value: str) -> str:
    """Return a field's value with encoded words (RFC 2047) decoded; as it is if they are broken."""
    if "=?" not in value:
        return clean(value)
    try:
        return clean(str(make_header(decode_header(value))))
    except (LookupError, ValueError, MessageError):
        return clean(value)


def clean(text: str) -> str:
    """Return `text` with octets that are not UTF-8, kept as surrogates so far, replaced."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _addresses(value: str) -> tuple[Address, ...]:
    if not value:
        return ()
    pairs = email.utils.getaddresses([value])
    return tuple((decoded(name), clean(address)) for name, address in pairs if address)


def _date(value: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


# -- JSON ------------------------------------------------------------------------------------------------------


def recipient(address: Address | None) -> dict[str, Any] | None:
    """Return a `recipient`; a name that is absent is the address, as Exchange fills it in."""
    if address is None:
        return None
    name, spec = address
    return {"emailAddress": {"name": name or spec, "address": spec}}


def address_of(value: dict[str, Any] | None) -> Address | None:
    """Return what a `recipient` says."""
    inner = (value or {}).get("emailAddress") or {}
    if not inner.get("address") and not inner.get("name"):
        return None
    return inner.get("name") or "", inner.get("address") or ""


def envelope_with(envelope: Envelope, given: dict[str, Any]) -> Envelope:
    """Return `envelope` with what a `message` resource gives."""
    changes: dict[str, Any] = {}
    for name, own in (
        ("toRecipients", "to"),
        ("ccRecipients", "cc"),
        ("bccRecipients", "bcc"),
        ("replyTo", "reply_to"),
    ):
        if name in given:
            changes[own] = _recipients(given[name] or [])
    for name, own in (("from", "author"), ("sender", "sender")):
        if name in given:
            changes[own] = address_of(given[name])
    for name, own in (
        ("subject", "subject"),
        ("internetMessageId", "message_id"),
        ("importance", "importance"),
        ("isReadReceiptRequested", "wants_receipt"),
        ("isDeliveryReceiptRequested", "wants_delivery_receipt"),
    ):
        if name in given:
            changes[own] = given[name] if given[name] is not None else getattr(Envelope(), own)
    if "internetMessageHeaders" in given:
        changes["custom"] = tuple((each["name"], each.get("value") or "") for each in given["internetMessageHeaders"])
    return replace(envelope, **changes)


def _recipients(given: Sequence[dict[str, Any]]) -> tuple[Address, ...]:
    return tuple(address for each in given if (address := address_of(each)) is not None)


def attachment_from(given: dict[str, Any], now: datetime) -> Attachment:
    """Return what an `attachment` resource of a request says; a message in it is turned into MIME by `rebuild`."""
    return Attachment(
        kind="file",
        name=given.get("name") or "",
        content_type=given.get("contentType") or "application/octet-stream",
        data=base64.b64decode(given.get("contentBytes") or ""),
        is_inline=bool(given.get("isInline")),
        content_id=given.get("contentId"),
        content_location=given.get("contentLocation"),
        modified=now,
    )
