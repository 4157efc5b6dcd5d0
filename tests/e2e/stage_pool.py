"""Hands out mail accounts: a login of its own for each test, behind a gateway that several tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.e2e.endpoint import Stage
from tests.e2e.gateway_process import Account, GatewayProcess

_BATCH = 5
# Those that are not used yet and those that were used are polled all the same; a start takes a tenth of a second.


class StagePool:
    """Stages of a gateway that serves `_BATCH` users; the next batch gets a new gateway.

    `new_account` makes an empty account at a server, for the login and password it is given. With `is_direct` there is
    no gateway: clients connect to the server, which proves the tests.
    """

    def __init__(self, directory: Path, new_account: Callable[[str, str], Account], *, is_direct: bool) -> None:
        self._directory = directory
        self._new_account = new_account
        self._is_direct = is_direct
        self._count = 0
        self._free: list[Stage] = []
        self._gateway: GatewayProcess | None = None
        self._failure: AssertionError | None = None

    def take(self) -> Stage:
        """Return a stage that nobody has used.

        Raises:
            GatewayFailed: the gateway does not start, or the one before did not end well.
        """
        if self._failure:
            raise self._failure
        if not self._free:
            try:
                self._next_batch()
            except AssertionError as error:
                # Each of the tests to come would wait for the same failure.
                self._failure = error
                raise
        return self._free.pop()

    def accounts(self, count: int) -> list[Account]:
        """Return new accounts, each with a login of its own for a gateway yet to be started."""
        first = self._count
        self._count += count
        logins = [f"login{number}" for number in range(first, self._count)]
        return [self._new_account(login, f"front of {login}") for login in logins]

    def check(self) -> None:
        """See that the gateway has met with nothing unexpected."""
        if self._gateway:
            self._gateway.check_log()

    def close(self) -> None:
        """End the gateway, and see that it ends well."""
        gateway, self._gateway = self._gateway, None
        if gateway:
            gateway.stop()

    def _next_batch(self) -> None:
        self.close()
        accounts = self.accounts(_BATCH)
        if self._is_direct:
            self._free = [account.stage(account.backend) for account in accounts]
            return
        gateway = GatewayProcess(self._directory / f"gateway{self._count}", accounts)
        gateway.start()
        self._gateway = gateway
        self._free = [account.stage(gateway.endpoint(account.login)) for account in accounts]
