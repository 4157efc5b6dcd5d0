from __future__ import annotations

import pytest

from connectors.transport.messages import Effect, Headers, Reply, Request, shown


def test_header_names_match_in_any_case() -> None:
    headers = Headers([("Content-Type", "text/plain"), ("X-A", "1"), ("x-a", "2")])
    assert headers["content-type"] == headers.get("CONTENT-TYPE") == "text/plain"
    assert headers["X-a"] == "1, 2"
    assert "x-A" in headers
    assert "x-b" not in headers
    assert len(headers) == 2


def test_nothing_prints_its_secrets() -> None:
    request = Request(
        "POST",
        "https://user:hunter2@example.com/path?token=hunter2#hunter2",
        headers={"X-Key": "hunter2"},
        content=b"hunter2",
        effect=Effect.WRITE,
    )
    reply = Reply(200, Headers([("Set-Cookie", "hunter2")]), b"hunter2", request.url)
    assert repr(request) == "<Request POST example.com/path>"
    for value in (request, reply, reply.headers):
        assert "hunter2" not in repr(value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://example.com/a/b?q=1#f", "example.com/a/b"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://[::1]:1/x", "[::1]:1/x"),
        ("https://example.com:port/", "(malformed address)"),
        ("https://[broken/", "(malformed address)"),
        ("https://example.com/a\x1bb", "example.com/a?b"),
        ("", ""),
    ],
)
def test_addresses_are_shown_by_host_and_path(url: str, text: str) -> None:
    assert shown(url) == text
