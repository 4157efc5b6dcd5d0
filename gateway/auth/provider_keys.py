"""The public keys of an identity provider (RFC 7517), fetched when they are needed and kept."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from gateway.auth.tokens import ProviderUnavailable
from gateway.clock import Clock

log = logging.getLogger(__name__)

Jwk = Mapping[str, Any]

FRESH_S = 3600.0
"""A key that the provider has taken back is believed for so long at most, while the provider answers."""

LAST_S = 86_400.0
"""How long keys are believed while the provider does not answer."""

UNKNOWN_KEY_S = 60.0
"""A token that names an unknown key makes us look so often at most: anybody can write such tokens."""

RETRY_S = 5.0
"""While keys are missing or old, and the provider does not answer, it is asked so often at most."""

_MAX_OCTETS = 1 << 20


class ProviderKeys:
    """Keys by name. `client` has its time-outs set and follows no redirects."""

    def __init__(self, issuer: str, jwks_url: str | None, client: httpx.AsyncClient, clock: Clock) -> None:
        """`issuer` as it stands in tokens; without `jwks_url` it is asked where its keys are."""
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: Sequence[Jwk] = ()
        self._fetched_at_s = -math.inf
        self._asked_at_s = -math.inf

    @property
    def discovery_url(self) -> str:
        """Where the provider describes itself (OpenID Connect Discovery section 4)."""
        return f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"

    async def named(self, key_id: str | None) -> list[Jwk]:
        """Return the keys of that name, mostly one; all keys for None. Empty if the provider has none such.

        Raises:
            ProviderUnavailable: the provider does not tell its keys, and has not done so for too long.
        """
        found = self._of_name(key_id)
        if found and self._age_s() < FRESH_S:
            # Those who bring a known key do not wait while we ask for an unknown one.
            return found
        async with self._lock:
            is_old, is_unknown = self._age_s() >= FRESH_S, not self._of_name(key_id)
            if (is_old and self._since_asked_s() >= RETRY_S) or (is_unknown and self._since_asked_s() >= UNKNOWN_KEY_S):
                await self._renew()
            if self._age_s() >= LAST_S:
                raise ProviderUnavailable(f"the keys of {self._issuer} cannot be fetched")
            return self._of_name(key_id)

    def _of_name(self, key_id: str | None) -> list[Jwk]:
        return [key for key in self._keys if key_id is None or key.get("kid") == key_id]

    def _age_s(self) -> float:
        return self._clock.monotonic() - self._fetched_at_s

    def _since_asked_s(self) -> float:
        return self._clock.monotonic() - self._asked_at_s

    async def _renew(self) -> None:
        """Fetch the keys; if that fails those there are stay."""
        try:
            self._keys = await self._fetch()
            self._fetched_at_s = self._clock.monotonic()
        except (httpx.HTTPError, httpx.InvalidURL, _Unexpected) as exc:
            log.warning("the keys of %s cannot be fetched: %s", self._issuer, str(exc) or type(exc).__name__)
        finally:
            self._asked_at_s = self._clock.monotonic()

    async def _fetch(self) -> Sequence[Jwk]:
        url = self._jwks_url
        if url is None:
            document = await self._get(self.discovery_url)
            # OpenID Connect Discovery section 4.3: one provider must not answer for another.
            if document.get("issuer") != self._issuer:
                raise _Unexpected(f"{self.discovery_url} is of another issuer: {document.get('issuer')!r}")
            url = str(document.get("jwks_uri"))
            if not url.startswith("https://"):
                raise _Unexpected(f"its keys are at no https address: {url!r}")
        keys = (await self._get(url)).get("keys")
        if not isinstance(keys, list):
            raise _Unexpected(f"{url} holds no keys")
        return [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]

    async def _get(self, url: str) -> dict[str, Any]:
        response = await self._client.get(url, headers={"Accept": "application/json"})
        if response.status_code != httpx.codes.OK or len(response.content) > _MAX_OCTETS:
            raise _Unexpected(f"{url} answers {response.status_code} with {len(response.content)} octets")
        try:
            document = response.json()
        except ValueError as exc:
            raise _Unexpected(f"{url} answers no JSON") from exc
        if not isinstance(document, dict):
            raise _Unexpected(f"{url} answers no JSON object")
        return document


class _Unexpected(Exception):
    """The provider's answer is not what it should be."""
