"""Makes MIME from what is kept of a message: never the octets that came.

Delivered mail keeps the content of its parts; order and number of its header fields and its boundaries change. Mail
that a client made from JSON is generated whole.
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from typing import Final

from tests.fakes.graph.content import Address, Attachment, Body, Content, Envelope

_BOUNDARY: Final = re.compile(rb'boundary\s*=\s*(?:"([^"\r\n]+)"|([^\s;"]+))', re.IGNORECASE)
_RAW_FIELD: Final = re.compile(rb"[^\r\n:]+:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*")
_CONTENT: Final = (b"content-", b"mime-version")
_KEPT_WHOLE: Final = re.compile(rb"^content-type:\s*(multipart/signed|application/(x-)?pkcs7-mime)", re.I | re.M)
_QUOTED: Final = re.compile(r"[^\w !#$%&'*+/=?^`{|}~-]")


def rebuilt(content: Content, received: datetime, mark: str) -> bytes:
    """Return the MIME of a message; `mark` makes the octets this call's own, or those of all calls."""
    if content.mime is not None:
        return reshuffled(content.mime(), mark)
    return generated(content.envelope, content.body, received, mark)


def reshuffled(raw: bytes, mark: str) -> bytes:
    """Return a message with its header in another order, fields added, and boundaries of Exchange's own."""
    head, gap, body = raw.partition(b"\r\n\r\n")
    fields = _RAW_FIELD.findall(head)
    received = [each for each in fields if each.lower().startswith(b"received:")]
    about = [each for each in fields if each.lower().startswith(_CONTENT)]
    others = [each for each in fields if each not in received and each not in about]
    added = [
        f"X-MS-Exchange-Organization-SCL: 1\r\nX-MS-TrafficTypeDiagnostic: FAKE0{_hex(mark, 6).upper()}".encode(),
        b"X-MS-Has-Attach: ",
    ]
    ordered = [*received, *sorted(others, key=_rank), *added, *about]
    result = b"\r\n".join(ordered) + gap + body
    if _KEPT_WHOLE.search(head):
        return result
    for number, match in enumerate(_BOUNDARY.findall(raw)):
        old = match[0] or match[1]
        new = f"_{number:03d}_{_hex(mark + str(number), 32).upper()}_".encode()
        result = result.replace(b"--" + old, b"--" + new)
        for form in (b'"' + old + b'"', old):
            result = re.sub(rb"(boundary\s*=\s*)" + re.escape(form), rb'\1"' + new + b'"', result, flags=re.IGNORECASE)
    return result


def _rank(line: bytes) -> int:
    order = (b"from:", b"to:", b"cc:", b"subject:", b"thread-topic:", b"date:", b"message-id:", b"references:")
    lowered = line.lower()
    return next((place for place, name in enumerate(order) if lowered.startswith(name)), len(order))


def generated(envelope: Envelope, body: Body, received: datetime, mark: str) -> bytes:
    """Return a message made from properties alone."""
    lines = list(_header(envelope, received))
    inline = [each for each in body.attachments if each.is_inline and each.content_id]
    attached = [each for each in body.attachments if each not in inline]
    entity = _text_entity(body, mark)
    if inline:
        entity = _multipart("related", [entity, *map(_attachment_entity, inline)], f"{mark}r")
    if attached:
        entity = _multipart("mixed", [entity, *map(_attachment_entity, attached)], f"{mark}m")
    return "\r\n".join([*lines, "MIME-Version: 1.0"]).encode() + b"\r\n" + entity


def _header(envelope: Envelope, received: datetime) -> Iterator[str]:
    yield f"From: {_one(envelope.author or envelope.sender)}"
    if envelope.sender is not None and envelope.author is not None and envelope.sender[1] != envelope.author[1]:
        yield f"Sender: {_one(envelope.sender)}"
    for name, addresses in (
        ("To", envelope.to), ("CC", envelope.cc), ("BCC", envelope.bcc), ("Reply-To", envelope.reply_to),
    ):  # fmt: skip
        if addresses:
            yield f"{name}: " + ",\r\n\t".join(map(_one, addresses))
    yield f"Subject: {_words(envelope.subject)}"
    yield f"Thread-Topic: {_words(envelope.subject)}"
    yield f"Date: {format_datetime((envelope.sent or received).astimezone(UTC))}"
    yield f"Message-ID: {envelope.message_id}"
    if envelope.references:
        yield f"References: {envelope.references}"
    if envelope.in_reply_to:
        yield f"In-Reply-To: {envelope.in_reply_to}"
    if envelope.importance != "normal":
        yield f"Importance: {envelope.importance}"
    yield "Content-Language: en-US"
    yield "X-MS-Has-Attach:"
    for name, value in envelope.custom:
        yield f"{name}: {_words(value)}"


def _one(address: Address | None) -> str:
    if address is None:
        return ""
    name, spec = address
    if not name:
        return f"<{spec}>"
    shown = _words(name) if not name.isascii() else f'"{name}"' if _QUOTED.search(name) else name
    return f"{shown} <{spec}>"


def _words(text: str) -> str:
    flat = text.replace("\r", " ").replace("\n", " ")
    return flat if flat.isascii() else Header(flat, "utf-8", maxlinelen=70).encode(linesep="\r\n")


def _text_entity(body: Body, mark: str) -> bytes:
    plain = _part("text/plain; charset=utf-8", body.as_text())
    if body.kind == "text":
        return plain
    return _multipart("alternative", [plain, _part("text/html; charset=utf-8", body.text)], f"{mark}a")


def _part(kind: str, text: str) -> bytes:
    lines = text.replace("\r\n", "\n")
    data = quopri.encodestring(lines.encode()).replace(b"\n", b"\r\n")
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n".encode() + data + b"\r\n"


def _attachment_entity(attachment: Attachment) -> bytes:
    if attachment.kind == "item":
        head = (
            f'Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename="{_name(attachment)}"\r\n\r\n'
        )
        return head.encode() + attachment.data
    where = "inline" if attachment.is_inline else "attachment"
    head = (
        f'Content-Type: {attachment.content_type}; name="{_name(attachment)}"\r\n'
        f'Content-Disposition: {where}; filename="{_name(attachment)}"; size={len(attachment.data)}\r\n'
    )
    if attachment.content_id:
        head += f"Content-ID: <{attachment.content_id}>\r\n"
    head += "Content-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(attachment.data).replace(b"\n", b"\r\n")


def _name(attachment: Attachment) -> str:
    return _words(attachment.name).replace("\r\n ", "").replace('"', "'")


def _multipart(kind: str, parts: Sequence[bytes], mark: str) -> bytes:
    boundary = f"_000_{_hex(mark, 40).upper()}_"
    middle = b"".join(f"--{boundary}\r\n".encode() + each + b"\r\n" for each in parts)
    return (
        f'Content-Type: multipart/{kind};\r\n\tboundary="{boundary}"\r\n\r\n'.encode()
        + middle
        + (f"--{boundary}--\r\n".encode())
    )


def _hex(mark: str, length: int) -> str:
    return hashlib.blake2b(mark.encode(), digest_size=32).hexdigest()[:length]
