from __future__ import annotations

import pytest

from connectors.gmail.batch import BatchPart, BatchReader, boundary_of, encode_batch

REPLY = (
    b"preamble\r\n"
    b"--batch_x\r\nContent-Type: application/http\r\nContent-ID: <response-1>\r\n\r\n"
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}\r\n'
    b"--batch_x\r\nContent-Type: application/http\r\nContent-ID: <response-0>\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n\r\n"
    b"--batch_x\r\nContent-Type: application/http\r\nContent-ID: <response-12>\r\n\r\n"
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\nslow\r\n\r\ndown\r\n"
    b"--batch_x--\r\n"
)


def read(octets: bytes, step: int) -> list[BatchPart]:
    reader = BatchReader("batch_x")
    return [part for at in range(0, len(octets), step) for part in reader.feed(octets[at : at + step])]


@pytest.mark.parametrize("step", [1, 7, len(REPLY)])
def test_the_parts_of_a_reply_are_found_however_it_is_cut(step: int) -> None:
    parts = read(REPLY, step)
    assert [(part.number, part.status, part.body) for part in parts] == [
        (1, 200, b'{"a": 1}'),
        (0, 204, b""),
        (12, 429, b"slow\r\n\r\ndown"),
    ]
    assert parts[2].headers["retry-after"] == "7"


@pytest.mark.parametrize("end", range(0, len(REPLY) - len(b"--batch_x--\r\n"), 11))
def test_a_reply_that_breaks_off_gives_whole_parts_only(end: int) -> None:
    whole = read(REPLY, len(REPLY))
    parts = read(REPLY[:end], 64)
    assert parts == whole[: len(parts)]
    assert len(parts) < len(whole)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>no batch at all</html>",
        b"--batch_x\r\n\r\n--batch_x--\r\n",
        b"--batch_x\r\nContent-ID: <response-0>\r\n\r\nno status line\r\n--batch_x--",
        b"--batch_x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}\r\n--batch_x--",
    ],
)
def test_what_is_no_part_is_passed_over(reply: bytes) -> None:
    assert read(reply, 5) == []


def test_a_batch_has_a_part_for_each_request() -> None:
    requests = [("GET", "/gmail/v1/users/me/labels?x=1", None), ("POST", "/gmail/v1/users/me/labels", b'{"name":"a"}')]
    assert encode_batch(requests, "mark") == (
        b"--mark\r\nContent-Type: application/http\r\nContent-ID: <0>\r\n\r\n"
        b"GET /gmail/v1/users/me/labels?x=1 HTTP/1.1\r\n\r\n\r\n"
        b"--mark\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\n"
        b"POST /gmail/v1/users/me/labels HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
        b'{"name":"a"}\r\n'
        b"--mark--\r\n"
    )


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/mixed; boundary=batch_a-b", "batch_a-b"),
        ('Multipart/Mixed; charset=x; Boundary="batch a"', "batch a"),
        ("application/json", None),
        ("multipart/mixed", None),
        ("", None),
    ],
)
def test_the_boundary_is_read_from_the_content_type(content_type: str, boundary: str | None) -> None:
    assert boundary_of(content_type) == boundary
