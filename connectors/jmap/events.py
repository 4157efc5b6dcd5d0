"""What push tells: changes of state, decoded and sifted (RFC 8620 section 7.1)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from connectors.jmap.structs import StateChange

TYPES = ("Email", "Mailbox")
"""What is listened for: messages, with their flags and mailboxes, and the tree."""

ANYTHING = StateChange()
"""Anything may have changed: a channel has just been opened, or has said something that cannot be read."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient push is; all in seconds.

    `ping_s` is how often the server is asked for a sign of life, and `silence_s` how long to do without before the
    channel counts as dead. `buffered_s` is the same where whatever is between holds everything back until the reply has
    ended. A channel that lived for `steady_s` is opened anew after about `first_s`; one that did not, after twice as
    long each time, up to `longest_s`.
    """

    ping_s: int = 60  # every server must honour 30 to 300 (RFC 8620 section 7.3)
    silence_s: float = 150.0
    buffered_s: float = 300.0
    first_s: float = 1.0
    longest_s: float = 300.0
    steady_s: float = 30.0


class Channel(Protocol):
    """One way of being told."""

    name: str

    @property
    def pause_s(self) -> float:
        """How long the server wants to be left alone between two openings: float seconds >= 0."""

    def listen(self) -> AsyncGenerator[StateChange, None]:
        """Open the channel, yield `ANYTHING` once it is, then what comes; end or raise when it is lost.

        May be called again after that, and then asks for what was missed where the server can tell.

        Raises:
            Unsupported: there is no such channel at this server.
            AuthExpired, Unavailable, RateLimited.
        """


class _Interval(msgspec.Struct, frozen=True):
    interval: float


def parse_state_change(text: str | bytes) -> StateChange | None:
    """Read a StateChange object; None if it is none."""
    try:
        return msgspec.json.decode(text, type=StateChange)
    except (msgspec.MsgspecError, ValueError):
        return None


def parse_ping_interval(text: str) -> float | None:
    """Read how many seconds the server leaves between pings; None if it does not say."""
    try:
        interval = msgspec.json.decode(text, type=_Interval).interval
    except (msgspec.MsgspecError, ValueError):
        return None
    return interval if interval > 0 else None


class Sieve:
    """Lets through what concerns one account and is news; one per account and server, whatever the channel."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._seen: dict[str, str] = {}

    def sift(self, change: StateChange) -> StateChange | None:
        """Return what of the change is news, by the states that were seen before; None if nothing is."""
        if not change.changed:
            return ANYTHING
        states = change.changed.get(self._account_id, {})
        news = {kind: state for kind, state in states.items() if kind in TYPES and self._seen.get(kind) != state}
        if not news:
            return None
        self._seen.update(news)
        return StateChange(changed={self._account_id: news})
