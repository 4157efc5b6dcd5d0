"""Mail accounts behind a fault proxy that speaks IMAP: gateway, proxy, and a real Dovecot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import DeclaredAccount, GatewayProcess
from tests.e2e.http_backends import Held, held
from tests.e2e.loop_thread import BlockingRule, LoopThread
from tests.e2e.raw_client import RawClient
from tests.e2e.waiting import equals, eventually
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.imap_faults import ImapFault, WhenCommand, any_command
from tests.servers.imap_proxy import imap_proxy

TIMEOUT_S = 1.0
"""How long the gateway waits for the server."""

_NUMBERS = ("UIDVALIDITY", "UIDNEXT", "MESSAGES")


class BlockingImapProxy:
    """A fault proxy in the loop of another thread; see `ImapProxy`."""

    def __init__(self, thread: LoopThread, host: str, port: int) -> None:
        self._thread = thread
        self._proxy = thread.enter(imap_proxy(host, port))
        self.port = self._proxy.port

    def fail(
        self, fault: ImapFault, *, when: WhenCommand = any_command, times: int | None = 1, skip: int = 0
    ) -> BlockingRule:
        rule = self._thread.call(lambda: self._proxy.fail(fault, when=when, times=times, skip=skip))
        return BlockingRule(self._thread, rule)

    def say_to_idlers(self, data: bytes) -> int:
        """Say something to all connections that wait for news; return how many those are."""
        return self._thread.call(lambda: self._proxy.say_to_idlers(data))

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections, and reset those there are, inside the block."""
        context = self._proxy.refusing()
        self._thread.wait(_entered(context))
        try:
            yield
        finally:
            self._thread.wait(_left(context))

    @contextlib.contextmanager
    def failing(self, fault: ImapFault, when: WhenCommand = any_command) -> Iterator[None]:
        """Let the fault befall every such command inside the block. Connections caught in it stay caught."""
        rule = self.fail(fault, when=when, times=None)
        try:
            yield
        finally:
            rule.cancel()


async def _entered(context: contextlib.AbstractAsyncContextManager[None]) -> None:
    await context.__aenter__()


async def _left(context: contextlib.AbstractAsyncContextManager[None]) -> None:
    await context.__aexit__(None, None, None)


@dataclass(frozen=True, slots=True)
class ImapLine:
    """One account: where a client logs in, the proxy that can break the line, and the account at the server."""

    front: Endpoint
    proxy: BlockingImapProxy
    back: Endpoint

    def client(self) -> RawClient:
        """Return a client that is logged in at the gateway."""
        return RawClient.logged_in(self.front)

    def deliver(self, mailbox: str, content: bytes) -> None:
        """Let a message arrive."""
        with RawClient.logged_in(self.back) as back:
            back.append(mailbox, content)

    def held(self, *mailboxes: str) -> dict[str, Held]:
        """Return what the server holds."""
        with RawClient.logged_in(self.back) as back:
            return {mailbox: held(back, mailbox) for mailbox in mailboxes}

    def settle(self, *mailboxes: str, within_s: float = 60.0) -> None:
        """Wait until a client sees what the server holds, under the same UIDs."""
        with RawClient.logged_in(self.back) as back, self.client() as counting:
            for mailbox in mailboxes:
                wanted, numbers = _seen(back, mailbox), back.status(mailbox, *_NUMBERS)
                # Cheap, and mostly enough to wait for.
                eventually(partial(_numbers, counting, mailbox), equals(numbers), within_s=within_s)
                eventually(partial(self._seen, mailbox), equals(wanted), within_s=within_s)

    def _seen(self, mailbox: str) -> object:
        with self.client() as client:
            return _seen(client, mailbox)


def _numbers(client: RawClient, mailbox: str) -> dict[str, int] | None:
    """Return what a client is told of a mailbox; None if that is nothing now."""
    return client.status(mailbox, *_NUMBERS) if client.command(f'STATUS "{mailbox}" (UIDNEXT)').is_ok else None


def _seen(client: RawClient, mailbox: str) -> object:
    """Return what a client sees of a mailbox; None if it cannot be opened or not all of it be read now."""
    if not client.command(f'SELECT "{mailbox}"').is_ok or not client.command("UID FETCH 1:* (BODY.PEEK[])").is_ok:
        return None
    return client.status(mailbox, *_NUMBERS), held(client, mailbox), client.search()


class ImapLines:
    """Lines that share one gateway; not more of them than are made at the start."""

    def __init__(self, directory: Path, thread: LoopThread, server: Dovecot, count: int) -> None:
        self._made: list[tuple[str, BlockingImapProxy, Endpoint]] = []
        accounts = []
        for number in range(count):
            login, proxy = f"login{number}", BlockingImapProxy(thread, server.host, server.port)
            back = Endpoint(server.host, server.port, server.fresh_user(), PASSWORD)
            with RawClient.logged_in(back) as client:
                client.ok('CREATE "Filed"')
            accounts.append(_declared(login, proxy.port, back))
            self._made.append((login, proxy, back))
        self.gateway = GatewayProcess(directory, accounts)
        self.gateway.start()

    def take(self) -> ImapLine:
        """Return a line that nobody has used."""
        login, proxy, back = self._made.pop()
        return ImapLine(self.gateway.endpoint(login), proxy, back)


def _declared(login: str, port: int, back: Endpoint) -> DeclaredAccount:
    settings: dict[str, str | int | float] = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "timeout_s": TIMEOUT_S,
        "poll_interval_s": 1.0,
    }
    secrets = {"password": back.password}
    return DeclaredAccount(login, f"front of {login}", "imap", settings, {"username": back.login}, secrets)
