"""Keywords as Dovecot keeps them in a Maildir: letters a to z in file names, named by `dovecot-keywords`.

The file has a line `<number> <keyword>` for each letter in use, 0 for a. A letter is never given to another keyword,
since files may carry it.
"""

from __future__ import annotations

import os
import string
from collections.abc import Iterable
from dataclasses import dataclass

from connectors.api.types import SYSTEM_FLAGS
from connectors.maildir.disk import Disk, read_text
from connectors.maildir.filename import LETTER_OF, LETTERS

FILE = "dovecot-keywords"
COUNT = len(string.ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Keywords:
    """The keywords of one folder; the index of each is its letter. A letter without a keyword is None."""

    names: tuple[str | None, ...] = ()

    @property
    def known(self) -> frozenset[str]:
        return frozenset(name for name in self.names if name is not None)

    @property
    def has_room(self) -> bool:
        return None in self.names or len(self.names) < COUNT

    def flags(self, letters: str) -> frozenset[str]:
        """Return the flags that the letters of a file name stand for. Unknown letters stand for none."""
        flags = set()
        for letter in letters:
            index = string.ascii_lowercase.find(letter)
            name = self.names[index] if 0 <= index < len(self.names) else LETTERS.get(letter)
            if name is not None:
                flags.add(name)
        return frozenset(flags)

    def letters(self, flags: Iterable[str], kept: str = "") -> str:
        """Return letters for the flags, in the order of ASCII, with those of `kept` that stand for nothing known.

        A keyword without a letter is left out.
        """
        by_name = {name: string.ascii_lowercase[i] for i, name in enumerate(self.names) if name is not None}
        unknown = {letter for letter in kept if not self.flags(letter)}
        chosen = {table[flag] for flag in flags for table in (LETTER_OF, by_name) if flag in table}
        return "".join(sorted(unknown | chosen))

    def render(self) -> bytes:
        lines = [f"{index} {name}\n" for index, name in enumerate(self.names) if name is not None]
        return "".join(lines).encode("utf-8", "surrogateescape")


def read(directory: str) -> Keywords:
    """Return the keywords of the folder in a directory. Lines that make no sense are skipped, as Dovecot does."""
    names: list[str | None] = []
    for line in (read_text(os.path.join(directory, FILE)) or "").splitlines():
        number, _, name = line.partition(" ")
        if number.isascii() and number.isdecimal() and int(number) < COUNT and name and name not in names:
            index = int(number)
            names.extend([None] * (index + 1 - len(names)))
            names[index] = name
    return Keywords(tuple(names))


def allocate(directory: str, flags: Iterable[str], disk: Disk) -> Keywords:
    """Give letters to the keywords among `flags` that have none, as far as there are letters; return them all."""
    wanted = set(flags) - SYSTEM_FLAGS
    current = read(directory)
    if wanted <= current.known or not current.has_room:
        return current
    with disk.replacing(os.path.join(directory, FILE)) as pieces:
        names = list(read(directory).names)
        for name in sorted(wanted.difference(filter(None, names))):
            if None in names:
                names[names.index(None)] = name
            elif len(names) < COUNT:
                names.append(name)
        changed = Keywords(tuple(names))
        pieces.append(changed.render())
    return changed
