from __future__ import annotations

import pytest

from gateway.app.tokens import opened_tokens
from gateway.auth.tokens import TokenRefused
from tests.gateway.app.conftest import Configurations

PROVIDER = {"issuer": "https://id.example.org/realms/mail", "audience": "imap-gateway"}


async def test_without_a_provider_no_tokens_are_taken(configurations: Configurations) -> None:
    async with opened_tokens(configurations.make().oauth) as tokens:
        assert tokens is None


async def test_with_a_provider_tokens_are_checked_and_nobody_is_asked_before(configurations: Configurations) -> None:
    async with opened_tokens(configurations.make(oauth=PROVIDER).oauth) as tokens:
        assert tokens is not None
        assert tokens.discovery_url == "https://id.example.org/realms/mail/.well-known/openid-configuration"
        with pytest.raises(TokenRefused):
            await tokens.name_in("no token")


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "http://id.example.org"},
        {"issuer": "https://"},
        {"issuer": "https://id.example.org/?x"},
        {"jwks_url": "http://id.example.org/keys"},
        {"audience": ""},
        {"login_claim": ""},
    ],
)
def test_what_cannot_be_trusted_is_no_configuration(configurations: Configurations, changed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="oauth"):
        configurations.make(oauth=PROVIDER | changed)
