"""The lists of differences: where a server answers otherwise than the gateway, and the sentence that settles it.

left out, for want of the capability at one of both
FILTERS 4                            so many commands

== RFC 9051 section 6.3.9
"..." What it says, and what follows from that.

list: 1 LIST "" "*"
- * LIST () "/" box              only the server says this
+ * LIST (\\HasNoChildren) "/" box      and only the gateway this

everywhere
+ * OK [MAILBOXID (<id>)]            in whichever answers there is this
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.transcript.player import Answers
from tests.e2e.transcript.script import Section

_LEFT_OUT = "left out, for want of the capability at one of both"
_REASON = re.compile(r"== ((?:RFC \d+ section|draft-[a-z0-9-]+ section).*)")


@dataclass(frozen=True, slots=True)
class Difference:
    """What only the server says to a command, and what only the gateway says."""

    server: tuple[str, ...]
    gateway: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.server or self.gateway)

    def without(self, part: Difference) -> Difference | None:
        """Return what is left without a part; None if it is not a part of this."""
        if set(part.server) <= set(self.server) and set(part.gateway) <= set(self.gateway):
            return Difference(_without(self.server, part.server), _without(self.gateway, part.gateway))
        return None

    def shown(self) -> str:
        return "\n".join([*(f"- {line}" for line in self.server), *(f"+ {line}" for line in self.gateway)])


def differences(server: Answers, gateway: Answers) -> dict[str, Difference]:
    """Return where the answers differ, by command; both must have been asked the same."""
    assert list(server) == list(gateway)
    found = {}
    for name, theirs in server.items():
        ours = gateway[name]
        if theirs != ours:
            difference = Difference(_without(theirs, ours), _without(ours, theirs))
            # The same lines in another order differ in all of them.
            found[name] = (
                difference if difference.server or difference.gateway else Difference(*map(tuple, (theirs, ours)))
            )
    return found


def _without(lines: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return those of the lines that are not among the others, each as often as it is more."""
    rest = list(others)
    kept = []
    for line in lines:
        if line in rest:
            rest.remove(line)
        else:
            kept.append(line)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list allows: differences by command, and those that may be part of any."""

    left_out: Mapping[str, int]
    by_command: Mapping[str, Difference]
    everywhere: Sequence[Difference]

    def unlisted(self, found: Mapping[str, Difference]) -> dict[str, Difference]:
        """Return what is found and not allowed."""
        rest = {name: self._rest(difference) for name, difference in found.items()}
        return {name: each for name, each in rest.items() if each and each != self.by_command.get(name)}

    def gone(self, found: Mapping[str, Difference]) -> list[str]:
        """Return what is allowed and not found."""
        rest = {name: self._rest(difference) for name, difference in found.items()}
        gone = [name for name, difference in self.by_command.items() if rest.get(name) != difference]
        for each in self.everywhere:
            if all(difference.without(each) is None for difference in found.values()):
                gone.append(f"everywhere\n{each.shown()}")
        return gone

    def _rest(self, difference: Difference) -> Difference:
        """Return what is left of a difference without what may be part of any."""
        for each in self.everywhere:
            rest = difference.without(each)
            difference = difference if rest is None else rest
        return difference


def left_out(sections: Iterable[Section], capabilities: frozenset[str]) -> dict[str, int]:
    """Return how many commands are left out for want of which capability; one that needs several counts for each."""
    missing: dict[str, int] = {}
    for section in sections:
        for step in section.steps:
            for name in (section.needs | step.needs) - capabilities:
                missing[name] = missing.get(name, 0) + 1
    return missing


def read_list(path: Path) -> Listed:
    """Read a list of differences.

    Raises:
        ValueError: a difference has no reason, a reason none of the differences, or something is there twice.
    """
    by_command: dict[str, Difference] = {}
    everywhere: list[Difference] = []
    skipped: dict[str, int] = {}
    reason = ""
    is_used = True
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        head, *lines = (line for line in block.splitlines() if not line.startswith("#"))
        if head == _LEFT_OUT:
            skipped = {name: int(count) for name, count in map(str.split, lines)}
            continue
        if head.startswith("== "):
            if _REASON.fullmatch(head) is None or not lines or not is_used:
                raise ValueError(f"no reason, or one for nothing before it: {head}")
            reason, is_used = head, False
            continue
        if not reason or head in by_command:
            raise ValueError(f"without a reason, or twice: {head}")
        is_used = True
        difference = Difference(_marked("- ", lines), _marked("+ ", lines))
        if head == "everywhere":
            everywhere.append(difference)
        else:
            by_command[head] = difference
    if not is_used:
        raise ValueError(f"a reason for nothing: {reason}")
    return Listed(skipped, by_command, everywhere)


def _marked(mark: str, lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.removeprefix(mark) for line in lines if line.startswith(mark))


def shown(found: Mapping[str, Difference]) -> str:
    """Return differences as they stand in a list."""
    return "\n\n".join(f"{name}\n{difference.shown()}" for name, difference in found.items())
