"""When the provider is asked for its keys, and what holds when it does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.auth.provider_keys import FRESH_S, LAST_S, RETRY_S, UNKNOWN_KEY_S, ProviderKeys
from gateway.auth.tokens import ProviderUnavailable
from tests.gateway.auth.provider import ISSUER, Provider
from tests.manual_clock import ManualClock


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    yield provider
    await provider.client.aclose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(provider: Provider, clock: ManualClock) -> ProviderKeys:
    return ProviderKeys(ISSUER, None, provider.client, clock)


async def names(keys: ProviderKeys, key_id: str | None) -> list[str]:
    return [key["kid"] for key in await keys.named(key_id)]


async def test_keys_are_found_by_discovery_and_kept(keys: ProviderKeys, provider: Provider, clock: ManualClock) -> None:
    assert await names(keys, "k1") == ["k1"]
    clock.advance(FRESH_S - 1)
    assert await names(keys, None) == ["k1"]
    assert provider.requests == ["configuration", "keys"]
    assert keys.discovery_url == f"{ISSUER}/.well-known/openid-configuration"


async def test_keys_at_a_known_address_need_no_discovery(provider: Provider, clock: ManualClock) -> None:
    keys = ProviderKeys(ISSUER, provider.keys_url, provider.client, clock)
    assert await names(keys, "k1") == ["k1"]
    assert provider.requests == ["keys"]


async def test_a_new_key_is_fetched_when_a_token_names_it_once_a_minute_at_most(
    keys: ProviderKeys, provider: Provider, clock: ManualClock
) -> None:
    assert await names(keys, "k1") == ["k1"]
    provider.rotate("k2")
    assert await names(keys, "k2") == []
    clock.advance(UNKNOWN_KEY_S)
    assert await names(keys, "k2") == ["k2"]
    for number in range(5):
        assert await names(keys, f"made up {number}") == []
    assert provider.requests.count("keys") == 2
    assert await names(keys, "k1") == []


async def test_a_key_that_was_taken_back_is_believed_for_an_hour(
    keys: ProviderKeys, provider: Provider, clock: ManualClock
) -> None:
    assert await names(keys, "k1") == ["k1"]
    provider.rotate("k2")
    clock.advance(FRESH_S)
    assert await names(keys, "k1") == []


async def test_known_keys_last_while_the_provider_is_down(
    keys: ProviderKeys, provider: Provider, clock: ManualClock
) -> None:
    assert await names(keys, "k1") == ["k1"]
    provider.is_down = True
    clock.advance(LAST_S - 1)
    assert await names(keys, "k1") == ["k1"]
    clock.advance(1)
    with pytest.raises(ProviderUnavailable):
        await keys.named("k1")
    clock.advance(RETRY_S)
    provider.is_down = False
    assert await names(keys, "k1") == ["k1"]


async def test_a_provider_that_is_down_is_not_asked_by_everybody(
    keys: ProviderKeys, provider: Provider, clock: ManualClock
) -> None:
    provider.is_down = True
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            await keys.named("k1")
    assert len(provider.requests) == 1
    clock.advance(RETRY_S)
    with pytest.raises(ProviderUnavailable):
        await keys.named("k1")
    assert len(provider.requests) == 2


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"keys": 1}', b" " * (2 << 20)])
async def test_an_answer_that_is_no_set_of_keys_is_none(keys: ProviderKeys, provider: Provider, body: bytes) -> None:
    provider.body = body
    with pytest.raises(ProviderUnavailable):
        await keys.named("k1")


async def test_a_provider_must_be_who_it_is_said_to_be(keys: ProviderKeys, provider: Provider) -> None:
    provider.issuer = "https://evil.example.org"
    with pytest.raises(ProviderUnavailable):
        await keys.named("k1")


async def test_keys_are_not_fetched_in_the_clear(keys: ProviderKeys, provider: Provider) -> None:
    provider.keys_url = provider.keys_url.replace("https", "http")
    with pytest.raises(ProviderUnavailable):
        await keys.named("k1")
    assert provider.requests == ["configuration"]


async def test_keys_for_encryption_sign_nothing(clock: ManualClock) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": [{"kid": "e", "use": "enc"}, {"kid": "s"}, 7]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        assert await names(ProviderKeys(ISSUER, "https://id.example.org/keys", client, clock), None) == ["s"]


async def test_no_answer_at_all_is_no_key(clock: ManualClock) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("no answer", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ProviderUnavailable):
            await ProviderKeys(ISSUER, None, client, clock).named("k1")
