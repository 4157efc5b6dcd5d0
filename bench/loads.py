"""What takes more than one connection: many clients at once, idle ones, and one that is slowed down by another."""

from __future__ import annotations

import contextlib
import random
import selectors
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.client import BenchClient
from bench.targets import Target

_SETTLE_S = 1.0
_OPERATIONS = 40
"""How many commands each of the mixed clients sends."""

_MIX = (
    (b"NOOP", 3),
    (b"FETCH %d (UID FLAGS)", 4),
    (b"FETCH %d (ENVELOPE BODYSTRUCTURE)", 4),
    (b"FETCH %d (BODY.PEEK[])", 3),
    (b"STORE %d +FLAGS.SILENT (\\Seen)", 1),
    (b"SEARCH UNSEEN", 1),
    (b"STATUS INBOX (MESSAGES UNSEEN)", 2),
)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long commands took, in milliseconds: the wall time over all of them, and the longest but one in a hundred."""

    mean_ms: float
    p99_ms: float


def logins(target: Target, count: int) -> float:
    """Log in and out on `count` connections at once; return milliseconds per login."""
    errors: list[Exception] = []

    def cycle() -> None:
        try:
            client = target.log_in()
            client.command(b"LOGOUT")
            client.close()
        except (OSError, RuntimeError) as error:
            errors.append(error)

    threads = [threading.Thread(target=cycle) for _ in range(count)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - start
    if errors:
        raise RuntimeError(f"{len(errors)} of {count} logins: {errors[0]}")
    return elapsed_s * 1000 / count


def noop_beside(target: Target, command: bytes) -> float:
    """Return the median of a NOOP, in milliseconds, while another client runs a long command."""
    busy, idle = target.log_in(), target.log_in()
    for client in (busy, idle):
        client.command(b"SELECT INBOX")
    failed: list[Exception] = []

    def run() -> None:
        try:
            busy.command(command)
        except (OSError, RuntimeError) as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    times: list[float] = []
    thread.start()
    while thread.is_alive() or not times:
        start = time.perf_counter()
        idle.command(b"NOOP")
        times.append((time.perf_counter() - start) * 1000)
    thread.join()
    busy.close()
    idle.close()
    if failed:
        raise failed[0]
    return statistics.median(times)


def mixed(target: Target, count: int) -> Latency:
    """Let `count` clients send commands of many kinds, each as soon as its last is answered."""
    chance = random.Random(count)
    kinds = [command for command, share in _MIX for _ in range(share)]
    with contextlib.ExitStack() as stack:
        clients = stack.enter_context(_clients(target, count))
        watch = stack.enter_context(selectors.DefaultSelector())
        started: dict[int, float] = {}
        left = dict.fromkeys(range(count), _OPERATIONS)
        times: list[float] = []

        def send(place: int) -> None:
            kind = chance.choice(kinds)
            clients[place].send(kind % chance.randint(1, 1000) if b"%d" in kind else kind)
            started[place] = time.perf_counter()

        tails = [b""] * count
        begin = time.perf_counter()
        for place, client in enumerate(clients):
            watch.register(client.socket, selectors.EVENT_READ, place)
            send(place)
        while left:
            for key, _ in watch.select():
                place = key.data
                block = clients[place].socket.recv(1 << 18)
                if not block:
                    raise RuntimeError("a connection was closed")
                tails[place] = (tails[place] + block)[-4096:]
                if not clients[place].is_answered(tails[place]):
                    continue
                tails[place] = b""
                times.append((time.perf_counter() - started[place]) * 1000)
                left[place] -= 1
                if left[place]:
                    send(place)
                else:
                    del left[place]
        elapsed_ms = (time.perf_counter() - begin) * 1000
    return Latency(elapsed_ms / len(times), statistics.quantiles(times, n=100)[-1])


def memory_of_idlers(target: Target, *, over_tls: bool = False) -> float:
    """Return the kilobytes that one logged-in connection in IDLE adds to all processes of the server."""
    count = target.idlers
    with _clients(target, 1, over_tls=over_tls):
        before = memory_kb(target)
        with _clients(target, count, over_tls=over_tls) as clients:
            for client in clients:
                client.send(b"IDLE")
                client.wait_for(b"+ ")
            time.sleep(_SETTLE_S)
            after = memory_kb(target)
    return (after - before) / count


def announcement(target: Target, count: int) -> float:
    """Return the milliseconds from an APPEND until `count` clients in IDLE have been told of the message."""
    with _clients(target, count) as clients, selectors.DefaultSelector() as watch:
        for place, client in enumerate(clients):
            client.send(b"IDLE")
            client.wait_for(b"+ ")
            watch.register(client.socket, selectors.EVENT_READ, place)
        writer = target.log_in()
        message = b"Subject: news\r\n\r\nText\r\n"
        heard = [b""] * count
        waiting = set(range(count))
        start = time.perf_counter()
        writer.command(b"APPEND INBOX {%d+}\r\n%s" % (len(message), message))
        while waiting:
            for key, _ in watch.select():
                heard[key.data] += clients[key.data].socket.recv(1 << 16)
                if b" EXISTS\r\n" in heard[key.data]:
                    waiting.discard(key.data)
        elapsed_ms = (time.perf_counter() - start) * 1000
        writer.command(b"SELECT INBOX")
        # The mailbox is to be as it was.
        writer.command(b"STORE * +FLAGS.SILENT (\\Deleted)")
        writer.command(b"EXPUNGE")
        writer.close()
    return elapsed_ms


@contextlib.contextmanager
def _clients(target: Target, count: int, *, over_tls: bool = False) -> Iterator[list[BenchClient]]:
    """Log in `count` clients, each with INBOX selected; hang up at the end."""
    clients: list[BenchClient] = []
    try:
        for _ in range(count):
            clients.append(target.log_in(over_tls=over_tls))
            clients[-1].command(b"SELECT INBOX")
        yield clients
    finally:
        for client in clients:
            client.close()


def memory_kb(target: Target) -> float:
    """Return the proportional set size of the server's processes, in kilobytes."""
    return sum(_pss_kb(pid) for pid in _family(target))


def _family(target: Target) -> set[int]:
    """Return the processes whose command line names the target's directory, and their descendants."""
    parents: dict[int, int] = {}
    family: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str(target.directory) in (entry / "cmdline").read_text(errors="replace"):
                    family.add(int(entry.name))
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _pss_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
