"""Slowing down who guesses passwords: pure, with the clock passed in.

Failures are counted by address and by login. Past a number of free ones each failure doubles the time for which further
attempts are refused unseen. An address from which a login has succeeded is not held up by what others do to that
login, so guessing cannot lock its owner out. A count is forgotten after a time without failures; a success does not
clear it, since an attacker may own a login too.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class ThrottleLimits:
    """`address_free` and `login_free` failures are answered at once; then waits grow from `first_wait_s` by doubling
    to `max_wait_s`. After `forget_s` without a failure the count begins anew. `max_entries` bounds each table; the
    least recently touched entry goes first."""

    address_free: int = 10
    login_free: int = 5
    first_wait_s: float = 1.0
    max_wait_s: float = 300.0
    forget_s: float = 900.0
    max_entries: int = 10_000


class _Bounded(OrderedDict[K, V], Generic[K, V]):
    """A mapping that drops what was least recently put when it grows beyond its limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def put(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._limit:
            self.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Count:
    failures: int
    last_s: float
    blocked_until_s: float


class Throttle:
    """Says how long an attempt to log in has to wait. Times are seconds of the clock's monotonic time."""

    def __init__(self, clock: Clock, limits: ThrottleLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or ThrottleLimits()
        self._addresses: _Bounded[str, _Count] = _Bounded(self._limits.max_entries)
        self._logins: _Bounded[str, _Count] = _Bounded(self._limits.max_entries)
        self._known: _Bounded[tuple[str, str], None] = _Bounded(self._limits.max_entries)

    def wait_s(self, address: str, login: str) -> float:
        """Return for how many seconds an attempt is refused; 0 if it may be made now."""
        address = address_key(address)
        until = _blocked_until(self._addresses.get(address))
        if (address, login) not in self._known:
            until = max(until, _blocked_until(self._logins.get(login)))
        return max(0.0, until - self._clock.monotonic())

    def failed(self, address: str, login: str) -> None:
        """Count a wrong password or an unknown login."""
        address = address_key(address)
        self._count(self._addresses, address, self._limits.address_free)
        self._count(self._logins, login, self._limits.login_free)

    def succeeded(self, address: str, login: str) -> None:
        """Remember that this login comes from this address."""
        self._known.put((address_key(address), login), None)

    def _count(self, table: _Bounded[str, _Count], key: str, free: int) -> None:
        now = self._clock.monotonic()
        limits = self._limits
        earlier = table.get(key)
        failures = 1
        if earlier is not None and now - max(earlier.last_s, earlier.blocked_until_s) < limits.forget_s:
            failures = earlier.failures + 1
        excess = failures - free
        wait = 0.0
        if excess > 0:
            # The exponent is bounded, so that a count in the thousands does not overflow.
            wait = min(limits.max_wait_s, limits.first_wait_s * 2.0 ** min(excess - 1, 60))
        table.put(key, _Count(failures, now, now + wait))


def _blocked_until(count: _Count | None) -> float:
    return 0.0 if count is None else count.blocked_until_s


def address_key(address: str) -> str:
    """Return what stands for one client: an IPv4 address, the /64 of an IPv6 address, else the text itself.

    Every host has a whole /64 of IPv6 addresses to choose from (RFC 4291 section 2.5.1).
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
