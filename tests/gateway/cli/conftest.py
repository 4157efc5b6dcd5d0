"""The command line, run in this process on a configuration in a temporary folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from gateway.auth import passwords
from gateway.cli import users
from gateway.cli.main import run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind: its exit status, and the lines of both outputs."""

    status: int
    out: list[str]
    err: list[str]


class CommandLine:
    """Runs commands; `--config` is added by `with_config`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.config = folder / "gateway.toml"
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.write("")

    def write(self, sections: str) -> None:
        """Write the configuration: store and cache in the folder, one listener, and `sections`."""
        self.config.write_text(
            f'[store]\nurl = "sqlite:///{self.folder}/gateway.db"\n[cache]\ndirectory = "{self.folder}/cache"\n'
            f'[[listeners]]\nprotocol = "imap"\nbind = "127.0.0.1:0"\n{sections}',
            encoding="utf-8",
        )

    def run(self, *words: str, stdin: str = "") -> Outcome:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = run(words)
        captured = self._capsys.readouterr()
        return Outcome(status, captured.out.splitlines(), captured.err.splitlines())

    def with_config(self, *words: str, stdin: str = "") -> Outcome:
        return self.run(*words, "--config", str(self.config), stdin=stdin)


@pytest.fixture
def command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("IMAP_GATEWAY_CONFIG", raising=False)
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(users, "hash_password", lambda password: passwords.hash_password(password, hasher))
    return CommandLine(tmp_path, capsys, monkeypatch)


# -- processes ---------------------------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 30.0

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def start_process(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *words],
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        processes.append(process)
        return process

    yield start_process
    for process in processes:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Return what the process says up to the line that holds `text`; pytest's time-out bounds the wait."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended without saying {text!r}: {lines}")
