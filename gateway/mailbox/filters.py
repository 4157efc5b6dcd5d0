"""Searches with a name, kept as annotations of the server (RFC 5466)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.mailbox import metadata
from gateway.mailbox.search import UndefinedFilter
from gateway.mailbox.user_mail import UserMail
from gateway.wire import search as keys
from gateway.wire.parser.search import parse_criteria
from gateway.wire.search import SearchKey

PRIVATE, SHARED = "/private/filters/values/", "/shared/filters/values/"

MAX_DEPTH = 5
"""Filters that refer to filters: section 3.1 asks for three at least."""

MAX_FILTERS = 50
"""So many filters one search may lead to: a few that refer to one another twice would make thousands."""


class BadFilter(Exception):
    """What a filter holds is no search; `args` has its name."""


async def resolved(user: UserMail, key: SearchKey) -> SearchKey:
    """Return the key with what the filters hold in the place of each.

    Raises:
        UndefinedFilter: one does not exist, or they refer to one another without end.
        BadFilter: one does not hold a search.
    """
    values = await metadata.of_mailbox(user, "")
    return _Resolver(values).resolve(key, 0)


def check(name: str, value: bytes) -> SearchKey:
    """Return the search that a filter holds.

    Raises:
        BadFilter: it is none, or not a whole one.
    """
    try:
        return parse_criteria(value)
    except ValueError as error:
        raise BadFilter(f"{name}: {error}") from None


class _Resolver:
    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._values = values
        self._count = 0

    def resolve(self, key: SearchKey, depth: int) -> SearchKey:
        match key:
            case keys.FilterNamed(name):
                return self._named(name, depth + 1)
            case keys.Not() | keys.Fuzzy():
                return replace(key, key=self.resolve(key.key, depth))
            case keys.Or():
                return keys.Or(self.resolve(key.left, depth), self.resolve(key.right, depth))
            case keys.And():
                return keys.And(tuple(self.resolve(one, depth) for one in key.keys))
            case _:
                return key

    def _named(self, name: str, depth: int) -> SearchKey:
        self._count += 1
        # Entries are kept in lower case (RFC 5464 section 3.2).
        value = self._values.get(PRIVATE + name.lower(), self._values.get(SHARED + name.lower()))
        if value is None or depth > MAX_DEPTH or self._count > MAX_FILTERS:
            raise UndefinedFilter(name)
        return self.resolve(check(name, value), depth)
