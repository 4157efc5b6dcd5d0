"""The search language of `q`: from text to a predicate on messages.

Terms are joined by AND; `OR` or `{}` makes alternatives, `-` negates, `()` groups, quotes make a phrase. Words match
whole words, never parts of them, which is where Gmail differs from IMAP SEARCH. Dates are days in Pacific time, or
seconds since 1970. After Google's help page "Refine searches in Gmail".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tests.fakes.gmail.content import Content, words
from tests.fakes.gmail.labels import CATEGORIES
from tests.fakes.gmail.mailbox import Mailbox, Message

Predicate = Callable[[Message], bool]

_TOKEN: Final = re.compile(r'\s*(?:([-+]?[a-z0-9_]+:)|(-(?=\S))|("[^"]*"?)|([(){}|])|([^\s(){}|"]+))', re.IGNORECASE)
_PACIFIC: Final = ZoneInfo("America/Los_Angeles")
_UNITS: Final = {"d": 1, "m": 30, "y": 365}
_PLACES: Final = {
    "inbox": "INBOX",
    "sent": "SENT",
    "draft": "DRAFT",
    "drafts": "DRAFT",
    "trash": "TRASH",
    "spam": "SPAM",
    "starred": "STARRED",
    "unread": "UNREAD",
    "important": "IMPORTANT",
    "chats": "CHAT",
}
_FIELDS: Final = {"subject": "Subject", "from": "From", "to": "To", "cc": "Cc", "bcc": "Bcc", "list": "List-ID"}
_FIELDS_MORE: Final = {**_FIELDS, "deliveredto": "Delivered-To"}


@dataclass(slots=True)
class Query:
    """A parsed search. `everywhere`: it names Spam or Trash itself, or asks for mail anywhere."""

    matches: Predicate
    everywhere: bool = False
    message_id: str | None = None


def parse(text: str, mailbox: Mailbox, now: datetime) -> Query:
    """Parse `q`. What cannot be understood is searched as words, as Gmail does; nothing is ever refused."""
    return _Parser(text, mailbox, now).query()


class _Parser:
    def __init__(self, text: str, mailbox: Mailbox, now: datetime) -> None:
        self._tokens = [match.group().strip() for match in _TOKEN.finditer(text)]
        self._at = 0
        self._mailbox = mailbox
        self._now = now
        self._everywhere = False
        self._message_id: str | None = None

    def query(self) -> Query:
        matches = self._all_of("")
        # The index of Message-IDs serves a search that begins with one and has no alternatives.
        is_narrow = self._tokens[:1] == ["rfc822msgid:"] and not {"OR", "|", "{", "("} & set(self._tokens)
        return Query(matches, self._everywhere, self._message_id if is_narrow else None)

    def _all_of(self, end: str) -> Predicate:
        """Parse terms up to `end`: alternatives bind closer than AND, as in Gmail."""
        terms: list[Predicate] = []
        is_alternative = False
        while (token := self._next()) is not None and token != end:
            if token == "OR" or token == "|":
                is_alternative = bool(terms)
                continue
            term = self._term(token)
            if is_alternative:
                terms[-1] = _any([terms[-1], term])
                is_alternative = False
            else:
                terms.append(term)
        return lambda message: all(term(message) for term in terms)

    def _any_of(self) -> Predicate:
        terms = []
        while (token := self._next()) is not None and token != "}":
            if token not in {"OR", "|"}:
                terms.append(self._term(token))
        return _any(terms)

    def _term(self, token: str) -> Predicate:
        if token.startswith("-") and len(token) > 1:
            return _not(self._term(token[1:]))
        if token == "-":
            following = self._next()
            return _not(self._term(following)) if following is not None else lambda message: True
        token = token.removeprefix("+")
        if token == "(":
            return self._all_of(")")
        if token == "{":
            return self._any_of()
        if token.endswith(":"):
            return self._operator(token[:-1].lower())
        return self._words(token)

    def _operator(self, name: str) -> Predicate:
        value = self._next() or ""
        if value in {"(", "{"}:
            closing = ")" if value == "(" else "}"
            values = []
            while (each := self._next()) is not None and each != closing:
                values.append(each)
            found = [self._single(name, each) for each in values if each != "OR"]
            return _any(found) if closing == "}" else lambda message: all(each(message) for each in found)
        # The value may hold colons and dashes: an address, a Message-ID, a date.
        while (value == "-" or value.endswith(":")) and (more := self._next()) is not None:
            value += more
        return self._single(name, value)

    def _single(self, name: str, value: str) -> Predicate:
        plain = value.strip('"')
        if name in _FIELDS_MORE:
            return _field(_FIELDS_MORE[name], plain)
        if name == "rfc822msgid":
            bare = plain.strip("<>")
            self._message_id = f"<{bare}>"
            return lambda message: message.content().message_id.strip("<>") == bare
        if name in {"in", "label", "is", "category", "has"}:
            return self._membership(name, plain)
        if name in {"larger", "larger_than", "size", "smaller", "smaller_than"}:
            return _size(name, plain)
        if name in {"after", "before", "newer", "older", "newer_than", "older_than"}:
            return self._date(name, plain)
        if name == "filename":
            wanted = plain.lower()
            return lambda message: any(wanted in each.lower() for each in message.content().attachments())
        return self._words(f"{name} {plain}")

    def _membership(self, name: str, value: str) -> Predicate:
        value = value.lower()
        if name == "has":
            return self._has(value)
        if value == "anywhere":
            self._everywhere = True
            return lambda message: True
        if value == "read":
            return lambda message: "UNREAD" not in message.labels
        if value == "archive":
            return lambda message: not message.labels & {"INBOX", "SENT", "DRAFT", "TRASH", "SPAM"}
        label_id = _PLACES.get(value)
        if name == "category":
            label_id = next((each for each in CATEGORIES if each == f"CATEGORY_{value.upper()}"), None)
        elif label_id is None:
            label = self._mailbox.labels.named(value)
            label_id = label.id if label is not None else None
        if label_id in {"SPAM", "TRASH"}:
            self._everywhere = True
        return lambda message: label_id in message.labels

    def _has(self, value: str) -> Predicate:
        if value == "attachment":
            return lambda message: bool(message.content().attachments())
        if value in {"userlabels", "nouserlabels"}:
            wanted = value == "userlabels"
            return lambda message: any(each.startswith("Label_") for each in message.labels) == wanted
        return lambda message: False

    def _date(self, name: str, value: str) -> Predicate:
        limit = self._instant(name, value)
        if limit is None:
            return lambda message: False
        limit_ms = int(limit.timestamp() * 1000)
        if name in {"after", "newer", "newer_than"}:
            return lambda message: message.date_ms >= limit_ms
        return lambda message: message.date_ms < limit_ms

    def _instant(self, name: str, value: str) -> datetime | None:
        """Return the moment a date term names; None if it names none, or one no calendar has."""
        try:
            if name.endswith("_than"):
                return self._now - timedelta(days=int(value[:-1]) * _UNITS[value[-1:].lower()])
            if value.isdecimal() and len(value) > len("20260102"):
                return datetime.fromtimestamp(int(value), UTC)
            parts = [int(part) for part in re.split(r"[/-]", value)]
            year, month, day = parts if parts[0] > 31 else (parts[2], parts[0], parts[1])
            return datetime(year, month, day, tzinfo=_PACIFIC)
        except (ValueError, KeyError, IndexError, OverflowError, OSError):
            return None

    def _words(self, token: str) -> Predicate:
        phrase = words(token.strip('"'))
        if not phrase.strip():
            return lambda message: True
        return lambda message: phrase in _searched(message.content())

    def _next(self) -> str | None:
        if self._at >= len(self._tokens):
            return None
        self._at += 1
        return self._tokens[self._at - 1]


def _searched(content: Content) -> str:
    fields = (content.header(name) for name in ("Subject", "From", "To", "Cc", "Bcc"))
    return words(" \x00 ".join([*fields, content.text(), *content.attachments()]))


def _field(name: str, value: str) -> Predicate:
    phrase = words(value)
    return lambda message: any(
        phrase in words(text) for key, text in message.content().fields if key.lower() == name.lower()
    )


def _size(name: str, value: str) -> Predicate:
    match = re.fullmatch(r"(\d+)([kmg]?)b?", value.lower())
    if match is None:
        return lambda message: False
    limit = int(match[1]) * 1024 ** " kmg".index(match[2] or " ")
    if name.startswith("smaller"):
        return lambda message: message.octets() < limit
    return lambda message: message.octets() > limit


def _any(terms: list[Predicate]) -> Predicate:
    return lambda message: any(term(message) for term in terms)


def _not(term: Predicate) -> Predicate:
    return lambda message: not term(message)
