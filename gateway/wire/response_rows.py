"""FETCH responses by the thousand: what a listing of a mailbox consists of, as columns.

A listing is lines of nothing but UID, FLAGS, INTERNALDATE and RFC822.SIZE. RFC 9051 leaves their order to the server,
and every server keeps to one; so the order is learned from a line, and all lines that follow in it are taken by one
search of a pattern made for it, without an object or a call per line. Any other line is left to the full parser.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.wire import dates
from gateway.wire import flags as wire_flags

# What stands before the value, and the value from its opening parenthesis on.
_ITEMS = {
    b"UID": (rb"UID ", rb"[0-9]{1,10})"),
    b"FLAGS": (rb"FLAGS \(", rb'[^()"{\r\n]*)\)'),
    b"INTERNALDATE": (rb'INTERNALDATE "', rb'[^"\\\r\n]*)"'),
    b"RFC822.SIZE": (rb"RFC822\.SIZE ", rb"[0-9]{1,18})"),
}
_BEGIN = rb"\* [0-9]{1,10} FETCH \("
_END = rb"\)\r\n"
_ANY_ITEM = b"(?:" + b"|".join(b"(?:".join(item) for item in _ITEMS.values()) + b")"
_ANY_ORDER = re.compile(_BEGIN + b" ".join([_ANY_ITEM] * len(_ITEMS)) + _END)
_NAME = re.compile(rb"(UID|FLAGS|INTERNALDATE|RFC822\.SIZE) (?:\([^)]*\)|\"[^\"]*\"|[0-9]+)")

FetchRow = tuple[bytes, bytes, bytes, bytes]
"""The values of a line in the order of its items."""

_KEPT_TEXTS = 100_000
"""Flag lists, days, times of day and zones remembered; there are few different ones, unless a server is odd."""


@dataclass(frozen=True, slots=True)
class FetchColumns:
    """Rows by column, all of one length. `seconds` are Unix time, None for what is no date; `zones` minutes east."""

    uids: list[int]
    flags: list[frozenset[str]]
    seconds: list[int | None]
    zones: list[int]
    sizes: list[int]


class RowReader:
    """Takes lines of a listing; keeps the order of items that it has learned."""

    def __init__(self) -> None:
        self.order: tuple[bytes, ...] = ()
        self._row: re.Pattern[bytes] | None = None
        self._run: re.Pattern[bytes] | None = None

    def take(self, data: bytes) -> tuple[list[FetchRow], int]:
        """Return the rows that `data` begins with, in the learned order, and how many octets they take."""
        if self._row is None or self._run is None:
            self._learn(data)
        if self._row is None or self._run is None or (run := self._run.match(data)) is None:
            return [], 0
        return self._row.findall(data, 0, run.end()), run.end()

    def _learn(self, data: bytes) -> None:
        """Learn the order of the items from the first line, if that is a line of a listing."""
        line = _ANY_ORDER.match(data)
        if line is None:
            return
        order = tuple(_NAME.findall(line[0]))
        if sorted(order) != sorted(_ITEMS):
            # An item that is there twice.
            return
        self.order = order
        self._row = re.compile(_BEGIN + b" ".join(b"(".join(_ITEMS[name]) for name in order) + _END)
        # Possessive: what has matched is never given back, so nothing is kept of the lines passed.
        run = _BEGIN + b" ".join(b"(?:".join(_ITEMS[name]) for name in order) + _END
        self._run = re.compile(b"(?:" + run + b")++")


class RowDecoder:
    """Turns rows into columns; remembers the texts seen, of which a mailbox has few different ones."""

    def __init__(self) -> None:
        self._flags: dict[bytes, frozenset[str]] = {}
        self._days: dict[bytes, int] = {}
        self._times: dict[bytes, int] = {}
        self._zones: dict[bytes, int] = {}

    def decode(self, rows: Sequence[FetchRow], order: Sequence[bytes]) -> FetchColumns:
        """Return the columns of rows whose items are in the given order; `\\Recent`, a session's own, is left out."""
        for known in (self._flags, self._days, self._times, self._zones):
            if len(known) > _KEPT_TEXTS:
                known.clear()
        by_name = dict(zip(order, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(_ITEMS, ())
        texts = by_name[b"INTERNALDATE"]
        moments = [self._moment(text) for text in texts]
        return FetchColumns(
            list(map(int, by_name[b"UID"])),
            [self._flags_of(text) for text in by_name[b"FLAGS"]],
            [seconds for seconds, _ in moments],
            [zone for _, zone in moments],
            list(map(int, by_name[b"RFC822.SIZE"])),
        )

    def _flags_of(self, text: bytes) -> frozenset[str]:
        known = self._flags.get(text)
        if known is None:
            names = (wire_flags.canonical(flag.decode("utf-8", "replace")) for flag in text.split())
            known = self._flags[text] = frozenset(name for name in names if name != "\\Recent")
        return known

    def _moment(self, text: bytes) -> tuple[int | None, int]:
        """Return Unix seconds and zone of a `date-time`."""
        # `dd-Mon-yyyy hh:mm:ss +zzzz`: each part is one of few, and is looked at once.
        try:
            zone = self._zones[text[20:]]
            return self._days[text[:11]] + self._times[text[11:20]] - zone * 60, zone
        except KeyError:
            return self._learn_moment(text)

    def _learn_moment(self, text: bytes) -> tuple[int | None, int]:
        try:
            moment = dates.parse_date_time(text)
        except ValueError:
            # Some servers send this for messages they cannot date.
            return None, 0
        offset = moment.utcoffset()
        assert offset is not None
        zone = int(offset.total_seconds()) // 60
        seconds = int(moment.timestamp())
        if len(text) == 26:
            midnight = int(datetime(moment.year, moment.month, moment.day, tzinfo=UTC).timestamp())
            self._days[text[:11]] = midnight
            self._times[text[11:20]] = seconds + zone * 60 - midnight
            self._zones[text[20:]] = zone
        return seconds, zone
