"""When folders were looked at last, and what is kept of that until the next look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from connectors.api.priority import Priority, current_priority
from connectors.api.types import Cursor, MailboxRef, MessageRef, Role
from connectors.graph.cursors import Mark
from connectors.graph.folders import Folder, Tree
from connectors.graph.structs import Page
from connectors.transport.clock import Clock

FOLDERS_PER_POLL: Final = 60
"""So many folders at most are looked at in one interval for which nobody waits: with the default interval, and what
reading the tree takes, that is less than a tenth of the requests that Graph allows."""

SEARCH_INTERVAL_S: Final = 600.0
"""How often a search folder is read for which nobody waits, and whose numbers stay."""

FRESH_S: Final = 20.0
"""For so long after its position was taken a folder that was listed is not looked at for which nobody waits."""

DOUBTS: Final = 2
"""After so many numbers in a row that cannot be, a folder is read whole."""

FIRST_PAUSE_S: Final = 300.0
LONGEST_PAUSE_S: Final = 12 * 3600.0
"""Between two readings of a folder for its number, which did not mend it."""

PRIME_TTL_S: Final = 300.0
"""How long a listing may build on the position that was taken before it."""


@dataclass(frozen=True, slots=True)
class Prime:
    """What taking a position has shown of a folder: the messages in it, and perhaps the first page of the list.

    `link` is where the changes after the position are, `count` how many items there were. `first` was asked for after
    the changes had been read to their end; it is None if it was not. `drafts` are digests
    (see `connectors.graph.edits`).
    """

    link: str
    count: int | None
    refs: tuple[MessageRef, ...]
    first: Page[msgspec.Raw] | None
    taken_at: float
    drafts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    count: int | None
    unread: int | None
    is_listing: bool


class Looks:
    """What is remembered from one look at a folder to the next, in this process only."""

    def __init__(self, clock: Clock, interval_s: float) -> None:
        self.interest: frozenset[MailboxRef] = frozenset()
        """The mailboxes that somebody has open."""
        self._clock = clock
        self._interval_s = interval_s
        self._looks: dict[MailboxRef, _Look] = {}
        self._primes: dict[MailboxRef, Prime] = {}
        self._marks: dict[MailboxRef, tuple[Cursor, Mark]] = {}
        self._counted: dict[MailboxRef, int] = {}
        self._doubts: dict[MailboxRef, int] = {}
        self._readings: dict[MailboxRef, tuple[int, float]] = {}
        self._unsure: set[MailboxRef] = set()
        self._begun: set[MailboxRef] = set()

    # -- when ---------------------------------------------------------------------------------------------------------

    def may_wait(self, folder: Folder, among: int) -> bool:
        """Whether the look at a folder can be left out this time. `among` is how many folders there are.

        It is never left out where somebody waits for it. Right after a listing there is nothing to see. Other than that
        it is not left out where somebody has the folder open, and where the numbers that came with the tree have
        changed: that is how new messages show.
        """
        ref = folder.info.ref
        last = self._looks.get(ref)
        if last is None or current_priority() is not Priority.BACKGROUND:
            return False
        if last.is_listing and self._clock.monotonic() - last.at < min(FRESH_S, self._interval_s / 2):
            return True
        if folder.info.role is Role.INBOX or ref in self.interest:
            return False
        if (last.count, last.unread) != (folder.count, folder.unread):
            return False
        polls = math.ceil(among / FOLDERS_PER_POLL)
        pause_s = (polls - 0.5) * self._interval_s if polls > 1 else 0.0
        if folder.is_search:
            pause_s = max(pause_s, SEARCH_INTERVAL_S)
        return self._clock.monotonic() - last.at < pause_s

    def looked(self, folder: Folder, *, is_listing: bool = False) -> None:
        """Note that the folder, as the tree told it before, has been looked at, or its position taken for a listing."""
        self._looks[folder.info.ref] = _Look(self._clock.monotonic(), folder.count, folder.unread, is_listing)

    def told(self, mailbox: MailboxRef | None) -> None:
        """Note that something has changed in a folder, or anywhere: the next look is not left out."""
        if mailbox is None:
            self._looks.clear()
        else:
            self._looks.pop(mailbox, None)

    # -- what was seen ------------------------------------------------------------------------------------------------

    def keep_prime(self, mailbox: MailboxRef, prime: Prime) -> None:
        """Keep what taking a position has shown, for the listing that follows."""
        oldest = self._clock.monotonic() - PRIME_TTL_S
        self._primes = {ref: each for ref, each in self._primes.items() if each.taken_at >= oldest}
        self._primes[mailbox] = prime

    def take_prime(self, mailbox: MailboxRef) -> Prime | None:
        """Return what the last position has shown, once; None if that was too long ago."""
        prime = self._primes.pop(mailbox, None)
        is_fresh = prime is not None and self._clock.monotonic() - prime.taken_at <= PRIME_TTL_S
        return prime if is_fresh else None

    def keep_mark(self, mailbox: MailboxRef, cursor: Cursor, mark: Mark) -> None:
        """Note that after `cursor` nothing happened up to `mark`."""
        self._marks[mailbox] = (cursor, mark)

    def latest_mark(self, mailbox: MailboxRef, cursor: Cursor) -> Mark | None:
        """Return the latest position up to which nothing happened after `cursor`, if one is known."""
        told, mark = self._marks.get(mailbox, (None, None))
        return mark if told == cursor else None

    # -- numbers ------------------------------------------------------------------------------------------------------

    def fresh_count(self, mailbox: MailboxRef, tree: Tree) -> int | None:
        """Return the folder's own number of items, if it was read after the last call for this folder."""
        folder = tree.folders.get(mailbox)
        is_fresh = self._counted.get(mailbox, -1) < tree.number
        self._counted[mailbox] = tree.number
        return folder.count if is_fresh and folder is not None else None

    def doubt(self, mailbox: MailboxRef) -> bool:
        """Note that the number cannot be; return whether that was so often enough for the folder to be read whole.

        If that does not mend it, the numbers themselves are wrong, and it is done ever more seldom.
        """
        self._doubts[mailbox] = self._doubts.get(mailbox, 0) + 1
        now = self._clock.monotonic()
        times, not_before = self._readings.get(mailbox, (0, now))
        if self._doubts[mailbox] < DOUBTS or now < not_before:
            return False
        self._readings[mailbox] = times + 1, now + min(FIRST_PAUSE_S * 2.0 ** min(times, 30), LONGEST_PAUSE_S)
        return True

    def trust(self, mailbox: MailboxRef) -> None:
        """Note that the number can be."""
        self._doubts.pop(mailbox, None)
        self._readings.pop(mailbox, None)

    def be_unsure(self, mailbox: MailboxRef) -> None:
        """Note that something changed of which this process cannot tell whether it was in the folder before."""
        if mailbox not in self._begun:
            self._unsure.add(mailbox)

    def is_unsure(self, mailbox: MailboxRef) -> bool:
        """Whether the numbers tell little of the folder, since this process has not read it whole yet."""
        return mailbox in self._unsure

    def begin(self, mailbox: MailboxRef, tree: Tree) -> None:
        """Note that a folder was counted anew, after the tree had been read."""
        self._counted[mailbox] = tree.number
        self._doubts.pop(mailbox, None)
        self._marks.pop(mailbox, None)
        self._unsure.discard(mailbox)
        self._begun.add(mailbox)

    def forget(self, mailbox: MailboxRef) -> None:
        """Let go of what is kept of a folder that is gone."""
        for kept in (self._looks, self._primes, self._marks, self._counted, self._doubts, self._readings):
            kept.pop(mailbox, None)
        self._unsure.discard(mailbox)
        self._begun.discard(mailbox)
