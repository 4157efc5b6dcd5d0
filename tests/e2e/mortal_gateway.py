"""A gateway that can be told to die at a commit of its store: before it, or behind it and before anybody learns of it.

Nothing in the product knows of this. The launcher below, which is run in place of `gateway`, gives the store
connections of a class of its own, and reads from a file at which commit the process is to kill itself:

    python -m tests.e2e.mortal_gateway DEATH serve --config FILE        DEATH holds for example "before 3"
"""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.gateway_process import AnyAccount, GatewayProcess
from tests.e2e.waiting import eventually

_REPOSITORY = Path(__file__).resolve().parents[2]
_END_S = 60.0


@dataclass(frozen=True, slots=True)
class Death:
    """At which commit, counted from 1 when it is asked for, and on which side of it."""

    commit: int
    is_after: bool

    def __str__(self) -> str:
        return f"{'after' if self.is_after else 'before'} commit {self.commit}"


class MortalGateway(GatewayProcess):
    """A gateway process that dies when it is told to."""

    def __init__(self, directory: Path, accounts: Sequence[AnyAccount], *, prefetch: str = "headers") -> None:
        super().__init__(directory, accounts, prefetch=prefetch)
        self._death = directory / "death"
        self._mortal: subprocess.Popen[bytes] | None = None

    def start(self, death: Death | None = None) -> None:
        """Start the process; with a death it may have died before it greets anybody.

        Raises:
            GatewayFailed: without one, it did not greet in time.
        """
        self._death.unlink(missing_ok=True)
        if death is not None:
            self.doom(death)
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(self._death), "serve", "--config", str(self._config)],
                cwd=_REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._mortal = process
        self._process = process  # type: ignore[assignment]  # it has all that is asked of a fork
        if death is None:
            eventually(self._greets, within_s=_END_S)

    def doom(self, death: Death) -> None:
        """Let the process die at a commit that is still to come."""
        ready = self._death.with_suffix(".new")
        ready.write_text(f"{'after' if death.is_after else 'before'} {death.commit}")
        ready.rename(self._death)

    def is_dead(self) -> bool:
        return self._mortal is not None and self._mortal.poll() is not None

    def bury(self) -> None:
        """See that the process has killed itself, or kill it if it did not come to that."""
        if not self.is_dead():
            self.kill()
            return
        assert self._mortal is not None
        assert self._mortal.returncode == -signal.SIGKILL, self.log
        self._process = None


# -- in the other process ----------------------------------------------------------------------------------------------


class MortalConnection(sqlite3.Connection):
    """Counts the commits of transactions that may write, and kills the process at the one that was asked for."""

    death = Path()
    commits = 0
    _is_writing = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE":
            self._is_writing = True
        if sql != "COMMIT" or not self._is_writing:
            return super().execute(sql, *parameters)
        self._is_writing = False
        asked = self._asked()
        if asked == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = super().execute(sql, *parameters)
        if asked == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor

    def _asked(self) -> str | None:
        cls = type(self)
        try:
            side, commit = cls.death.read_text().split()
        except FileNotFoundError:
            return None
        cls.commits += 1
        return side if cls.commits == int(commit) else None


def main() -> None:
    MortalConnection.death = Path(sys.argv.pop(1))
    sqlite3.connect = functools.partial(sqlite3.connect, factory=MortalConnection)  # type: ignore[assignment]
    from gateway.__main__ import main as run_gateway

    run_gateway()


if __name__ == "__main__":
    main()
