"""Runs the gateway as its users do: a process of its own, with a configuration file (see `tests.e2e.gateway_forks`)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from argon2 import PasswordHasher

from gateway.auth.passwords import hash_password
from tests.e2e.back import Back
from tests.e2e.backends import Backend
from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.gateway_forks import GatewayFork, gateway_forks
from tests.e2e.waiting import eventually
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.servers.dovecot import Dovecot
from tests.servers.ports import free_port

_START_S = 90.0
_STOP_S = 15.0
# JMAP's least, so that what happens at a server that does not push is soon known.
_POLL_INTERVAL_S = 1
# What it costs to guess a password is nothing to a test: at the gateway's own cost each start would hash for a second.
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

Server = Dovecot | Cyrus


class GatewayFailed(AssertionError):
    """The process ended when it should run, or did not end well; carries its log."""


@dataclass(frozen=True, slots=True)
class Account:
    """A local login and the account behind it, whose IMAP is at `backend`.

    With `jmap_url` the gateway reaches it by JMAP, under the same user name and password. An account without IMAP is
    `declared` as a gateway's configuration has it, and looked at through `connect_back`.
    """

    login: str
    password: str
    backend: Endpoint
    jmap_url: str = ""
    declared: DeclaredAccount | None = None
    connect_back: Callable[[], Back] | None = None

    def stage(self, front: Endpoint) -> Stage:
        """Return the account seen from both sides, given where its user connects."""
        if self.declared is not None:
            return Stage(front, self.backend, Backend(self.declared.connector), self.connect_back)
        return Stage(front, self.backend, Backend.CYRUS if self.jmap_url else Backend.DOVECOT)


@dataclass(frozen=True, slots=True)
class MaildirAccount:
    """A local login and the Maildir behind it."""

    login: str
    password: str
    path: Path


@dataclass(frozen=True, slots=True)
class DeclaredAccount:
    """A local login and an account of any connector, with the `settings` and `credentials` of a configuration file.

    A secret is given under its own name; it comes to stand in a file.
    """

    login: str
    password: str
    connector: str
    settings: Mapping[str, str | int | float | bool]
    credentials: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


AnyAccount = Account | MaildirAccount | DeclaredAccount


def new_account(server: Server, login: str, password: str) -> Account:
    """Make an empty account at a server, with the mailboxes INBOX and Sent, for a local login."""
    if isinstance(server, Dovecot):
        user = server.fresh_user()
        # It makes INBOX when somebody first asks for it, and tells one of two who do so at once that it is there.
        with server.client(user) as client:
            client.select()
        return Account(login, password, Endpoint(server.host, server.port, user, DOVECOT_PASSWORD))
    user = server.fresh_user(mailboxes=("Sent",))
    return Account(login, password, Endpoint(server.host, server.imap_port, user, server.password), server.jmap_url)


class GatewayFactory(Protocol):
    """Starts a gateway for accounts; see `GatewayProcess`."""

    def __call__(self, accounts: Sequence[Account], *, has_password_files: bool = False) -> GatewayProcess: ...


class GatewayProcess:
    """One gateway serving IMAP on a port of its own, with its store and cache in `directory`.

    The port stays the same over restarts, so that clients may reconnect. `connections` is how many one user and one
    address may have, if not as many as by default. Local passwords are given as hashes, or, with `has_password_files`,
    as they are.
    """

    def __init__(
        self,
        directory: Path,
        accounts: Sequence[AnyAccount],
        *,
        prefetch: str = "headers",
        connections: int | None = None,
        has_password_files: bool = False,
    ) -> None:
        self.directory = directory
        self._prefetch = prefetch
        self._connections = connections
        self._has_password_files = has_password_files
        self.port = free_port()
        self._accounts = {account.login: account for account in accounts}
        self._process: GatewayFork | None = None
        self._config = directory / "gateway.toml"
        self._log = directory / "gateway.log"
        directory.mkdir(parents=True, exist_ok=True)
        self._config.write_text(self._rendered())

    def endpoint(self, login: str) -> Endpoint:
        """Return where a client logs in as `login`."""
        return Endpoint("127.0.0.1", self.port, login, self._accounts[login].password)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise GatewayFailed("the gateway does not run")
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Start the process and wait until it greets.

        Raises:
            GatewayFailed: it ended, or did not greet in time.
        """
        self._process = gateway_forks().start(["serve", "--config", str(self._config)], self._log)
        try:
            eventually(self._greets, within_s=_START_S)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the process as an operator would, and see that it ends well.

        Raises:
            GatewayFailed: it did not end, its status was not 0, or there is a traceback in its log.
        """
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(_STOP_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise GatewayFailed(f"did not end within {_STOP_S} s of SIGTERM\n{self.log}") from error
        self._process = None
        if status:
            raise GatewayFailed(f"ended with status {status}\n{self.log}")
        self.check_log()

    def check_log(self) -> None:
        """See that nothing failed unexpectedly so far."""
        if "Traceback (most recent call last)" in self.log:
            raise GatewayFailed(f"a traceback in the log\n{self.log}")

    def kill(self) -> None:
        """End the process without any warning (SIGKILL), as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _greets(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise GatewayFailed(f"ended with status {self._process.returncode} at the start\n{self.log}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.settimeout(_START_S)
                return sock.recv(5) == b"* OK "
        except OSError:
            return False

    def _rendered(self) -> str:
        lines = [
            "[store]",
            f"url = {_toml(f'sqlite:///{self.directory}/gateway.db')}",
            "[cache]",
            f"directory = {_toml(str(self.directory / 'cache'))}",
            "[sync]",
            f"prefetch = {_toml(self._prefetch)}",
            "[[listeners]]",
            'protocol = "imap"',
            f"bind = {_toml(f'127.0.0.1:{self.port}')}",
        ]
        if self._connections is not None:
            lines += [
                "[limits]",
                f"connections_per_user = {self._connections}",
                f"connections_per_address = {self._connections}",
            ]
        for account in self._accounts.values():
            lines += [
                "[[users]]",
                f"login = {_toml(account.login)}",
                self._password(account),
                "[[accounts]]",
                'name = "work"',
                f"user = {_toml(account.login)}",
                *self._connector(account),
            ]
        return "\n".join(lines) + "\n"

    def _password(self, account: AnyAccount) -> str:
        if self._has_password_files:
            return f"password_file = {_toml(self._secret(account.login, account.password))}"
        return f"password_hash = {_toml(hash_password(account.password, _CHEAP))}"

    def _connector(self, account: AnyAccount) -> list[str]:
        if isinstance(account, DeclaredAccount):
            return self._declared(account)
        if isinstance(account, Account) and account.declared is not None:
            return self._declared(account.declared)
        if isinstance(account, MaildirAccount):
            return ['connector = "maildir"', f"settings = {{ path = {_toml(str(account.path))} }}"]
        backend = account.backend
        if account.jmap_url:
            reached = [
                'connector = "jmap"',
                # As IMAP has it: what is expunged is gone, and is in no other mailbox.
                f"settings = {{ url = {_toml(account.jmap_url)}, poll_interval_s = {_POLL_INTERVAL_S}, "
                'expunge = "destroy" }',
            ]
        else:
            reached = [
                'connector = "imap"',
                f'settings = {{ host = {_toml(backend.host)}, port = {backend.port}, tls = "none" }}',
            ]
        return [
            *reached,
            f"credentials = {{ username = {_toml(backend.login)}, "
            f"password_file = {_toml(self._secret(f'{account.login}-work', backend.password))} }}",
        ]

    def _declared(self, account: DeclaredAccount) -> list[str]:
        files = {f"{key}_file": self._secret(f"{account.login}-{key}", value) for key, value in account.secrets.items()}
        return [
            f"connector = {_toml(account.connector)}",
            f"settings = {_table(account.settings)}",
            f"credentials = {_table({**account.credentials, **files})}",
        ]

    def _secret(self, name: str, value: str) -> str:
        path = self.directory / f"{name}.password"
        path.touch(mode=0o600)
        path.write_text(value + "\n")
        return str(path)


def _toml(value: str | int | float | bool) -> str:
    """Return a TOML value; JSON's numbers and booleans are the same there, its escapes a subset of those of TOML."""
    return json.dumps(value)


def _table(values: Mapping[str, str | int | float | bool]) -> str:
    """Return a TOML inline table."""
    return f"{{ {', '.join(f'{key} = {_toml(value)}' for key, value in values.items())} }}"
