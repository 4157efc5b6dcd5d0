"""$search: words and beginnings of words in sender, subject and body, or in the property that is named (KQL)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import Final

from tests.fakes.graph.content import Address
from tests.fakes.graph.errors import misuse
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.records import Folder, Message
from tests.fakes.graph.views import sent_ms

_WORDS: Final = re.compile(r"\w+", re.UNICODE)
_TERM: Final = re.compile(r'\s*(?:(\w+):)?(?:\\"((?:[^"\\]|\\[^"])*)\\"|([^\s\\"()]+))')


def search(mailbox: Mailbox, folder: Folder | None, text: str) -> list[Message]:
    """Return the messages that match, the last sent first. Raises ApiError (400) for a query wrong in its form."""
    terms = _parse(text)
    within = mailbox.in_folder(folder) if folder is not None else mailbox.everything()
    found = [message for message in within if all(term(message) for term in terms)]
    return sorted(found, key=sent_ms, reverse=True)


def _parse(text: str) -> list[Callable[[Message], bool]]:
    if len(text) < 3 or not text.startswith('"') or not text.endswith('"'):
        raise misuse("BadRequest", f"Syntax error: the value of $search is in quotes, not {text}.")
    inner, position = text[1:-1], 0
    terms: list[Callable[[Message], bool]] = []
    while position < len(inner.rstrip()):
        match = _TERM.match(inner, position)
        if match is None:
            raise misuse("BadRequest", f"Syntax error: character at position {position} is not expected in {text}.")
        position = match.end()
        name, phrase, word = match.groups()
        if word == "AND" and name is None:
            continue
        if name is not None and name.lower() == "received" and word is not None:
            terms.append(_received(word))
            continue
        if name is not None and name.lower() not in _PROPERTIES:
            raise misuse("BadRequest", f"{name} is no property that can be searched.")
        read = _PROPERTIES[name.lower()] if name is not None else _anywhere
        terms.append(_matcher(read, word if phrase is None else phrase))
    return terms


def _matcher(read: Callable[[Message], Iterable[str]], wanted: str) -> Callable[[Message], bool]:
    words = [each.lower() for each in _WORDS.findall(wanted)]
    is_prefix = not wanted.endswith('"')
    looked_for = " " + " ".join(words) + ("" if is_prefix else " ")
    return lambda message: bool(words) and looked_for in _line(read(message))


def _received(span: str) -> Callable[[Message], bool]:
    """Return whether a message was received on one of the days of `2024-05-01..2024-05-31`."""
    first, dots, last = span.partition("..")
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last if dots else first)
    except ValueError as exc:
        raise misuse("BadRequest", f"{span} is no span of days.") from exc
    return lambda message: begin <= message.received.date() <= end


def _line(texts: Iterable[str]) -> str:
    return " " + " ".join(" ".join(_WORDS.findall(text.lower())) for text in texts) + " "


def _people(addresses: Iterable[Address | None]) -> list[str]:
    return [f"{each[0]} {each[1]}" for each in addresses if each is not None]


def _recipients(message: Message) -> list[str]:
    envelope = message.content.envelope
    return _people([*envelope.to, *envelope.cc, *envelope.bcc])


def _anywhere(message: Message) -> list[str]:
    envelope = message.content.envelope
    return [*_people([envelope.author]), envelope.subject, message.content.body.as_text()]


_PROPERTIES: Final[dict[str, Callable[[Message], Iterable[str]]]] = {
    "attachment": lambda message: [each.name for each in message.content.body.attachments],
    "bcc": lambda message: _people(message.content.envelope.bcc),
    "body": lambda message: [message.content.body.as_text()],
    "cc": lambda message: _people(message.content.envelope.cc),
    "from": lambda message: _people([message.content.envelope.author]),
    "importance": lambda message: [message.importance or message.content.envelope.importance],
    "participants": lambda message: [*_people([message.content.envelope.author]), *_recipients(message)],
    "recipients": _recipients,
    "subject": lambda message: [message.content.envelope.subject],
    "to": lambda message: _people(message.content.envelope.to),
}
