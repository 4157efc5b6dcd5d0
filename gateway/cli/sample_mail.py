"""The demo's mail: about 300 varied messages in a Maildir, the same octets every time."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from gateway.cli.sample_text import LIST_SUBJECTS, OWNER, PEOPLE, SENTENCES, THREADS, Person

_POLICY = SMTP.clone(linesep="\n", max_line_length=78)
_EIGHT_BIT = EmailPolicy(linesep="\n", cte_type="8bit", max_line_length=78)
_NEWEST = datetime(2026, 11, 20, 16, 45, tzinfo=UTC)
_ZONES = tuple(timezone(timedelta(minutes=minutes)) for minutes in (0, 60, 120, -300, -480, 330, 540))

FOLDERS = ("INBOX", "Archive", "Archive.2024", "Archive.2025", "Drafts", "Junk", "Lists.Development", "Sent", "Trash")
"""In Maildir++ spelling: the dot parts the levels."""

_INBOX_MESSAGES = 130
_SENT_MESSAGES = 40
_ARCHIVE_MESSAGES = 45
_LIST_MESSAGES = 24


@dataclass(frozen=True, slots=True)
class SampleMessage:
    """One message: its octets with bare LF as Maildirs hold them, folder, Maildir flag letters, time of arrival."""

    folder: str
    content: bytes
    flags: str
    arrived: datetime


@dataclass(slots=True)
class _Generator:
    """Makes messages going back in time; every random choice comes from one seeded source."""

    random: random.Random = field(default_factory=lambda: random.Random(20261120))  # noqa: S311  no secrets here
    serial: int = 0
    clock: datetime = _NEWEST

    def messages(self) -> Iterator[SampleMessage]:
        yield from self._folder("INBOX", _INBOX_MESSAGES, self._received, unseen=0.25)
        yield from self._specials()
        self.clock = _NEWEST - timedelta(hours=3)
        yield from self._folder("Sent", _SENT_MESSAGES, self._sent)
        yield from self._folder("Drafts", 4, self._draft, flags="DS")
        self.clock = _NEWEST - timedelta(days=2)
        yield from self._folder("Lists.Development", _LIST_MESSAGES, self._list_post, unseen=0.5)
        yield from self._folder("Junk", 12, self._junk, unseen=1.0)
        yield from self._folder("Trash", 8, self._received)
        for year in (2025, 2024):
            self.clock = datetime(year, 12, 28, 9, 30, tzinfo=UTC)
            yield from self._folder(f"Archive.{year}", _ARCHIVE_MESSAGES, self._received)

    def _folder(
        self, folder: str, count: int, make: Callable[[], EmailMessage], *, unseen: float = 0.0, flags: str = "S"
    ) -> Iterator[SampleMessage]:
        for _ in range(count):
            message = make()
            letters = flags
            if self.random.random() < unseen:
                letters = letters.replace("S", "")
            else:
                letters += self.random.choice(("", "", "", "", "R", "F"))
            yield self._finish(folder, message, letters)

    def _finish(self, folder: str, message: EmailMessage, letters: str) -> SampleMessage:
        for number, part in enumerate(message.walk()):
            if part.is_multipart() and part.get_content_maintype() == "multipart":
                part.set_boundary(f"=_{self.serial}.{number}_=")  # else it would be chosen at random
        return SampleMessage(folder, message.as_bytes(), "".join(sorted(letters)), self.clock)

    # -- kinds of messages --------------------------------------------------------------------------------------------

    def _headers(
        self, sender: Person, recipient: Person, subject: str, policy: EmailPolicy[Any] = _POLICY
    ) -> EmailMessage:
        self.serial += 1
        self.clock -= timedelta(minutes=self.random.randint(7, 600))
        message = EmailMessage(policy)
        message["Received"] = (
            f"from mx.{sender.address.partition('@')[2]} by mail.example.org with ESMTPS id {self.serial:08x}; "
            f"{format_datetime(self.clock)}"
        )
        message["Date"] = format_datetime(self.clock.astimezone(self.random.choice(_ZONES)))
        message["From"] = _address(sender)
        message["To"] = _address(recipient)
        if self.random.random() < 0.2:
            message["Cc"] = [_address(person) for person in self.random.sample(PEOPLE, 3)]
        message["Subject"] = subject
        message["Message-ID"] = _message_id(self.serial)
        return message

    def _text(self, paragraphs: int) -> str:
        return "\n\n".join(
            " ".join(self.random.sample(SENTENCES, self.random.randint(1, 4))) for _ in range(paragraphs)
        )

    def _received(self) -> EmailMessage:
        person = self.random.choice(PEOPLE)
        thread = self.random.randrange(len(THREADS))
        depth = self.random.choice((0, 0, 1, 2, 3))
        message = self._headers(person, OWNER, ("Re: " if depth else "") + THREADS[thread])
        if depth:
            ancestors = [_thread_id(thread, level) for level in range(depth)]
            message["In-Reply-To"] = ancestors[-1]
            message["References"] = " ".join(ancestors)
        message.set_content(self._text(self.random.randint(1, 5)) + f"\n\n-- \n{person.name or person.address}\n")
        kind = self.random.randrange(10)
        if kind < 4:
            message.add_alternative(_html(THREADS[thread], self._text(2)), subtype="html")
        if kind in (3, 4, 5):
            self._attach(message)
        return message

    def _sent(self) -> EmailMessage:
        message = self._headers(OWNER, self.random.choice(PEOPLE), "Re: " + self.random.choice(THREADS))
        message["User-Agent"] = "Mail 1.0"
        message.set_content("> " + self.random.choice(SENTENCES) + "\n\n" + self._text(2) + "\n")
        if self.random.random() < 0.2:
            self._attach(message)
        return message

    def _draft(self) -> EmailMessage:
        message = self._headers(OWNER, self.random.choice(PEOPLE), self.random.choice(THREADS))
        del message["Received"]
        message.set_content(self._text(1) + "\n")
        return message

    def _list_post(self) -> EmailMessage:
        person = self.random.choice(PEOPLE[:-1])
        message = self._headers(
            person, Person("Development", "dev@lists.example.org"), self.random.choice(LIST_SUBJECTS)
        )
        message["List-Id"] = "Development <dev.lists.example.org>"
        message["List-Unsubscribe"] = "<mailto:dev-leave@lists.example.org>"
        message["Precedence"] = "list"
        message.set_content(self._text(6) + "\n", cte="quoted-printable")
        return message

    def _junk(self) -> EmailMessage:
        seller = Person("Prize Department", f"winner{self.serial}@offers.example")
        message = self._headers(seller, OWNER, self.random.choice(("YOU HAVE WON!!!", "💰💰💰", "Cheap watches")))
        message["X-Spam-Flag"] = "YES"
        message.set_content(_html("Claim now", "Click here."), subtype="html")
        return message

    def _attach(self, message: EmailMessage) -> None:
        match self.random.randrange(4):
            case 0:
                picture = _png(self.random.randint(40, 160), self.random.randrange(1 << 24))
                message.add_attachment(picture, maintype="image", subtype="png", filename="Foto – Köln.png")
            case 1:
                table = "date,amount\n" + "".join(f"2026-10-{day:02},{day * 17}\n" for day in range(1, 29))
                message.add_attachment(table, subtype="csv", filename="figures.csv")
            case 2:
                data = self.random.randbytes(self.random.randint(20_000, 400_000))
                message.add_attachment(data, maintype="application", subtype="octet-stream", filename="backup.bin")
            case _:
                message.add_attachment(
                    b"%PDF-1.4\n" + self.random.randbytes(9_000),
                    maintype="application",
                    subtype="pdf",
                    filename="2026年 計画.pdf",
                )

    # -- single messages that clients find hard -----------------------------------------------------------------------

    def _specials(self) -> Iterator[SampleMessage]:
        makers = (
            self._forward,
            self._invitation,
            self._bounce,
            self._eight_bit,
            self._inline_picture,
            self._no_subject,
            self._deep,
            self._large,
            self._legacy_charset,
        )
        for make in makers:
            yield self._finish("INBOX", make(), self.random.choice(("", "S", "FS")))

    def _forward(self) -> EmailMessage:
        inner = self._received()
        message = self._headers(PEOPLE[0], OWNER, "Fwd: " + inner["Subject"])
        message.set_content("See below.\n")
        message.add_attachment(inner)
        return message

    def _invitation(self) -> EmailMessage:
        message = self._headers(PEOPLE[2], OWNER, "Invitation: planning, Monday 10:00")
        message.set_content("You are invited to a meeting.\n")
        start = self.clock.strftime("%Y%m%dT%H%M%SZ")
        message.add_alternative(
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1@example.com\n"
            f"DTSTAMP:{start}\nDTSTART:{start}\nSUMMARY:Planning\nEND:VEVENT\nEND:VCALENDAR\n",
            subtype="calendar",
            params={"method": "REQUEST"},
        )
        return message

    def _bounce(self) -> EmailMessage:
        daemon = Person("Mail Delivery System", "mailer-daemon@example.org")
        message = self._headers(daemon, OWNER, "Undelivered Mail Returned to Sender")
        message["Auto-Submitted"] = "auto-replied"
        returned = self._sent()
        message.set_content("The address nobody@example.com does not exist.\n")
        message.make_mixed()
        message.replace_header("Content-Type", 'multipart/report; report-type="delivery-status"')
        status = EmailMessage(_POLICY)
        status["Content-Type"] = "message/delivery-status"
        fields = EmailMessage(_POLICY)
        fields["Reporting-MTA"] = "dns; mail.example.org"
        recipient = EmailMessage(_POLICY)
        recipient["Final-Recipient"] = "rfc822; nobody@example.com"
        recipient["Action"] = "failed"
        recipient["Status"] = "5.1.1"
        status.set_payload([fields, recipient])
        message.attach(status)
        original = EmailMessage(_POLICY)
        original.set_content(returned)
        message.attach(original)
        return message

    def _eight_bit(self) -> EmailMessage:
        message = self._headers(PEOPLE[1], OWNER, "8bit: Straße, naïve, façade", _EIGHT_BIT)
        message.set_content("Größe, Maß und Übermut.\nBlåbærsyltetøy.\n", cte="8bit")
        return message

    def _inline_picture(self) -> EmailMessage:
        message = self._headers(PEOPLE[5], OWNER, "Newsletter with a picture")
        message.set_content("The picture needs a viewer for HTML.\n")
        message.add_alternative('<html><body><p>Look:</p><img src="cid:logo@example.pl"></body></html>', subtype="html")
        html = list(message.iter_parts())[1]
        if isinstance(html, EmailMessage):
            html.add_related(_png(64, 0x3366CC), maintype="image", subtype="png", cid="<logo@example.pl>")
        return message

    def _no_subject(self) -> EmailMessage:
        message = self._headers(PEOPLE[9], OWNER, "")
        del message["Subject"]
        message.set_content("This message has no subject.\n")
        return message

    def _deep(self) -> EmailMessage:
        message = self._headers(PEOPLE[3], OWNER, "Forwarded, and forwarded, and forwarded")
        message.set_content("The innermost text.\n")
        for level in range(5):
            outer = self._headers(PEOPLE[level], OWNER, f"Fwd {level + 1}")
            outer.set_content(f"Level {level + 1}\n")
            outer.add_attachment(message)
            message = outer
        return message

    def _large(self) -> EmailMessage:
        message = self._headers(PEOPLE[6], OWNER, "The recording, 3 MB")
        message.set_content("Here it is.\n")
        data = self.random.randbytes(3 << 20)
        message.add_attachment(data, maintype="audio", subtype="ogg", filename="recording.ogg")
        return message

    def _legacy_charset(self) -> EmailMessage:
        message = self._headers(PEOPLE[3], OWNER, "ISO-2022-JP")
        message.set_content("こんにちは。\n", charset="iso-2022-jp", cte="7bit")
        return message


def _address(person: Person) -> Address:
    return Address(person.name, addr_spec=person.address)


def _message_id(serial: int) -> str:
    return f"<{serial:06d}.demo@example.org>"


def _thread_id(thread: int, level: int) -> str:
    return f"<thread-{thread}-{level}.demo@example.org>"


def _html(title: str, text: str) -> str:
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in text.split("\n\n"))
    head = f"<head><title>{title}</title></head>"
    return f"<!DOCTYPE html>\n<html>{head}\n<body><h1>{title}</h1>{paragraphs}</body></html>\n"


def _png(size: int, colour: int) -> bytes:
    """Return a square picture of one colour (PNG, third edition, section 5)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + colour.to_bytes(3, "big") * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * size)) + chunk(b"IEND", b"")
    )


# -- writing it out ----------------------------------------------------------------------------------------------------


def generate() -> Iterator[SampleMessage]:
    """Yield the messages, folder by folder, newest first in each. Every call yields the same."""
    return _Generator().messages()


def write_maildir(root: Path, messages: Iterable[SampleMessage], progress: Callable[[int], None] | None = None) -> int:
    """Write the messages into a new Maildir++ at `root` and return their number; `progress` is told the count."""
    for folder in FOLDERS:
        for name in ("cur", "new", "tmp"):
            (_folder(root, folder) / name).mkdir(parents=True, exist_ok=True)
        if folder != "INBOX":
            (_folder(root, folder) / "maildirfolder").touch()
    count = 0
    for count, message in enumerate(messages, 1):
        arrived = int(message.arrived.timestamp())
        name = f"{arrived}.M{count:06d}P1.demo,S={len(message.content)}:2,{message.flags}"
        path = _folder(root, message.folder) / "cur" / name
        path.write_bytes(message.content)
        os.utime(path, (arrived, arrived))
        if progress is not None:
            progress(count)
    return count


def _folder(root: Path, folder: str) -> Path:
    return root if folder == "INBOX" else root / f".{folder}"
