"""Sets of flags, each held once for the whole process and rendered once."""

from __future__ import annotations

from gateway.store.flags import SEEN, FlagSet
from gateway.wire.flags import format_flags

RECENT = "\\Recent"
_KEPT = 1024


class FlagSets:
    """Gives each distinct set a small number, so that a mailbox keeps four octets per message."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, str], int] = {}
        self._sets: list[FlagSet] = []
        self._rendered: list[bytes] = []
        self._rendered_recent: list[bytes] = []
        self._keywords: dict[frozenset[int], frozenset[str]] = {}
        self.unseen: set[int] = set()
        """The numbers of the sets without \\Seen."""

    def intern(self, system: int, keywords: str) -> int:
        """Return the number of the set, as the store spells it."""
        key = (system, keywords)
        number = self._ids.get(key)
        if number is None:
            flags = FlagSet(system, keywords)
            number = len(self._sets)
            self._sets.append(flags)
            self._rendered.append(format_flags(flags.names()))
            self._rendered_recent.append(format_flags((*flags.names(), RECENT)))
            self._ids[key] = number
            if not flags.bits & SEEN:
                self.unseen.add(number)
        return number

    def __len__(self) -> int:
        """How many numbers have been given, from 0 on."""
        return len(self._sets)

    def keywords(self, numbers: frozenset[int]) -> frozenset[str]:
        """Return all keywords in the sets; mailboxes ask for the same again and again."""
        found = self._keywords.get(numbers)
        if found is None:
            if len(self._keywords) >= _KEPT:
                self._keywords.clear()
            found = frozenset(name for number in numbers for name in self._sets[number].keywords.split())
            self._keywords[numbers] = found
        return found

    def __getitem__(self, number: int) -> FlagSet:
        return self._sets[number]

    def rendered(self, number: int, *, is_recent: bool) -> bytes:
        """Return the set in parentheses, as FETCH shows it."""
        return (self._rendered_recent if is_recent else self._rendered)[number]
