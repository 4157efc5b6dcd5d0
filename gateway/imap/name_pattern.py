"""Match mailbox names against LIST patterns (RFC 9051 section 6.3.9): `*` is anything, `%` anything but a separator."""

from __future__ import annotations

from dataclasses import dataclass

SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern, ready to match.

    Matching keeps the set of positions in the name that the pattern read so far can reach, as the bits of one integer.
    It takes time in proportion to the pattern, whatever the pattern is: a regular expression would take exponential
    time on `*a*a*a*a*b`. INBOX, and nothing else, matches in any case, as the first level of a name too.
    """

    text: str

    def matches(self, name: str) -> bool:
        """Say whether the whole of `name` matches."""
        pattern = self.text
        if pattern == "*":
            return True
        if name == "INBOX":
            pattern = pattern.upper()
        elif name.startswith("INBOX" + SEPARATOR) and pattern[:5].upper() == "INBOX":
            pattern = "INBOX" + pattern[5:]
        wildcards = pattern.count("*") + pattern.count("%")
        if wildcards == 0:
            return pattern == name
        if len(pattern) - wildcards > len(name):
            return False
        if wildcards == 1 and pattern[-1] in "*%":
            return _begins(name, pattern[:-1], pattern[-1])
        return _reaches_end(pattern, name)


def _begins(name: str, begin: str, wildcard: str) -> bool:
    """Say whether a name matches `begin` with a wildcard behind it: nearly all patterns that clients send are such."""
    return name.startswith(begin) and (wildcard == "*" or SEPARATOR not in name[len(begin) :])


def _reaches_end(pattern: str, name: str) -> bool:
    places = _places(name)
    end = 1 << len(name)
    everywhere = (end << 1) - 1
    within_level = (end - 1) & ~places.get(SEPARATOR, 0)
    reached = 1
    previous = ""
    for sign in pattern:
        if sign == "*":
            lowest = reached & -reached
            reached = everywhere & ~(lowest - 1)
        elif sign == "%":
            if previous != "%":
                # Adding carries each reached position through the run of ones it stands in, to just behind that run.
                run = ((reached & within_level) + within_level) ^ within_level
                reached |= run & everywhere
        else:
            reached = (reached & places.get(sign, 0)) << 1
        if not reached:
            return False
        previous = sign
    return bool(reached & end)


def _places(name: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for index, character in enumerate(name):
        places[character] = places.get(character, 0) | 1 << index
    return places
