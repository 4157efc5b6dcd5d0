"""What can be read off the octets of one message: header fields, words, snippet, the tree of parts."""

from __future__ import annotations

import base64
import email
import email.errors
import email.header
import email.utils
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message as Mime
from email.parser import HeaderParser
from functools import cached_property
from typing import Any

_BARE_LF = re.compile(rb"(?<!\r)\n")
_WORDS = re.compile(r"\w+", re.UNICODE)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_SURROGATES = re.compile("[\ud800-\udfff]+")
_BLANKS = re.compile(r"\s+")
SNIPPET_LENGTH = 200
# A message of many megabytes is not parsed for its first line.
_SNIPPET_SOURCE_OCTETS = 65_536


def with_crlf(raw: bytes) -> bytes:
    """Return `raw` with CRLF line ends, as Gmail stores what it is given."""
    return _BARE_LF.sub(b"\r\n", raw)


def url64(data: bytes) -> str:
    """Return base64 in the URL alphabet, with padding."""
    return base64.urlsafe_b64encode(data).decode("ascii")


def words(text: str) -> str:
    """Return the words of `text` in lower case, each between blanks, so that a phrase can be looked for with `in`."""
    return " " + " ".join(_WORDS.findall(text.lower())) + " "


class Content:
    """One message as octets, and lazily what they say. Broken MIME is read as far as it goes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def fields(self) -> list[tuple[str, str]]:
        """The header fields in order: name as written, value unfolded and with encoded words decoded."""
        block = self.raw.partition(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape")
        found = []
        for line in _FOLD.sub("", block).split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and name.strip():
                found.append((clean(name.strip()), decoded(value.strip())))
        return found

    def header(self, name: str) -> str:
        """Return the first field called `name`, or an empty string."""
        wanted = name.lower()
        return next((value for key, value in self.fields if key.lower() == wanted), "")

    @property
    def message_id(self) -> str:
        """Message-ID with its angle brackets; empty if there is none."""
        return self.header("Message-ID")

    def date(self) -> datetime | None:
        """Return the time in the Date field; None if it is absent, wrong or before 1970."""
        try:
            found = email.utils.parsedate_to_datetime(self.header("Date"))
        except (ValueError, TypeError):
            return None
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found if found.timestamp() >= 0 else None

    @cached_property
    def mime(self) -> Mime:
        """The message as the standard library parses it."""
        return email.message_from_bytes(self.raw)

    def text(self) -> str:
        """Return the text of the message, HTML without its tags; what a search for words looks at."""
        kind, coding = self.header("Content-Type").lower(), self.header("Content-Transfer-Encoding").lower()
        if kind.startswith("text/plain; charset=utf-8") and coding in {"", "7bit", "8bit"}:
            # What seeded mail looks like; a search of all of it does not parse each message.
            return self.raw.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
        return " ".join(_texts(self.mime))

    def mime_type(self) -> str:
        """Return the media type of the whole, `text/plain` where it is absent or broken."""
        return HeaderParser().parsestr(f"Content-Type: {self.header('Content-Type')}\r\n\r\n").get_content_type()

    def snippet(self) -> str:
        """Return the beginning of the text on one line, with HTML entities, as Gmail does."""
        beginning = email.message_from_bytes(self.raw[:_SNIPPET_SOURCE_OCTETS])
        text = _BLANKS.sub(" ", next(_texts(beginning), "")).strip()
        return html.escape(clean(text[:SNIPPET_LENGTH]))

    def attachments(self) -> list[str]:
        """Return the file names of the attachments."""
        return [name for part in self.mime.walk() if (name := part.get_filename())]


def decoded(value: str) -> str:
    """Return a field's value with encoded words (RFC 2047) decoded; as it is if they are broken."""
    if "=?" not in value:
        return clean(value)
    try:
        return clean(str(email.header.make_header(email.header.decode_header(value))))
    except (LookupError, ValueError, email.errors.MessageError):
        return clean(value)


def clean(text: str) -> str:
    """Return `text` with octets that are not UTF-8, kept as surrogates so far, replaced."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _texts(mime: Mime) -> Iterator[str]:
    for part in mime.walk():
        if part.get_content_maintype() == "text" and not part.get_filename():
            text = _decode_text(part)
            yield re.sub(r"<[^>]*>", " ", text) if part.get_content_subtype() == "html" else text


def _decode_text(part: Mime) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class PartBuilder:
    """Builds the MessagePart tree of a message. By `nonce` attachment ids differ from call to call, as Gmail's do."""

    nonce: str

    def tree(self, content: Content) -> dict[str, Any]:
        """Return the whole tree, as `format=full` answers it."""
        return {**self._part(content.mime, ""), "headers": headers(content, None)}

    def _part(self, mime: Mime, number: str) -> dict[str, Any]:
        part: dict[str, Any] = {
            "partId": number,
            "mimeType": clean(mime.get_content_type()),
            "filename": clean(mime.get_filename() or ""),
            "headers": [{"name": clean(name), "value": decoded(_unfold(str(value)))} for name, value in mime.items()],
        }
        if mime.get_content_maintype() == "multipart" and mime.is_multipart():
            prefix = f"{number}." if number else ""
            children = [each for each in mime.get_payload() if isinstance(each, Mime)]
            part["parts"] = [self._part(child, f"{prefix}{index}") for index, child in enumerate(children)]
            part["body"] = {"size": 0}
            return part
        data = part_data(mime)
        if part["filename"] or mime.get_content_maintype() != "text":
            part["body"] = {"attachmentId": f"{number or '-'}_{self.nonce}", "size": len(data)}
        else:
            part["body"] = {"size": len(data), "data": url64(data)}
        return part


def find_part(mime: Mime, attachment_id: str) -> Mime | None:
    """Return the part an attachment id stands for, however old the id is; None if there is none."""
    number = attachment_id.partition("_")[0]
    part = mime
    for step in () if number == "-" else number.split("."):
        children = part.get_payload() if part.is_multipart() else []
        if not step.isdecimal() or not isinstance(children, list) or int(step) >= len(children):
            return None
        child = children[int(step)]
        if not isinstance(child, Mime):
            return None
        part = child
    return part


def part_data(mime: Mime) -> bytes:
    """Return the octets of a part with its transfer encoding undone."""
    if mime.get_content_maintype() == "message" and mime.is_multipart():
        return b"".join(each.as_bytes() for each in mime.get_payload() if isinstance(each, Mime))
    payload = mime.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def headers(content: Content, names: list[str] | None) -> list[dict[str, str]]:
    """Return the header fields as MessagePartHeaders; only those in `names`, in any case, if it is given."""
    wanted = None if names is None else {name.lower() for name in names}
    return [
        {"name": name, "value": value} for name, value in content.fields if wanted is None or name.lower() in wanted
    ]


def _unfold(value: str) -> str:
    return re.sub(r"\r?\n(?=[ \t])", "", value)
