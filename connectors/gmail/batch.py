"""Many calls in one request: the multipart format of Google's batch endpoints.

A batch is a `multipart/mixed` body, each part of which is an HTTP request without its host (`application/http`). The
reply has a part for each, in any order, with `response-` put before the Content-ID. The header of the whole holds for
each.
Source: Google, "Batching requests" of the Gmail API; RFC 2046 section 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.gmail.methods import Method
from connectors.transport.messages import Headers

MAX_CALLS: Final = 100
"""In one batch; the guide says that more than 50 are likely to be refused for their number."""

_BOUNDARY: Final = re.compile(r"""boundary=(?:"([^"]+)"|([^\s;"]+))""", re.IGNORECASE)
_STATUS_LINE: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: |$)")
_ID: Final = re.compile(rb"^content-id:[^\r\n]*?(\d+)>?\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BatchCall:
    """One call of a batch, as for `GmailClient.call`; without an upload. `path` is without `userId`."""

    method: Method
    path: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    body: object | None = None


@dataclass(frozen=True, slots=True)
class BatchPart:
    """The reply to one call; `number` is its place in the batch."""

    number: int
    status: int
    headers: Headers
    body: bytes


def encode_batch(requests: Sequence[tuple[str, str, bytes | None]], boundary: str) -> bytes:
    """Return the body of a batch of requests, each given as verb, path with query string, and JSON body.

    `boundary` must not occur in any of them.
    """
    pieces = bytearray()
    for number, (verb, target, body) in enumerate(requests):
        pieces += f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n".encode("ascii")
        pieces += f"{verb} {target} HTTP/1.1\r\n".encode("ascii")
        if body is not None:
            pieces += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode("ascii")
        pieces += b"\r\n" + (body or b"") + b"\r\n"
    pieces += f"--{boundary}--\r\n".encode("ascii")
    return bytes(pieces)


def boundary_of(content_type: str) -> str | None:
    """Return the boundary that a Content-Type names; None if it is no multipart."""
    if not content_type.lower().startswith("multipart/"):
        return None
    match = _BOUNDARY.search(content_type)
    return (match[1] or match[2]) if match else None


class BatchReader:
    """Takes the reply to a batch as it comes, and gives its parts as they are complete."""

    def __init__(self, boundary: str) -> None:
        self._mark = f"--{boundary}".encode("latin-1")
        self._buffer = bytearray()
        self._looked_at = 0
        self._begun = False

    def feed(self, data: bytes) -> Iterator[BatchPart]:
        """Take the next octets and yield the parts that end in them; what is no part is passed over."""
        self._buffer += data
        while (at := self._buffer.find(self._mark, self._looked_at)) >= 0:
            piece = bytes(self._buffer[:at]) if self._begun else b""
            self._begun = True
            del self._buffer[: at + len(self._mark)]
            self._looked_at = 0
            part = _read_part(piece)
            if part is not None:
                yield part
        self._looked_at = max(len(self._buffer) - len(self._mark) + 1, 0)


def _read_part(piece: bytes) -> BatchPart | None:
    outer, _, inner = piece.partition(b"\r\n\r\n")
    named, status_line = _ID.search(outer), _STATUS_LINE.match(inner)
    if named is None or status_line is None:
        return None
    head, _, body = inner.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    fields = [(name.strip(), value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon]
    return BatchPart(int(named[1]), int(status_line[1]), Headers(fields), body.removesuffix(b"\r\n"))
