"""Looks for words in a message, the way a backend with its own full-text search would: by decoded text, caseless."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from connectors.api.abilities import TextQuery
from connectors.api.errors import Rejected


def matches(data: bytes, query: TextQuery) -> bool:
    """Tell whether every term is in the text of the message."""
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    texts = list(_body_texts(message))
    if not query.body_only:
        texts.extend(_header_texts(message))
    text = "\n".join(texts).casefold()
    return all(term.casefold() in text for term in query.terms)


def header(data: bytes, name: str) -> str:
    """Return a field of the header, empty if it is not there."""
    return str(email.message_from_bytes(data, policy=email.policy.compat32).get(name, "")).strip()


def matches_native(data: bytes, flags: frozenset[str], query: str) -> bool:
    """Tell whether a message is found by a query like those of Gmail: words, `from:`, `subject:`, `is:`, and `-`.

    Raises:
        Rejected: a state after `is:` that is unknown.
    """
    return all(_matches_term(data, flags, term) for term in query.split())


def _matches_term(data: bytes, flags: frozenset[str], term: str) -> bool:
    if term.startswith("-"):
        return not _matches_term(data, flags, term[1:])
    operator, colon, value = term.partition(":")
    match operator.lower() if colon else "":
        case "from" | "subject" | "to":
            return value.casefold() in header(data, operator).casefold()
        case "is":
            states = {"unread": "\\Seen" not in flags, "read": "\\Seen" in flags, "starred": "\\Flagged" in flags}
            if value.lower() not in states:
                raise Rejected(f"no such state: {value!r}")
            return states[value.lower()]
        case _:
            return matches(data, TextQuery((term.strip('"'),)))


def _body_texts(message: Message) -> Iterator[str]:
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes) and part.get_content_maintype() == "text":
            yield _decode(payload, part.get_content_charset())


def _decode(payload: bytes, charset: str | None) -> str:
    try:
        return payload.decode(charset or "utf-8", "replace")
    except LookupError:
        return payload.decode("latin-1")


def _header_texts(message: Message) -> Iterator[str]:
    for value in message.values():
        try:
            yield str(make_header(decode_header(value)))
        except (HeaderParseError, LookupError, ValueError):
            yield str(value)
