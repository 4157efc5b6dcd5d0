"""Much of everything: 1,000 mailboxes in an account, 1,000 accounts in a process, 5,000 connections that idle."""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.client import BenchClient
from bench.goals import Goal, Result, Unit
from bench.loads import memory_kb
from bench.metrics import LoopDelays
from bench.progress import progress
from bench.targets import FreshGateway, Target, declared, deliver, dovecot_target, running_gateway, wait_until_idle
from gateway.auth.passwords import hash_password
from tests.servers.dovecot import PASSWORD, running_dovecot

DELAY_GOAL = Goal(50.0, 20.0, is_absolute=True)

MAILBOXES = 1000
ACCOUNTS = 1000
IDLERS = 5000
_MESSAGES = 5
"""In each mailbox of each account."""

_FILES_PER_CONNECTION = 2
_SPARE_FILES = 1000
_IDLE_S = 20.0
_ROUNDS = 5
_MESSAGE = b"From: a@example.com\nSubject: scale %d\nMessage-ID: <%d@scale.example>\n\nText\n"


def results(only: str = "") -> Iterator[Result]:
    """Run what is about scale, as far as its name contains `only`; what fails is told of, and the rest goes on."""
    for title, run in _RUNS:
        if only.lower() in title.lower():
            try:
                yield from run()
            except (OSError, RuntimeError) as error:
                print(f"{title}: {error}", file=sys.stderr)
                yield Result(title, Unit.MILLISECONDS, DELAY_GOAL, None, None, str(error)[:160])


# -- mailboxes --------------------------------------------------------------------------------------------------------


def _mailboxes() -> Iterator[Result]:
    with ExitStack() as stack:
        dovecot = stack.enter_context(running_dovecot(fsync="optimized"))
        reference = dovecot_target(dovecot, dovecot.fresh_user())
        _make_mailboxes(reference)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imap-gateway-bench-")))
        names = ["", *(f".Folder {number}" for number in range(MAILBOXES))]
        for name in names:
            _fill(folder / "maildir" / name)
        account = f'connector = "maildir"\nsettings = {{ path = "{folder}/maildir" }}\n'
        fresh = stack.enter_context(running_gateway(folder, declared(account), prefetch="none"))
        delays = _delays(fresh)
        client = fresh.target.log_in()
        listed = client.answer(b'LIST "" "*"').count(b"* LIST ")
        first_ms = (time.perf_counter() - fresh.started) * 1000
        if listed <= MAILBOXES:
            raise RuntimeError(f"{listed} mailboxes listed of {MAILBOXES}")
        yield _absolute("1,000 mailboxes: LIST after the start", Goal(5000, 2000, is_absolute=True), first_ms)
        wait_until_idle(fresh.pid)
        seats = (reference.log_in(), client)
        for name, command in (
            ("1,000 mailboxes: LIST", b'LIST "" "*"'),
            ("1,000 mailboxes: LIST with STATUS", b'LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UNSEEN))'),
        ):
            figures = _in_turn(seats, command)
            yield Result(name, Unit.MILLISECONDS, Goal(1.0, 0.5), *figures)
        figures = _in_turn(seats, b'STATUS "Folder 7" (MESSAGES UIDNEXT UNSEEN)')
        yield Result("1,000 mailboxes: STATUS of one", Unit.MILLISECONDS, Goal(2.0, 1.0), *figures)
        yield _delay("1,000 mailboxes: delay of the event loop", delays)


def _make_mailboxes(target: Target) -> None:
    client = target.log_in()
    for number in range(MAILBOXES):
        client.command(b'CREATE "Folder %d"' % number)
        message = (_MESSAGE % (number, number)).replace(b"\n", b"\r\n")
        part = b" {%d+}\r\n%s" % (len(message), message)
        client.command(b'APPEND "Folder %d"%s' % (number, part * _MESSAGES))
        progress(f"making mailboxes at Dovecot: {number + 1} of {MAILBOXES}", is_last=number + 1 == MAILBOXES)
    client.close()


def _in_turn(clients: tuple[BenchClient, BenchClient], command: bytes) -> tuple[float, float]:
    """Return the medians of both in milliseconds."""
    figures: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS + 1):
        for client, taken in zip(clients, figures, strict=True):
            start = time.perf_counter()
            client.command(command)
            if number:
                taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(figures[0]), statistics.median(figures[1])


# -- accounts ---------------------------------------------------------------------------------------------------------


def _accounts() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="imap-gateway-bench-") as name:
        folder = Path(name)
        users = ""
        # One hash for all: to make a thousand of them would take longer than all the rest.
        password = f'password_hash = "{hash_password(PASSWORD)}"'
        for number in range(ACCOUNTS):
            _fill(folder / f"mail{number}")
            account = f'connector = "maildir"\nsettings = {{ path = "{folder}/mail{number}" }}\n'
            users += declared(account, f"user{number}", password)
        with _gateway(folder, "") as before:
            wait_until_idle(before.pid)
            empty_kb = memory_kb(before.target)
        with _gateway(folder, users) as fresh:
            delays = _delays(fresh)
            last = _as_user(fresh.target, ACCOUNTS - 1)
            last.command(b"SELECT INBOX")
            first_ms = (time.perf_counter() - fresh.started) * 1000
            yield _absolute("1,000 accounts: SELECT after the start", Goal(5000, 2000, is_absolute=True), first_ms)
            last.close()
            wait_until_idle(fresh.pid, ACCOUNTS // 20)
            kilobytes = (memory_kb(fresh.target) - empty_kb) / ACCOUNTS
            yield _absolute("1,000 accounts: memory of one", Goal(100, 50, is_absolute=True), kilobytes, Unit.KILOBYTES)
            start, cpu = time.perf_counter(), _cpu_s(fresh.pid)
            time.sleep(_IDLE_S)
            share = (_cpu_s(fresh.pid) - cpu) / (time.perf_counter() - start) * 1000
            yield _absolute("1,000 accounts: CPU of a second", Goal(100, 30, is_absolute=True), share)
            yield _absolute(
                "1,000 accounts: LOGIN and SELECT", Goal(200, 50, is_absolute=True), _log_in_ms(fresh.target)
            )
            yield _delay("1,000 accounts: delay of the event loop", delays)


def _log_in_ms(target: Target) -> float:
    """Return the median of a login and the SELECT after it, for users none of whom was here before."""
    times: list[float] = []
    for number in range(0, ACCOUNTS, ACCOUNTS // 20):
        start = time.perf_counter()
        client = _as_user(target, number)
        client.command(b"SELECT INBOX")
        times.append((time.perf_counter() - start) * 1000)
        client.close()
    return statistics.median(times)


def _as_user(target: Target, number: int) -> BenchClient:
    client = BenchClient(target.port)
    client.command(f"LOGIN user{number} {target.password}".encode())
    return client


# -- connections ------------------------------------------------------------------------------------------------------


def _connections() -> Iterator[Result]:
    allow_files(IDLERS * _FILES_PER_CONNECTION + _SPARE_FILES)
    with tempfile.TemporaryDirectory(prefix="imap-gateway-bench-") as name:
        folder = Path(name)
        _fill(folder / "maildir")
        account = f'connector = "maildir"\nsettings = {{ path = "{folder}/maildir" }}\n'
        with _gateway(folder, declared(account)) as fresh, ExitStack() as stack:
            delays = _delays(fresh)
            stack.callback(_idler(fresh.target).close)
            wait_until_idle(fresh.pid)
            before_kb = memory_kb(fresh.target)
            idlers: list[BenchClient] = []
            for number in range(IDLERS):
                idlers.append(_idler(fresh.target))
                stack.callback(idlers[-1].close)
                progress(f"connecting: {number + 1} of {IDLERS}", is_last=number + 1 == IDLERS)
            wait_until_idle(fresh.pid)
            kilobytes = (memory_kb(fresh.target) - before_kb) / IDLERS
            goal = Goal(20, 8, is_absolute=True)
            yield _absolute("5,000 idle: memory of a connection", goal, kilobytes, Unit.KILOBYTES)
            start = time.perf_counter()
            client = fresh.target.log_in()
            client.command(b"SELECT INBOX")
            first_ms = (time.perf_counter() - start) * 1000
            yield _absolute("5,000 idle: LOGIN and SELECT of one more", Goal(200, 50, is_absolute=True), first_ms)
            message = _MESSAGE.replace(b"\n", b"\r\n") % (0, 0)
            start = time.perf_counter()
            client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(message), message))
            for idler in idlers:
                idler.wait_for(b" EXISTS")
            told_ms = (time.perf_counter() - start) * 1000
            yield _absolute("5,000 idle: APPEND until all have EXISTS", Goal(1000, 300, is_absolute=True), told_ms)
            client.close()
            yield _delay("5,000 idle: delay of the event loop", delays)


def _idler(target: Target) -> BenchClient:
    client = target.log_in()
    client.command(b"SELECT INBOX")
    client.send(b"IDLE")
    client.wait_for(b"+ ")
    return client


def allow_files(count: int) -> None:
    """Let this process and its children open so many files.

    Raises:
        RuntimeError: the system does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise RuntimeError(f"{count} open files are needed, and {hard} allowed (ulimit -n)")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


# -- common -----------------------------------------------------------------------------------------------------------


@contextmanager
def _gateway(folder: Path, users: str) -> Iterator[FreshGateway]:
    """Run a gateway with its own files in a folder of their own below `folder`."""
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="gateway-") as own,
        running_gateway(Path(own), users, prefetch="none") as fresh,
    ):
        yield fresh


def _fill(maildir: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    for number in range(_MESSAGES):
        deliver(maildir, number + 1, (_MESSAGE % (number, number)).replace(b"\n", b"\r\n"), "", 1_790_000_000.0)


def _delays(fresh: FreshGateway) -> LoopDelays:
    assert fresh.target.metrics_port is not None
    return LoopDelays(fresh.target.metrics_port)


def _absolute(name: str, goal: Goal, figure: float, unit: Unit = Unit.MILLISECONDS) -> Result:
    return Result(name, unit, goal, None, figure)


def _delay(name: str, delays: LoopDelays) -> Result:
    return _absolute(name, DELAY_GOAL, delays.worst_ms())


def _cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


_RUNS: tuple[tuple[str, Callable[[], Iterator[Result]]], ...] = (
    ("1,000 mailboxes", _mailboxes),
    ("1,000 accounts", _accounts),
    ("5,000 idle", _connections),
)
