"""Messages as they are found in mailboxes, made from a seed: the same seed always gives the same octets.

All people and hosts are under example.com, example.org and example.net, which belong to nobody. Lines end in CRLF.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote as percent_encode

FIRST_NAMES = (
    "Alex",
    "Bo",
    "Chris",
    "Dana",
    "Eli",
    "Fran",
    "Gale",
    "Hollis",
    "Jörg",
    "Kim",
    "Łucja",
    "Mika",
    "Noé",
    "Søren",
)
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "lists.example.org")
SUBJECTS = (
    "Minutes of Tuesday's meeting", "Re: Invoice 2024-117", "Your order has been shipped", "Lunch?",
    "Fwd: Travel plans", "Weekly report", "[project] build failed on main", "Happy birthday!", "Reminder: dentist",
)  # fmt: skip
FOREIGN_SUBJECTS = (
    ("Grüße aus Köln – schönes Wochenende", ("utf-8", "iso-8859-15", "windows-1252")),
    ("Žluťoučký kůň", ("utf-8", "iso-8859-2", "windows-1250")),
    ("Протокол собрания", ("utf-8", "koi8-r", "windows-1251")),
    ("会議の議事録について", ("utf-8", "iso-2022-jp", "shift_jis", "euc-jp")),
    ("关于周二会议的纪要", ("utf-8", "gb2312", "gb18030")),
    ("Πρακτικά της συνεδρίασης", ("utf-8", "iso-8859-7")),
    ("🎉 We did it! 🎉", ("utf-8",)),
)
WORDS = (
    "the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "with", "as", "be", "this", "have",
    "from", "or", "had", "by", "not", "but", "what", "all", "were", "when", "we", "there", "can", "an", "your",
    "which", "their", "said", "if", "do", "will", "each", "about", "how", "up", "out", "them", "then", "she", "many",
    "some", "so", "these", "would", "other", "into", "has", "more", "two", "like", "him", "see", "time", "could",
    "no", "make", "than", "first", "been", "its", "who", "now", "people", "my", "made", "over", "did", "down", "only",
    "way", "find", "use", "may", "water", "long", "little", "very", "after", "words", "called", "just", "where",
    "most", "know", "meeting", "report", "invoice", "project", "budget", "deadline",
)  # fmt: skip
FOREIGN_WORDS = (
    "grüße", "straße", "über", "können", "für", "wäre", "æble", "smørrebrød", "déjà", "été", "où", "niño", "mañana",
    "żółw", "źrebię", "привет", "мир",
)  # fmt: skip
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded", "$Important", "project")
MAILBOXES = ("INBOX", "INBOX", "INBOX", "Sent", "Archive", "Lists/project", "Trash")


@dataclass(frozen=True, slots=True)
class GeneratedMessage:
    """One message: its octets, IMAP flags, timezone-aware internal date, and the name of a mailbox to put it in."""

    data: bytes
    flags: frozenset[str]
    internal_date: datetime
    mailbox: str


@dataclass(frozen=True, slots=True)
class _Entity:
    """Content-* fields and body of a part."""

    fields: tuple[str, ...]
    body: bytes

    def render(self) -> bytes:
        return "".join(line + "\r\n" for line in self.fields).encode("utf-8") + b"\r\n" + self.body


def messages(count: int, seed: int) -> Iterator[GeneratedMessage]:
    """Yield `count` messages in the order they arrived. Most have 2 to 20 KB, one in fifty some hundred."""
    maker = _Maker(random.Random(seed))
    for number in range(count):
        yield maker.message(number)


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.clock = datetime(2023, 1, 2, 8, 0, tzinfo=UTC)
        self.threads: list[tuple[str, list[str]]] = []
        self.boundaries = 0
        # Shares of 100, so that every kind comes often enough in a few hundred.
        self.kinds: Sequence[tuple[int, Callable[[], _Entity]]] = (
            (22, self.plain),
            (6, self.flowed),
            (6, self.eight_bit),
            (8, self.quoted_printable_text),
            (4, self.base64_text),
            (16, self.alternative),
            (8, self.related),
            (12, self.attachments),
            (6, self.forwarded),
            (3, self.calendar),
            (3, self.signed),
            (3, self.delivery_report),
            (1, self.digest),
            (2, self.large_attachment),
        )

    # -- the message ---------------------------------------------------------------------------------------------------

    def message(self, number: int) -> GeneratedMessage:
        self.clock += timedelta(seconds=self.chance.randrange(60, 40_000))
        (make,) = self.chance.choices([kind for _, kind in self.kinds], [share for share, _ in self.kinds])
        data = self.render(number, make(), hops=self.chance.choice((0, 1, 2, 3, 3, 5, 9)))
        flags = frozenset(flag for flag in FLAGS if self.chance.random() < (0.6 if flag == "\\Seen" else 0.07))
        return GeneratedMessage(data, flags, self.clock, self.chance.choice(MAILBOXES))

    def render(self, number: int, entity: _Entity, hops: int) -> bytes:
        chance = self.chance
        zone = timezone(timedelta(minutes=chance.choice((-480, -300, 0, 60, 120, 330, 540))))
        message_id = f"<{chance.getrandbits(64):x}.{number}@{chance.choice(DOMAINS)}>"
        subject, ancestors = self.thread(message_id)
        sender = self.person()
        lines = [line for hop in range(hops) for line in self.received(hop)]
        if chance.random() < 0.4:
            lines += self.dkim()
        lines += (
            f"Date: {self.clock.astimezone(zone):%a, %d %b %Y %H:%M:%S %z}",
            f"From: {sender}",
            *self.recipients("To", chance.choice((1, 1, 1, 2, 3, 12))),
            f"Subject: {subject}",
            f"Message-ID: {message_id}",
        )
        if chance.random() < 0.3:
            lines += self.recipients("Cc", chance.choice((1, 2, 5)))
        if ancestors:
            lines += (f"In-Reply-To: {ancestors[-1]}", "References: " + "\r\n ".join(ancestors[-10:]))
        if chance.random() < 0.15:
            lines += (
                f"Sender: bounces@{chance.choice(DOMAINS)}",
                f"Reply-To: list@{chance.choice(DOMAINS)}",
                "List-Id: Project talk <project.lists.example.org>",
                "List-Unsubscribe: <mailto:leave@lists.example.org>,\r\n\t<https://lists.example.org/leave>",
            )
        if chance.random() < 0.5:
            lines.append(f"X-Mailer: Example Mailer {chance.randrange(1, 20)}.{chance.randrange(10)}")
        lines.append("MIME-Version: 1.0")
        return "".join(line + "\r\n" for line in lines).encode("utf-8") + entity.render()

    def thread(self, message_id: str) -> tuple[str, list[str]]:
        """Return the subject line and the ids of the messages this one answers."""
        if self.threads and self.chance.random() < 0.35:
            subject, ids = self.chance.choice(self.threads)
            ancestors = list(ids)
            ids.append(message_id)
            return f"Re: {subject.removeprefix('Re: ')}", ancestors
        subject = self.subject()
        self.threads.append((subject, [message_id]))
        del self.threads[:-20]
        return subject, []

    def subject(self) -> str:
        if self.chance.random() < 0.6:
            return self.chance.choice(SUBJECTS)
        text, charsets = self.chance.choice(FOREIGN_SUBJECTS)
        return self.encoded_words(text, self.chance.choice(charsets))

    def encoded_words(self, text: str, charset: str) -> str:
        """Write text as RFC 2047 words of at most 75 characters, folded between them."""
        words = []
        step = 8 if charset in ("iso-2022-jp", "utf-8") else 12
        is_q = self.chance.random() < 0.5
        for start in range(0, len(text), step):
            octets = text[start : start + step].encode(charset, "replace")
            if is_q:
                coded = "".join(
                    chr(o) if chr(o).isalnum() and o < 128 else "_" if o == 32 else f"={o:02X}" for o in octets
                )
            else:
                coded = base64.b64encode(octets).decode()
            words.append(f"=?{charset}?{'q' if is_q else 'B'}?{coded}?=")
        return "\r\n ".join(words)

    def person(self) -> str:
        name = self.chance.choice(FIRST_NAMES)
        local = binascii.hexlify(name.encode())[:6].decode() if not name.isascii() else name.lower()
        address = f"{local}{self.chance.randrange(100)}@{self.chance.choice(DOMAINS)}"
        if not name.isascii():
            return f"{self.encoded_words(name, 'utf-8')} Example <{address}>"
        form = self.chance.randrange(5)
        if form == 0:
            return address
        if form == 1:
            return f'"Example, {name}" <{address}>'
        if form == 2:
            return f"{address} ({name} Example)"
        return f"{name} Example <{address}>"

    def recipients(self, field: str, count: int) -> list[str]:
        if field == "To" and self.chance.random() < 0.04:
            return ["To: undisclosed-recipients:;"]
        return [f"{field}: " + ",\r\n\t".join(self.person() for _ in range(count))]

    def received(self, hop: int) -> list[str]:
        stamp = f"{self.clock - timedelta(seconds=hop):%a, %d %b %Y %H:%M:%S +0000 (UTC)}"
        return [
            f"Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop + 1}])",
            "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))",
            f"\tby in{hop}.example.org (Example MTA) with ESMTPS id {self.chance.getrandbits(48):X}",
            f"\tfor <user@example.org>; {stamp}",
        ]

    def dkim(self) -> list[str]:
        signature = base64.b64encode(self.chance.randbytes(192)).decode()
        folded = [f"\t {signature[start : start + 70]}" for start in range(0, len(signature), 70)]
        return ["DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;",
                "\th=from:to:subject:date:message-id; b=", *folded]  # fmt: skip

    # -- text ----------------------------------------------------------------------------------------------------------

    def paragraph(self, words: Sequence[str] = WORDS, length: int = 60) -> str:
        return " ".join(self.chance.choices(words, k=self.chance.randrange(8, length))).capitalize() + "."

    def lines(self, words: Sequence[str] = WORDS, width: int = 72) -> list[str]:
        result: list[str] = []
        for _ in range(self.chance.choice((3, 6, 6, 12, 25))):
            line = ""
            for word in self.paragraph(words).split():
                if len(line) + len(word) >= width:
                    result.append(line)
                    line = word
                else:
                    line = f"{line} {word}".strip()
            result += [line, ""]
        if self.chance.random() < 0.3:
            result += [f"> {line}" for line in result[:5]]
        if self.chance.random() < 0.4:
            result += ["-- ", "Alex Example", "Example Ltd."]
        return result

    def plain(self) -> _Entity:
        body = _joined(self.lines())
        fields: tuple[str, ...] = self.chance.choice(
            (
                (),
                ("Content-Type: text/plain",),
                ("Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit"),
                ("Content-Type: TEXT/PLAIN; CHARSET=UTF-8",),
            )
        )
        return _Entity(fields, body)

    def flowed(self) -> _Entity:
        lines = [line + " " if line and self.chance.random() < 0.7 else line for line in self.lines(width=66)]
        return _Entity(('Content-Type: text/plain; charset="utf-8"; format=flowed; delsp=no',), _joined(lines))

    def eight_bit(self) -> _Entity:
        charset = self.chance.choice(("utf-8", "utf-8", "iso-8859-1"))
        body = _joined(self.lines((*WORDS, *FOREIGN_WORDS)), charset)
        return _Entity((f"Content-Type: text/plain; charset={charset}", "Content-Transfer-Encoding: 8bit"), body)

    def quoted_printable_text(self) -> _Entity:
        return self.in_quoted_printable("plain", "\r\n".join(self.lines((*WORDS, *FOREIGN_WORDS))))

    def in_quoted_printable(self, subtype: str, text: str) -> _Entity:
        lines = [binascii.b2a_qp(line.encode(), istext=True).replace(b"\n", b"\r\n") for line in text.split("\r\n")]
        fields = (f'Content-Type: text/{subtype}; charset="UTF-8"', "Content-Transfer-Encoding: quoted-printable")
        return _Entity(fields, b"\r\n".join(lines) + b"\r\n")

    def base64_text(self) -> _Entity:
        body = _base64(_joined(self.lines((*WORDS, *FOREIGN_WORDS))))
        return _Entity(("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"), body)

    def web_page(self) -> _Entity:
        paragraphs = "\r\n".join(
            f'<p style="margin:0">{self.paragraph((*WORDS, *FOREIGN_WORDS))}</p>' for _ in range(8)
        )
        page = f"<html><head><style>p {{ color: #333 }}</style></head>\r\n<body>{paragraphs}</body></html>"
        return self.in_quoted_printable("html", page)

    # -- compound messages ---------------------------------------------------------------------------------------------

    def multipart(self, subtype: str, parts: Sequence[_Entity], parameters: str = "") -> _Entity:
        self.boundaries += 1
        style = self.chance.randrange(4)
        boundary = (
            f"----=_Part_{self.boundaries}_{self.chance.getrandbits(40)}",
            f"{self.chance.getrandbits(90):028x}",
            f"Apple-Mail=_{self.chance.getrandbits(60):X}",
            f"=_{self.boundaries}'()+,-./:=?",
        )[style]
        octets = boundary.encode()
        body = self.chance.choice((b"", b"", b"This is a multi-part message in MIME format.\r\n\r\n"))
        for part in parts:
            body += b"--" + octets + b"\r\n" + part.render() + b"\r\n"
        body += b"--" + octets + b"--\r\n"
        if self.chance.random() < 0.1:
            body += b"\r\nepilogue\r\n"
        return _Entity((f'Content-Type: multipart/{subtype};{parameters}\r\n\tboundary="{boundary}"',), body)

    def alternative(self) -> _Entity:
        return self.multipart(
            "alternative", [self.chance.choice((self.plain, self.quoted_printable_text))(), self.web_page()]
        )

    def related(self) -> _Entity:
        content_id = f"<image{self.chance.randrange(1000)}@example.com>"
        image = self.attachment(self.chance.randrange(500, 6000), f"Content-ID: {content_id}", kind="image/png")
        page = self.multipart("related", [self.web_page(), image], ' type="text/html";')
        return self.multipart("alternative", [self.plain(), page])

    def attachments(self) -> _Entity:
        first = self.chance.choice((self.plain, self.alternative, self.web_page))()
        others = [self.attachment(self.chance.randrange(10, 9000)) for _ in range(self.chance.choice((1, 1, 2, 4)))]
        return self.multipart("mixed", [first, *others])

    def large_attachment(self) -> _Entity:
        return self.multipart("mixed", [self.plain(), self.attachment(self.chance.randrange(100_000, 600_000))])

    def attachment(self, size: int, *fields: str, kind: str = "") -> _Entity:
        kind = kind or self.chance.choice(
            ("application/pdf", "image/jpeg", "application/octet-stream", "application/zip")
        )
        name = self.chance.choice(
            ("report.pdf", "scan 01.jpg", "Übersicht.pdf", "議事録.docx", "a very long name " * 4 + ".txt")
        )
        disposition = self.chance.choice(("attachment", "inline"))
        return _Entity(
            (
                f"Content-Type: {kind};{self.named('name', name)}",
                "Content-Transfer-Encoding: base64",
                f"Content-Disposition: {disposition};{self.named('filename', name)};\r\n size={size}",
                *fields,
            ),
            _base64(self.chance.randbytes(size)),
        )

    def named(self, parameter: str, name: str) -> str:
        """Write a file name in a way programs do: quoted, RFC 2231, RFC 2231 in pieces, RFC 2047 in quotes."""
        if name.isascii() and len(name) < 60:
            return f'\r\n\t{parameter}="{name}"'
        form = self.chance.randrange(3)
        if form == 0:
            return f'\r\n\t{parameter}="{self.encoded_words(name, "utf-8")}"'
        encoded = percent_encode(name, safe="")
        if form == 1:
            return f"\r\n\t{parameter}*=utf-8''{encoded}"
        pieces = [encoded[start : start + 30] for start in range(0, len(encoded), 30)]
        first = f"\r\n\t{parameter}*0*=utf-8''{pieces[0]}"
        return first + "".join(f";\r\n\t{parameter}*{number}*={piece}" for number, piece in enumerate(pieces[1:], 1))

    def embedded(self) -> bytes:
        make = self.chance.choice((self.plain, self.alternative, self.attachments, self.quoted_printable_text))
        return self.render(self.chance.randrange(10_000), make(), hops=1)

    def forwarded(self) -> _Entity:
        fields = (
            "Content-Type: message/rfc822",
            "Content-Disposition: attachment",
            "Content-Description: forwarded message",
        )
        inner = self.multipart("mixed", [self.plain(), _Entity(fields, self.embedded())])
        if self.chance.random() < 0.3:
            twice = _Entity(fields[:1], self.render(1, inner, hops=0))
            return self.multipart("mixed", [self.plain(), twice])
        return inner

    def digest(self) -> _Entity:
        return self.multipart("digest", [_Entity((), self.embedded()) for _ in range(3)])

    def calendar(self) -> _Entity:
        lines = (
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//EN", "METHOD:REQUEST", "BEGIN:VEVENT",
            f"UID:{self.chance.getrandbits(64):x}@example.com", f"DTSTART:{self.clock:%Y%m%dT%H%M%SZ}",
            "ORGANIZER:mailto:alex@example.com", "SUMMARY:Meeting", "END:VEVENT", "END:VCALENDAR",
        )  # fmt: skip
        invitation = _Entity(
            ('Content-Type: text/calendar; charset="utf-8"; method=REQUEST', "Content-Transfer-Encoding: 7bit"),
            _joined(lines),
        )
        return self.multipart("alternative", [self.plain(), self.web_page(), invitation])

    def signed(self) -> _Entity:
        signature = _Entity(
            (
                'Content-Type: application/pkcs7-signature; name="smime.p7s"',
                "Content-Transfer-Encoding: base64",
                'Content-Disposition: attachment; filename="smime.p7s"',
            ),
            _base64(self.chance.randbytes(900)),
        )
        signed = self.chance.choice((self.plain, self.attachments))()
        parameters = ' protocol="application/pkcs7-signature";\r\n\tmicalg=sha-256;'
        return self.multipart("signed", [signed, signature], parameters)

    def delivery_report(self) -> _Entity:
        status = _joined(
            (
                "Reporting-MTA: dns; mx.example.org",
                "",
                "Final-Recipient: rfc822; nobody@example.org",
                "Action: failed",
                "Status: 5.1.1",
            )
        )
        original = self.embedded().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        parts = [
            self.plain(),
            _Entity(("Content-Type: message/delivery-status", "Content-Description: Delivery report"), status),
            _Entity(("Content-Type: text/rfc822-headers",), original),
        ]
        return self.multipart("report", parts, " report-type=delivery-status;")


def _joined(lines: Sequence[str], charset: str = "utf-8") -> bytes:
    return "".join(line + "\r\n" for line in lines).encode(charset, "replace")


def _base64(octets: bytes) -> bytes:
    coded = base64.b64encode(octets)
    return b"".join(coded[start : start + 76] + b"\r\n" for start in range(0, len(coded), 76))
