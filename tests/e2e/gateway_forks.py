"""Starts gateways from a process that has imported everything: in a tenth of a second instead of most of one.

`GatewayForks` is that process, as the tests see it: it runs this module, and forks once for each gateway. What runs in
the fork is the command line of the gateway, from its first argument on; so a fork is as a new process is, but for the
import. Gateways that are started as their users do it are in `tests/gateway/cli` and in `tests.e2e.test_demo`.

One line of JSON asks, one answers: `{"arguments": [...], "log": path}` to start, `{"pid": 1}` for how that one ended.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from gateway.__main__ import main as run_gateway

_REPOSITORY = Path(__file__).resolve().parents[2]
_LOOK_S = 0.005
_LATE = (
    *(f"connectors.{name}.connector" for name in ("imap", "jmap", "gmail", "graph", "maildir")),
    *("alembic.command", "alembic.config", "anyio._backends._asyncio", "importlib.readers", "encodings.idna", "uvloop"),
)
"""What the gateway imports when it first needs it."""


class GatewayFork:
    """One process of the gateway, with what is used here of `subprocess.Popen`."""

    def __init__(self, forks: GatewayForks, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._forks = forks

    def poll(self) -> int | None:
        """Return the status, negative for a signal, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._forks.status(self.pid)
        return self.returncode

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the end and return the status.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired("gateway", timeout_s or 0.0)
            time.sleep(_LOOK_S)
        return status

    def send_signal(self, number: int) -> None:
        # Its number is nobody else's before its status was asked for.
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class GatewayForks:
    """The process that has imported everything; it ends, and its gateways with it, when this one does."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=_REPOSITORY,
                stdin=theirs.fileno(),
                env={name: value for name, value in os.environ.items() if not name.startswith("IMAP_GATEWAY_")},
            )
        self._socket = ours
        self._lines = ours.makefile("rb")
        self._lock = threading.Lock()

    def start(self, arguments: list[str], log: Path) -> GatewayFork:
        """Start a gateway with the arguments of its command line; what it prints is appended to `log`."""
        pid = self._ask({"arguments": arguments, "log": str(log)})
        assert pid is not None
        return GatewayFork(self, pid)

    def status(self, pid: int) -> int | None:
        return self._ask({"pid": pid})

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
        self._process.wait()

    def _ask(self, request: dict[str, object]) -> int | None:
        with self._lock:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer: int | None = json.loads(self._lines.readline())
            return answer


@functools.cache
def gateway_forks() -> GatewayForks:
    """Return the one of this test process."""
    forks = GatewayForks()
    atexit.register(forks.close)
    return forks


# -- in the other process ----------------------------------------------------------------------------------------------


def main() -> None:
    """Serve the socket that is standard input."""
    for name in _LATE:
        importlib.import_module(name)
    # What is never looked at again stays shared between the forks.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as peer, peer.makefile("rb") as lines:
        is_fork = _serve(peer, lines)
    if is_fork:
        run_gateway()


def _serve(peer: socket.socket, lines: IO[bytes]) -> bool:
    """Start gateways until nobody asks for them any more; returns whether this is one of them."""
    running: set[int] = set()
    for line in lines:
        request = json.loads(line)
        if "pid" in request:
            answer = _status_of(request["pid"])
            if answer is not None:
                running.discard(request["pid"])
        else:
            assert threading.active_count() == 1, "a fork has this thread only"
            answer = os.fork()
            if not answer:
                _become(request["arguments"], request["log"])
                return True
            running.add(answer)
        peer.sendall(json.dumps(answer).encode() + b"\n")
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return False


def _status_of(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(arguments: list[str], log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    os.close(output)
    os.close(nothing)
    sys.argv = ["imap-gateway", *arguments]


if __name__ == "__main__":
    main()
