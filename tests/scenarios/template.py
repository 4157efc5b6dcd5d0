"""Fill in what the lines of a transcript leave open: numbers, messages, and words seen before."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.scenarios.samples import sample
from tests.scenarios.script import Numbering

_COMMAND = re.compile(r"\{(FETCH|STORE|SEARCH|COPY|MOVE)\}")
_PLACE = re.compile(r"\{([a-z]+\+?):([^}]+)\}")
_WORD = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SET = re.compile(r"\b(FLAGS|PERMANENTFLAGS|LIST|LSUB|XLIST) \(([^()]*)\)")
_OPEN = re.compile(r"\{[a-z][a-z0-9_]*\}|<any>|<number>")


def settled(line: str) -> str:
    """Return a line with its flags or attributes in alphabetical order, as their order means nothing."""
    return _SET.sub(lambda match: f"{match[1]} ({' '.join(sorted(match[2].split()))})", line)


@dataclass
class Template:
    """`uids` is by the number of the message, `words` what has been kept so far."""

    numbering: Numbering
    uids: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """Return a line to be sent; `{87}` and what else is unknown stays as it is."""
        is_uid = self.numbering is Numbering.UID
        text = _COMMAND.sub(r"UID \1" if is_uid else r"\1", text)
        text = text.replace("{UID }", "UID " if is_uid else "")
        text = _PLACE.sub(self._placed, text)
        return _WORD.sub(lambda match: self.words.get(match[1], match[0]), text)

    def pattern(self, text: str) -> re.Pattern[str]:
        """Return what a received line must match; words that are not known yet are its groups."""
        text = settled(self.fill(text))
        pieces: list[str] = []
        position = 0
        for match in _OPEN.finditer(text):
            pieces.append(re.escape(text[position : match.start()]))
            position = match.end()
            if match[0] == "<any>":
                pieces.append(".*")
            elif match[0] == "<number>":
                pieces.append("[0-9]+")
            else:
                name = match[0][1:-1]
                pieces.append(rf"(?P<{name}>[^\s()\[\]]+)")
        pieces.append(re.escape(text[position:]))
        return re.compile("".join(pieces), re.DOTALL)

    def keep(self, match: re.Match[str]) -> None:
        """Remember the words that a line has brought."""
        self.words.update(match.groupdict())

    def _placed(self, match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        match kind:
            case "n":
                sequence, _, of = name.partition("/")
                return str(self._uid(of or sequence)) if self.numbering is Numbering.UID else sequence
            case "uid":
                return f"UID {self._uid(name)} " if self.numbering is Numbering.UID else ""
            case "u":
                return str(self._uid(name))
            case "size":
                return str(len(sample(name)))
            case "announce" | "announce+":
                return f"{{{len(sample(name))}{kind[8:]}}}"
            case "message":
                return sample(name).decode("utf-8")
        raise ValueError(f"unknown placeholder {match[0]}")

    def _uid(self, name: str) -> int:
        return self.uids[name] if name in self.uids else int(self.words[name])
