"""The servers of a soak: a Dovecot that is restarted, and a gateway over it and over a Maildir that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.soak.vitals import Life
from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import Account, AnyAccount, GatewayProcess, MaildirAccount, new_account
from tests.e2e.outage import DovecotOutage
from tests.servers.dovecot import Dovecot, running_dovecot

_PASSWORD = "soak"
_CONNECTIONS = 10_000
_CALM_AFTER_S = 20.0
"""How long after a restart clients may still meet with its consequences."""


@dataclass(slots=True)
class Servers:
    """All that runs beside the clients. Restarts block, and are done in threads."""

    dovecot: Dovecot
    outage: DovecotOutage
    gateway: GatewayProcess
    accounts: list[AnyAccount]
    say: Callable[[str], None]
    lives: list[Life]
    restarts: int = 0
    kills: int = 0
    _calm_from: float = 0.0

    def front(self, login: str) -> Endpoint:
        """Return where clients of the gateway log in."""
        return self.gateway.endpoint(login)

    @property
    def is_calm(self) -> bool:
        """Whether both servers have been up for a while."""
        return time.monotonic() >= self._calm_from

    async def restart_backend(self, down_s: float) -> None:
        """Stop Dovecot, and start it again after so many seconds."""
        self._calm_from = float("inf")
        self.say("the backend stops")
        await asyncio.to_thread(self.outage.begin)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(self.outage.end)
        self.restarts += 1
        self.say("the backend is back")
        self._calm_from = time.monotonic() + _CALM_AFTER_S

    async def kill_gateway(self) -> None:
        """End the gateway without warning and start it again."""
        self._calm_from = float("inf")
        self.say(f"the gateway, process {self.gateway.pid}, is killed")
        await asyncio.to_thread(self.gateway.kill)
        await asyncio.to_thread(self.gateway.start)
        self.kills += 1
        self.lives.append(Life(self.gateway.pid))
        self.say(f"the gateway is back as process {self.gateway.pid}")
        self._calm_from = time.monotonic() + _CALM_AFTER_S


@contextlib.contextmanager
def running_servers(folder: Path, users: int, *, has_maildir: bool, say: Callable[[str], None]) -> Iterator[Servers]:
    """Start a Dovecot with `users` accounts and the gateway over them, its files in `folder`; end both in the end.

    Raises:
        GatewayFailed: the gateway did not start, or did not end well.
    """
    with running_dovecot(fsync="optimized") as dovecot:
        accounts: list[AnyAccount] = [new_account(dovecot, f"user{number}", _PASSWORD) for number in range(users)]
        if has_maildir:
            accounts.append(_new_maildir(folder / "maildir"))
        gateway = GatewayProcess(folder / "gateway", accounts, connections=_CONNECTIONS)
        outage = DovecotOutage(dovecot)
        try:
            gateway.start()
            yield Servers(dovecot, outage, gateway, accounts, say, [Life(gateway.pid)])
            gateway.stop()
        finally:
            gateway.kill()
            outage.close()


def _new_maildir(path: Path) -> MaildirAccount:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    return MaildirAccount("maildir", _PASSWORD, path)


def direct(account: AnyAccount) -> Endpoint | None:
    """Return where an account is reached without the gateway; None for a Maildir."""
    return account.backend if isinstance(account, Account) else None
