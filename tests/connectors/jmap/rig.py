"""Accounts at JMAP servers for the conformance suite: at a stand-in, and at a real Cyrus, where IMAP is the outside."""

from __future__ import annotations

import imaplib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.api.settings import SettingValue
from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN, MailboxRef, MessageRef
from connectors.jmap import SPEC
from connectors.jmap.connector import JmapConnector
from connectors.jmap.settings import parse_settings
from connectors.transport.clock import LoopClock
from gateway.wire import mutf7
from tests.conformance.rig import Ability, Path, Probe, Rig, mail
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.records import Email
from tests.fakes.jmap.server import running_fake
from tests.servers.cyrus import Cyrus

# Keywords come back in lower case; JMAP cannot delete a mailbox that has children.
ABILITIES = frozenset(Ability) - {Ability.KEYWORDS, Ability.PARENTS_GO}
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


class TickingClock(LoopClock):
    """A time of day that is a second later each time it is asked: JMAP orders messages by the second."""

    def __init__(self) -> None:
        self._now = BEGIN
        self._ahead_s = 0.0

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let time pass at once, as far as nobody sleeps."""
        self._ahead_s += seconds


class JmapRig(Rig):
    """What both kinds of account have in common."""

    def __init__(self, username: str, password: str) -> None:
        self.clock = TickingClock()
        self._credentials = FixedCredential(PasswordCredential(username, Secret(password)))

    @property
    def url(self) -> str:
        raise NotImplementedError

    def connector(self, **settings: SettingValue) -> JmapConnector:
        values = SPEC.check({"url": self.url, "timeout_s": 20.0, **settings})
        return JmapConnector(parse_settings(values), self._credentials, clock=self.clock)


class FakeRig(JmapRig):
    """An account at a stand-in."""

    abilities = ABILITIES

    def __init__(self, fake: FakeJmap) -> None:
        user = fake.options.users[0]
        super().__init__(user.name, user.password)
        self.fake = fake

    @property
    def url(self) -> str:
        return self.fake.url

    async def deliver(self, path: Path, data: bytes) -> None:
        self.fake.deliver(path, data, received_at=self.clock.now())

    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        names = {SEEN: "$seen", ANSWERED: "$answered", FLAGGED: "$flagged", DRAFT: "$draft"}
        wanted = {names.get(flag, flag) for flag in flags}
        email = self._find(path, message_id)
        self.fake.set_keywords(email.id, wanted, email.keywords - wanted)

    async def remove(self, path: Path, message_id: str) -> None:
        email = self._find(path, message_id)
        others = email.mailbox_ids - {self.fake.mailbox(path).id}
        if others:
            self.fake.account().update_email(email, mailbox_ids=others)
        else:
            self.fake.remove(email.id)

    async def create_mailbox(self, path: Path) -> None:
        self.fake.create_mailbox(path)

    async def delete_mailbox(self, path: Path) -> None:
        self.fake.delete_mailbox(path)

    async def expire_cursors(self, path: Path) -> None:
        self.fake.expire_states()

    def _find(self, path: Path, message_id: str) -> Email:
        wanted = f"Message-ID: {message_id}\r\n".encode()
        (found,) = [email for email in self.fake.emails_in(path) if wanted in email.content.header]
        return found


@dataclass(frozen=True, slots=True)
class Stage:
    """A stand-in and an open connector to it."""

    fake: FakeJmap
    connector: JmapConnector
    clock: TickingClock

    def ref(self, *path: str) -> MailboxRef:
        return MailboxRef(self.fake.mailbox(path or ("INBOX",)).id)

    def probe(self, *path: str) -> Probe:
        return Probe(self.connector, self.ref(*path))

    def api_requests(self) -> int:
        """Return the number of API requests since the counts were last reset."""
        return self.fake.stats.requests["api"]

    def fill(self, count: int, *path: str) -> list[MessageRef]:
        """Let messages arrive, a second after each other."""
        return [
            MessageRef(
                self.fake.deliver(path or ("INBOX",), mail(number), received_at=BEGIN + timedelta(seconds=number))
            )
            for number in range(count)
        ]


@asynccontextmanager
async def staged(options: FakeOptions | None = None, **settings: SettingValue) -> AsyncIterator[Stage]:
    """Run a stand-in with a connector that has listed its mailboxes; the counts are then at zero."""
    async with running_fake(options) as fake:
        rig = FakeRig(fake)
        connector = rig.connector(**settings)
        try:
            await connector.open()
            await connector.list_mailboxes()
            fake.stats.reset()
            yield Stage(fake, connector, rig.clock)
        finally:
            await connector.close()
        fake.assert_no_violations()


class CyrusRig(JmapRig):
    """An account at a real Cyrus; imaplib acts on it from outside."""

    # Cyrus 3.6 refuses NUL and some characters in names, has each message once in an account, indexes text when it is
    # told to, does not tell of subscriptions, has no push that works, and forgets nothing when asked to.
    abilities = ABILITIES - {
        Ability.ANY_NAME,
        Ability.NUL_OCTETS,
        Ability.DUPLICATES,
        Ability.SEARCH_AT_ONCE,
        Ability.TOLD_SUBSCRIPTIONS,
        Ability.PUSH,
        Ability.EXPIRING_CURSORS,
    }

    def __init__(self, server: Cyrus) -> None:
        self.server = server
        self.user = server.fresh_user()
        super().__init__(self.user, server.password)

    @property
    def url(self) -> str:
        return self.server.jmap_url

    async def deliver(self, path: Path, data: bytes) -> None:
        with self.client() as client:
            check(client.append(wire_name(path), "", imaplib.Time2Internaldate(self.clock.now()), data))

    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        with self.client() as client:
            check(client.select(wire_name(path)))
            for number in _find(client, message_id):
                check(client.store(number, "FLAGS", f"({' '.join(sorted(flags))})"))

    async def remove(self, path: Path, message_id: str) -> None:
        with self.client() as client:
            check(client.select(wire_name(path)))
            for number in _find(client, message_id):
                check(client.store(number, "+FLAGS", r"(\Deleted)"))
            check(client.expunge())

    async def create_mailbox(self, path: Path) -> None:
        with self.client() as client:
            check(client.create(wire_name(path)))

    async def delete_mailbox(self, path: Path) -> None:
        with self.client() as client:
            check(client.delete(wire_name(path)))

    @contextmanager
    def client(self) -> Iterator[imaplib.IMAP4]:
        client = self.server.client(self.user)
        try:
            yield client
        finally:
            client.logout()


def wire_name(path: Path) -> str:
    escaped = mutf7.encode("/".join(path)).decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def check(answer: tuple[str, list[Any]]) -> list[Any]:
    status, data = answer
    assert status == "OK", data
    return data


def _find(client: imaplib.IMAP4, message_id: str) -> list[str]:
    found = check(client.search(None, "HEADER", "Message-ID", message_id))[0]
    assert isinstance(found, bytes)
    return found.decode().split()
