"""aioimaplib, driven from synchronous tests by an event loop of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from aioimaplib import aioimaplib

from tests.e2e.clients.mail_client import IdlingMailClient, without_recent
from tests.e2e.clients.names import listed, quoted
from tests.e2e.endpoint import Endpoint

T = TypeVar("T")

_UID = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_EXISTS = re.compile(rb"(\d+) EXISTS$")
_COMMAND_S = 30


class AioimaplibClient(IdlingMailClient):
    """Drives aioimaplib; `imap` is its connection and `run` its event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._runner = asyncio.Runner()
        self.imap: Any = None
        try:
            self.run(self._open(endpoint))
        except BaseException:
            self._runner.close()
            raise

    async def _open(self, endpoint: Endpoint) -> None:
        self.imap = aioimaplib.IMAP4(endpoint.host, endpoint.port, timeout=_COMMAND_S)
        await self.imap.wait_hello_from_server()
        _ok(await self.imap.login(endpoint.login, endpoint.password))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        try:
            self.run(self._end())
        finally:
            self._runner.close()

    async def _end(self) -> None:
        # After LOGOUT it leaves the transport as it is.
        transport = self.imap.protocol.transport
        try:
            await self.imap.logout()
        finally:
            transport.close()
            await asyncio.sleep(0)

    def mailboxes(self) -> set[str]:
        lines = _ok(self.run(self.imap.list('""', "*")))
        return {listed(line) for line in lines[:-1]}

    def create(self, name: str) -> None:
        _ok(self.run(self.imap.create(quoted(name))))

    def rename(self, name: str, new_name: str) -> None:
        _ok(self.run(self.imap.rename(quoted(name), quoted(new_name))))

    def remove(self, name: str) -> None:
        _ok(self.run(self.imap.delete(quoted(name))))

    def messages(self, mailbox: str) -> dict[int, bytes]:
        self._select(mailbox)
        lines = _ok(self.run(self.imap.uid("fetch", "1:*", "(UID BODY.PEEK[])")))
        found: dict[int, bytes] = {}
        for before, line in pairwise(lines):
            if isinstance(line, bytearray):
                found[_uid(before)] = bytes(line)
        return found

    def flags(self, mailbox: str) -> dict[int, frozenset[str]]:
        self._select(mailbox)
        found: dict[int, frozenset[str]] = {}
        for line in _ok(self.run(self.imap.uid("fetch", "1:*", "(FLAGS)")))[:-1]:
            flags = _FLAGS.search(line)
            assert flags, f"no FLAGS in {line!r}"
            found[_uid(line)] = without_recent(flags[1].decode().split())
        return found

    def search_subject(self, mailbox: str, text: str) -> list[int]:
        self._select(mailbox)
        lines = _ok(self.run(self.imap.uid_search(f'SUBJECT "{text}"')))
        return [int(uid) for uid in lines[0].split()]

    def append(self, mailbox: str, content: bytes, flags: Sequence[str] = ()) -> None:
        _ok(self.run(self.imap.append(content, mailbox=quoted(mailbox), flags=f"({' '.join(flags)})")))

    def add_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self._select(mailbox)
        _ok(self.run(self.imap.uid("store", str(uid), f"+FLAGS ({' '.join(flags)})")))

    def remove_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self._select(mailbox)
        _ok(self.run(self.imap.uid("store", str(uid), f"-FLAGS ({' '.join(flags)})")))

    def copy(self, mailbox: str, uid: int, destination: str) -> None:
        self._select(mailbox)
        _ok(self.run(self.imap.uid("copy", str(uid), quoted(destination))))

    def move(self, mailbox: str, uid: int, destination: str) -> None:
        self._select(mailbox)
        _ok(self.run(self.imap.uid("move", str(uid), quoted(destination))))

    def delete(self, mailbox: str, uid: int) -> None:
        self.add_flags(mailbox, uid, "\\Deleted")
        _ok(self.run(self.imap.expunge()))

    def count_after(self, mailbox: str, cause: Callable[[], object], *, within_s: float) -> int:
        self._select(mailbox)
        # Between the two the loop stands still, so that the cause may run a client like this one.
        idle = self.run(self.imap.idle_start(timeout=60))
        cause()
        return self.run(self._announced(idle, within_s))

    async def _announced(self, idle: asyncio.Future[Any], within_s: float) -> int:
        counts: list[int] = []
        async with asyncio.timeout(within_s):
            while not counts:
                for line in await self.imap.wait_server_push():
                    found = _EXISTS.fullmatch(line)
                    if found:
                        counts.append(int(found[1]))
        self.imap.idle_done()
        await asyncio.wait_for(idle, _COMMAND_S)
        return counts[-1]

    def _select(self, mailbox: str) -> None:
        _ok(self.run(self.imap.select(quoted(mailbox))))


def _ok(answer: Any) -> list[Any]:
    assert answer.result == "OK", answer
    lines: list[Any] = answer.lines
    return lines


def _uid(line: bytes) -> int:
    found = _UID.search(line)
    assert found, f"no UID in {line!r}"
    return int(found[1])
