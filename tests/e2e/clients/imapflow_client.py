"""imapflow, in a Node process that takes requests as lines of JSON."""

from __future__ import annotations

import json
import selectors
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.clients.mail_client import IdlingMailClient, without_recent
from tests.e2e.endpoint import Endpoint

_DRIVER = Path(__file__).with_name("imapflow.mjs")
_INSTALLED = _DRIVER.parents[1] / "node_modules" / "imapflow"
_ANSWER_S = 30.0


def missing_part() -> str | None:
    """Say what is missing for imapflow to run, or None."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not _INSTALLED.is_dir():
        return "imapflow is not installed; `make e2e-client` installs it"
    return None


class ImapflowError(AssertionError):
    """imapflow rejected, or the server refused."""


class ImapflowClient(IdlingMailClient):
    """Drives imapflow; `call` sends one request to the driver. `options` are those of imapflow's constructor."""

    def __init__(self, endpoint: Endpoint, **options: Any) -> None:
        self._process = subprocess.Popen(
            ["node", str(_DRIVER), endpoint.host, str(endpoint.port), endpoint.login],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._buffer = b""
        try:
            self.call("connect", endpoint.password, options)
        except BaseException:
            self._end()
            raise

    def call(self, name: str, *arguments: Any, within_s: float = _ANSWER_S) -> Any:
        """Send a request and return its value.

        Raises:
            ImapflowError: it failed.
            TimeoutError: no answer within `within_s` seconds.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": name, "args": arguments}).encode() + b"\n")
        answer = json.loads(self._line(within_s))
        if "error" in answer:
            raise ImapflowError(f"{name}: {answer['error']}")
        return answer.get("value")

    def close(self) -> None:
        try:
            self.call("close")
        finally:
            self._end()

    def mailboxes(self) -> set[str]:
        return set(self.call("mailboxes"))

    def create(self, name: str) -> None:
        self.call("create", name)

    def rename(self, name: str, new_name: str) -> None:
        self.call("rename", name, new_name)

    def remove(self, name: str) -> None:
        self.call("remove", name)

    def messages(self, mailbox: str) -> dict[int, bytes]:
        return {int(uid): b64decode(content) for uid, content in self.call("messages", mailbox).items()}

    def flags(self, mailbox: str) -> dict[int, frozenset[str]]:
        return {int(uid): without_recent(flags) for uid, flags in self.call("flags", mailbox).items()}

    def search_subject(self, mailbox: str, text: str) -> list[int]:
        return list(self.call("search", mailbox, text))

    def append(self, mailbox: str, content: bytes, flags: Sequence[str] = ()) -> None:
        self.call("append", mailbox, b64encode(content).decode(), list(flags))

    def add_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self.call("addFlags", mailbox, uid, flags)

    def remove_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self.call("removeFlags", mailbox, uid, flags)

    def copy(self, mailbox: str, uid: int, destination: str) -> None:
        self.call("copy", mailbox, uid, destination)

    def move(self, mailbox: str, uid: int, destination: str) -> None:
        self.call("move", mailbox, uid, destination)

    def delete(self, mailbox: str, uid: int) -> None:
        self.call("delete", mailbox, uid)

    def count_after(self, mailbox: str, cause: Callable[[], object], *, within_s: float) -> int:
        self.call("idle", mailbox)
        cause()
        return int(self.call("announced", within_s=within_s))

    def _line(self, within_s: float) -> bytes:
        stdout = self._process.stdout
        assert stdout
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(within_s):
                    raise TimeoutError(f"no answer from imapflow within {within_s} s")
                block = stdout.read(1 << 16)
                if not block:
                    raise ImapflowError(f"the driver ended with status {self._process.wait(5)}")
                self._buffer += block
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _end(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
