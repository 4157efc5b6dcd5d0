"""Looks for words in a message, the way a backend with its own full-text search would: by decoded text, caseless."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from connectors.api.abilities import TextQuery


def matches(data: bytes, query: TextQuery) -> bool:
    """Tell whether every term is in the text of the message."""
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    texts = list(_body_texts(message))
    if not query.body_only:
        texts.extend(_header_texts(message))
    text = "\n".join(texts).casefold()
    return all(term.casefold() in text for term in query.terms)


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
