"""The batch endpoint: many calls in one multipart/mixed request. Source: Google's guide "Batching requests"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.parser import HeaderParser
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.gmail.calls import HttpAnswer, HttpCall
from tests.fakes.gmail.dispatch import Dispatcher, gather
from tests.fakes.gmail.errors import malformed
from tests.fakes.gmail.uploads import split_parts

MAX_CALLS: Final = 100
_LINE: Final = re.compile(r"([A-Z]+) (\S+)(?: HTTP/1\.[01])?")
_MARK: Final = "batch_fake_4f1d"


async def answer_batch(dispatcher: Dispatcher, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
    """Answer each part as a call of its own; its errors are its own too. Raises ApiError (400) for a broken batch."""
    content_type = headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/mixed"):
        raise malformed("Failed to parse batch request, error: the content type is not multipart/mixed")
    parts = split_parts(content_type, body)
    if not parts:
        raise malformed("Failed to parse batch request, error: 0 items")
    if len(parts) > MAX_CALLS:
        raise malformed(f"The batch has {len(parts)} calls; at most {MAX_CALLS} are taken")
    calls = []
    for head, octets in parts:
        if head.get_content_type() != "application/http":
            raise malformed("Failed to parse batch request, error: a part is not application/http")
        calls.append(read_call(headers, octets))
    answers = await gather(dispatcher, calls)
    pieces = [_part(head.get("Content-ID"), answer) for (head, _), answer in zip(parts, answers, strict=True)]
    reply = b"".join(pieces) + f"--{_MARK}--\r\n".encode()
    return HttpAnswer(200, reply, {"Content-Type": f"multipart/mixed; boundary={_MARK}"})


def read_call(outer: Mapping[str, str], octets: bytes) -> HttpCall:
    """Return the call in one part. The outer headers hold for it, but for those about content."""
    head, _, body = octets.replace(b"\r\n", b"\n").partition(b"\n\n")
    line, _, fields = head.decode("utf-8", "replace").lstrip("\n").partition("\n")
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise malformed("Failed to parse batch request, error: a part has no request line")
    target = urlsplit(match[2])
    if target.scheme or target.netloc:
        raise malformed("Failed to parse batch request, error: only the path belongs in a part, not the whole URL")
    if "/upload/" in target.path:
        raise malformed("Failed to parse batch request, error: media cannot be uploaded in a batch")
    own = {name.lower(): str(value) for name, value in HeaderParser().parsestr(fields + "\n\n").items()}
    inherited = {name: value for name, value in outer.items() if not name.startswith("content-")}
    query = tuple(parse_qsl(target.query, keep_blank_values=True))
    return HttpCall(match[1], target.path, query, {**inherited, **own}, body.strip(b"\n"))


def _part(content_id: str | None, answer: HttpAnswer) -> bytes:
    lines = [f"--{_MARK}", "Content-Type: application/http"]
    if content_id is not None:
        inner = content_id.strip().removeprefix("<").removesuffix(">")
        lines.append(f"Content-ID: <response-{inner}>")
    lines += ["", f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [f"Content-Length: {len(answer.body)}", "", ""]
    return "\r\n".join(lines).encode() + answer.body + b"\r\n"
