"""The header fields that mail clients ask for to list mail, and the block of only these of a message.

A header is mostly of other fields (Received, signatures, what filters had to say). A block without those is a third as
long, and to read it and look for seven fields in it takes two thirds of the time.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.message.headers import field_selector

USUAL_FIELDS = frozenset(
    {
        b"date",
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"bcc",
        b"subject",
        b"message-id",
        b"in-reply-to",
        b"references",
        b"content-type",
        b"priority",
        b"x-priority",
        b"importance",
        b"newsgroups",
        b"list-id",
        b"list-post",
        b"list-unsubscribe",
        b"disposition-notification-to",
        b"chat-version",
        b"x-k9mail-identity",
        b"x-uniform-type-identifier",
        b"x-universally-unique-identifier",
    }
)
"""In lower case: what Thunderbird, Apple's mail programs, Roundcube, K-9 Mail and Delta Chat ask for."""

_usual = field_selector(sorted(USUAL_FIELDS), is_exclude=False)


def are_usual(names: Iterable[bytes]) -> bool:
    """Tell whether the usual block has what can be selected by these names, whatever their case."""
    return all(name.lower() in USUAL_FIELDS for name in names)


def usual_block(header: bytes) -> bytes:
    """Return those fields of a header block that are usual, in their order, and its closing empty line if it has one.

    Any selection (`field_selector`) of usual fields gives the same octets from it as from the whole block.
    """
    return _usual(header)
