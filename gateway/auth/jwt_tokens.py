"""Tokens that an identity provider has signed (JWT, RFC 7519; as access tokens RFC 9068)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import jwt

from gateway.auth.provider_keys import Jwk, ProviderKeys
from gateway.auth.tokens import TokenRefused

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures by public keys only: `none` signs nothing, and for HMAC the public key would be the secret."""

LEEWAY_S: Final = 60.0
"""How far the provider's clock may be from ours."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a token has to say. `login_claim` is the claim that names its owner."""

    issuer: str
    audience: str
    login_claim: str


class JwtChecker:
    """Checks tokens against the keys of their provider."""

    def __init__(self, expectations: Expectations, keys: ProviderKeys) -> None:
        self._expectations = expectations
        self._keys = keys

    @property
    def discovery_url(self) -> str:
        return self._keys.discovery_url

    async def name_in(self, token: str) -> str:
        """Return the name in the login claim of a valid token.

        Raises:
            TokenRefused: it is malformed, of another issuer or audience, expired, not signed by the provider, or names
                nobody.
            ProviderUnavailable: the provider's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as exc:
            raise TokenRefused(f"no JWT: {exc}") from exc
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise TokenRefused(f"signed by {algorithm!r}, which is not taken")
        candidates = await self._keys.named(key_id)
        if not candidates:
            raise TokenRefused(f"the provider has no key {key_id!r}")
        return self._name(self._claims(token, algorithm, candidates))

    def _claims(self, token: str, algorithm: str, candidates: list[Jwk]) -> dict[str, Any]:
        """Return the claims if the signature is by one of the keys and the claims are as they have to be."""
        refusal: Exception = TokenRefused("the provider has no key for such a signature")
        for key in candidates:
            if key.get("alg", algorithm) != algorithm:
                continue
            try:
                return jwt.decode(
                    token,
                    jwt.PyJWK(dict(key), algorithm),
                    algorithms=[algorithm],
                    issuer=self._expectations.issuer,
                    audience=self._expectations.audience,
                    leeway=LEEWAY_S,
                    options={"require": ["exp", "iss", "aud"]},
                )
            except (jwt.PyJWTError, ValueError, TypeError, LookupError) as exc:
                # Not of the library's own kind: a key with broken numbers.
                refusal = exc
        raise TokenRefused(str(refusal)) from refusal

    def _name(self, claims: dict[str, Any]) -> str:
        claim = self._expectations.login_claim
        name = claims.get(claim)
        if not isinstance(name, str) or not name:
            raise TokenRefused(f"it has no claim {claim!r}")
        if claim == "email" and claims.get("email_verified") in (False, "false"):
            # At some providers anybody can claim any address until it is verified.
            raise TokenRefused("its mail address is not verified")
        return name
