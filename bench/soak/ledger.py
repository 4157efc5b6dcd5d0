"""What clients of one account were told of their messages, and what a mailbox may therefore hold.

A message has a Message-ID of its own and, after COPY, several copies. Only the client that stored it changes it. While
the outcome of commands is known, so is the one place of each copy; after a command that nobody answered it is one of
several, and the copy is left alone from then on.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

GONE = ""
"""The place of a copy that is in no mailbox."""

DELETED = "\\Deleted"

Flags = frozenset[str]


@dataclass(slots=True, eq=False)
class Copy:
    """One copy of a message: where it may be, and the sets of flags of which it has one.

    `uids` has the UID in each place where it is known. With `is_echo` it is what a MOVE that was cut short may have
    left behind in its old place; that is half a move, and neither a loss nor a new message.
    """

    message_id: str
    places: frozenset[str]
    flags: frozenset[Flags]
    uids: dict[str, int] = field(default_factory=dict)
    is_echo: bool = False
    is_certain: bool = True
    history: list[str] = field(default_factory=list)

    def note(self, event: str) -> None:
        """Remember what happened to it and when, by the clock of the servers' logs, in case something goes wrong."""
        self.history.append(f"{datetime.now(UTC).time().isoformat('milliseconds')} {event}")

    def __str__(self) -> str:
        return f"{self.message_id} {self.uids} [{', '.join(self.history)}]"

    @property
    def place(self) -> str:
        """The only place where it can be."""
        (place,) = self.places
        return place

    @property
    def is_somewhere(self) -> bool:
        """Whether it can be in a mailbox."""
        return self.places != {GONE}

    @property
    def is_marked(self) -> bool:
        """Whether it is marked as deleted for certain, and may go with any EXPUNGE."""
        return self.is_certain and self.is_somewhere and all(DELETED in flags for flags in self.flags)

    @property
    def is_usable(self) -> bool:
        """Whether its place and flags are known, and nobody's EXPUNGE can take it."""
        return self.is_certain and GONE not in self.places


@dataclass(frozen=True, slots=True)
class Found:
    """A message that is in a mailbox. `uid` and `flags` are None where that cannot be known or compared."""

    mailbox: str
    uid: int | None
    flags: Flags | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison came to: each finding is a line of text."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    wrong_flags: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    half_moved: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        """Return all that must not be; half a move is not among it."""
        groups = (self.lost, self.doubled, self.misplaced, self.wrong_flags, self.unknown)
        return [line for group in groups for line in group]


class Ledger:
    """The copies of all messages of an account. `report` takes a line for each thing that must not be."""

    def __init__(self, account: str, report: Callable[[str], None]) -> None:
        self.account = account
        self.report = report
        self.copies: dict[str, list[Copy]] = defaultdict(list)
        self._digests: dict[str, bytes] = {}
        self._bound: dict[tuple[str, int], str] = {}
        self._uidvalidity: dict[str, int] = {}

    def __iter__(self) -> Iterator[Copy]:
        for copies in self.copies.values():
            yield from copies

    # -- what clients do ----------------------------------------------------------------------------------------------

    def appending(self, message_id: str, content: bytes, mailbox: str, flags: Flags) -> Copy:
        """Note an APPEND that is about to be sent: until it is answered, the message may be there or not."""
        self._digests[message_id] = _digest(content)
        copy = self._new(Copy(message_id, frozenset({mailbox, GONE}), frozenset({flags}), is_certain=False))
        copy.note(f"append to {mailbox}")
        return copy

    def copying(self, copy: Copy, mailbox: str) -> Copy:
        """Note a COPY that is about to be sent."""
        new = self._new(Copy(copy.message_id, frozenset({mailbox, GONE}), copy.flags, is_certain=False))
        new.note(f"copy from {copy.place} to {mailbox}")
        return new

    def arrived(self, copy: Copy, mailbox: str, uidvalidity: int, uid: int | None) -> None:
        """Note that a copy is there, after an OK to APPEND, COPY or MOVE. One whose UID was not told is left alone."""
        copy.places = frozenset({mailbox})
        copy.uids = {} if uid is None else {mailbox: uid}
        copy.is_certain = uid is not None
        copy.note(f"{mailbox} {uid}")
        if uid is not None:
            self.saw_mailbox(mailbox, uidvalidity)
            self.saw(mailbox, uid, copy.message_id)

    def moving(self, copy: Copy, mailbox: str) -> Copy:
        """Note a MOVE that is about to be sent, and return its possible echo."""
        echo = Copy(
            copy.message_id, frozenset({copy.place, GONE}), copy.flags, dict(copy.uids), is_echo=True, is_certain=False
        )
        copy.note(f"move to {mailbox}")
        copy.places |= {mailbox}
        copy.is_certain = False
        return self._new(echo)

    def moved(self, copy: Copy, echo: Copy, mailbox: str, uidvalidity: int, uid: int | None) -> None:
        """Note an OK to MOVE."""
        self.forget(echo)
        self.arrived(copy, mailbox, uidvalidity, uid)

    def forget(self, copy: Copy) -> None:
        """Take back a copy that cannot have come to be."""
        self.copies[copy.message_id].remove(copy)

    def storing(self, copy: Copy, flags: Flags) -> None:
        """Note a STORE that is about to be sent. What is marked as deleted may go with anybody's EXPUNGE."""
        copy.note(f"store {_listed(flags)}")
        copy.flags |= {flags}
        copy.is_certain = False
        if DELETED in flags:
            copy.places |= {GONE}

    def stored(self, copy: Copy, flags: Flags) -> None:
        """Note an OK to STORE."""
        copy.flags = frozenset({flags})
        copy.note("stored")
        copy.is_certain = True

    def expunged(self, copy: Copy) -> None:
        """Note an OK to EXPUNGE, after which the copy is gone."""
        copy.places = frozenset({GONE})
        copy.note("expunged")
        copy.is_certain = True

    def _new(self, copy: Copy) -> Copy:
        self.copies[copy.message_id].append(copy)
        return copy

    # -- what anybody sees --------------------------------------------------------------------------------------------

    def saw_mailbox(self, mailbox: str, uidvalidity: int) -> None:
        """Note the UIDVALIDITY of a mailbox, which never changes here."""
        before = self._uidvalidity.setdefault(mailbox, uidvalidity)
        if before != uidvalidity:
            self.report(f"{self.account} {mailbox}: UIDVALIDITY {uidvalidity} was {before}")

    def saw(self, mailbox: str, uid: int, message_id: str) -> None:
        """Note that a UID stands for a message, which it does for ever."""
        before = self._bound.setdefault((mailbox, uid), message_id)
        if before != message_id:
            self.report(f"{self.account} {mailbox}: UID {uid} is {message_id}, was {before}")

    def message_at(self, mailbox: str, uid: int) -> str | None:
        """Return the Message-ID that a UID stands for, if anybody has seen it."""
        return self._bound.get((mailbox, uid))

    def saw_content(self, mailbox: str, uid: int, message_id: str, content: bytes) -> None:
        """Note the octets of a message, which are those that were stored."""
        self.saw(mailbox, uid, message_id)
        if self._digests.get(message_id) != _digest(content):
            self.report(f"{self.account} {mailbox}: UID {uid}, {message_id}, has other octets than were stored")

    # -- in the end ---------------------------------------------------------------------------------------------------

    def compare(self, found: Mapping[str, Sequence[Found]]) -> Verdict:
        """Hold what is there, by Message-ID, against what was told."""
        verdict = Verdict()
        for message_id in sorted(found.keys() | self.copies.keys()):
            self._judge(verdict, message_id, self.copies.get(message_id, []), found.get(message_id, ()))
        return verdict

    def _judge(self, verdict: Verdict, message_id: str, copies: Sequence[Copy], found: Sequence[Found]) -> None:
        plain = [copy for copy in copies if not copy.is_echo]
        if _fits(plain, found):
            return
        line = f"{self.account} {message_id}: found {_shown(found)}, told {_told(copies)}"
        if not copies:
            verdict.unknown.append(line)
        elif _fits(copies, found):
            verdict.half_moved.append(line)
        elif len(found) < sum(GONE not in copy.places for copy in plain):
            verdict.lost.append(line)
        elif len(found) > sum(copy.places != {GONE} for copy in copies):
            verdict.doubled.append(line)
        elif _fits(copies, [Found(one.mailbox, one.uid, None) for one in found]):
            verdict.wrong_flags.append(line)
        else:
            verdict.misplaced.append(line)


def _fits(copies: Sequence[Copy], found: Sequence[Found]) -> bool:
    """Whether each of `found` is one of the copies, and each copy that must be somewhere is found."""
    if not copies:
        return not found
    first, rest = copies[0], copies[1:]
    if GONE in first.places and _fits(rest, found):
        return True
    return any(
        _may_be(first, one) and _fits(rest, [*found[:place], *found[place + 1 :]]) for place, one in enumerate(found)
    )


def _may_be(copy: Copy, found: Found) -> bool:
    if found.mailbox not in copy.places or (found.flags is not None and found.flags not in copy.flags):
        return False
    known = copy.uids.get(found.mailbox)
    return known is None or found.uid is None or known == found.uid


def _shown(found: Iterable[Found]) -> str:
    return "; ".join(f"{one.mailbox} {one.uid} {_listed(one.flags)}" for one in found) or "nothing"


def _told(copies: Iterable[Copy]) -> str:
    return "; ".join(
        f"{' or '.join(sorted(place or 'nowhere' for place in copy.places))} {copy.uids} "
        f"{' or '.join(_listed(flags) for flags in copy.flags)}{' (echo)' if copy.is_echo else ''}"
        f" [{', '.join(copy.history)}]"
        for copy in copies
    )


def _listed(flags: Flags | None) -> str:
    return "-" if flags is None else f"({' '.join(sorted(flags))})"


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
