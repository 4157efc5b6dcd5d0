"""Quota units: what each method costs, and how much a user may spend.

The tables are those Google publishes as "Usage limits" of the Gmail API: one for projects from before May 2026 (15,000
units a minute and user) and one for later ones (6,000). Methods in neither are not played by this stand-in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from tests.fakes.gmail.options import Clock

WINDOW_S: Final = 60.0

_COMMON: Final[Mapping[str, int]] = {
    "getProfile": 1,
    "watch": 100,
    "stop": 50,
    "labels.list": 1,
    "labels.get": 1,
    "labels.create": 5,
    "labels.patch": 5,
    "labels.update": 5,
    "labels.delete": 5,
    "messages.list": 5,
    "messages.modify": 5,
    "messages.untrash": 5,
    "messages.batchModify": 50,
    "messages.batchDelete": 50,
    "messages.delete": 10,
    "messages.insert": 25,
    "messages.import": 25,
    "messages.send": 100,
    "history.list": 2,
    "drafts.create": 10,
    "drafts.update": 15,
    "drafts.delete": 10,
    "drafts.list": 5,
    "drafts.send": 100,
    "settings.getImap": 1,
}
_OLD: Final[Mapping[str, int]] = {
    "messages.get": 5,
    "messages.trash": 5,
    "messages.attachments.get": 5,
    "drafts.get": 5,
    "threads.get": 10,
}
_NEW: Final[Mapping[str, int]] = {
    "messages.get": 20,
    "messages.trash": 20,
    "messages.attachments.get": 20,
    "drafts.get": 20,
    "threads.get": 40,
}


def costs(table: str) -> dict[str, int]:
    """Return units by method id for the table "2025" or "2026"."""
    chosen = {**_COMMON, **{"2025": _OLD, "2026": _NEW}[table]}
    return {f"gmail.users.{name}": units for name, units in chosen.items()}


class Quota:
    """Units spent by each user in the current minute, which begins with the first call after the last one ended."""

    def __init__(self, clock: Clock, units_per_minute: int | None) -> None:
        self.units_per_minute = units_per_minute
        self._clock = clock
        self._started: dict[str, float] = {}
        self._spent: Counter[str] = Counter()

    def spend(self, user: str, units: int) -> float | None:
        """Take `units` from the user's minute; return None, or the seconds until it ends if they do not fit."""
        now = self._clock.monotonic()
        if now - self._started.get(user, -WINDOW_S) >= WINDOW_S:
            self._started[user] = now
            self._spent[user] = 0
        if self.units_per_minute is not None and self._spent[user] + units > self.units_per_minute:
            return self._started[user] + WINDOW_S - now
        self._spent[user] += units
        return None

    def left(self, user: str) -> int | None:
        """Return the units the user may still spend in this minute; None if there is no limit."""
        if self.units_per_minute is None:
            return None
        if self._clock.monotonic() - self._started.get(user, -WINDOW_S) >= WINDOW_S:
            return self.units_per_minute
        return self.units_per_minute - self._spent[user]
