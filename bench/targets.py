"""What is timed: a Dovecot, and the gateway over the same mail, each in processes of its own."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import trustme

from bench.client import BenchClient
from bench.corpus import corpus, large_message
from bench.progress import progress
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot
from tests.servers.ports import free_port

LARGE_OCTETS = 25_000_000
"""The size of the one message in the mailbox Large."""

_START_S = 60.0
_WARM_S = 3600.0
_IDLE_TICKS = 3
_QUIET_SECONDS = 5
_APPENDS_AT_ONCE = 100
_LISTENERS = 2


class SetUp(Enum):
    """What is behind the gateway."""

    MAILDIR = "maildir"
    DOVECOT = "dovecot"


@dataclass(frozen=True, slots=True)
class FreshGateway:
    """A gateway that has just begun to read the mail; `started` is when, by `time.perf_counter`."""

    target: Target
    started: float
    pid: int


@dataclass(frozen=True, slots=True)
class Target:
    """A server over the mail. `directory` tells its processes: their command lines name it.

    `idlers` is how many idle connections are opened to see what one costs; Dovecot has a process for each.
    `metrics_port` is where the gateway tells of itself, and `anew` starts another one over the same mail, which knows
    nothing of it yet.
    """

    name: str
    port: int
    tls_port: int
    ca_file: Path
    user: str
    password: str
    directory: Path
    idlers: int
    metrics_port: int | None = None
    anew: Callable[[], AbstractContextManager[FreshGateway]] | None = None

    def log_in(self, *, over_tls: bool = False) -> BenchClient:
        """Return a client that has logged in."""
        context = ssl.create_default_context(cafile=str(self.ca_file)) if over_tls else None
        client = BenchClient(self.tls_port if over_tls else self.port, context)
        client.command(f"LOGIN {self.user} {self.password}".encode())
        return client


@dataclass(frozen=True, slots=True)
class Targets:
    """A Dovecot with its fastest storage, and the gateway. `alike` is a Dovecot that keeps mail as the gateway does."""

    reference: Target
    gateway: Target
    alike: Target | None


@contextmanager
def running_targets(set_up: SetUp, count: int) -> Iterator[Targets]:
    """Start the Dovecot and the gateway over the same `count` messages; yield them once both have nothing to do.

    Each has its own copy of the mail, so that neither has to follow what is done at the other.
    """
    with ExitStack() as stack:
        dovecot = stack.enter_context(running_dovecot(fsync="optimized"))
        user = dovecot.fresh_user()
        _fill_dovecot(dovecot, user, count)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imap-gateway-bench-")))
        alike: Target | None = None
        if set_up is SetUp.MAILDIR:
            path = folder / "maildir"
            _fill_maildir(path, count)
            account = f'connector = "maildir"\nsettings = {{ path = "{path}" }}\n'
            alike = stack.enter_context(_running_dovecot_over(path))
        else:
            account = _dovecot_account(dovecot, _second_user(dovecot, user), folder)
        gateway = stack.enter_context(_running_gateway(folder, account))
        yield Targets(dovecot_target(dovecot, user), gateway, alike)


@contextmanager
def _running_dovecot_over(maildir: Path) -> Iterator[Target]:
    """Run a Dovecot over a copy of a Maildir."""
    with running_dovecot(storage="maildir:~/Maildir", fsync="optimized") as dovecot:
        user = dovecot.fresh_user()
        homes = dovecot.log.parent / "mail"
        (homes / user).mkdir()
        subprocess.run(["cp", "-a", str(maildir), str(homes / user / "Maildir")], check=True)
        owner = homes.stat()
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", str(homes / user)], check=True)
        yield replace(dovecot_target(dovecot, user), name="Dovecot over a Maildir")


def dovecot_target(dovecot: Dovecot, user: str) -> Target:
    """Return a user's account at a Dovecot."""
    return Target("Dovecot", dovecot.port, dovecot.tls_port, dovecot.ca_file, user, PASSWORD, dovecot.log.parent, 80)


# -- the mail ---------------------------------------------------------------------------------------------------------


def _fill_dovecot(dovecot: Dovecot, user: str, count: int) -> None:
    client = BenchClient(dovecot.port)
    client.command(f"LOGIN {user} {PASSWORD}".encode())
    batch: list[bytes] = []
    for number, message in enumerate(corpus(count), 1):
        flags = " ".join(sorted(message.flags - {"\\Deleted"}))
        date = message.internal_date.strftime("%d-%b-%Y %H:%M:%S %z")
        batch.append(f' ({flags}) "{date}" {{{len(message.data)}+}}\r\n'.encode() + message.data)
        if len(batch) == _APPENDS_AT_ONCE or number == count:
            client.command(b"APPEND INBOX" + b"".join(batch))
            batch.clear()
            progress(f"filling Dovecot: {number} of {count}", is_last=number == count)
    client.command(b"CREATE Large")
    large = large_message(LARGE_OCTETS)
    client.command(b"APPEND Large {%d+}\r\n%s" % (len(large), large))
    client.close()


def _second_user(dovecot: Dovecot, user: str) -> str:
    """Copy a user's mail to another user, as it is on disk."""
    second = dovecot.fresh_user()
    homes = dovecot.log.parent / "mail"
    subprocess.run(["cp", "-a", str(homes / user), str(homes / second)], check=True)
    return second


def _fill_maildir(path: Path, count: int) -> None:
    for folder in (path, path / ".Large"):
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
    letters = {"\\Draft": "D", "\\Flagged": "F", "$Forwarded": "P", "\\Answered": "R", "\\Seen": "S"}
    for number, message in enumerate(corpus(count), 1):
        info = "".join(sorted(letters[flag] for flag in message.flags if flag in letters))
        deliver(path, number, message.data, info, message.internal_date.timestamp())
        if number % 1000 == 0 or number == count:
            progress(f"filling the Maildir: {number} of {count}", is_last=number == count)
    deliver(path / ".Large", 1, large_message(LARGE_OCTETS), "", 1_790_000_000.0)


def deliver(folder: Path, number: int, data: bytes, info: str, internal_date: float) -> None:
    """Write a message as a delivery agent does: with the line ends of the system."""
    stored = data.replace(b"\r\n", b"\n")
    # The names are in the order of delivery, whatever the dates.
    name = f"{1_600_000_000 + number}.M{number % 1_000_000}P1.bench,S={len(stored)},W={len(data)}:2,{info}"
    file = folder / "cur" / name
    file.write_bytes(stored)
    os.utime(file, (internal_date, internal_date))


# -- the gateway ------------------------------------------------------------------------------------------------------


def _dovecot_account(dovecot: Dovecot, user: str, folder: Path) -> str:
    (folder / "account").write_text(PASSWORD, encoding="ascii")
    return (
        'connector = "imap"\n'
        f'settings = {{ host = "127.0.0.1", port = {dovecot.port}, tls = "none" }}\n'
        f'credentials = {{ username = "{user}", password_file = "{folder}/account" }}\n'
    )


@contextmanager
def _running_gateway(folder: Path, account: str) -> Iterator[Target]:
    with running_gateway(folder, declared(account), prefetch="bodies") as fresh:
        progress("the gateway reads the mail", is_last=True)
        wait_until_idle(fresh.pid)
        yield replace(fresh.target, anew=lambda: _gateway_anew(account))


@contextmanager
def _gateway_anew(account: str) -> Iterator[FreshGateway]:
    with (
        tempfile.TemporaryDirectory(prefix="imap-gateway-bench-anew-") as folder,
        running_gateway(Path(folder), declared(account), prefetch="none") as fresh,
    ):
        yield fresh


def declared(account: str, login: str = "bench", password: str = 'password_file = "@/user"') -> str:
    """Return the configuration of a user with one account; `account` is what it is at."""
    return f'''
[[users]]
login = "{login}"
{password}
[[accounts]]
name = "{login}"
user = "{login}"
{account}'''


@contextmanager
def running_gateway(folder: Path, users: str, *, prefetch: str) -> Iterator[FreshGateway]:
    """Start a gateway with its files in `folder`; yield it when clients can connect. `@` in `users` is the folder."""
    (folder / "user").write_text(PASSWORD, encoding="ascii")
    _write_certificates(folder)
    config = folder / "gateway.toml"
    port, tls_port, metrics_port = free_port(), free_port(), free_port()
    text = _CONFIGURATION.format(
        folder=folder, port=port, tls_port=tls_port, metrics_port=metrics_port, prefetch=prefetch
    )
    config.write_text(text + users.replace("@", str(folder)), encoding="utf-8")
    log = folder / "gateway.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--config", str(config)], stdout=sink, stderr=sink
        )
    try:
        _wait_until_listening(process, log)
        target = Target(
            "gateway", port, tls_port, folder / "ca.pem", "bench", PASSWORD, folder, 1000, metrics_port=metrics_port
        )
        yield FreshGateway(target, time.perf_counter(), process.pid)
    finally:
        process.terminate()
        process.wait(timeout=_START_S)


_CONFIGURATION = """
[store]
url = "sqlite:///{folder}/gateway.db"
[cache]
directory = "{folder}/cache"
max_size = "20 GiB"
[[listeners]]
protocol = "imap"
bind = "127.0.0.1:{port}"
[[listeners]]
protocol = "imaps"
bind = "127.0.0.1:{tls_port}"
[tls]
certificate = "{folder}/cert.pem"
key = "{folder}/key.pem"
[metrics]
bind = "127.0.0.1:{metrics_port}"
[limits]
connections_per_user = 10000
connections_per_address = 10000
[sync]
prefetch = "{prefetch}"
[log]
format = "json"
"""


def _write_certificates(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    for block in certificate.cert_chain_pems:
        block.write_to_path(str(folder / "cert.pem"), append=True)


def _wait_until_listening(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if log.read_text(encoding="utf-8").count('"listening"') == _LISTENERS:
            return
        time.sleep(0.005)
    raise RuntimeError("the gateway did not start: " + log.read_text(encoding="utf-8"))


def wait_until_idle(pid: int, ticks_per_s: int = _IDLE_TICKS) -> None:
    """Wait until the gateway has read what it wants to have read: until it uses next to no CPU for some seconds.

    One second is not enough on a machine with much else to do: it may not have had its turn. With many accounts there
    is always something to look at: then `ticks_per_s` hundredths of a second count as nothing.
    """
    deadline = time.monotonic() + _WARM_S
    before, quiet = -ticks_per_s - 1, 0
    while time.monotonic() < deadline:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        quiet = quiet + 1 if ticks - before <= ticks_per_s else 0
        if quiet == _QUIET_SECONDS:
            return
        before = ticks
        time.sleep(1.0)
    raise RuntimeError(f"the gateway was still busy after {_WARM_S:g} s")


def free_disk(count: int) -> None:
    """See that there is room for the run.

    Raises:
        RuntimeError: there is not.
    """
    needed = count * 8192 * 4 + (1 << 30)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < needed:
        raise RuntimeError(f"{tempfile.gettempdir()} has {free >> 20} MiB free; the run needs {needed >> 20} MiB")
