"""What changing flags makes of file names."""

from __future__ import annotations

from connectors.maildir import filename
from connectors.maildir.filename import FileName
from connectors.maildir.keywords import Keywords


class Renaming:
    """One change of flags. A folder has few distinct sets of them, so each is worked out once."""

    def __init__(self, words: Keywords, add: frozenset[str], remove: frozenset[str]) -> None:
        self._words = words
        self._add = add
        self._remove = remove
        self._known: dict[str, tuple[str, frozenset[str]]] = {}

    def of(self, name: str) -> tuple[str, frozenset[str]]:
        """Return the name after the change of a file of that name, and the flags it then has."""
        parsed = filename.parse(name)
        found = self._known.get(parsed.letters)
        if found is None:
            flags = (self._words.flags(parsed.letters) | self._add) - self._remove
            letters = self._words.letters(flags, parsed.letters)
            # A keyword for which no letter is left is not kept.
            found = self._known[parsed.letters] = (letters, self._words.flags(letters))
        letters, kept = found
        return str(FileName(parsed.base, letters, parsed.rest)), kept
