"""Mail to start with: any number of messages, the same for the same number, made when they are read."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from tests.fakes.gmail.mailbox import Mailbox

_SUBJECTS: Final = ("Report", "Lunch on Thursday", "Minutes of the meeting", "Your invoice", "Re: the cellar", "Photos")
_SENDERS: Final = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Margaret", "Alan")
_WORDS: Final = tuple(
    re.findall(r"\w+", "we have looked at the figures again and find that they agree with what was said before")
)
_DOMAIN: Final = "seed.example.com"
_ATTACHMENT_EVERY: Final = 7
_MIXER: Final = 0x9E3779B97F4A7C15
_SPACING: Final = timedelta(minutes=11)


def fill(mailbox: Mailbox, messages: int, labels: int, now: datetime) -> None:
    """Make `labels` user labels and `messages` messages, the newest of them received at `now`.

    A tenth of the messages is in INBOX, a twelfth in SENT; some are unread, starred, in Spam or in Trash; most have
    one or two of the user labels, the first of which hold more than the last; some have none at all.
    """
    made = []
    for number in range(labels):
        name = f"Project {number + 1}" if number % 5 else f"Area {number + 1}/Open"
        made.append(mailbox.labels.create(name).id)
    mailbox.fill(_rows(messages, made, now.astimezone(UTC)))


def _rows(
    count: int, labels: list[str], now: datetime
) -> Iterator[tuple[int, frozenset[str], str, Callable[[], bytes]]]:
    combinations: dict[frozenset[str], frozenset[str]] = {}
    for number in range(count):
        date = now - _SPACING * (count - 1 - number)
        chosen = frozenset(_labels_of(number, labels))
        # Few sets of labels stand for all messages.
        chosen = combinations.setdefault(chosen, chosen)
        yield int(date.timestamp() * 1000), chosen, message_id(number), functools.partial(render, number, date)


def _labels_of(number: int, labels: list[str]) -> Iterator[str]:
    if number % 97 == 96:
        yield "TRASH" if number % 2 else "SPAM"
        return
    if number % 12 == 11:
        yield "SENT"
    elif number % 10 == 0:
        yield "INBOX"
        yield f"CATEGORY_{('PERSONAL', 'UPDATES', 'SOCIAL')[number % 3]}"
    if number % 4 == 0 and number % 12 != 11:
        yield "UNREAD"
    if number % 33 == 1:
        yield "STARRED"
    if number % 21 == 3:
        yield "IMPORTANT"
    if labels and number % 9:
        # The lesser of two throws: the first labels hold more than the last.
        mixed = number * _MIXER >> 16
        yield labels[min(mixed % len(labels), (mixed >> 16) % len(labels))]
        if number % 3 == 0:
            yield labels[(mixed >> 8) % len(labels)]


def message_id(number: int) -> str:
    """Return the Message-ID of a seeded message, with its brackets."""
    return f"<seed-{number}@{_DOMAIN}>"


def render(number: int, date: datetime) -> bytes:
    """Return the octets of seeded message `number`: plain text, and every so often with an attachment."""
    sender = _SENDERS[number % len(_SENDERS)]
    start = number % len(_WORDS)
    text = " ".join((_WORDS[start:] + _WORDS) * (1 + number % 6))
    lines = "\r\n".join(text[at : at + 72] for at in range(0, len(text), 72))
    head = (
        f"From: {sender} <{sender.lower()}@{_DOMAIN}>\r\nTo: User <user@example.com>\r\n"
        f"Subject: {_SUBJECTS[number % len(_SUBJECTS)]} {number}\r\nDate: {format_datetime(date)}\r\n"
        f"Message-ID: {message_id(number)}\r\nMIME-Version: 1.0\r\n"
    )
    if number % _ATTACHMENT_EVERY:
        return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{lines}\r\n".encode()
    mark = f"=_seed_{number}"
    return (
        f'{head}Content-Type: multipart/mixed; boundary="{mark}"\r\n\r\n--{mark}\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{lines}\r\n--{mark}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Disposition: attachment;"
        f' filename="figures-{number}.bin"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgcICQoLDA0ODw==\r\n--{mark}--\r\n"
    ).encode()
