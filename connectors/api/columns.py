"""A page of a listing field by field, for backends that list a hundred thousand messages in a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import overload

from connectors.api.types import MessageRef, MessageState


@dataclass(frozen=True, slots=True, eq=False)
class StateColumns(Sequence[MessageState]):
    """What `MessageState` says of each of many messages, without an object for each: those are made when asked for.

    All columns have the same length, and no ref is named twice. Equal sets of flags should be one object. `dates` are
    Unix seconds and `zones` minutes east of UTC; -1 in `sizes` and None in `dates` mean unknown. `uids` is None for a
    backend that has none. Of ids and membership such a page says nothing, and sizes are exact.
    """

    refs: Sequence[MessageRef]
    flags: Sequence[frozenset[str]]
    dates: Sequence[int | None]
    zones: Sequence[int]
    sizes: Sequence[int]
    uids: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.refs)

    @overload
    def __getitem__(self, key: int) -> MessageState: ...

    @overload
    def __getitem__(self, key: slice) -> StateColumns: ...

    def __getitem__(self, key: int | slice) -> MessageState | StateColumns:
        if isinstance(key, slice):
            return StateColumns(
                self.refs[key],
                self.flags[key],
                self.dates[key],
                self.zones[key],
                self.sizes[key],
                None if self.uids is None else self.uids[key],
            )
        seconds, size = self.dates[key], self.sizes[key]
        return MessageState(
            self.refs[key],
            flags=self.flags[key],
            uid=None if self.uids is None else self.uids[key],
            internal_date=None if seconds is None else _date(seconds, self.zones[key]),
            size=None if size < 0 else size,
        )

    def __iter__(self) -> Iterator[MessageState]:
        return (self[position] for position in range(len(self.refs)))


def _date(seconds: int, zone: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone(timedelta(minutes=zone)))
