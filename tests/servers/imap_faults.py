"""What can go wrong with a command at `tests.servers.imap_proxy`, and which commands it befalls."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.servers.faults import Drop, LoseReply, Rule

CONNECT = "CONNECT"
"""Stands for the connection itself, whose answer is the greeting."""


@dataclass(frozen=True, slots=True)
class SeenCommand:
    """A command as it arrived: its name in capitals, with `UID` if it has that, and its first line without CRLF."""

    name: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Hang:
    """The server never sees it, and the client hears nothing more on this connection."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends after so many octets, those of its first literal if `in_literal`; then the connection does."""

    after: int = 0
    in_literal: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """The proxy answers, `{tag}` being the client's. The server never sees the command, or carries it out first if
    `is_work_done`; the connection ends behind the answer if `is_last`."""

    answer: bytes
    is_work_done: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The server's answer, with its tagged line, is delivered as something else."""

    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer comes at so many octets a second."""

    octets_per_s: int


ImapFault = Drop | Hang | Cut | LoseReply | Say | Rewrite | Slow
WhenCommand = Callable[[SeenCommand], bool]
ImapRule = Rule[ImapFault, SeenCommand]


def any_command(_: SeenCommand) -> bool:
    """Match everything, connecting included."""
    return True


def named(*names: str) -> WhenCommand:
    """Match these commands, by name."""
    return lambda command: command.name in names


def but(*names: str) -> WhenCommand:
    """Match everything but these."""
    return lambda command: command.name not in names


def fetches(section: bytes) -> WhenCommand:
    """Match a UID FETCH that asks for this."""
    return lambda command: command.name == "UID FETCH" and section in command.line


# -- answers -----------------------------------------------------------------------------------------------------------

_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")
_UIDVALIDITY = re.compile(rb"(UIDVALIDITY |APPENDUID |COPYUID )([0-9]+)")


def lengths_off_by(octets: int) -> Rewrite:
    """Announce every literal as longer, or shorter, than it is."""
    return Rewrite(lambda answer: _LITERAL.sub(lambda match: b"{%d}\r\n" % max(int(match[1]) + octets, 0), answer))


def other_uidvalidity(more: int) -> Rewrite:
    """Tell every UIDVALIDITY as another one."""
    return Rewrite(lambda answer: _UIDVALIDITY.sub(lambda match: match[1] + b"%d" % (int(match[2]) + more), answer))
