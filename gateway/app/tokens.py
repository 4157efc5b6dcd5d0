"""The identity provider whose tokens clients may log in with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.auth.tokens import TokenChecker
from gateway.clock import SystemClock
from gateway.config import OAuthConfig

TIMEOUT_S = 10.0


@asynccontextmanager
async def opened_tokens(config: OAuthConfig | None) -> AsyncIterator[TokenChecker | None]:
    """Return what checks tokens, for as long as the context lasts; None if none are taken. Nothing is asked yet."""
    if config is None:
        yield None
        return
    # Imported here because only those who have a provider need what takes a tenth of a second to load.
    import httpx  # noqa: PLC0415

    from gateway.auth.jwt_tokens import Expectations, JwtChecker  # noqa: PLC0415
    from gateway.auth.provider_keys import ProviderKeys  # noqa: PLC0415

    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        keys = ProviderKeys(config.issuer, config.jwks_url, client, SystemClock())
        yield JwtChecker(Expectations(config.issuer, config.audience, config.login_claim), keys)
