"""The running gateway: everything built, started, reloaded and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

import gateway
from connectors.api.connector import Connector
from gateway.accounts.credentials import credential_source, unseal_credentials
from gateway.app.backends import build_connector, check_settings, find_connector
from gateway.app.declared import apply_declared
from gateway.app.event_loop import new_event_loop
from gateway.app.garbage import GarbageWatch
from gateway.app.loop_delay import LoopDelayProbe
from gateway.app.metrics_door import MetricsDoor
from gateway.app.open_files import connections_within, raise_file_limit
from gateway.app.resealing import reseal, reseal_scram_keys
from gateway.app.search import opened_search_index
from gateway.app.settings import imap_settings, mail_settings, server_tls, sync_settings
from gateway.app.storage import CACHE_KEY_PURPOSE, kept_bodies, open_vault, served_store
from gateway.app.tokens import opened_tokens
from gateway.auth.errors import VaultError
from gateway.auth.named_users import NamedUsers
from gateway.auth.scram_users import ScramUsers
from gateway.auth.throttle import Throttle
from gateway.auth.users import UserDirectory
from gateway.auth.vault import Vault
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.errors import OperatorError
from gateway.imap.capabilities import OFFER
from gateway.imap.limits import ConnectionLimits
from gateway.imap.listener import ImapDoor, Protocol
from gateway.imap.services import ImapServices
from gateway.mailbox.quota import Quotas
from gateway.mailbox.service import MailService
from gateway.metrics import Gauge, Metrics
from gateway.store.accounts import AccountRow, account_by_id
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store
from gateway.tls import ServerTls

log = logging.getLogger(__name__)

DRAIN_S = 30.0
"""How long clients' running commands may take when the gateway is told to stop."""

REPEAT_S = 1.0
"""Signals within this time of the first are the same request."""


class Application:
    """One gateway process. `start` it, `stop` it; both once.

    Built from below: store, declared users and accounts, cache, mail service, doors. Stopped from above: the doors say
    BYE while everything below still works, then syncs end, the store last.
    """

    def __init__(self, config: Config, source: str) -> None:
        """`source` is the name of the configuration in errors."""
        self._config = config
        self._source = source
        self._vault: Vault | None = None
        self._store: Store | None = None
        self._mail: MailService | None = None
        self._tls: ServerTls | None = None
        self._built: dict[int, AccountRow] = {}
        self._stack = AsyncExitStack()
        self.addresses: list[tuple[str, int]] = []
        self.metrics = Metrics()
        self.metrics_addresses: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Start everything; clients are served when it returns.

        Raises:
            OperatorError: something of the configuration cannot be used; nothing is left running.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Stop everything: clients get a BYE, commands in hand are finished for up to `DRAIN_S` seconds."""
        await self._stack.aclose()

    async def reload(self) -> None:
        """Read the certificate and the accounts again; what cannot be read is logged and stays as it was."""
        if self._tls is not None:
            try:
                self._tls.reload()
            except OperatorError as exc:
                log.error("the old certificate stays in use: %s", exc.operator_text)
        await self._reload_accounts()
        log.info("reloaded")

    async def _start(self, stack: AsyncExitStack) -> None:
        config = self._config
        probe = await self._open_metrics(stack)
        self._vault = open_vault(config)
        self._store = await stack.enter_async_context(served_store(config))
        await reseal(self._store, self._vault)
        await reseal_scram_keys(self._store, self._vault)
        await apply_declared(self._store, self._vault, config, self._source)
        search_index = await stack.enter_async_context(opened_search_index(config))
        self._mail = MailService(
            self._store,
            await self._open_cache(self._vault),
            SystemClock(),
            self._make_connector,
            mail_settings(config),
            sync_settings(config),
            search_index,
        )
        stack.push_async_callback(self._mail.close)
        if config.tls is not None:
            self._tls = server_tls(config.tls)
        await self._open_doors(stack, self._store, self._mail, self._vault)
        # From now on there are clients that a delay would keep waiting.
        probe.start()
        stack.callback(probe.stop)
        await self._mail.start()
        log.info("ready", extra={"version": gateway.__version__})

    async def _open_metrics(self, stack: AsyncExitStack) -> LoopDelayProbe:
        settings = self._config.metrics
        probe = LoopDelayProbe(settings.loop_delay_warning_s)
        self.metrics.add(probe.histogram, probe.worst)
        if settings.address is not None:
            door = MetricsDoor(self.metrics)
            try:
                self.metrics_addresses = await door.listen(*settings.address)
            except OperatorError as exc:
                why = _why_not_listening(exc, settings.address[1])
                raise OperatorError(why, key="metrics.bind", source=self._source) from exc
            stack.push_async_callback(door.close)
        return probe

    async def _open_cache(self, vault: Vault) -> BodyCache:
        settings = self._config.cache
        key = vault.derive(CACHE_KEY_PURPOSE) if settings.seal else None
        kept = await asyncio.to_thread(kept_bodies, self._config, vault)
        cache = BodyCache(settings.directory, settings.max_size, key, kept=kept)
        try:
            await asyncio.to_thread(cache.load)
        except OSError as exc:
            text = f"{settings.directory} cannot be used: {exc.strerror or exc}"
            raise OperatorError(text, key="cache.directory", source=self._source) from exc
        return cache

    async def _open_doors(self, stack: AsyncExitStack, store: Store, mail: MailService, vault: Vault) -> None:
        settings = imap_settings(self._config)
        limits = ConnectionLimits(
            total=connections_within(raise_file_limit(), settings.connections_total),
            per_address=settings.connections_per_address,
            per_user=settings.connections_per_user,
        )
        throttle = Throttle(SystemClock())
        scram = ScramUsers(store, vault, throttle=throttle)
        await scram.refresh()
        tokens = await stack.enter_async_context(opened_tokens(self._config.oauth))
        users = UserDirectory(store, throttle=throttle, learner=scram)
        stack.push_async_callback(users.close)
        services = ImapServices(
            settings,
            OFFER,
            mail,
            Quotas(SystemClock()),
            users,
            limits,
            self._tls,
            gateway.__version__,
            scram,
            NamedUsers(store),
            tokens,
        )
        door = ImapDoor(services)
        self.metrics.add(
            Gauge("imap_gateway_connections", "Connections of mail clients.", lambda: limits.connections),
            Gauge("imap_gateway_accounts", "Accounts that are followed.", lambda: len(mail.engines())),
            Gauge("imap_gateway_open_mailboxes", "Mailboxes held in memory.", lambda: mail.open_mailboxes),
        )
        stack.push_async_callback(door.drain, DRAIN_S)
        for listener in self._config.listeners:
            host, port = listener.address
            try:
                found = await door.listen(Protocol(listener.protocol), host, port)
            except OperatorError as exc:
                raise OperatorError(
                    _why_not_listening(exc, port), key=f"listeners[{listener.bind}].bind", source=self._source
                ) from exc
            self.addresses.extend(found)
            for address, actual_port in found:
                log.info("listening", extra={"protocol": listener.protocol, "address": address, "port": actual_port})

    # -- accounts -----------------------------------------------------------------------------------------------------

    def _make_connector(self, row: AccountRow) -> Connector:
        """Build the connector of an account.

        Raises:
            GatewayError: its connector, settings or credentials cannot be used.
        """
        assert self._vault is not None
        assert self._store is not None
        spec = find_connector(row.connector, key=row.name)
        settings = check_settings(spec, row.settings, key=f"{row.name}.settings")
        credentials = credential_source(spec, settings, self._vault, self._store, row.id, row.name, row.credentials)
        connector = build_connector(spec, row.settings, credentials, key=f"{row.name}.settings")
        self._built[row.id] = row
        return connector

    async def _reload_accounts(self) -> None:
        """Stop the accounts that are gone or changed, start those that are new or changed."""
        assert self._store is not None
        assert self._mail is not None
        for account_id in list(self._built):
            row = await self._store.read(lambda tx, key=account_id: account_by_id(tx, key))  # type: ignore[misc]
            built = self._built.get(account_id)
            if built is not None and (row is None or self._identity(row) != self._identity(built)):
                del self._built[account_id]
                await self._mail.forget_account(account_id)
                log.info("account %s is %s", built.name, "gone" if row is None else "set up anew")
            # Clients are served between any two.
            await asyncio.sleep(0)
        await self._mail.start_accounts()

    def _identity(self, row: AccountRow) -> tuple[object, ...]:
        """Return what an account was set up with; what its connector made of its credentials since does not count."""
        assert self._vault is not None
        credentials: object = row.credentials
        if row.credentials is not None:
            with contextlib.suppress(VaultError):
                stored = unseal_credentials(self._vault, row.name, row.credentials)
                credentials = stored.form, dict(stored.given or stored.values)
        return row.name, row.connector, row.settings, credentials


def _why_not_listening(error: OperatorError, port: int) -> str:
    """Say it in the operator's words where the cause is one of the usual two."""
    match getattr(error.__cause__, "errno", None):
        case errno.EADDRINUSE:
            return f"port {port} is in use by another program; stop that one or choose another port"
        case errno.EACCES:
            return f"this user may not listen on port {port}; choose one above 1023 or grant CAP_NET_BIND_SERVICE"
        case _:
            return error.operator_text.removeprefix(f"{error.key}: ")


# -- the process -------------------------------------------------------------------------------------------------------


def serve_until_stopped(config: Config, source: str, on_ready: Callable[[], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads. `on_ready` is called when clients can connect.

    A second SIGTERM or SIGINT, more than `REPEAT_S` after the first, ends the process at once, as a crash would: what
    is in flight is settled at the next start.

    Raises:
        OperatorError: the gateway cannot start.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(config, source, on_ready))


async def _serve(config: Config, source: str, on_ready: Callable[[], None] | None) -> None:
    loop = asyncio.get_running_loop()
    stop, reload = StopRequest(loop), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.take, number)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    application = Application(config, source)
    with GarbageWatch().watching():
        await application.start()
        try:
            if on_ready is not None:
                on_ready()
            async with asyncio.TaskGroup() as group:
                reloader = group.create_task(_reload_when_asked(application, reload))
                await stop.taken.wait()
                reloader.cancel()
            log.info("stopping")
        finally:
            await application.stop()
    log.info("stopped")


class StopRequest:
    """Tells the first signal to stop from one that means it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, leave: Callable[[int], object] = os._exit) -> None:
        self.taken = asyncio.Event()
        self._loop = loop
        self._leave = leave
        self._since_s = 0.0

    def take(self, number: int) -> None:
        """Take a signal. `make`, `timeout` and terminals deliver one request to stop several times over at once."""
        if not self.taken.is_set():
            self._since_s = self._loop.time()
            self.taken.set()
        elif self._loop.time() - self._since_s > REPEAT_S:
            self._leave(128 + number)


async def _reload_when_asked(application: Application, asked: asyncio.Event) -> None:
    while True:
        await asked.wait()
        asked.clear()
        try:
            await application.reload()
        except Exception:
            log.exception("reload failed")
