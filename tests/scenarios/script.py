r"""Transcripts: conversations written down as text, to be played against the server.

A transcript is a list of lines; those that begin with `#` are for the reader.

    ONLY: memory <reason>            play it with this backend only; several are separated by commas
    EXCEPT: jmap,cyrus <reason>      play it with all backends but these
    SETTING: append_limit=1000       of `gateway.imap.settings.ImapSettings`
    MAIL: INBOX 1 2 multipart3       these messages (`tests.scenarios.samples`) are there; the first has UID 5
    CLIENTS: 1 2                     connect and log in
    STRANGER: 3                      connect
    OUTSIDE: deliver INBOX 4 \Seen   another program delivers; the gateway has noticed when the next line is played
    OUTSIDE: remove INBOX 2
    OUTSIDE: flag INBOX 2 \Seen \Flagged     these are then its flags
    OUTSIDE: create Work/2024
    OUTSIDE: delete Work
    OUTSIDE: renew INBOX             a new UIDVALIDITY
    OUTSIDE: offline                 the backend cannot be reached; `online` again
    OUTSIDE: forget                  the cache has lost all messages
    C1: a1 NOOP                      client 1 sends a line
    C1+ DONE                         and this one in one write with its next line
    S1: a1 OK <any>                  the next line client 1 receives; nothing may come before it
    S1~ * 4 EXISTS                   of neighbours with ~, the order is free
    S1* a1 OK <any>                  all lines up to this one are passed over
    CLOSED: 1                        the server closes the connection
    HANG UP: 1                       the client does

With `[n]` or `[u]` behind the client's number, as in `S1[u]: * 1 EXPUNGE`, a line is played only by sequence number or
only by UID. A transcript with one of `{FETCH}`, `{STORE}`, `{SEARCH}`, `{COPY}`, `{MOVE}` is played in both ways:

    {FETCH}      FETCH, or UID FETCH
    {n:2}        2, or the UID of message 2; {n:1/2} is the sequence number 1, or the UID of message 2
    {uid:2}      nothing, or `UID 6 `: what FETCH by UID adds
    {UID }       nothing, or `UID `
    {u:2}        the UID of message 2 in either way
    {size:2} {announce:2} {announce+:2} {message:2}      its octets, `{87}`, `{87+}`, and itself
    {word}       where a line is received for the first time: any word, digits or name, kept for later lines

In received lines `<any>` is any text and `<number>` digits.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TALK = re.compile(r"(?P<who>[CS])(?P<client>\d)(?:\[(?P<only>[nu])\])?(?P<kind>[:+~*])(?: (?P<text>.*))?")
_DIRECTIVE = re.compile(r"(?P<word>ONLY|EXCEPT|SETTING|MAIL|CLIENTS|STRANGER|OUTSIDE|CLOSED|HANG UP): (?P<text>.*)")
_BOTH_WAYS = re.compile(r"\{(?:FETCH|STORE|SEARCH|COPY|MOVE)\}")


class Numbering(enum.Enum):
    """How messages are named."""

    SEQUENCE = "n"
    UID = "u"


class Kind(enum.Enum):
    """What a step does."""

    SEND = "C:"
    SEND_WITH_NEXT = "C+"
    RECEIVE = "S:"
    RECEIVE_IN_ANY_ORDER = "S~"
    RECEIVE_UNTIL = "S*"
    ONLY = "ONLY"
    EXCEPT = "EXCEPT"
    SETTING = "SETTING"
    MAIL = "MAIL"
    CLIENTS = "CLIENTS"
    STRANGER = "STRANGER"
    OUTSIDE = "OUTSIDE"
    CLOSED = "CLOSED"
    HANG_UP = "HANG UP"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a transcript. `client` is 0 where none is meant."""

    line: int
    kind: Kind
    text: str
    client: int = 0
    only: Numbering | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A transcript. `only` is empty if it can be played with any backend but those of `excepted`."""

    name: str
    steps: tuple[Step, ...]
    only: frozenset[str]
    excepted: frozenset[str]
    settings: tuple[tuple[str, str], ...]

    def is_for(self, backend: str) -> bool:
        """Whether it can be played with that backend."""
        return backend in self.only if self.only else backend not in self.excepted

    @property
    def numberings(self) -> tuple[Numbering, ...]:
        """The ways in which it is to be played."""
        if any(_BOTH_WAYS.search(step.text) for step in self.steps):
            return tuple(Numbering)
        return (Numbering.SEQUENCE,)


def read_script(path: Path) -> Script:
    """Read a transcript.

    Raises:
        ValueError: a line makes no sense.
    """
    steps = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            steps.append(_step(path, number, line))
    settings = tuple(_setting(step.text) for step in steps if step.kind is Kind.SETTING)
    played = tuple(step for step in steps if step.kind not in (Kind.ONLY, Kind.EXCEPT, Kind.SETTING))
    return Script(path.stem, played, _backends(steps, Kind.ONLY), _backends(steps, Kind.EXCEPT), settings)


def _step(path: Path, number: int, line: str) -> Step:
    if match := _TALK.fullmatch(line):
        only = Numbering(match["only"]) if match["only"] else None
        try:
            kind = Kind(match["who"] + match["kind"])
        except ValueError:
            raise ValueError(f"{path.name}:{number}: {match['kind']!r} is not for {match['who']}") from None
        return Step(number, kind, match["text"] or "", int(match["client"]), only)
    if match := _DIRECTIVE.fullmatch(line):
        return Step(number, Kind(match["word"]), match["text"])
    raise ValueError(f"{path.name}:{number}: not understood: {line}")


def _backends(steps: Iterable[Step], kind: Kind) -> frozenset[str]:
    return frozenset(name for step in steps if step.kind is kind for name in step.text.split()[0].split(","))


def _setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()
