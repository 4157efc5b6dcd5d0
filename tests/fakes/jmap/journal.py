"""What happened to the objects of one type, so that /changes can tell (RFC 8620 section 5.2)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.fakes.jmap.options import FakeOptions, Quirk


class Change(enum.Enum):
    CREATED = "created"
    UPDATED = "updated"
    COUNTED = "counted"
    """Only the counts of a mailbox changed."""
    DESTROYED = "destroyed"


class UnknownState(Exception):
    """The state was never given out, or is forgotten."""


@dataclass(slots=True)
class ChangeSet:
    """The answer to one /changes call. `is_counts_only` says that nothing but counts of mailboxes changed."""

    old_state: str
    new_state: str
    has_more: bool
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    is_counts_only: bool = False


@dataclass(slots=True)
class _Net:
    """What became of one id over a stretch of the journal."""

    first: Change
    last: Change
    position: int
    is_counts_only: bool


class Journal:
    """An append-only list of changes; each has its own state, so that every page can end anywhere.

    A state is opaque to clients: a letter, the position and, between two pages that come newest first, the stretch
    that is still to be told.
    """

    def __init__(self, letter: str) -> None:
        self._letter = letter
        self._floor = 0
        self._entries: list[tuple[str, Change]] = []

    @property
    def top(self) -> int:
        return self._floor + len(self._entries)

    @property
    def state(self) -> str:
        return f"{self._letter}{self.top}"

    def record(self, object_id: str, change: Change) -> None:
        self._entries.append((object_id, change))

    def expire(self) -> None:
        """Forget the past: every state given out so far is unknown from now on."""
        self._floor = self.top + 1
        self._entries.clear()

    def changes(self, since: str, limit: int | None, options: FakeOptions) -> ChangeSet:
        """Return what happened after `since`, at most `limit` ids.

        Raises:
            UnknownState.
        """
        base, low, high = self._parse(since)
        keeps_all = options.has(Quirk.CREATED_AND_DESTROYED)
        if options.has(Quirk.NEWEST_FIRST_CHANGES):
            return self._newest_first(since, base, low, high, limit, keeps_all)
        if options.has(Quirk.CHANGES_BY_LAST_CHANGE):
            return self._by_last_change(since, base, limit, keeps_all)
        return self._oldest_first(since, base, limit, keeps_all)

    def _parse(self, state: str) -> tuple[int, int, int]:
        """Return base, and the stretch (base, low] that is still to be told of what happened up to `high`."""
        try:
            numbers = [int(part) for part in state.removeprefix(self._letter).split(".")]
        except ValueError:
            raise UnknownState(state) from None
        if not state.startswith(self._letter) or len(numbers) not in (1, 3):
            raise UnknownState(state)
        base, low, high = (numbers[0], self.top, self.top) if len(numbers) == 1 else numbers
        if (
            not self._floor <= base <= low <= high <= self.top
            or f"{self._letter}{'.'.join(map(str, numbers))}" != state
        ):
            raise UnknownState(state)
        return base, low, high

    def _net(self, start: int, end: int) -> dict[str, _Net]:
        found: dict[str, _Net] = {}
        for position in range(start + 1, end + 1):
            object_id, change = self._entries[position - self._floor - 1]
            is_counts = change is Change.COUNTED
            known = found.get(object_id)
            if known is None:
                found[object_id] = _Net(change, change, position, is_counts)
            else:
                known.last, known.position = change, position
                known.is_counts_only = known.is_counts_only and is_counts
        return found

    def _oldest_first(self, since: str, base: int, limit: int | None, keeps_all: bool) -> ChangeSet:
        end = self.top
        if limit is not None:
            distinct: set[str] = set()
            for position in range(base + 1, self.top + 1):
                object_id = self._entries[position - self._floor - 1][0]
                if object_id not in distinct and len(distinct) == limit:
                    end = position - 1
                    break
                distinct.add(object_id)
        page = ChangeSet(since, f"{self._letter}{end}", end < self.top)
        _fill(page, self._net(base, end).items(), keeps_all)
        return page

    def _by_last_change(self, since: str, base: int, limit: int | None, keeps_all: bool) -> ChangeSet:
        found = sorted(self._net(base, self.top).items(), key=lambda item: item[1].position)
        taken = found if limit is None else found[:limit]
        end = taken[-1][1].position if len(taken) < len(found) else self.top
        page = ChangeSet(since, f"{self._letter}{end}", end < self.top)
        _fill(page, taken, keeps_all)
        return page

    def _newest_first(
        self, since: str, base: int, low: int, high: int, limit: int | None, keeps_all: bool
    ) -> ChangeSet:
        pending = sorted(
            ((object_id, net) for object_id, net in self._net(base, high).items() if net.position <= low),
            key=lambda item: -item[1].position,
        )
        taken = pending if limit is None else pending[:limit]
        if len(taken) < len(pending):
            state = f"{self._letter}{base}.{taken[-1][1].position - 1}.{high}"
            page = ChangeSet(since, state, True)
        else:
            page = ChangeSet(since, f"{self._letter}{high}", high < self.top)
        _fill(page, taken, keeps_all)
        return page


def _fill(page: ChangeSet, found: Iterable[tuple[str, _Net]], keeps_all: bool) -> None:
    page.is_counts_only = True
    for object_id, net in found:
        page.is_counts_only = page.is_counts_only and net.is_counts_only
        was_created, is_destroyed = net.first is Change.CREATED, net.last is Change.DESTROYED
        if was_created and (keeps_all or not is_destroyed):
            page.created.append(object_id)
        if is_destroyed and (keeps_all or not was_created):
            page.destroyed.append(object_id)
        if not was_created and not is_destroyed:
            page.updated.append(object_id)
