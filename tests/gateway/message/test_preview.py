from __future__ import annotations

import pytest

from gateway.message.preview import preview
from gateway.message.scan import scan
from tests.corpus.generate import messages


def _of(data: bytes) -> str:
    return preview(data, scan(data))


def _alternative(*parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/alternative; boundary=b\r\n\r\n" + body + b"--b--\r\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Subject: x\r\n\r\nHello,\r\n\r\n  world\t!\r\n", "Hello, world !"),
        (b"Subject: x\r\n\r\n", ""),
        (b"Content-Type: image/png\r\n\r\nx", ""),
        (b"Content-Type: text/html\r\n\r\n<p>Hello &amp; <b>bye</b></p>", "Hello & bye"),
        (b"Content-Type: text/html\r\n\r\n<style>p{}</style><!-- no -->Yes<script>no", "Yes"),
        (b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nno", ""),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-what\r\n\r\nno", ""),
        (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw7xiZXI=", "über"),
        (b"Subject: x\r\n\r\n> quoted\r\n> more\r\nanswer", "answer"),
        (b"Subject: x\r\n\r\n> quoted only", "> quoted only"),
        (_alternative(b"Content-Type: text/html\r\n\r\n<p>web", b"\r\nplain"), "plain"),
        (_alternative(b"\r\n  \r\n", b"Content-Type: text/html\r\n\r\n<p>web</p>"), "web"),
        (_alternative(b"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\ninner"), ""),
    ],
)
def test_previews(data: bytes, text: str) -> None:
    assert _of(data) == text


def test_a_preview_has_at_most_200_characters() -> None:
    assert _of(b"\r\n" + "ü".encode() * 9_000) == "ü" * 200


def test_ordinary_mail_has_previews() -> None:
    without = [message.data for message in messages(200, seed=5) if not _of(message.data)]
    # A digest holds messages only.
    assert all(b"Content-Type: multipart/digest" in data for data in without)
