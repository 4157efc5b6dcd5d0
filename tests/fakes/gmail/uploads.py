"""Media uploads: simple, multipart and resumable. Source: Google's guide "Uploading attachments"."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message as Mime
from email.parser import BytesHeaderParser, HeaderParser
from typing import Any, Final

from tests.fakes.gmail.discovery import Upload
from tests.fakes.gmail.errors import ApiError, malformed, not_found

CHUNK_OCTETS: Final = 262_144
_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Media:
    """What an upload brought: the metadata, the octets."""

    metadata: Any
    octets: bytes


@dataclass(slots=True)
class _Session:
    target: str
    metadata: Any
    length: int | None
    octets: bytearray = field(default_factory=bytearray)


class Uploads:
    """Resumable uploads under way. `lose_half_of_next`: the next chunk is cut off half-way, as by a lost connection."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._sessions: dict[str, _Session] = {}
        self.lose_half_of_next = False

    @property
    def under_way(self) -> int:
        """How many are not complete."""
        return len(self._sessions)

    def start(self, target: str, upload: Upload, limit: int, headers: Mapping[str, str], body: bytes) -> str:
        """Begin a resumable upload to `target` (verb and path); return its id. Raises ApiError."""
        check_media_type(headers.get("x-upload-content-type", "message/rfc822"), upload)
        length = headers.get("x-upload-content-length")
        if length is not None and not length.isdecimal():
            raise malformed("Invalid X-Upload-Content-Length")
        check_length(int(length) if length is not None else 0, limit)
        number = f"AF-{next(self._numbers):08d}"
        self._sessions[number] = _Session(target, read_json(body), int(length) if length is not None else None)
        return number

    def find(self, number: str) -> str | None:
        """Return the target of an upload under way; None if there is none of that id."""
        session = self._sessions.get(number)
        return session.target if session is not None else None

    def abandon(self) -> None:
        """Forget all that are under way, as Google does after a week."""
        self._sessions.clear()

    def receive(self, number: str, target: str, limit: int, headers: Mapping[str, str], body: bytes) -> Media | int:
        """Take a chunk. Return the media when it is complete, otherwise how many octets are there. Raises ApiError."""
        session = self._sessions.get(number)
        if session is None or session.target != target:
            raise not_found()
        first, total = self._read_range(session, headers.get("content-range"), body)
        if first is not None:
            if first != len(session.octets):
                raise malformed(f"Invalid range: octet {len(session.octets)} is expected next")
            if self.lose_half_of_next:
                self.lose_half_of_next = False
                body = body[: len(body) // 2]
            elif (total is None and len(body) % CHUNK_OCTETS) or (
                (total or 0) > first + len(body) and len(body) % CHUNK_OCTETS
            ):
                raise malformed(f"Chunks but the last have a multiple of {CHUNK_OCTETS} octets")
            session.octets += body
        check_length(len(session.octets), limit)
        if total is None or len(session.octets) < total:
            return len(session.octets)
        del self._sessions[number]
        return Media(session.metadata, bytes(session.octets))

    def _read_range(self, session: _Session, text: str | None, body: bytes) -> tuple[int | None, int | None]:
        """Return the number of the first octet in `body` (None: only asked how far it is) and the length of all."""
        if text is None:
            return 0, len(body)
        match = _RANGE.fullmatch(text)
        if match is None:
            raise malformed("Invalid Content-Range")
        total = int(match[3]) if match[3] != "*" else session.length
        if session.length is not None and total != session.length:
            raise malformed("Content-Range does not agree with X-Upload-Content-Length")
        if match[1] is None:
            return None, total
        if int(match[2]) - int(match[1]) + 1 != len(body):
            raise malformed("Content-Range does not agree with the body")
        return int(match[1]), total


def read_multipart(upload: Upload, content_type: str, body: bytes) -> Media:
    """Return the two parts of a multipart/related upload: JSON metadata first, then the message. Raises ApiError."""
    parts = split_parts(content_type, body) if content_type.lower().startswith("multipart/related") else []
    if len(parts) != 2:
        raise malformed("Invalid multipart request: multipart/related with two parts is expected")
    (metadata_head, metadata), (media_head, octets) = parts
    if metadata_head.get_content_type() != "application/json":
        raise malformed("Invalid multipart request: the first part is not JSON")
    check_media_type(media_head.get_content_type(), upload)
    return Media(read_json(metadata), octets)


def check_media_type(text: str, upload: Upload) -> None:
    """Raise ApiError (400) unless media of this type may be uploaded."""
    kind = text.partition(";")[0].strip().lower()
    if not any(fnmatch.fnmatchcase(kind, pattern) for pattern in upload.accept):
        text = f"Media type '{kind}' is not supported. Valid media types: [{', '.join(upload.accept)}]"
        raise ApiError(400, "badContent", text)


def check_length(octets: int, limit: int) -> None:
    """Raise ApiError (413) if an upload is longer than `limit`."""
    if octets > limit:
        raise ApiError(413, "uploadTooLarge", f"Request is too large: at most {limit} bytes are taken.", status=None)


def read_json(body: bytes) -> Any:
    """Return the JSON value in `body`; an empty object if it is empty. Raises ApiError (400)."""
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except ValueError as error:
        raise ApiError(400, "parseError", f"Parse Error: {error}") from None


def split_parts(content_type: str, body: bytes) -> list[tuple[Mime, bytes]]:
    """Return the header and the octets of each part of a multipart body, the octets as they were sent."""
    mark = b"--" + str(HeaderParser().parsestr(f"Content-Type: {content_type}\r\n\r\n").get_boundary()).encode()
    pieces = re.split(rb"(?:^|\r?\n)" + re.escape(mark) + rb"(?:--)?[ \t]*(?:\r?\n|$)", body)
    found = [re.split(rb"\r?\n\r?\n", b"\n" + piece, maxsplit=1) for piece in pieces[1:]]
    return [(BytesHeaderParser().parsebytes(each[0].lstrip(b"\r\n")), each[1]) for each in found if len(each) == 2]
