"""Mailbox names between Unicode and the wire (RFC 3501 section 5.1.3, RFC 6855 section 3, RFC 9051 section 5.1)."""

from __future__ import annotations

from gateway.wire import mutf7

INBOX = "INBOX"


def to_wire(name: str, utf8: bool) -> bytes:
    """Encode a name: UTF-8 with `utf8`, else modified UTF-7. Not quoted yet; see `strings.quote` and `strings.astring`.

    `utf8` says that the other side has UTF8=ACCEPT or IMAP4rev2 enabled.
    """
    return name.encode("utf-8", "replace") if utf8 else mutf7.encode(name)


def from_wire(data: bytes, utf8: bool) -> str:
    """Decode a name, quotes already undone; INBOX in whatever case becomes `INBOX`.

    Raises:
        ValueError: neither modified UTF-7 nor UTF-8.
    """
    # Laxer than RFC 3501 section 5.1: old scripts and webmail send 8-bit names as UTF-8 without enabling anything.
    name = data.decode("utf-8") if utf8 or not data.isascii() else mutf7.decode(data)
    return fold_inbox(name)


def fold_inbox(name: str) -> str:
    """Return `INBOX` for INBOX in any case (RFC 9051 section 5.1), any other name as it is."""
    # lower(), because upper() of a dotless i is an I.
    return INBOX if name.lower() == "inbox" else name


def fold_first_level(name: str, delimiter: str = "/") -> str:
    """Return the name with INBOX in capitals where it is the first of several levels too: `inbox/a` is `INBOX/a`.

    The levels below INBOX are the same mailboxes however a client spells their parent (RFC 9051 section 5.1).
    """
    first, separator, rest = name.partition(delimiter)
    return fold_inbox(first) + separator + rest
