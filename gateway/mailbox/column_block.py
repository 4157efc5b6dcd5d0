"""What FETCH shows of columns and finished texts, for many messages at a time, without an object for each."""

from __future__ import annotations

import enum
from array import array
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.mailbox.columns import UNKNOWN
from gateway.wire.dates import format_internal_dates, format_save_dates

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox


class Column(enum.Enum):
    """What a block has of each message.

    Flags, dates, envelopes and structures are finished for the wire, headers are raw blocks, bodies the octets of the
    whole message, the others are numbers. A usual header is good for the usual fields (`gateway.message.usual_fields`).
    Envelopes, structures, headers and bodies are texts, which have to be read; the others are in memory.
    """

    UID = "uid"
    FLAGS = "flags"
    MODSEQ = "modseq"
    INTERNAL_DATE = "internal date"
    SAVE_DATE = "save date"
    SIZE = "size"
    ENVELOPE = "envelope"
    STRUCTURE = "structure"
    HEADER = "header"
    USUAL_HEADER = "usual header"
    BODY = "body"

    @property
    def is_text(self) -> bool:
        return self in _TEXTS


_TEXTS = frozenset({Column.ENVELOPE, Column.STRUCTURE, Column.HEADER, Column.USUAL_HEADER, Column.BODY})


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of messages that follow one another, and whose they are."""

    message_ids: Sequence[int] = ()
    values: Mapping[Column, Sequence[bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColumnBlock:
    """Messages that follow one another, in the client's numbering and in the columns from `start` to `stop`.

    `first` is the sequence number of the first. Valid until the next await.
    """

    mailbox: OpenMailbox
    recent: AbstractSet[int]
    first: int
    start: int
    stop: int
    texts: Texts

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def sequence_numbers(self) -> range:
        return range(self.first, self.first + len(self))

    def values(self, column: Column) -> Sequence[Any]:
        """Return the column's value of every message, in order."""
        columns, place = self.mailbox.columns, slice(self.start, self.stop)
        match column:
            case Column.UID:
                return columns.uids[place]
            case Column.MODSEQ:
                return columns.modseqs[place]
            case Column.SIZE:
                return columns.sizes[place]
            case Column.INTERNAL_DATE:
                return format_internal_dates(columns.internal_dates[place], columns.zones[place])
            case Column.SAVE_DATE:
                return format_save_dates(columns.save_dates[place])
            case Column.FLAGS:
                return self._flags()
            case _:
                return self.texts.values[column]

    def _flags(self) -> list[bytes]:
        columns, rendered = self.mailbox.columns, self.mailbox.flag_sets.rendered
        numbers = columns.flag_sets[self.start : self.stop]
        uids = columns.uids[self.start : self.stop]
        if self.recent and not self.recent.isdisjoint(uids):
            recent = self.recent
            return [rendered(number, is_recent=uid in recent) for uid, number in zip(uids, numbers, strict=True)]
        # A mailbox has few distinct sets.
        known = {number: rendered(number, is_recent=False) for number in set(numbers)}
        return [known[number] for number in numbers]


def column_block(
    mailbox: OpenMailbox,
    known: array[int],
    recent: AbstractSet[int],
    uids: Sequence[int],
    wanted: Collection[Column],
    texts: Texts,
) -> ColumnBlock | None:
    """Return the block of these UIDs, ascending and not empty, of which the client knows `known`.

    `texts` are those of these UIDs, or of the first of them, which then are the block. None if the UIDs do not follow
    one another both there and in the columns, if the texts are of other messages, or if something has to be found out.
    """
    columns = mailbox.columns
    asked = array("I", uids[: len(texts.message_ids)] if texts.values else uids)
    if not asked:
        return ColumnBlock(mailbox, recent, 0, 0, 0, texts)
    first, start = bisect_left(known, asked[0]), bisect_left(columns.uids, asked[0])
    stop = start + len(asked)
    if known[first : first + len(asked)] != asked or columns.uids[start:stop] != asked:
        return None
    if Column.SIZE in wanted and UNKNOWN in columns.sizes[start:stop]:
        return None
    if Column.INTERNAL_DATE in wanted and UNKNOWN in columns.internal_dates[start:stop]:
        return None
    if texts.values and columns.message_ids[start:stop] != array("q", texts.message_ids):
        return None
    return ColumnBlock(mailbox, recent, first + 1, start, stop, texts)
