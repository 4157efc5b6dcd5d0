"""`make bench`: time the gateway in front of a Dovecot against that Dovecot itself.

Both serve the same mail to the same client in the same run; the servers take turns, so that whatever else the machine
does falls on both. Everything is done once untimed before. Reported is the median of the rounds, in milliseconds, and
the ratio: below 1 the gateway is faster than the server it stands before.

What to keep in mind: writes go through the gateway to Dovecot, so their ratio cannot be below 1; Dovecot runs with
mail_fsync=never, the gateway's store does not.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.client import BenchClient
from bench.scenarios import SCENARIOS
from tests.corpus.generate import messages
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot

_SEED = 20261120
_START_S = 60.0
_WARM_S = 300.0
_IDLE_TICKS = 3
_GATEWAY_PASSWORD = "bench"


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description="Time the gateway against the Dovecot behind it.")
    parser.add_argument("--messages", type=int, default=2000, help="messages in INBOX (default 2000, at least 500)")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds per scenario (default 7)")
    options = parser.parse_args()
    with running_dovecot() as dovecot:
        user = dovecot.fresh_user()
        _fill(dovecot, user, options.messages)
        with _running_gateway(dovecot, user) as port:
            _report(options.rounds, options.messages, (dovecot.port, user, PASSWORD), (port, user, _GATEWAY_PASSWORD))


def _fill(dovecot: Dovecot, user: str, count: int) -> None:
    client = _logged_in(dovecot.port, user, PASSWORD)
    for number, message in enumerate(messages(count, _SEED), 1):
        flags = " ".join(sorted(message.flags - {"\\Deleted"}))
        date = message.internal_date.strftime("%d-%b-%Y %H:%M:%S %z")
        head = f'APPEND INBOX ({flags}) "{date}" {{{len(message.data)}+}}\r\n'
        client.command(head.encode() + message.data)
        _progress(f"filling Dovecot: {number} of {count}", is_last=number == count)
    client.close()


def _progress(text: str, *, is_last: bool) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if is_last else ""))
    elif is_last:
        sys.stderr.write(f"{text}\n")


@contextmanager
def _running_gateway(dovecot: Dovecot, user: str) -> Iterator[int]:
    """Run a gateway with one account at the Dovecot, and yield its port."""
    with tempfile.TemporaryDirectory(prefix="imap-gateway-bench-") as folder:
        (Path(folder) / "user").write_text(_GATEWAY_PASSWORD, encoding="ascii")
        (Path(folder) / "account").write_text(PASSWORD, encoding="ascii")
        config = Path(folder) / "gateway.toml"
        config.write_text(_configuration(Path(folder), dovecot, user), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--config", str(config)], stderr=subprocess.PIPE, text=True
        )
        try:
            port = _port_of(process)
            _wait_until_idle(process.pid)
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=_START_S)


def _configuration(folder: Path, dovecot: Dovecot, user: str) -> str:
    return f"""
[store]
url = "sqlite:///{folder}/gateway.db"
[cache]
directory = "{folder}/cache"
[[listeners]]
protocol = "imap"
bind = "127.0.0.1:0"
[sync]
prefetch = "bodies"
[log]
format = "json"
[[users]]
login = "{user}"
password_file = "{folder}/user"
[[accounts]]
name = "bench"
user = "{user}"
connector = "imap"
settings = {{ host = "127.0.0.1", port = {dovecot.port}, tls = "none" }}
credentials = {{ username = "{user}", password_file = "{folder}/account" }}
"""


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if '"listening"' in line:
            return int(line.partition('"port": ')[2].partition(",")[0].rstrip("}\n"))
    raise RuntimeError("the gateway did not start: " + "".join(lines))


def _wait_until_idle(pid: int) -> None:
    """Wait until the gateway has read what it wants to have read: until it uses next to no CPU for a second."""
    deadline = time.monotonic() + _WARM_S
    before = -_IDLE_TICKS - 1
    while time.monotonic() < deadline:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        if ticks - before <= _IDLE_TICKS:
            return
        before = ticks
        time.sleep(1.0)
    raise RuntimeError(f"the gateway was still busy after {_WARM_S:g} s")


def _logged_in(port: int, user: str, password: str) -> BenchClient:
    client = BenchClient(port)
    client.command(f"LOGIN {user} {password}".encode())
    return client


def _report(rounds: int, count: int, *servers: tuple[int, str, str]) -> None:
    clients = [_logged_in(*server) for server in servers]
    for client in clients:
        client.command(b"SELECT INBOX")
    print(f"{count} messages, median of {rounds} rounds, milliseconds per operation\n")
    print(f"{'scenario':42} {'Dovecot':>10} {'gateway':>10} {'ratio':>7}")
    _print_row("LOGIN and LOGOUT", _timed(rounds, [partial(_log_in_and_out, *server) for server in servers]), 1)
    for scenario in SCENARIOS:
        runs = [partial(scenario.run, client) for client in clients]
        _print_row(scenario.name, _timed(rounds, runs), scenario.operations)
    for client in clients:
        client.close()


def _log_in_and_out(port: int, user: str, password: str) -> None:
    client = _logged_in(port, user, password)
    client.command(b"LOGOUT")
    client.close()


def _timed(rounds: int, runs: Sequence[Callable[[], None]]) -> list[float]:
    """Return the median time of each run in milliseconds; they take turns, and each goes once untimed first."""
    times: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for place, run in enumerate(runs):
            start = time.perf_counter()
            run()
            if number > 0:
                times[place].append((time.perf_counter() - start) * 1000)
    return [statistics.median(measured) for measured in times]


def _print_row(name: str, medians: list[float], operations: int) -> None:
    reference, ours = (median / operations for median in medians)
    print(f"{name:42} {reference:10.3f} {ours:10.3f} {ours / reference:7.2f}", flush=True)


if __name__ == "__main__":
    main()
