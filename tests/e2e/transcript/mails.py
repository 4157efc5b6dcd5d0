"""The messages that the transcript is about: their octets, dates and flags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, its flags and its internal date as they stand in APPEND."""

    data: bytes
    flags: str
    date: str


def _mail(flags: str, date: str, text: str) -> Mail:
    return Mail(text.replace("\n", "\r\n").encode(), flags, date)


SEEDS = (
    _mail(
        "\\Seen",
        "01-Feb-2024 10:00:00 +0000",
        """From: Alice Adams <alice@example.org>
To: Bob Brown <bob@example.net>
Subject: Apples
Date: Thu, 01 Feb 2024 09:59:00 +0000
Message-ID: <apples@example.org>

There are twelve apples in the basket.
""",
    ),
    _mail(
        "\\Answered",
        "02-Feb-2024 10:00:00 +0000",
        """From: Bob Brown <bob@example.net>
To: Alice Adams <alice@example.org>
Cc: Carol Clark <carol@example.com>
Subject: Re: Apples
Date: Fri, 02 Feb 2024 11:00:00 +0200
Message-ID: <reply@example.net>
In-Reply-To: <apples@example.org>
References: <apples@example.org>

Twelve is enough.
""",
    ),
    _mail(
        "$Forwarded",
        "03-Feb-2024 10:00:00 +0000",
        """From: zed@example.org
To: Alice Adams <alice@example.org>
Subject: Report with a file
Date: Sat, 03 Feb 2024 10:00:00 +0000
Message-ID: <parts@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="cut"

--cut
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe from K=C3=B6ln.
--cut
Content-Type: application/octet-stream; name="data.bin"
Content-Disposition: attachment; filename="data.bin"
Content-Transfer-Encoding: base64

AAECAwQ=
--cut--
""",
    ),
    _mail(
        "\\Flagged \\Seen",
        "04-Feb-2024 10:00:00 +0000",
        """From: =?utf-8?q?=C3=89mile_Zola?= <emile@example.fr>
To: Bob Brown <bob@example.net>
Subject: =?utf-8?q?=C3=84pfel_und_Birnen?=
Date: Sun, 04 Feb 2024 10:00:00 +0000
Message-ID: <umlaut@example.fr>
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Sch=F6ne Birnen, sch=F6ne =C4pfel.
""",
    ),
    _mail(
        "\\Draft",
        "05-Feb-2024 10:00:00 +0000",
        """From: Carol Clark <carol@example.com>
To: Alice Adams <alice@example.org>
Subject: Fwd: Report
Date: Mon, 05 Feb 2024 10:00:00 +0000
Message-ID: <forward@example.com>
MIME-Version: 1.0
Content-Type: multipart/digest; boundary="cut"

--cut

From: Dan <dan@example.org>
Subject: inside
Date: Sun, 28 Jan 2024 10:00:00 +0000

An inner message.
--cut--
""",
    ),
    _mail(
        "",
        "06-Feb-2024 10:00:00 +0000",
        """From: Bob Brown <bob@example.net>
To: list@example.org
Subject: [fruit] Bananas
Date: Tue, 06 Feb 2024 10:00:00 +0000
Message-ID: <bananas@example.net>

Bananas, apples and pears.
""",
    ),
)

MAILS = {
    "short": b"From: a@example.org\r\nSubject: Short\r\n\r\nA short text.\r\n",
    "other": b"From: b@example.org\r\nSubject: Other\r\nMessage-ID: <other@example.org>\r\n\r\nAnother text.\r\n",
    "utf8": "From: a@example.org\r\nSubject: Grüße\r\n\r\nAus Köln.\r\n".encode(),
    "binary": b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n\x00\x01\x02\r\n",
    "head": b"From: c@example.org\r\nSubject: Joined\r\nMIME-Version: 1.0\r\n\r\n",
    "empty": b"",
    "word": b"apples",
    "name": b"box",
    "umlaut": "Köln".encode(),
}
"""Texts that commands name: `{short}` is sent as a literal."""
