"""Servers that a test may stop and start again on the same port, with the same mail."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from tests.e2e.waiting import eventually
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot

_WAIT_S = 20.0


class Outage(ABC):
    """The time between the end of a server and its next start."""

    @abstractmethod
    def begin(self) -> None:
        """Stop the server; returns when nothing listens on its port any more and every session has ended."""

    @abstractmethod
    def end(self) -> None:
        """Start it again; returns when it answers."""

    @abstractmethod
    def close(self) -> None:
        """Stop what `end` has started."""


class CyrusOutage(Outage):
    """Of the server that the fixture of `tests.servers.cyrus` started."""

    def __init__(self, server: Cyrus) -> None:
        self._server = server

    def begin(self) -> None:
        self._server.stop()

    def end(self) -> None:
        self._server.start()

    def close(self) -> None:
        self._server.stop()


class DovecotOutage(Outage):
    """Ends the server that the fixture of `tests.servers.dovecot` started, and starts another from its files."""

    def __init__(self, server: Dovecot) -> None:
        self._server = server
        self._config = server.log.with_name("dovecot.conf")
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        master = int((self._config.parent / "run" / "master.pid").read_text())
        # Left alone, the processes of sessions would go on after the end of their master.
        children = _children(master)
        os.kill(master, signal.SIGTERM)
        if self._process:
            self._process.wait(_WAIT_S)
            self._process = None
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        eventually(lambda: not self._answers() and not self._has_sessions(), within_s=_WAIT_S)

    def end(self) -> None:
        self._process = subprocess.Popen(
            [_program("dovecot"), "-c", str(self._config), "-F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._answers, within_s=_WAIT_S)

    def close(self) -> None:
        if self._process:
            self.begin()

    def _has_sessions(self) -> bool:
        """Tell whether a process of the server still holds a connection."""
        established, port = "01", f":{self._server.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(row[1].endswith(port) and row[3] == established for row in rows)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self._server.host, self._server.port), 1) as sock:
                sock.settimeout(5)
                return sock.recv(4) == b"* OK"
        except OSError:
            return False


def _children(parent: int) -> list[int]:
    listing = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in listing.split()]


def _program(name: str) -> str:
    path = shutil.which(name) or f"/usr/sbin/{name}"
    assert Path(path).exists(), f"{name} comes with Dovecot"
    return path
