"""Python's own imaplib."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.e2e.clients.mail_client import IdlingMailClient, without_recent
from tests.e2e.clients.names import listed, quoted
from tests.e2e.endpoint import Endpoint

_UID = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")


class ImaplibClient(IdlingMailClient):
    """Drives imaplib; `imap` is its connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.imap = imaplib.IMAP4(endpoint.host, endpoint.port, timeout=30)
        try:
            self.imap.login(endpoint.login, endpoint.password)
        except BaseException:
            self.imap.shutdown()
            raise

    def close(self) -> None:
        try:
            self.imap.logout()
        except BaseException:
            self.imap.shutdown()
            raise

    def mailboxes(self) -> set[str]:
        lines = self._ok(self.imap.list())
        return {listed(line) for line in lines}

    def create(self, name: str) -> None:
        self._ok(self.imap.create(quoted(name)))

    def rename(self, name: str, new_name: str) -> None:
        self._ok(self.imap.rename(quoted(name), quoted(new_name)))

    def remove(self, name: str) -> None:
        self._ok(self.imap.delete(quoted(name)))

    def messages(self, mailbox: str) -> dict[int, bytes]:
        self._select(mailbox)
        found: dict[int, bytes] = {}
        for item in self._ok(self.imap.uid("FETCH", "1:*", "(UID BODY.PEEK[])")):
            if isinstance(item, tuple):
                found[_uid(item[0])] = item[1]
        return found

    def flags(self, mailbox: str) -> dict[int, frozenset[str]]:
        self._select(mailbox)
        found: dict[int, frozenset[str]] = {}
        for line in self._ok(self.imap.uid("FETCH", "1:*", "(FLAGS)")):
            if isinstance(line, bytes):
                flags = _FLAGS.search(line)
                assert flags, f"no FLAGS in {line!r}"
                found[_uid(line)] = without_recent(flags[1].decode().split())
        return found

    def search_subject(self, mailbox: str, text: str) -> list[int]:
        self._select(mailbox)
        (line,) = self._ok(self.imap.uid("SEARCH", "SUBJECT", f'"{text}"'))
        return [int(uid) for uid in line.split()]

    def append(self, mailbox: str, content: bytes, flags: Sequence[str] = ()) -> None:
        self._ok(self.imap.append(quoted(mailbox), f"({' '.join(flags)})", "", content))

    def add_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self._select(mailbox)
        self._ok(self.imap.uid("STORE", str(uid), "+FLAGS", f"({' '.join(flags)})"))

    def remove_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self._select(mailbox)
        self._ok(self.imap.uid("STORE", str(uid), "-FLAGS", f"({' '.join(flags)})"))

    def copy(self, mailbox: str, uid: int, destination: str) -> None:
        self._select(mailbox)
        self._ok(self.imap.uid("COPY", str(uid), quoted(destination)))

    def move(self, mailbox: str, uid: int, destination: str) -> None:
        self._select(mailbox)
        self._ok(self.imap.uid("MOVE", str(uid), quoted(destination)))

    def delete(self, mailbox: str, uid: int) -> None:
        self.add_flags(mailbox, uid, "\\Deleted")
        self._ok(self.imap.expunge())

    def count_after(self, mailbox: str, cause: Callable[[], object], *, within_s: float) -> int:
        """imaplib knows no IDLE before Python 3.14: the command is sent and read with its own `send` and `readline`."""
        self._select(mailbox)
        self.imap.send(b"idle1 IDLE\r\n")
        while not (line := self.imap.readline()).startswith(b"+"):
            assert line.startswith(b"* "), line
        cause()
        self.imap.socket().settimeout(within_s)
        while not (found := re.fullmatch(rb"\* (\d+) EXISTS\r\n", line)):
            line = self.imap.readline()
        self.imap.socket().settimeout(30)
        self.imap.send(b"DONE\r\n")
        while not line.startswith(b"idle1 "):
            line = self.imap.readline()
        assert line.startswith(b"idle1 OK"), line
        return int(found[1])

    def _select(self, mailbox: str) -> None:
        self._ok(self.imap.select(quoted(mailbox)))

    def _ok(self, answer: tuple[str, list[Any]]) -> list[Any]:
        status, data = answer
        assert status == "OK", answer
        return data


def _uid(line: bytes) -> int:
    found = _UID.search(line)
    assert found, f"no UID in {line!r}"
    return int(found[1])
