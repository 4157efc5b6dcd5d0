"""Address lists as ENVELOPE shows them (RFC 5322 sections 3.4 and 4.4, RFC 9051 section 7.5.2).

They are read so that no address is lost to a neighbour's syntax error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from gateway.message.headers import unfold

MISSING_MAILBOX = b"MISSING_MAILBOX"
"""Stands where an address has no local part; NIL would mean the end of a group. Clients know the word from Dovecot."""

MISSING_DOMAIN = b"MISSING_DOMAIN"
"""Stands where an address has no domain; NIL would mean the start of a group."""


@dataclass(frozen=True, slots=True)
class Address:
    """`address` of RFC 9051 section 9: `host` None starts a group named `mailbox`, both None end it."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = Address(None, None, None, None)

# One whole address of the usual forms with the comma behind it: a@b, <a@b>, Name <a@b>, "Name" <a@b>.
_ATOMS = rb"[^\x00-\x20\"()<>@,:;\\\[\]]++"
_USUAL = re.compile(
    rb"[ \t]*+(?:"
    rb"(?:\"([^\"\\\x00-\x1f]*+)\"[ \t]*+|(%(a)b(?: %(a)b)*+)[ \t]++)?<(%(a)b)@(%(a)b)>|(%(a)b)@(%(a)b)"
    rb")[ \t]*+(?:,[ \t]*+(?!$)|$)" % {b"a": _ATOMS}
)
_TOKEN = re.compile(
    rb"(?P<blank>[ \t]++)"
    rb"|(?P<domain_literal>(?<=@)\[[^\[\]<>,;]*+\])"
    rb"|(?P<special>[<>@,;:\"()])"
    rb"|(?P<word>[^ \t\"<>@,;:()]++)"
)
_QUOTED = re.compile(rb"\"((?:[^\"\\]++|\\.)*+)\"", re.DOTALL)
_COMMENT_MARK = re.compile(rb"[()]|\\.", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def parse_addresses(value: bytes, limit: int) -> list[Address]:
    """Return the addresses of a raw field value in order, group marks included, about `limit` at most.

    Every group that was begun is ended. Time is linear in the length.
    """
    value = unfold(value)
    found = _parse_usual(value, limit)
    if found is None:
        found = list(islice(_Parser(value).run(), limit))
        marks = [address for address in found if address.host is None]
        if marks and marks[-1] is not GROUP_END:
            found.append(GROUP_END)
    return found


def _parse_usual(value: bytes, limit: int) -> list[Address] | None:
    """Parse a list that holds nothing but the usual forms; None if it holds anything else."""
    found: list[Address] = []
    position, end = 0, len(value)
    while position < end and len(found) < limit:
        match = _USUAL.match(value, position)
        if match is None:
            return None
        quoted, phrase, mailbox, host, bare_mailbox, bare_host = match.groups()
        found.append(Address(quoted or phrase or None, None, mailbox or bare_mailbox, host or bare_host))
        position = match.end()
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or one of `@` and `:`; `is_glued` if no blank came before it."""

    text: bytes
    is_special: bool
    is_glued: bool


class _Parser:
    """Cuts a list into addresses at its marks, whatever is between them.

    `words` are those since the last separator or address, `angle` those since a `<`, `is_trailing` says that an address
    in angle brackets came before, after which loose words mean nothing.
    """

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.is_in_group = False
        self.is_trailing = False
        # Set once a quote or comment was found to have no end, so that none is sought again.
        self.takes_quotes = True
        self.takes_comments = True
        self._start_address()

    def _start_address(self) -> None:
        self.words: list[_Piece] = []
        self.angle: list[_Piece] | None = None
        self.comment = b""
        self.is_glued = False

    def run(self) -> Iterator[Address]:
        position, end = 0, len(self.value)
        while position < end:
            match = _TOKEN.match(self.value, position)
            assert match is not None  # every octet is in one of its classes
            position = match.end()
            if match.lastgroup == "blank":
                self.is_glued = False
            elif match.lastgroup != "special":
                self._add(match[0])
            elif match[0] in b'"(':
                position = self._quoted_or_comment(match.start())
            else:
                yield from self._mark(match[0])
        yield from self._finish()
        if self.is_in_group:
            yield GROUP_END

    def _add(self, text: bytes, is_special: bool = False) -> None:
        pieces = self.words if self.angle is None else self.angle
        pieces.append(_Piece(text, is_special, self.is_glued))
        self.is_glued = True

    def _quoted_or_comment(self, position: int) -> int:
        """Take what the mark at `position` opens and return the offset behind it; a mark never closed is dropped."""
        if self.value[position] == ord("("):
            end = self._comment_end(position)
            if end:
                if self.words and self.angle is None:
                    self.comment = _QUOTED_PAIR.sub(rb"\1", self.value[position + 1 : end - 1]).strip()
                self.is_glued = False
                return end
            return position + 1
        match = _QUOTED.match(self.value, position) if self.takes_quotes else None
        if match is None:
            self.takes_quotes = False
            return position + 1
        if match[1]:
            self._add(_QUOTED_PAIR.sub(rb"\1", match[1]))
        return match.end()

    def _comment_end(self, position: int) -> int:
        """Return the offset behind the comment, whose parentheses nest (RFC 5322 section 3.2.2); 0 if it never ends."""
        depth = 0
        if self.takes_comments:
            for match in _COMMENT_MARK.finditer(self.value, position):
                depth += {b"(": 1, b")": -1}.get(match[0], 0)
                if depth == 0:
                    return match.end()
            self.takes_comments = False
        return 0

    def _mark(self, mark: bytes) -> Iterator[Address]:
        if mark == b"<":
            self.angle = []
        elif mark == b">":
            if self.angle is not None:
                yield from self._finish()
                self.is_trailing = True
        elif mark == b"@" or (mark == b"," and self.angle and self.angle[0].text == b"@" and _is_route(self.angle)):
            self._add(mark, is_special=True)
        elif mark == b":":
            yield from self._colon()
        elif mark != b")":
            yield from self._finish()
            self.is_trailing = False
            if mark == b";" and self.is_in_group:
                self.is_in_group = False
                yield GROUP_END

    def _colon(self) -> Iterator[Address]:
        is_name = self.angle is None and not any(piece.is_special for piece in self.words)
        if is_name and not self.is_in_group and not self.is_trailing:
            yield Address(None, None, _phrase(self.words), None)
            self.is_in_group = True
            self._start_address()
        else:
            self._add(b":", is_special=True)

    def _finish(self) -> Iterator[Address]:
        """Make addresses of what was collected; usually one, none if there was nothing, more if commas were missing."""
        words, angle, comment = self.words, self.angle, self.comment
        self._start_address()
        if angle is not None:
            yield _in_angle_brackets(_phrase(words) or None, angle)
            return
        name: list[_Piece] = []
        has_address = self.is_trailing
        for group in _addr_specs(words):
            if not any(piece.text == b"@" and piece.is_special for piece in group):
                name += group
                continue
            yield _addr_spec(_phrase(name) or comment or None, None, group)
            name, has_address = [], True
        if name and not has_address:
            if len(name) == 1:
                yield Address(comment or None, None, name[0].text, MISSING_DOMAIN)
            else:
                yield Address(_phrase(name), None, MISSING_MAILBOX, MISSING_DOMAIN)


def _is_route(angle: list[_Piece]) -> bool:
    return all(piece.text != b":" for piece in angle)


def _in_angle_brackets(name: bytes | None, pieces: list[_Piece]) -> Address:
    """`[obs-route] addr-spec` of RFC 5322 section 4.4."""
    route = None
    if pieces and pieces[0].is_special and pieces[0].text == b"@":
        for index, piece in enumerate(pieces):
            if piece.is_special and piece.text == b":":
                route = b"".join(piece.text for piece in pieces[:index])
                pieces = pieces[index + 1 :]
                break
    return _addr_spec(name, route, pieces)


def _addr_spec(name: bytes | None, route: bytes | None, pieces: list[_Piece]) -> Address:
    at = max((index for index, piece in enumerate(pieces) if piece.is_special and piece.text == b"@"), default=None)
    if at is None:
        return Address(name, route, _join(pieces) or MISSING_MAILBOX, MISSING_DOMAIN)
    mailbox = _join(pieces[:at]).rstrip(b"@")
    return Address(name, route, mailbox or MISSING_MAILBOX, _join(pieces[at + 1 :]) or MISSING_DOMAIN)


def _addr_specs(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Split words where a blank is, but not around `@` and dots (obs-local-part and obs-domain, RFC 5322 4.4)."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and not _is_joined(group[-1], piece):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _is_joined(left: _Piece, right: _Piece) -> bool:
    if right.is_glued or left.is_special or right.is_special:
        return True
    return left.text.endswith(b".") or right.text.startswith(b".")


def _join(pieces: list[_Piece]) -> bytes:
    return b" ".join(b"".join(piece.text for piece in group) for group in _addr_specs(pieces))


def _phrase(pieces: list[_Piece]) -> bytes:
    """Join the words of a display name by single spaces (RFC 5322 section 3.2.5)."""
    previous: _Piece | None = None
    parts: list[bytes] = []
    for piece in pieces:
        is_part = piece.is_glued and (piece.is_special or (previous is not None and previous.is_special))
        if previous is not None and not is_part:
            parts.append(b" ")
        parts.append(piece.text)
        previous = piece
    return b"".join(parts)
