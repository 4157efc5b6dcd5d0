"""The octets of messages and other blobs, and what the server reads out of them."""

from __future__ import annotations

import email
import email.policy
import hashlib
import html
import re
from email.header import decode_header
from email.message import EmailMessage
from functools import cached_property

FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
BARE_LF = re.compile(rb"(?<!\r)\n")
MESSAGE_ID = re.compile(rb"<[^<>\s]+>")
TAGS = re.compile(r"(?is)<head.*?</head>|<style.*?</style>|<script.*?</script>|<[^>]*>")
SPACES = re.compile(r"\s+")


class Body:
    """What follows the header; messages made from one template share it, and what was read out of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.text: str | None = None
        """What a search finds in it, once one has looked."""

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self.data).digest()


class Content:
    """A blob: header block with its closing empty line, and body."""

    __slots__ = ("body", "header")

    def __init__(self, header: bytes, body: Body) -> None:
        self.header = header
        self.body = body

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Split octets where the header ends."""
        ends = [found + len(gap) for gap in (b"\r\n\r\n", b"\n\n") if (found := data.find(gap)) >= 0]
        end = min(ends, default=len(data))
        return cls(data[:end], Body(data[end:]))

    @property
    def size(self) -> int:
        return len(self.header) + len(self.body.data)

    @property
    def data(self) -> bytes:
        return self.header + self.body.data

    def blob_id(self) -> str:
        """Return the id of the blob, the same for the same octets."""
        return "G" + hashlib.sha256(self.header + self.body.digest).hexdigest()[:40]

    def fields(self) -> list[tuple[str, bytes]]:
        """Return name and raw value of each header field, in order."""
        return [(name.decode("ascii"), value.removesuffix(b"\r")) for name, value in FIELD.findall(self.header)]

    def field(self, name: str) -> bytes | None:
        """Return the raw value of the last field of that name."""
        wanted = name.lower()
        found = None
        for field_name, value in self.fields():
            if field_name.lower() == wanted:
                found = value
        return found

    def parsed(self) -> EmailMessage:
        """Return the message as the standard library reads it."""
        return email.message_from_bytes(self.data, policy=email.policy.default)

    def repaired(self) -> Content:
        """Return it with CRLF line ends and without NUL."""
        return Content.of(BARE_LF.sub(b"\r\n", self.data.replace(b"\0", b"")))


def raw_text(value: bytes) -> str:
    """Return a header value in Raw form (RFC 8621 section 4.1.2.1)."""
    return value.replace(b"\0", b"").decode("utf-8", "replace")


def decoded_text(value: bytes) -> str:
    """Return a header value in Text form: unfolded, encoded words decoded (RFC 8621 section 4.1.2.2)."""
    unfolded = re.sub(r"\r?\n", "", raw_text(value)).strip()
    if "=?" not in unfolded:
        return unfolded
    pieces: list[str] = []
    for piece, charset in decode_header(unfolded):
        if isinstance(piece, str):
            pieces.append(piece)
            continue
        try:
            pieces.append(piece.decode(charset or "utf-8", "replace"))
        except LookupError:
            pieces.append(piece.decode("utf-8", "replace"))
    return "".join(pieces)


def plain_text(message: EmailMessage) -> str:
    """Return the text of all text parts, markup removed."""
    texts = []
    for part in message.walk():
        if part.get_content_maintype() != "text":
            continue
        text = part_text(part)
        texts.append(html.unescape(TAGS.sub(" ", text)) if part.get_content_subtype() == "html" else text)
    return SPACES.sub(" ", " ".join(texts)).strip()


def part_text(part: EmailMessage) -> str:
    """Return the text of one part, with line feeds as line ends."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        text = data.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        text = data.decode("utf-8", "replace")
    return text.replace("\r\n", "\n")
