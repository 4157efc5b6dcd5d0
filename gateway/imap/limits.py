"""How many connections there may be: in all, from one address, and of one user."""

from __future__ import annotations

from collections import Counter

from gateway.auth.throttle import address_key


class ConnectionLimits:
    """Counts connections and says when there are too many. One object serves all listeners of a process.

    The /64 of an IPv6 address counts as one address, as every host has a whole one to choose from.
    """

    def __init__(self, *, total: int, per_address: int, per_user: int) -> None:
        self._total = total
        self._per_address = per_address
        self._per_user = per_user
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._connections = 0

    @property
    def connections(self) -> int:
        """Connections admitted and not yet released."""
        return self._connections

    def admit(self, address: str) -> bool:
        """Count a new connection; False, and not counted, if there are too many in all or from `address`."""
        key = address_key(address)
        if self._connections >= self._total or self._addresses[key] >= self._per_address:
            return False
        self._addresses[key] += 1
        self._connections += 1
        return True

    def release(self, address: str) -> None:
        """Take a connection that was admitted off the count."""
        _decrement(self._addresses, address_key(address))
        self._connections -= 1

    def admit_user(self, login: str) -> bool:
        """Count a session of `login` (compared without case); False, and not counted, if there are too many."""
        login = login.casefold()
        if self._users[login] >= self._per_user:
            return False
        self._users[login] += 1
        return True

    def release_user(self, login: str) -> None:
        """Take a session that was admitted off the count."""
        _decrement(self._users, login.casefold())


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
