"""Hands out mail accounts behind a fault proxy: gateway, proxy, and the backend that it reaches by HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import DeclaredAccount, GatewayProcess
from tests.e2e.http_backends import Held, HttpAccount, HttpBackend, held
from tests.e2e.loop_thread import BlockingProxy, LoopThread
from tests.e2e.raw_client import RawClient
from tests.e2e.waiting import equals, eventually

_BATCH = 15


@dataclass(frozen=True, slots=True)
class Line:
    """One account: where a client logs in, the proxy that can break the line, and the account at the backend."""

    front: Endpoint
    proxy: BlockingProxy
    account: HttpAccount
    backend: HttpBackend

    def client(self) -> RawClient:
        """Return a client that is logged in at the gateway."""
        return RawClient.logged_in(self.front)

    def held(self, mailbox: str) -> Held:
        """Return what a new client sees of a mailbox."""
        with self.client() as client:
            return self.backend.kept(held(client, self._name(mailbox)))

    def settle(self, *mailboxes: str, within_s: float = 20.0) -> None:
        """Wait until a client sees what the backend holds."""
        for mailbox in mailboxes:
            eventually(partial(self._held_if_any, mailbox), equals(self.account.held(mailbox)), within_s=within_s)

    def _held_if_any(self, mailbox: str) -> Held | None:
        """Return what a new client sees of a mailbox; None if it cannot be opened, as before it was ever read."""
        with self.client() as client:
            name = self._name(mailbox)
            is_there = client.command(f'SELECT "{name}"').is_ok
            return self.backend.kept(held(client, name)) if is_there else None

    def _name(self, mailbox: str) -> str:
        return self.backend.trash if mailbox == "Trash" else mailbox


class HttpLines:
    """Lines to one backend, `_BATCH` to a gateway; the next batch gets a new one."""

    def __init__(self, directory: Path, thread: LoopThread, backend: HttpBackend) -> None:
        self._directory = directory
        self._thread = thread
        self._backend = backend
        self._count = 0
        self._free: list[Line] = []
        self._gateway: GatewayProcess | None = None
        self._failure: AssertionError | None = None

    def take(self) -> Line:
        """Return a line that nobody has used.

        Raises:
            GatewayFailed: the gateway does not start, or the one before did not end well.
        """
        if self._failure is not None:
            raise self._failure
        if not self._free:
            try:
                self._next_batch()
            except AssertionError as error:
                # Each of the tests to come would wait for the same failure.
                self._failure = error
                raise
        return self._free.pop()

    def check(self) -> None:
        """See that the gateway has met with nothing that it did not expect."""
        if self._gateway is not None:
            self._gateway.check_log()
        self._backend.check()

    def close(self) -> None:
        """End the gateway, and see that it ends well."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.stop()

    def _next_batch(self) -> None:
        self.close()
        made: list[tuple[DeclaredAccount, BlockingProxy, HttpAccount]] = []
        for number in range(self._count, self._count + _BATCH):
            account, proxy = self._backend.account(), BlockingProxy(self._thread, *self._backend.place)
            made.append((account.declared(f"login{number}", f"front of {number}", proxy.url), proxy, account))
        self._count += _BATCH
        gateway = GatewayProcess(self._directory / f"gateway{self._count}", [declared for declared, _, _ in made])
        gateway.start()
        self._gateway = gateway
        self._free = [
            Line(gateway.endpoint(declared.login), proxy, account, self._backend) for declared, proxy, account in made
        ]
