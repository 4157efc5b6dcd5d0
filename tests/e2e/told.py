"""What one session was told of the mailbox it has selected, replayed response by response.

Nothing is believed that the session cannot know: a message is a place in a row, whose UID and flags are open until a
response names them. Whatever contradicts what was said before, or comes when it must not, is a `Lie`.
Sources: RFC 3501 sections 7.3 and 7.4, RFC 9051 section 7.5.1, RFC 7162 sections 3.1 and 3.2.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.e2e.raw_client import flag_set
from tests.e2e.raw_values import Data, Fetched, Numbered, Response, Status

Flags = frozenset[str]

_HOLDS_EXPUNGES = re.compile(r"(?:FETCH|STORE|SEARCH|SORT|THREAD)\b", re.IGNORECASE)
_NUMBERED_SEARCH = re.compile(r"UID SEARCH \d", re.IGNORECASE)
_TRACED = ("UID", "FLAGS", "MODSEQ")
_KEPT = 60
_RANGE = re.compile(r"(\d+)(?::(\d+))?")


class Lie(AssertionError):
    """A response contradicts an earlier one, or must not come at this time."""


@dataclass(slots=True, eq=False)
class Place:
    """A message as far as the session knows it; `flags` are those it may have, and None before any were told.

    `is_new` if it came after the mailbox was selected.
    """

    is_new: bool = False
    uid: int | None = None
    flags: frozenset[Flags] | None = None
    modseq: int = 0


class Told:
    """The selected mailbox of one session. `feed` takes every response, `begin` every command before it is sent.

    `is_condstore` and `is_qresync` say what the session has enabled.
    """

    def __init__(self, *, is_condstore: bool = False, is_qresync: bool = False) -> None:
        self.is_condstore = is_condstore or is_qresync
        self.is_qresync = is_qresync
        self.places: list[Place] = []
        self.uidvalidity = 0
        self.highestmodseq = 0
        self._remembered: dict[int, Place] = {}
        self._command = ""
        self._mailbox = ""
        self._has_selected = False
        self._is_selecting = False
        self._next_uid = 0
        self._highest: dict[tuple[str, int], int] = {}
        self._seen_flags: set[int] = set()
        self._last: deque[object] = deque(maxlen=_KEPT)

    # -- what the session knows ---------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.places)

    @property
    def is_selected(self) -> bool:
        return self._has_selected

    @property
    def uids(self) -> list[int]:
        """The UIDs that were told, in ascending order."""
        return [place.uid for place in self.places if place.uid is not None]

    def known(self) -> Iterator[tuple[int, Place]]:
        """Yield the places whose UID is known, by UID."""
        for place in self.places:
            if place.uid is not None:
                yield place.uid, place

    def has_heard_of(self, uid: int) -> bool:
        """Whether the flags of a message were told since the command began."""
        return uid in self._seen_flags

    def assume(self, uid: int, flags: frozenset[Flags] | None) -> None:
        """Note what flags a message has after a silent STORE: one of these, or any."""
        for known, place in self.known():
            if known == uid:
                place.flags = flags

    # -- what happens -------------------------------------------------------------------------------------------------

    def begin(self, command: str) -> None:
        """Note a command that is about to be sent, without its tag; an empty one when it has been answered."""
        self._command = command
        if command:
            self._last.append(f"-> {command[:200]}")
            self._seen_flags.clear()
        verb = command.split(" ", 1)[0].upper()
        if verb in ("SELECT", "EXAMINE"):
            before = self.uidvalidity
            self._keep_highest()
            self._remembered = dict(self.known())
            self.places = []
            self.highestmodseq = 0
            self._next_uid = 0
            self.uidvalidity = before
            self._has_selected = True
            self._is_selecting = True
        elif verb in ("CLOSE", "UNSELECT", "LOGOUT"):
            self._has_selected = False

    def _keep_highest(self) -> None:
        """Keep HIGHESTMODSEQ of the mailbox that is left, for when it is selected again."""
        if self._mailbox:
            self._highest[self._mailbox, self.uidvalidity] = self.highestmodseq

    def feed(self, response: Response) -> None:
        """Take a response.

        Raises:
            Lie: it cannot be true, or must not come now.
        """
        self._last.append(_shown(response))
        match response:
            case Status():
                self._status(response)
            case Numbered(number, "EXISTS"):
                self._exists(number)
            case Numbered(number, "EXPUNGE"):
                self._expunge(number)
            case Fetched():
                self._fetched(response)
            case Data("VANISHED", values):
                self._vanished(values)
            case Data("SEARCH", values):
                self._found([value for value in values if isinstance(value, int)])
            case _:
                pass

    def _status(self, status: Status) -> None:
        name, _, argument = status.code.partition(" ")
        match name.upper():
            case "UIDVALIDITY" if self._is_selecting:
                self.uidvalidity = int(argument)
            case "UIDNEXT" if self._is_selecting:
                self._next_uid = int(argument)
            case "HIGHESTMODSEQ":
                self._require(
                    int(argument) >= self.highestmodseq, f"HIGHESTMODSEQ fell from {self.highestmodseq}", status
                )
                self.highestmodseq = int(argument)
            case _:
                pass
        if status.tag != "*" and self._is_selecting:
            self._is_selecting = False
            self._has_selected = status.kind == "OK"
            self._mailbox = self._command.split(" ", 2)[1] if self._has_selected else ""
            before = self._highest.get((self._mailbox, self.uidvalidity), 0)
            self._require(self.highestmodseq >= before, f"HIGHESTMODSEQ was {before} before", status)

    def _exists(self, number: int) -> None:
        self._require(self._has_selected, "EXISTS without a mailbox", number)
        self._require(number >= len(self.places), f"EXISTS falls from {len(self.places)}", number)
        self.places.extend(Place(not self._is_selecting) for _ in range(number - len(self.places)))

    def _expunge(self, number: int) -> None:
        self._require(not self.is_qresync, "EXPUNGE instead of VANISHED", number)
        self._may_expunge(number)
        self._require(1 <= number <= len(self.places), f"EXPUNGE where {len(self.places)} EXIST", number)
        del self.places[number - 1]

    def _may_expunge(self, what: object) -> None:
        self._require(bool(self._command), "an expunge while no command is in progress", what)
        self._require(not _HOLDS_EXPUNGES.match(self._command), f"an expunge during {self._command}", what)

    def _vanished(self, values: tuple[object, ...]) -> None:
        is_numbered = bool(_NUMBERED_SEARCH.match(self._command)) and values[0] != "EARLIER"
        self._require(self.is_qresync, "VANISHED without QRESYNC", values)
        self._require(not is_numbered, f"VANISHED during {self._command} (RFC 7162 section 3.2.10)", values)
        uids = set(_numbers(str(values[-1])))
        if values[0] == "EARLIER":
            for uid in uids & self._remembered.keys():
                del self._remembered[uid]
            gone = uids & set(self.uids)
            self._require(not gone, f"VANISHED (EARLIER) of what is there: {sorted(gone)}", values)
            return
        self._may_expunge(values)
        for uid in sorted(uids):
            self._vanish(uid)

    def _vanish(self, uid: int) -> None:
        for number, place in enumerate(self.places):
            if place.uid == uid:
                del self.places[number]
                return
            if place.uid is not None and place.uid > uid:
                break
        # It is one of those whose UID was not told, between the neighbours of whom it was.
        possible = [number for number in range(len(self.places)) if self._may_be(number, uid)]
        if possible:
            if len(possible) > 1:
                # What was told of one of them by its number may have been told of the one that has gone.
                for number in possible:
                    self.places[number].flags, self.places[number].modseq = None, 0
            del self.places[possible[0]]
            return
        raise Lie(f"VANISHED {uid}, which was not there: {self.uids}")

    def _may_be(self, position: int, uid: int) -> bool:
        """Whether the message at a position, whose UID was not told, can have this one."""
        place = self.places[position]
        low, high = self._neighbours(position)
        is_of_its_time = not self._next_uid or place.is_new == (uid >= self._next_uid)
        return place.uid is None and low < uid < high and is_of_its_time

    def _fetched(self, row: Fetched) -> None:
        self._require(self._has_selected, "FETCH without a mailbox", row)
        self._require(row.number <= len(self.places), f"FETCH where {len(self.places)} EXIST", row)
        place = self.places[row.number - 1]
        uid = row.items.get("UID")
        if isinstance(uid, int):
            self._bind(place, row.number, uid)
        else:
            is_asked_for = self._command.upper().startswith(("FETCH", "STORE"))
            self._require(not self.is_qresync or is_asked_for, "an unasked FETCH without UID in QRESYNC", row)
        if "FLAGS" in row.items:
            place.flags = frozenset({flag_set(row.items["FLAGS"])})
            if place.uid is not None:
                self._seen_flags.add(place.uid)
            is_complete = not self.is_condstore or "MODSEQ" in row.items or self._command.upper().startswith(_READS)
            self._require(is_complete, "flags without MODSEQ", row)
        modseq = row.items.get("MODSEQ")
        if modseq is not None:
            self._require(isinstance(modseq, tuple) and isinstance(modseq[0], int), "MODSEQ without a number", row)
            assert isinstance(modseq, tuple)
            assert isinstance(modseq[0], int)
            self._require(modseq[0] >= place.modseq, f"MODSEQ fell from {place.modseq}", row)
            place.modseq = modseq[0]

    def _bind(self, place: Place, number: int, uid: int) -> None:
        if place.uid is None:
            low, high = self._neighbours(number - 1)
            self._require(low < uid < high, f"UID {uid} of message {number} is not between {low} and {high}", number)
            is_in_range = not self._next_uid or place.is_new == (uid >= self._next_uid)
            self._require(is_in_range, f"UID {uid}, new: {place.is_new}, UIDNEXT was {self._next_uid}", number)
            place.uid = uid
            if self._is_selecting and (memory := self._remembered.get(uid)) is not None:
                place.modseq = memory.modseq
        self._require(place.uid == uid, f"message {number} was UID {place.uid}", uid)

    def _neighbours(self, position: int) -> tuple[int, int]:
        """Return the nearest UIDs known before and after a position; 0 and 2^32 where there are none."""
        low = next((place.uid for place in reversed(self.places[:position]) if place.uid is not None), 0)
        high = next((place.uid for place in self.places[position + 1 :] if place.uid is not None), 1 << 32)
        return low, high

    def _found(self, numbers: list[int]) -> None:
        command = self._command.upper()
        if command.startswith("SEARCH"):
            self._require(all(1 <= number <= len(self.places) for number in numbers), "SEARCH finds too much", numbers)
        self._require(numbers == sorted(set(numbers)), "SEARCH is not ascending", numbers)

    # -- coming back --------------------------------------------------------------------------------------------------

    def resume(self, asked_uidvalidity: int) -> None:
        """After SELECT with QRESYNC: put together what was remembered and what was told. Exactly all must be known.

        Raises:
            Lie: the outcome is not as long as EXISTS says, or a message is told at another place than it can have.
        """
        if self.uidvalidity != asked_uidvalidity:
            return
        told = dict(self.known())
        merged = {
            **{uid: Place(False, uid, place.flags, place.modseq) for uid, place in self._remembered.items()},
            **told,
        }
        row = [merged[uid] for uid in sorted(merged)]
        self._require(
            len(row) == len(self.places), f"{len(row)} messages after QRESYNC, not {len(self.places)}", sorted(merged)
        )
        for place, before in zip(row, self.places, strict=True):
            self._require(before.uid in (None, place.uid), "a message is at another place after QRESYNC", place)
        self.places = row

    def _require(self, is_so: bool, text: str, what: object) -> None:
        if not is_so:
            raise Lie(f"{text}: {what}; the last lines were\n" + "\n".join(map(str, self._last)))


_READS = ("FETCH", "UID FETCH")


def _shown(response: Response) -> object:
    """Return what a trace says of a response: all but the texts of messages."""
    if not isinstance(response, Fetched):
        return response
    return Fetched(response.number, {name: response.items[name] for name in _TRACED if name in response.items})


def _numbers(text: str) -> Iterable[int]:
    for low, high in _RANGE.findall(text):
        yield from range(int(low), int(high or low) + 1)
