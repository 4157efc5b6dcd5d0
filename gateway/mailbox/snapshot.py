"""What one client has been told of a mailbox: its numbers, and what is still to be told."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

from gateway.mailbox.columns import Entry
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.mailbox.outcomes import FlagRow, ViewChanges
from gateway.mailbox.pending import Pending
from gateway.mailbox.uid_arrays import without
from gateway.wire.sequence_set import MAX_NUMBER, SequenceSet

FLAG_ROWS = 1000
"""So many changes of flags are told before others have their turn: a few milliseconds' work."""


class BadSequence(Exception):
    """A sequence number that this client was not told of (RFC 9051 section 6.4.5: BAD)."""


class Snapshot:
    """The messages as this client knows them: sequence number n is `uids[n - 1]`.

    Changes that others make are collected and told by `catch_up`. Once it `is_defunct` the UIDs are void, or the
    mailbox is gone. Close it when nobody is to be told any more.
    """

    def __init__(self, mailbox: OpenMailbox, *, is_read_only: bool) -> None:
        self.is_read_only = is_read_only
        self.shows_recent = True
        """Whether \\Recent is among the flags that are shown; IMAP4rev2 has no such flag."""
        # Shared with others: it is replaced where it would be changed.
        self.uids = mailbox.columns.shared_uids()
        self.is_defunct = mailbox.is_defunct
        self._mailbox = mailbox
        self._changed = Pending()
        self._touched: Pending | None = None
        self._expunged: set[int] = set()
        self._recent: set[int] = set()
        self._told_modseq = mailbox.modseq
        self._top = 0
        self._bell: Callable[[], None] | None = None
        self._is_open = True
        self._claim_recent(self.uids)
        mailbox.attach(self)

    def close(self) -> None:
        """Learn of nothing any more."""
        self._is_open = False
        self._bell = None
        self._mailbox.detach(self)

    @property
    def uidnext(self) -> int:
        """No message that this client is yet to be told of has a UID below this one."""
        return self._mailbox.uidnext_after(max(self._top, self.uids[-1] if self.uids else 0))

    @property
    def highestmodseq(self) -> int:
        """Up to where this client has been told everything.

        The mailbox may be further on. A client that kept that number would never learn of what it was not told before
        it went away (RFC 7162 section 3.2.5).
        """
        return self._told_modseq

    @property
    def recent(self) -> int:
        """How many messages are \\Recent for this client."""
        return len(self._recent)

    # -- numbers ------------------------------------------------------------------------------------------------------

    def sequence_number(self, uid: int) -> int | None:
        """Return the sequence number of a UID, None if this client does not know it."""
        position = bisect_left(self.uids, uid)
        if position < len(self.uids) and self.uids[position] == uid:
            return position + 1
        return None

    def select_uids(self, numbers: SequenceSet, *, is_uid: bool) -> list[int]:
        """Return the UIDs that a set names, ascending. UIDs that do not exist are passed over (section 6.4.9).

        Raises:
            BadSequence: a sequence number is above the number of messages, as `*` is where there are none.
        """
        if is_uid:
            return [self.uids[position] for position in numbers.select(self.uids)]
        total = len(self.uids)
        if not total or any(number > total for pair in numbers.ranges for number in pair):
            raise BadSequence
        return [uid for low, high in numbers.resolve(total) for uid in self.uids[low - 1 : high].tolist()]

    # -- messages -----------------------------------------------------------------------------------------------------

    def flag_rows(self, uids: Iterable[int]) -> list[FlagRow]:
        """Return the flags of those of the UIDs that this client knows."""
        rows: list[FlagRow] = []
        for uid in uids:
            number, entry = self.sequence_number(uid), self._mailbox.find(uid)
            if number is not None and entry is not None:
                rows.append(FlagRow(number, uid, self._flags(entry), entry.modseq))
        return rows

    def _flags(self, entry: Entry) -> bytes:
        return self._mailbox.flag_sets.rendered(entry.flag_set, is_recent=entry.uid in self._shown_recent)

    @property
    def _shown_recent(self) -> AbstractSet[int]:
        return self._recent if self.shows_recent else frozenset()

    def has_present(self, uid: int) -> bool:
        """Whether the message is still there, whatever this client has been told."""
        return self._mailbox.columns.index(uid) is not None

    def modseq(self, uid: int) -> int | None:
        """Return the mod-sequence of a message."""
        entry = self._mailbox.find(uid)
        return entry.modseq if entry is not None else None

    def max_modseq(self, uids: Iterable[int]) -> int:
        """Return the highest mod-sequence among the UIDs, 0 for none."""
        return max((modseq for uid in uids if (modseq := self.modseq(uid)) is not None), default=0)

    def changed_since(self, modseq: int, uids: Sequence[int] | None = None) -> list[int]:
        """Return those of the UIDs (all, if None) with a larger mod-sequence, ascending."""
        among = self.uids if uids is None else uids
        columns, ghosts = self._mailbox.columns, self._mailbox.ghosts
        changed = {uid for uid, at in zip(columns.uids, columns.modseqs, strict=True) if at > modseq}
        changed.update(uid for uid, entry in ghosts.items() if entry.modseq > modseq)
        return [uid for uid in among if uid in changed]

    # -- results that are kept up to date ------------------------------------------------------------------------------

    def note_touched(self, is_noting: bool) -> None:
        """Begin to take note of messages that change, whoever changes them, or stop it."""
        if not is_noting:
            self._touched = None
        elif self._touched is None:
            self._touched = Pending()

    def take_touched(self) -> set[int]:
        """Return those that have changed since this was last asked, of which the client knows."""
        touched = set() if self._touched is None else self._touched.take(MAX_NUMBER)
        return set(filter(self.holds, touched))

    @property
    def gone(self) -> AbstractSet[int]:
        """The messages that are gone and that the client still has to be told of."""
        return self._expunged

    # -- what others did ----------------------------------------------------------------------------------------------

    def set_bell(self, callback: Callable[[], None] | None) -> None:
        """Have `callback` called whenever `catch_up` has something new, and when the UIDs have become void."""
        self._bell = callback

    def catch_up(self, *, allow_expunge: bool, allow_new: bool = True, allow_flags: bool = True) -> ViewChanges:
        """Take over what has happened and return what the client is to be told. No I/O.

        Without `allow_expunge` messages that are gone stay, and keep their numbers. New messages and
        changed flags that are not allowed wait for a call that allows them. Of changed flags at most `FLAG_ROWS` are
        told at a time.
        """
        changes = ViewChanges()
        if allow_expunge and self._expunged:
            changes.expunged = self._drop_expunged()
        total = len(self.uids)
        new = self._new_uids() if allow_new else array("I")
        if new:
            changes.new = new
            self.uids = self._uids_with(new)
            self._claim_recent(new)
            changes.exists = total + len(new)
            changes.recent = len(self._recent)
        # Of what waits one set is kept, and not every set that it came in.
        changed = self._changed.take(FLAG_ROWS if allow_flags else 0)
        if changed:
            changes.flagged = self.flag_rows(sorted(changed.difference(new, self._expunged)))
        changes.has_more = allow_flags and not self._changed.is_empty
        if allow_new and not self._expunged and self._changed.is_empty:
            self._told_modseq = self._mailbox.modseq
        return changes

    def _new_uids(self) -> array[int]:
        columns = self._mailbox.columns
        top = self.uids[-1] if self.uids else 0
        # The highest UID told may be gone meanwhile: what was told must not be told again.
        top = max(top, self._top)
        new = columns.uids[bisect_right(columns.uids, top) :]
        if new:
            self._top = new[-1]
        return new

    def _drop_expunged(self) -> list[tuple[int, int]]:
        told: list[tuple[int, int]] = []
        if self.uids:
            self._top = max(self._top, self.uids[-1])
        for uid in sorted(self._expunged):
            position = bisect_left(self.uids, uid)
            if position < len(self.uids) and self.uids[position] == uid:
                # Each line's number counts the messages before it that are gone already.
                told.append((position + 1 - len(told), uid))
        if told:
            self.uids = self._uids_without([uid for _, uid in told])
        self._recent -= self._expunged
        self._expunged = set()
        self._mailbox.drop_ghosts()
        return told

    def _uids_without(self, gone: Sequence[int]) -> array[int]:
        """Return the UIDs without these, in the array that others have too if they know of the same."""
        columns = self._mailbox.columns
        # What is known and not gone is in the columns; it is all there is if there are as many.
        is_all = len(columns) == len(self.uids) - len(gone)
        return columns.shared_uids() if is_all else without(self.uids, gone)

    def _uids_with(self, new: array[int]) -> array[int]:
        """Return the UIDs with the new ones, in the array that others have too if they are told of the same."""
        columns = self._mailbox.columns
        is_all = not self._expunged and len(columns) == len(self.uids) + len(new)
        return columns.shared_uids() if is_all else self.uids + new

    def _claim_recent(self, uids: array[int]) -> None:
        self._recent.update(uids[bisect_left(uids, self._mailbox.recent_uid) :])
        if not self.is_read_only:
            self._mailbox.claim_recent()

    # -- what the open mailbox tells ----------------------------------------------------------------------------------

    def entries_changed(self, uids: frozenset[int]) -> None:
        self._changed.add(uids)
        if self._touched is not None:
            self._touched.add(uids)
        self._ring()

    def entries_removed(self, entries: list[Entry]) -> None:
        self._expunged.update(entry.uid for entry in entries if self.sequence_number(entry.uid) is not None)
        self._ring()

    def entries_added(self, lowest_uid: int) -> None:
        if lowest_uid <= max(self._top, self.uids[-1] if self.uids else 0):
            # The backend let a message appear below one that this client knows: its numbers cannot be put right.
            self.is_defunct = True
        self._ring()

    def became_defunct(self) -> None:
        self.is_defunct = True
        self._ring()

    def holds(self, uid: int) -> bool:
        return self.sequence_number(uid) is not None

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell()
