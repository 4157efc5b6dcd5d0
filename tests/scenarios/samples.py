"""The messages that transcripts speak of: numbered small ones, and a few with a structure worth asking for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.stack import message

_MULTIPART = """From: Alex Example <alex@example.org>
To: "Kim, Jun" <kim@example.org>, team@example.org
Subject: Number {number}
Message-ID: <{number}@example.org>
Date: Wed, 17 Jul 1996 02:23:25 -0700
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="cut"

--cut
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße aus Köln
--cut
Content-Type: application/octet-stream; name="data.bin"
Content-Disposition: attachment; filename="data.bin"
Content-Transfer-Encoding: base64

AAECAwQ=
--cut--
"""


def sample(name: str) -> bytes:
    """Return a message: `7` is the small one with the subject "Number 7", `multipart7` the same with two parts."""
    if name.isdecimal():
        return message(int(name))
    kind, number = name.rstrip("0123456789"), name.lstrip("abcdefghijklmnopqrstuvwxyz")
    if kind != "multipart":
        raise ValueError(f"no sample {name!r}")
    return _MULTIPART.format(number=number).replace("\n", "\r\n").encode()


def number_of(name: str) -> int:
    """Return the number that a sample carries in its subject."""
    return int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))


def date_of(number: int) -> datetime:
    """Return when the message of that number arrived: a day later for each."""
    return datetime(2024, 2, 1, 12, 0, 0, tzinfo=UTC) + timedelta(days=number)


def marker(number: int) -> bytes:
    """Return what is found in the message of that number only."""
    return b"\r\nSubject: Number %d\r\n" % number
