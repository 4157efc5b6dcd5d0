"""Who may do what: users' consents as refresh tokens, and the access tokens made from them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tests.fakes.gmail.errors import ApiError, insufficient_scope, login_required, unauthenticated
from tests.fakes.gmail.options import Clock

MAX_REFRESH_TOKENS: Final = 100
"""Of one user for one client; one more silently ends the oldest."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for. `user` is empty for a service account acting as itself."""

    user: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Access:
    grant: Grant
    expires_s: float
    refresh_token: str | None


@dataclass(frozen=True, slots=True)
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str | None
    is_offline: bool


class TokenBook:
    """All tokens and codes that are good now."""

    def __init__(self, clock: Clock, numbers: random.Random, lifetime_s: int) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._numbers = numbers
        self._refresh: dict[str, Grant] = {}
        self._access: dict[str, _Access] = {}
        self._codes: dict[str, _Code] = {}

    def consent(self, grant: Grant) -> str:
        """Return a new refresh token for `grant`."""
        own = [token for token, each in self._refresh.items() if each.user == grant.user]
        if len(own) >= MAX_REFRESH_TOKENS:
            self.revoke(own[0])
        token = f"1//{self._secret(32)}"
        self._refresh[token] = grant
        return token

    def access(self, grant: Grant, refresh_token: str | None = None) -> str:
        """Return a new access token."""
        token = f"ya29.{self._secret(40)}"
        self._access[token] = _Access(grant, self._clock.monotonic() + self.lifetime_s, refresh_token)
        return token

    def refreshed(self, refresh_token: str) -> Grant | None:
        """Return what a refresh token stands for; None if it is revoked or unknown."""
        return self._refresh.get(refresh_token)

    def give_code(self, grant: Grant, redirect_uri: str, challenge: str | None, is_offline: bool) -> str:
        """Return a code for the redirect; good for one use."""
        code = f"4/{self._secret(24)}"
        self._codes[code] = _Code(grant, redirect_uri, challenge, is_offline)
        return code

    def take_code(self, code: str) -> _Code | None:
        """Return what a code stands for and use it up; None if it is unknown or used."""
        return self._codes.pop(code, None)

    def revoke(self, token: str) -> bool:
        """End a refresh token with its access tokens, or the consent an access token comes from."""
        if token in self._access:
            token = self._access.pop(token).refresh_token or token
        known = self._refresh.pop(token, None) is not None
        self._access = {key: each for key, each in self._access.items() if each.refresh_token != token}
        return known

    def revoke_user(self, user: str) -> None:
        """End every token of a user, as a change of the password does."""
        self._refresh = {token: grant for token, grant in self._refresh.items() if grant.user != user}
        self._access = {token: each for token, each in self._access.items() if each.grant.user != user}

    def expire_access(self) -> None:
        """Let every access token expire now; refresh tokens stay good."""
        self._access.clear()

    def check(self, authorization: str | None, scopes: frozenset[str]) -> Grant:
        """Return the grant behind an Authorization header that has one of `scopes`.

        Raises ApiError: 401 without a token or for one that is not good now, 403 if the scopes do not suffice.
        """
        if authorization is None:
            raise login_required()
        scheme, _, token = authorization.partition(" ")
        found = self._access.get(token.strip()) if scheme.lower() == "bearer" else None
        if found is None or found.expires_s <= self._clock.monotonic():
            raise unauthenticated()
        if not scopes & found.grant.scopes:
            raise insufficient_scope(scopes)
        return found.grant

    def _secret(self, octets: int) -> str:
        return self._numbers.randbytes(octets).hex()


def metadata_only(grant: Grant, metadata_scope: str, method_scopes: frozenset[str]) -> bool:
    """Tell whether the only scope that opened a method is the one for metadata."""
    return grant.scopes & method_scopes == {metadata_scope}


def refuse_metadata(what: str) -> ApiError:
    """Return the 403 of something the scope for metadata does not give."""
    return ApiError(403, "forbidden", f"Metadata scope doesn't allow {what}")
