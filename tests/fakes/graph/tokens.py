"""Access tokens, refresh tokens and codes, and what each of them lets its bearer do."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.fakes.graph.errors import denied, unauthenticated
from tests.fakes.graph.options import Clock


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may do what. `user` is empty for an application that acts for itself; `scopes` are short, as Mail.Send."""

    user: str
    scopes: frozenset[str]

    @property
    def is_app(self) -> bool:
        """Whether no user signed in."""
        return not self.user


@dataclass(frozen=True, slots=True)
class _Access:
    grant: Grant
    expires_s: float


@dataclass(frozen=True, slots=True)
class Code:
    """What an authorisation code stands for."""

    grant: Grant
    client_id: str
    redirect_uri: str
    challenge: str | None
    nonce: str | None


@dataclass(slots=True)
class DeviceCode:
    """A device flow under way. `state`: pending, approved, declined."""

    grant: Grant
    client_id: str
    user_code: str
    expires_s: float
    interval_s: int
    polled_s: float
    state: str = "pending"


class TokenBook:
    """All tokens and codes that are good now."""

    def __init__(self, clock: Clock, chance: random.Random, lifetime_s: int) -> None:
        self.lifetime_s = lifetime_s
        self.refresh: dict[str, Grant] = {}
        self.codes: dict[str, Code] = {}
        self.devices: dict[str, DeviceCode] = {}
        self._clock = clock
        self._chance = chance
        self._access: dict[str, _Access] = {}

    def secret(self, octets: int) -> str:
        """Return something that cannot be guessed."""
        return self._chance.randbytes(octets).hex()

    def access(self, grant: Grant) -> str:
        """Return a new access token."""
        token = f"EwB{self.secret(48)}"
        self._access[token] = _Access(grant, self._clock.monotonic() + self.lifetime_s)
        return token

    def new_refresh(self, grant: Grant) -> str:
        """Return a new refresh token."""
        token = f"1.{self.secret(64)}"
        self.refresh[token] = grant
        return token

    def expire_access(self) -> None:
        """Let every access token be refused from now on."""
        self._access.clear()

    def revoke(self, user: str) -> None:
        """End all tokens of a user, as a change of the password does."""
        self.refresh = {token: grant for token, grant in self.refresh.items() if grant.user != user}
        self._access = {token: each for token, each in self._access.items() if each.grant.user != user}

    def check(self, authorization: str | None) -> Grant:
        """Return what the bearer of an Authorization header may do. Raises ApiError (401)."""
        if not authorization:
            raise unauthenticated("Access token is empty.")
        scheme, _, token = authorization.partition(" ")
        found = self._access.get(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise unauthenticated("IDX14100: JWT is not well formed, or it is revoked.")
        if found.expires_s <= self._clock.monotonic():
            raise unauthenticated("Lifetime validation failed, the token is expired.")
        return found.grant


def check_scopes(grant: Grant, scopes: frozenset[str], *, is_shared: bool) -> None:
    """Raise ApiError (403) unless the grant has one of `scopes`; in another's mailbox that has to be a shared one."""
    has = {each.removesuffix(".Shared") for each in grant.scopes if not is_shared or each.endswith(".Shared")}
    if grant.is_app:
        has = set(grant.scopes)
    if scopes and not scopes & has:
        raise denied()
