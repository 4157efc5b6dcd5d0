"""An account at a real Dovecot, for the conformance suite; imaplib acts on it from outside."""

from __future__ import annotations

import imaplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.imap import SPEC
from gateway.wire import mutf7
from tests.conformance.rig import Ability, Path, Rig
from tests.servers.dovecot import PASSWORD, Dovecot


class DovecotRig(Rig):
    # Dovecot stores 0x80 in place of NUL.
    abilities = frozenset(Ability) - {Ability.NUL_OCTETS}

    def __init__(self, server: Dovecot, separator: str = "/", prefix: str = "") -> None:
        self.server = server
        self.user = server.fresh_user()
        self.port = server.port
        self._separator = separator
        self._prefix = prefix

    def connector(self, **settings: object) -> Connector:
        values: dict[str, object] = {
            "host": self.server.host,
            "port": self.port,
            "tls": "none",
            "timeout_s": 20.0,
            **settings,
        }
        return SPEC.build(values, FixedCredential(PasswordCredential(self.user, Secret(PASSWORD))))

    async def deliver(self, path: Path, data: bytes) -> None:
        with self.client() as client:
            check(client.append(self.wire_name(path), "", imaplib.Time2Internaldate(time.time()), data))

    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        with self.client() as client:
            client.select(self.wire_name(path))
            for number in _find(client, message_id):
                check(client.store(number, "FLAGS", f"({' '.join(sorted(flags))})"))

    async def remove(self, path: Path, message_id: str) -> None:
        with self.client() as client:
            client.select(self.wire_name(path))
            for number in _find(client, message_id):
                uid = check(client.fetch(number, "(UID)"))[0]
                assert isinstance(uid, bytes)
                value = uid.split(b"UID ")[1].split(b")")[0].decode()
                check(client.uid("STORE", value, "+FLAGS", r"(\Deleted)"))
                check(client.uid("EXPUNGE", value))

    async def create_mailbox(self, path: Path) -> None:
        with self.client() as client:
            check(client.create(self.wire_name(path)))

    async def delete_mailbox(self, path: Path) -> None:
        with self.client() as client:
            check(client.delete(self.wire_name(path)))

    async def expire_cursors(self, path: Path) -> None:
        self.server.invalidate_uids(self.user, self._prefix * (path != ("INBOX",)) + self._separator.join(path))

    @contextmanager
    def client(self) -> Iterator[imaplib.IMAP4]:
        client = self.server.client(self.user)
        try:
            yield client
        finally:
            client.logout()

    def wire_name(self, path: Path) -> str:
        name = self._separator.join(path)
        if path != ("INBOX",):
            name = self._prefix + name
        escaped = mutf7.encode(name).decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'


def check(answer: tuple[str, list[Any]]) -> list[Any]:
    status, data = answer
    assert status == "OK", data
    return data


def _find(client: imaplib.IMAP4, message_id: str) -> list[str]:
    found = check(client.search(None, "HEADER", "Message-ID", message_id))[0]
    assert isinstance(found, bytes)
    return found.decode().split()
