"""ENVELOPE (RFC 9051 sections 7.5.2 and 9, `envelope`)."""

from __future__ import annotations

import re

from gateway.message.addresses import Address, parse_addresses
from gateway.message.headers import unfold
from gateway.message.limits import MAX_ADDRESSES, MAX_HEADER_OCTETS
from gateway.message.quoting import nstring, string

_FIELD = re.compile(
    rb"\n(date|subject|from|sender|reply-to|to|cc|bcc|in-reply-to|message-id)[ \t]*+:"
    rb"((?:[^\n]*+\n[ \t])*+[^\n]*+)",
    re.IGNORECASE,
)


def render_envelope(header_block: bytes) -> bytes:
    """Return the finished ENVELOPE of a message with this header: `(...)`, in the form that every client can read.

    Text is unfolded and otherwise as in the message: RFC 2047 words are not decoded, 8-bit octets go out in literals.
    Of a field that occurs twice the last counts (as in Dovecot), address fields are joined. An address list is never
    empty but NIL; Sender and Reply-To are From where they name nobody. A field present but empty is an empty string.
    At most `MAX_HEADER_OCTETS` are looked at and `MAX_ADDRESSES` shown for each member.
    """
    texts: dict[bytes, bytes] = {}
    lists: dict[bytes, list[bytes]] = {}
    for match in _FIELD.finditer(b"\n" + header_block[:MAX_HEADER_OCTETS]):
        name = match[1].lower()
        if name in _TEXT_FIELDS:
            texts[name] = match[2]
        else:
            known = lists.setdefault(name, [])
            known += map(_address, parse_addresses(match[2], MAX_ADDRESSES - len(known)))
    sender = _list(lists, b"from")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _text(texts, b"date"),
        _text(texts, b"subject"),
        sender,
        _list(lists, b"sender", sender),
        _list(lists, b"reply-to", sender),
        _list(lists, b"to"),
        _list(lists, b"cc"),
        _list(lists, b"bcc"),
        _text(texts, b"in-reply-to"),
        _text(texts, b"message-id"),
    )


_TEXT_FIELDS = frozenset({b"date", b"subject", b"in-reply-to", b"message-id"})


def _text(texts: dict[bytes, bytes], name: bytes) -> bytes:
    value = texts.get(name)
    return b"NIL" if value is None else string(unfold(value))


def _list(lists: dict[bytes, list[bytes]], name: bytes, default: bytes = b"NIL") -> bytes:
    addresses = lists.get(name)
    return b"(%b)" % b"".join(addresses) if addresses else default


def _address(address: Address) -> bytes:
    return b"(%b %b %b %b)" % (
        nstring(address.name),
        nstring(address.route),
        nstring(address.mailbox),
        nstring(address.host),
    )
