"""Small messages to put into mailboxes, the same in every run."""

from __future__ import annotations

_TEXT = "Grüße aus Köln, in line {line} of message {number}.\r\n"


def message(number: int, *, subject: str | None = None, lines: int = 3) -> bytes:
    """Return a plain 8-bit message, CRLF line ends, its number in subject, Message-ID and text."""
    text = "".join(_TEXT.format(line=line, number=number) for line in range(1, lines + 1))
    head = (
        f"Return-Path: <sender{number}@example.org>\r\n"
        f'From: "Sender {number}" <sender{number}@example.org>\r\n'
        f"To: Receiver <receiver@example.net>, second{number}@example.net\r\n"
        f"Subject: {subject or f'Message number {number}'}\r\n"
        f"Date: {1 + number % 28:02} Feb 2024 10:{number % 60:02}:00 +0100\r\n"
        f"Message-ID: <{number}@seed.example.org>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n"
        "\r\n"
    )
    return (head + text).encode()


def multipart(number: int) -> bytes:
    """Return a message with a text, an alternative in HTML, an attached file and a forwarded message."""
    return (
        f"From: =?utf-8?q?Zo=C3=AB?= <zoe{number}@example.org>\r\n"
        f"To: undisclosed-recipients:;\r\n"
        f"Cc: Team: a{number}@example.net, b@example.net;\r\n"
        f'Subject: =?utf-8?b?w4RwZmVs?= "quoted" {number}\r\n'
        f"Date: Mon, 5 Feb 2024 10:{number % 60:02}:00 +0100\r\n"
        f"Message-ID: <multi.{number}@seed.example.org>\r\n"
        f"In-Reply-To: <{number}@seed.example.org>\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="outer"\r\n'
        "\r\n"
        "This is a message in MIME format.\r\n"
        "--outer\r\n"
        'Content-Type: multipart/alternative; boundary="inner"\r\n'
        "\r\n"
        "--inner\r\nContent-Type: text/plain; charset=us-ascii; format=flowed\r\n\r\nplain text\r\n"
        "--inner\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        "<p>=C3=84pfel</p>\r\n"
        "--inner--\r\n"
        "--outer\r\n"
        "Content-Type: application/octet-stream; name=data.bin\r\n"
        'Content-Disposition: attachment; filename="data.bin"; size=12\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        "\r\n"
        "AAECAwQFBgcICQoL\r\n"
        "--outer\r\n"
        "Content-Type: message/rfc822\r\n"
        "Content-Description: forwarded\r\n"
        "\r\n"
        f"From: inner{number}@example.org\r\nSubject: forwarded {number}\r\n\r\ninner text\r\n"
        "--outer--\r\n"
    ).encode()


def mixed(count: int, *, first: int = 1) -> list[bytes]:
    """Return `count` messages, every third of them multipart."""
    return [multipart(n) if n % 3 == 0 else message(n, lines=1 + n % 7) for n in range(first, first + count)]
