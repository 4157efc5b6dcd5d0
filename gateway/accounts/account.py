"""One account in this process: its connector, whether it is open, and why not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from connectors.api import errors
from connectors.api.capabilities import Capabilities
from connectors.api.connector import Connector
from gateway.clock import Clock
from gateway.store.accounts import AccountState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """The state, and the operator's text of the last error if there is one."""

    state: AccountState
    last_error: str | None = None


StateListener = Callable[[AccountHealth], Awaitable[None]]

LOGIN_PAUSE_S = 900.0
"""How long credentials that were refused are not tried again: providers lock out who keeps trying."""


class Account:
    """Opens the connector when first needed and again after failures, one attempt at a time.

    `on_state` is awaited whenever the health changes, so that it can be stored and shown.
    """

    def __init__(
        self, account_id: int, name: str, connector: Connector, clock: Clock, on_state: StateListener | None = None
    ) -> None:
        self.id = account_id
        self.name = name
        self._connector = connector
        self._clock = clock
        self._on_state = on_state
        self._refused_at: float | None = None
        self._health = AccountHealth(AccountState.NEW)
        self._opening = asyncio.Lock()
        self._open_failures: int = 0
        self._open_error: errors.ConnectorError | None = None
        self._is_retired = False

    @property
    def health(self) -> AccountHealth:
        return self._health

    @property
    def is_open(self) -> bool:
        return self._health.state is AccountState.ACTIVE

    @property
    def connector(self) -> Connector:
        """The connector, open or not."""
        return self._connector

    @property
    def capabilities(self) -> Capabilities:
        """What the backend can do; meaningful once it has been open."""
        return self._connector.capabilities

    async def open(self) -> Connector:
        """Return the open connector, opening it if need be; whoever waits for an attempt shares its failure.

        Raises:
            ConnectorError: it cannot be opened; the health says so too.
        """
        if self._is_retired:
            raise errors.Unavailable(f"account {self.name} was removed or set up anew")
        if self.is_open:
            return self._connector
        failures = self._open_failures
        async with self._opening:
            if not self.is_open:
                if self._open_error is not None and self._open_failures > failures:
                    # A silent server costs each attempt a time-out, and those who wait would pay for one another.
                    raise self._open_error
                self._check_pause()
                try:
                    await self._connector.open()
                except errors.ConnectorError as error:
                    self._open_failures += 1
                    self._open_error = error
                    await self.failed(error)
                    raise
                self._refused_at = self._open_error = None
                await self._set(AccountHealth(AccountState.ACTIVE))
        return self._connector

    def _check_pause(self) -> None:
        if self._refused_at is not None and self._clock.monotonic() - self._refused_at < LOGIN_PAUSE_S:
            raise errors.AuthExpired(self._health.last_error or f"account {self.name} needs a new login")

    async def failed(self, error: errors.ConnectorError) -> None:
        """Take note of an error of the connector: some of them mean that it is no longer open."""
        match error:
            case errors.AuthExpired():
                if self._refused_at is None or self._clock.monotonic() - self._refused_at >= LOGIN_PAUSE_S:
                    self._refused_at = self._clock.monotonic()
                await self._set(AccountHealth(AccountState.NEEDS_LOGIN, error.operator_text))
            case errors.Unavailable() | errors.OutcomeUnknown():
                await self._set(AccountHealth(AccountState.UNAVAILABLE, error.operator_text))
            case errors.NotFound():
                # It was removed by somebody, and hundreds of messages may have been about to be read from it.
                log.debug("account %s: %s", self.name, error.operator_text)
            case _:
                log.warning("account %s: %s", self.name, error.operator_text)

    async def retire(self) -> None:
        """Close the connector for good: who still holds on to this account must not open it beside its successor."""
        self._is_retired = True
        await self.close()

    async def close(self) -> None:
        """Close the connector; it can be opened again."""
        await self._connector.close()
        self._health = AccountHealth(AccountState.NEW)

    async def _set(self, health: AccountHealth) -> None:
        if health == self._health:
            return
        self._health = health
        if health.state is AccountState.ACTIVE:
            log.info("account %s is open", self.name)
        else:
            log.warning("account %s: %s: %s", self.name, health.state.value, health.last_error)
        if self._on_state is not None:
            await self._on_state(health)
