"""What SORT and THREAD compare of a message, taken from its header once and kept (RFC 5256, RFC 5957)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.message.addresses import Address, parse_addresses
from gateway.message.base_subject import base_subject
from gateway.message.headers import iter_fields, unfold
from gateway.message.limits import MAX_HEADER_OCTETS
from gateway.message.text import decoded_header, normalise, sent_date

MAX_KEY_CHARACTERS = 256
"""Of a text that is compared, at most so many characters are kept: what differs only behind them counts as equal."""
MAX_REFERENCES = 200
"""Message-Ids of one References field that are kept, the first and the last ones: they tell where a thread hangs."""

_FIELDS = frozenset({b"date", b"subject", b"from", b"to", b"cc", b"message-id", b"references", b"in-reply-to"})
# RFC 5322 section 3.6.4 with its obsolete forms, as far as they are met: the left side may be quoted.
_MESSAGE_ID = re.compile(rb"<[ \t]*+(?:\"((?:[^\"\\]|\\.)*+)\"|([^<>@\"\s]++))[ \t]*+@[ \t]*+([^<>@\s]++)[ \t]*+>")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_TIME = re.compile(rb"(?<![0-9])([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:\s*+([+-][0-9]{4}|[A-Za-z]{1,5}))?")
_ZONES = {
    b"EST": -300,
    b"EDT": -240,
    b"CST": -360,
    b"CDT": -300,
    b"MST": -420,
    b"MDT": -360,
    b"PST": -480,
    b"PDT": -420,
}


@dataclass(frozen=True, slots=True)
class SortKeys:
    """A message's keys. Texts are normalised, so that they are compared as they are (i;unicode-casemap).

    `sent` is in Unix seconds, None where there is no date that can be read: INTERNALDATE takes its place.
    `sender`, `recipient` and `copied` are the local parts of the first address in From, To and Cc, the other two what
    RFC 5957 shows for From and To. `message_id` is empty where there is none, `references` the ids of the ancestors,
    the oldest first.
    """

    sent: int | None
    subject: str
    is_reply: bool
    sender: str
    recipient: str
    copied: str
    shown_sender: str
    shown_recipient: str
    message_id: str
    references: tuple[str, ...]


def sort_keys(block: bytes) -> SortKeys:
    """Return the keys of a message with this header block."""
    block = block[:MAX_HEADER_OCTETS]
    values: dict[bytes, bytes] = {}
    for name, raw in iter_fields(block):
        if (key := name.lower()) in _FIELDS:
            values.setdefault(key, raw)
    base = base_subject(decoded_header(values.get(b"subject", b"")))
    sender, shown_sender = _first_address(values.get(b"from"))
    recipient, shown_recipient = _first_address(values.get(b"to"))
    copied, _ = _first_address(values.get(b"cc"))
    references = _message_ids(values.get(b"references", b"")) or _message_ids(values.get(b"in-reply-to", b""))[:1]
    return SortKeys(
        _sent(block, values.get(b"date", b"")),
        _key(base.text),
        base.is_reply,
        sender,
        recipient,
        copied,
        shown_sender,
        shown_recipient,
        next(iter(_message_ids(values.get(b"message-id", b""))), ""),
        _bounded(references),
    )


def _sent(block: bytes, raw: bytes) -> int | None:
    """Return the moment of the Date field in Unix seconds (RFC 5256 section 2.2).

    A time that makes no sense counts as midnight, a zone that makes none as UTC.
    """
    day = sent_date(block)
    if day is None:
        return None
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    match = _TIME.search(unfold(raw)[:200])
    if match is not None:
        hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
        if hours < 24 and minutes < 60 and seconds <= 60:
            zone = _zone_minutes((match[4] or b"").upper())
            try:
                moment += timedelta(hours=hours, minutes=minutes - zone, seconds=seconds)
            except OverflowError:
                return None
    return int(moment.timestamp())


def _zone_minutes(zone: bytes) -> int:
    if zone[:1] in (b"+", b"-"):
        hours, minutes = int(zone[1:3]), int(zone[3:5])
        if minutes >= 60 or hours >= 24:
            return 0
        return (hours * 60 + minutes) * (-1 if zone[:1] == b"-" else 1)
    return _ZONES.get(zone, 0)


def _first_address(raw: bytes | None) -> tuple[str, str]:
    """Return the local part of the first address, and what is shown of it (RFC 5957 section 3)."""
    if raw is None:
        return "", ""
    for address in parse_addresses(raw, 8):
        if address.mailbox is None:
            continue
        mailbox = _key(decoded_header(address.mailbox))
        return mailbox, _shown(address)
    return "", ""


def _shown(address: Address) -> str:
    if address.name:
        return _key(decoded_header(address.name))
    mailbox, host = address.mailbox or b"", address.host
    return _key(decoded_header(mailbox if host is None else mailbox + b"@" + host))


def _key(text: str) -> str:
    # SQLite ends a text at NUL in some of its functions, and holds no lone surrogates.
    plain = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return normalise(" ".join(plain.split()))[:MAX_KEY_CHARACTERS]


def _message_ids(raw: bytes) -> tuple[str, ...]:
    """Return the Message-Ids in a field, in a form in which quoting makes no difference."""
    found = []
    for quoted, plain, domain in _MESSAGE_ID.findall(unfold(raw)):
        local = plain or _QUOTED_PAIR.sub(rb"\1", quoted)
        found.append((local + b"@" + domain).decode("utf-8", "backslashreplace").replace("\0", ""))
    return tuple(found)


def _bounded(references: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(references))
    if len(unique) <= MAX_REFERENCES:
        return unique
    return unique[:1] + unique[-(MAX_REFERENCES - 1) :]
