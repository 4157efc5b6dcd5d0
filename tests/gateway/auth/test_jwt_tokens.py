"""Tokens of a provider that behaves, and of one that does not."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import jwt
import pytest

from gateway.auth.jwt_tokens import Expectations, JwtChecker
from gateway.auth.provider_keys import ProviderKeys
from gateway.auth.tokens import TokenRefused
from tests.gateway.auth.provider import AUDIENCE, ISSUER, Provider
from tests.manual_clock import ManualClock


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    yield provider
    await provider.client.aclose()


def encoded(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def checker(provider: Provider, claim: str = "email") -> JwtChecker:
    keys = ProviderKeys(ISSUER, None, provider.client, ManualClock())
    return JwtChecker(Expectations(ISSUER, AUDIENCE, claim), keys)


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "EdDSA"])
async def test_a_good_token_names_its_owner(provider: Provider, algorithm: str) -> None:
    provider.rotate("k1", algorithm)
    assert await checker(provider).name_in(provider.token()) == "alex"


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": ["other", AUDIENCE]},
        {"exp": timedelta(seconds=-30)},  # clocks differ
        {"email_verified": True},
        {"nbf": timedelta(seconds=30)},
    ],
)
async def test_what_a_token_may_also_say(provider: Provider, changed: dict[str, Any]) -> None:
    assert await checker(provider).name_in(provider.token(**changed)) == "alex"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"exp": timedelta(hours=-1)}, "expired"),
        ({"exp": None}, "exp"),
        ({"nbf": timedelta(hours=1)}, "not yet valid"),
        ({"aud": "another"}, "[Aa]udience"),
        ({"aud": None}, "aud"),
        ({"iss": "https://evil.example.org"}, "issuer"),
        ({"iss": None}, "iss"),
        ({"email": None}, "no claim 'email'"),
        ({"email": ""}, "no claim 'email'"),
        ({"email": ["alex"]}, "no claim 'email'"),
        ({"email_verified": False}, "not verified"),
    ],
)
async def test_a_token_that_says_something_else_is_refused(
    provider: Provider, changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(TokenRefused, match=why):
        await checker(provider).name_in(provider.token(**changed))


async def test_the_claim_is_the_operators_choice(provider: Provider) -> None:
    token = provider.token(preferred_username="al", email_verified=False)
    assert await checker(provider, "preferred_username").name_in(token) == "al"


@pytest.mark.parametrize("token", ["", "abc", "a.b.c", "..", "\u00e9.b.c"])
async def test_what_is_no_token_is_refused_and_nobody_is_asked(provider: Provider, token: str) -> None:
    with pytest.raises(TokenRefused, match="no JWT"):
        await checker(provider).name_in(token)
    assert provider.requests == []


async def test_a_token_without_a_signature_is_refused(provider: Provider) -> None:
    token = jwt.encode(provider.claims(), "", "none", headers={"kid": "k1"})
    with pytest.raises(TokenRefused, match="'none'"):
        await checker(provider).name_in(token)


async def test_the_public_key_is_no_shared_secret(provider: Provider) -> None:
    public = json.dumps(provider.public_jwks()[0]).encode()
    parts = [{"alg": "HS256", "kid": "k1"}, provider.claims()]
    signed = b".".join(encoded(json.dumps(part).encode()) for part in parts)
    token = (signed + b"." + encoded(hmac.digest(public, signed, "sha256"))).decode()
    with pytest.raises(TokenRefused, match="'HS256'"):
        await checker(provider).name_in(token)


async def test_a_token_signed_by_somebody_else_is_refused(provider: Provider) -> None:
    other = Provider()
    with pytest.raises(TokenRefused, match=r"[Ss]ignature"):
        await checker(provider).name_in(other.token())
    await other.client.aclose()


async def test_an_altered_token_is_refused(provider: Provider) -> None:
    header, _, signature = provider.token().split(".")
    claims = encoded(json.dumps(provider.claims(email="admin")).encode()).decode()
    with pytest.raises(TokenRefused, match=r"[Ss]ignature"):
        await checker(provider).name_in(f"{header}.{claims}.{signature}")


async def test_another_signature_than_the_key_is_for_is_refused(provider: Provider) -> None:
    provider.rotate("k1", "RS256")
    token = provider.token()
    provider.rotate("k1", "PS256")
    with pytest.raises(TokenRefused, match="no key for such a signature"):
        await checker(provider).name_in(token)


async def test_a_token_that_names_no_key_is_tried_with_all(provider: Provider) -> None:
    provider.rotate("k2", "RS256", keep=True)
    provider.rotate("k3", keep=True)
    assert await checker(provider).name_in(provider.token(headers={})) == "alex"


async def test_a_broken_key_among_the_others_harms_nobody(provider: Provider) -> None:
    broken = provider.public_jwks()[0] | {"x": "!", "y": "AA"}
    provider.body = json.dumps({"keys": [broken, *provider.public_jwks()]}).encode()
    assert await checker(provider).name_in(provider.token()) == "alex"
    provider.body = json.dumps({"keys": [{"kty": "RSA", "kid": "k1"}, {"kid": "k1"}, broken]}).encode()
    with pytest.raises(TokenRefused):
        await checker(provider).name_in(provider.token())
