"""Categories of Outlook as keywords of IMAP, and back, without loss in either direction.

A category is any text; a keyword is an atom (RFC 9051 section 9). A character that no atom can hold becomes `=`, its
number in hex, and `;`: `To Do` is the keyword `To=20;Do`. Text that looks like that by itself has its `=` doubled. So
each category is one keyword and each keyword one category, and whatever one side sets the other can give back.

The keywords `$label1` to `$label5`, which mail clients show as colours, stand for the categories of the setting
`labels`; in exchange the keyword that such a category would otherwise be stands for the category `$label1`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_UNSAFE: Final = r"[^!#$&'+-\[^-z|}~]"
"""What is no ATOM-CHAR: controls, space, `( ) { % * " \\ ]` and all beyond ASCII."""

_TO_ESCAPE: Final = re.compile(rf"(?P<before>=*)(?P<unsafe>{_UNSAFE})|(?P<marks>=+)(?P<hex>[1-9a-f][0-9a-f]{{0,5}}|0);")
_ESCAPED: Final = re.compile(r"(?P<marks>=+)(?P<hex>[1-9a-f][0-9a-f]{0,5}|0);")
_IS_UNSAFE: Final = re.compile(_UNSAFE, re.DOTALL)


class Categories:
    """The categories of an account. `labels` are those that `$label1`, `$label2` and so on stand for."""

    def __init__(self, labels: Sequence[str] = ()) -> None:
        # Both sides compare without regard to case.
        self._swaps: dict[str, str] = {}
        for number, category in enumerate(labels, 1):
            keyword, plain = f"$label{number}", escape(category)
            self._swaps.setdefault(plain.casefold(), keyword)
            self._swaps.setdefault(keyword.casefold(), plain)

    def keyword(self, category: str) -> str:
        """Return the keyword of a category, which must not be empty."""
        return self._swapped(escape(category))

    def category(self, keyword: str) -> str:
        """Return the category of a keyword."""
        return unescape(self._swapped(keyword))

    def _swapped(self, keyword: str) -> str:
        return self._swaps.get(keyword.casefold(), keyword)


def escape(category: str) -> str:
    """Return an atom for a text: as it is, as far as that can be."""
    return _TO_ESCAPE.sub(_escaped, category)


def unescape(keyword: str) -> str:
    """Return the text that `escape` makes this atom of."""
    return _ESCAPED.sub(_unescaped, keyword)


def _escaped(match: re.Match[str]) -> str:
    unsafe = match["unsafe"]
    if unsafe is not None:
        return f"{match['before'] * 2}={ord(unsafe):x};"
    return match[0] if _character(match["hex"]) is None else f"{match['marks'] * 2}{match['hex']};"


def _unescaped(match: re.Match[str]) -> str:
    marks, character = match["marks"], _character(match["hex"])
    if character is None:
        return match[0]
    half = marks[: len(marks) // 2]
    return f"{half}{character}" if len(marks) % 2 else f"{half}{match['hex']};"


def _character(digits: str) -> str | None:
    """Return the character of that number; None if there is none or it is none that needs to be escaped."""
    number = int(digits, 16)
    if number > 0x10FFFF:
        return None
    return chr(number) if _IS_UNSAFE.fullmatch(chr(number)) else None
