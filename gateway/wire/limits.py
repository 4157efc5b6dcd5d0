"""How much a client may send before it is told to stop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one command, checked while it is read, before memory is spent.

    `line_octets`: its text without literals; RFC 7162 section 4 asks for at least 8192.
    `literal_octets`: its literals together, but for the message of an APPEND.
    `append_octets`: the message of an APPEND.
    `unasked_octets`: a literal that is sent without waiting for us (RFC 7888 section 5); None: as large as any other.
    `nesting`: parentheses, NOT and OR inside each other.
    `arguments`: members of lists, and search keys, all together.
    """

    line_octets: int = 65536
    literal_octets: int = 65536
    append_octets: int = 50 << 20
    unasked_octets: int | None = None
    nesting: int = 50
    arguments: int = 5000
