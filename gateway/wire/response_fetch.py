"""FETCH responses (RFC 9051 section 7.5.2, `msg-att`)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from gateway.wire import dates
from gateway.wire import flags as wire_flags
from gateway.wire.response_scanner import ResponseSyntaxError, Scanner
from gateway.wire.responses import FetchData, Nested, SectionData

# What a listing of a mailbox consists of. A hundred thousand such lines go through this pattern alone; anything it does
# not match goes to the full parser. A repeated item keeps its last value, in either.
_SIMPLE = re.compile(
    rb"\* ([0-9]{1,10}) FETCH \((?:(?:"
    rb"UID ([0-9]{1,10})"
    rb'|FLAGS \(([^()"{]*)\)'
    rb'|INTERNALDATE "([^"\\]*)"'
    rb"|RFC822\.SIZE ([0-9]{1,20})"
    rb"|MODSEQ \(([0-9]{1,20})\)"
    rb")(?: (?=[A-Z])|(?=\))))+\)"
)
_ORIGIN = re.compile(rb"<[0-9]+>")
# A header name may hold "]" without being quoted; such a section goes the long way.
_PLAIN_SECTION = re.compile(rb'\[([^\]()"{]*(?:\([^\]()"{]*\))?)\]')
_SECTION_NAMES = frozenset({b"BODY", b"BINARY"})
_WHOLE_NAMES = frozenset({b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT"})
_ID_FIELDS = {
    b"EMAILID": "email_id",
    b"THREADID": "thread_id",
    b"X-GM-MSGID": "gmail_message_id",
    b"X-GM-THRID": "gmail_thread_id",
}
_INTERNED_FLAG_SETS = 4096


class FetchParser:
    """Parses FETCH; remembers the sets of flags seen, of which a mailbox has few."""

    def __init__(self) -> None:
        self._flag_sets: dict[bytes, frozenset[str]] = {}

    def parse_simple(self, line: bytes) -> FetchData | None:
        """Parse a line of nothing but UID, FLAGS, INTERNALDATE, RFC822.SIZE and MODSEQ; None if it is anything else."""
        match = _SIMPLE.fullmatch(line)
        if match is None:
            return None
        number, uid, flags, date, size, modseq = match.groups()
        return FetchData(
            int(number),
            int(uid) if uid else None,
            self._flags(flags) if flags is not None else None,
            int(modseq) if modseq else None,
            _date(date) if date is not None else None,
            int(size) if size else None,
        )

    def parse(self, sequence_number: int, scanner: Scanner) -> FetchData:
        """Parse what follows `* n FETCH`.

        Raises:
            ResponseSyntaxError: it is against the grammar.
        """
        fields: dict[str, Any] = {}
        sections: dict[bytes, SectionData] = {}
        others: dict[bytes, Nested] = {}
        scanner.expect(b"(")
        while not scanner.accept(b")"):
            name = scanner.word()
            if name in _SECTION_NAMES and scanner.line[scanner.position : scanner.position + 1] == b"[":
                name += _section(scanner)
                sections[name] = scanner.message_data()
            elif name in _WHOLE_NAMES:
                sections[name] = scanner.message_data()
            else:
                if scanner.line[scanner.position : scanner.position + 1] == b"[":
                    name += _section(scanner)
                self._item(name, scanner, fields, others)
        return FetchData(sequence_number, sections=sections, others=others, **fields)

    def _item(self, name: bytes, scanner: Scanner, fields: dict[str, Any], others: dict[bytes, Nested]) -> None:
        match name:
            case b"UID":
                fields["uid"] = scanner.number()
            case b"FLAGS":
                fields["flags"] = self._flag_list(scanner)
            case b"MODSEQ":
                fields["modseq"] = _bracketed_number(scanner.value())
            case b"INTERNALDATE":
                fields["internal_date"] = _date(scanner.nstring() or b"")
            case b"RFC822.SIZE":
                fields["size"] = scanner.number()
            case b"ENVELOPE":
                fields["envelope"] = scanner.value()
            case b"BODYSTRUCTURE":
                fields["structure"] = scanner.value()
            case b"EMAILID" | b"THREADID":
                fields[_ID_FIELDS[name]] = scanner.object_id()
            case b"X-GM-MSGID" | b"X-GM-THRID":
                fields[_ID_FIELDS[name]] = _gmail_id(scanner.value())
            case b"X-GM-LABELS":
                fields["gmail_labels"] = _labels(scanner)
            case _:
                others[name] = scanner.value()

    def _flag_list(self, scanner: Scanner) -> frozenset[str]:
        scanner.expect(b"(")
        flags: list[bytes] = []
        while not scanner.accept(b")"):
            flags.append(scanner.astring())
        return self._flags(b" ".join(flags))

    def _flags(self, data: bytes) -> frozenset[str]:
        known = self._flag_sets.get(data)
        if known is None:
            known = frozenset(wire_flags.canonical(flag.decode("utf-8", "replace")) for flag in data.split())
            if len(self._flag_sets) >= _INTERNED_FLAG_SETS:
                self._flag_sets.clear()
            self._flag_sets[data] = known
        return known


def _section(scanner: Scanner) -> bytes:
    """Return `[section]<origin>` in canonical spelling; header names may be quoted strings or literals."""
    plain = scanner.match(_PLAIN_SECTION)
    if plain is not None:
        text = plain[1].upper()
    else:
        scanner.expect(b"[")
        text = scanner.word()
        scanner.expect(b"(")
        names: list[bytes] = []
        while not scanner.accept(b")"):
            names.append(scanner.astring().upper())
        scanner.expect(b"]")
        text += b" (%b)" % b" ".join(names)
    origin = scanner.match(_ORIGIN)
    return b"[%b]%b" % (text, origin[0] if origin else b"")


def _gmail_id(value: Nested) -> int | None:
    if value is not None and not isinstance(value, int):
        raise ResponseSyntaxError("an id of Gmail expected")
    return value


def _labels(scanner: Scanner) -> tuple[bytes, ...]:
    scanner.expect(b"(")
    labels: list[bytes] = []
    while not scanner.accept(b")"):
        labels.append(scanner.astring())
    return tuple(labels)


def _date(data: bytes) -> datetime | None:
    """Return INTERNALDATE; None for one that is no date, as some servers send for messages they cannot date."""
    try:
        return dates.parse_date_time(data)
    except ValueError:
        return None


def _bracketed_number(value: Nested) -> int:
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if not isinstance(value, int):
        raise ResponseSyntaxError("a mod-sequence expected")
    return value
