"""Mailbox names on the wire, for clients that leave them to their user; by an encoder that is not the gateway's."""

from __future__ import annotations

import re

from imapclient.imap_utf7 import decode, encode

# `(attributes) separator name` of a LIST response.
LISTED = re.compile(rb'\([^)]*\) (?:"[^"]*"|NIL) (?:"((?:[^"\\]|\\.)*)"|(\S+))')


def quoted(name: str) -> str:
    """Return a Unicode name in modified UTF-7 as a quoted string."""
    text: str = encode(name).decode()
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed(line: bytes) -> str:
    """Return the Unicode name in a LIST response, given from its attributes on."""
    found = LISTED.fullmatch(line)
    assert found, f"not a LIST response: {line!r}"
    text: str = decode(found[2] if found[1] is None else re.sub(rb"\\(.)", rb"\1", found[1]))
    return text
