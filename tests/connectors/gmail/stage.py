"""Accounts at a stand-in for Gmail: for the conformance suite, and for tests of one connector."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import httpx

from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.settings import SettingValue
from connectors.api.types import BytesContent, MailboxRef, MessageRef, MessageState
from connectors.gmail import SPEC
from connectors.gmail.connector import GmailConnector
from connectors.gmail.oauth import GmailCredentials
from connectors.gmail.settings import parse_settings
from connectors.transport.clock import Clock
from tests.conformance.rig import Ability, Path, Probe, Rig, mail
from tests.connectors.gmail.rig import InProcess
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.client import ROOT
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.mailbox import Message
from tests.fakes.gmail.options import MAIL_SCOPE, PUBSUB_SCOPE, FakeOptions
from tests.fakes.gmail.server import running_fake

NO_SETTINGS: Mapping[str, SettingValue] = MappingProxyType({})

# Gmail keeps two flags and no keywords, has a message once, and labels are not subscribed.
ABILITIES = frozenset(Ability) - {Ability.KEYWORDS, Ability.DUPLICATES, Ability.PUSH, Ability.TOLD_SUBSCRIPTIONS}

_FLAG_LABELS = {"\\Flagged": "STARRED", "\\Draft": "DRAFT"}


class GmailRig(Rig):
    """An account at a stand-in; `transport` reaches it without a socket."""

    abilities = ABILITIES

    def __init__(
        self,
        fake: FakeGmail,
        settings: Mapping[str, SettingValue],
        *,
        scopes: Sequence[str] = (MAIL_SCOPE,),
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.fake = fake
        self._settings = settings
        self._scopes = scopes
        self._clock = clock
        self.transport = transport

    def connector(self) -> GmailConnector:
        values = SPEC.check({"units_per_minute": 600_000.0, "timeout_s": 20.0, **self._settings})
        login = FixedCredential(BearerCredential("", Secret(self.fake.access_token(self._scopes))))
        puller = FixedCredential(BearerCredential("", Secret(self.fake.access_token([PUBSUB_SCOPE], user=""))))
        credentials = GmailCredentials(login, puller)
        return GmailConnector(parse_settings(values), credentials, clock=self._clock, transport=self.transport)

    async def deliver(self, path: Path, data: bytes) -> None:
        self.fake.deliver(data, [self.label(path), "UNREAD"])

    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        wanted = {_FLAG_LABELS[flag] for flag in flags if flag in _FLAG_LABELS}
        wanted |= set() if "\\Seen" in flags else {"UNREAD"}
        self.fake.relabel(self._find(path, message_id).id, wanted, {"UNREAD", "STARRED"} - wanted)

    async def remove(self, path: Path, message_id: str) -> None:
        message, label = self._find(path, message_id), self.label(path)
        if message.labels - {label, "UNREAD", "STARRED"}:
            self.fake.relabel(message.id, remove={label})
        else:
            self.fake.delete(message.id)

    async def create_mailbox(self, path: Path) -> None:
        self.fake.new_label("/".join(path))

    async def delete_mailbox(self, path: Path) -> None:
        self.fake.delete_label(self.label(path))

    async def expire_cursors(self, path: Path) -> None:
        self.fake.expire_history()

    def label(self, path: Path) -> str:
        if path == ("INBOX",):
            return "INBOX"
        found = self.fake.mailbox.labels.named("/".join(path))
        assert found is not None, path
        return found.id

    def _find(self, path: Path, message_id: str) -> Message:
        label = self.label(path)
        (found,) = [m for m in self.fake.mailbox.with_message_id(message_id) if label in m.labels]
        return found


@asynccontextmanager
async def over_sockets(
    options: FakeOptions | None = None, settings: Mapping[str, SettingValue] = NO_SETTINGS
) -> AsyncIterator[GmailRig]:
    """Run a stand-in on a port, with push. In the end nothing may have been sent that Gmail's description forbids."""
    fake = FakeGmail(options)
    push: Mapping[str, SettingValue] = {
        "topic": fake.options.topic_name,
        "subscription": fake.options.subscription_name,
    }
    async with running_fake(fake) as endpoints:
        rig = GmailRig(fake, {"api_root": endpoints.api_root, "pubsub_root": endpoints.api_root, **push, **settings})
        rig.abilities = rig.abilities | {Ability.PUSH}
        yield rig
    assert fake.violations == []


@asynccontextmanager
async def in_process(
    options: FakeOptions | None = None,
    settings: Mapping[str, SettingValue] = NO_SETTINGS,
    *,
    scopes: Sequence[str] = (MAIL_SCOPE,),
) -> AsyncIterator[GmailRig]:
    """Run a stand-in without a socket, on a clock that sleeping moves."""
    clock = JumpingClock()
    fake = FakeGmail(options, clock=clock)
    yield GmailRig(fake, {"api_root": ROOT, **settings}, scopes=scopes, clock=clock, transport=InProcess(fake))
    assert fake.violations == []


def told(state: MessageState | None) -> tuple[list[str], list[str]]:
    """Return mailboxes and flags of a state, sorted; it must tell both."""
    assert state is not None
    assert state.mailboxes is not None
    assert state.flags is not None
    return sorted(state.mailboxes), sorted(state.flags)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stand-in and an open connector to it."""

    fake: FakeGmail
    connector: GmailConnector
    rig: GmailRig

    @property
    def units(self) -> int:
        """How many units have been spent since the counts were last cleared."""
        return self.fake.stats.total_units

    def calls(self, method: str) -> int:
        return self.fake.stats.calls[f"gmail.users.{method}"]

    def clear(self) -> None:
        """Begin to count anew."""
        self.fake.stats.clear()

    def probe(self, ref: str = "INBOX") -> Probe:
        return Probe(self.connector, MailboxRef(ref))

    def deliver(self, number: int, *labels: str) -> MessageRef:
        return MessageRef(self.fake.deliver(mail(number), labels))

    def fill(self, count: int, *labels: str) -> list[MessageRef]:
        return [self.deliver(number, *labels) for number in range(count)]

    def has(self, ref: MessageRef) -> frozenset[str]:
        """Return the labels that a message has at the stand-in."""
        return self.fake.message(ref).labels

    async def append(
        self, mailbox: str, data: bytes, flags: frozenset[str] = frozenset(), date: datetime | None = None
    ) -> MessageState:
        return await self.connector.append(MailboxRef(mailbox), BytesContent(data), flags, date)


@asynccontextmanager
async def staged(
    options: FakeOptions | None = None, *, scopes: Sequence[str] = (MAIL_SCOPE,), **settings: SettingValue
) -> AsyncIterator[Stage]:
    """Run a stand-in without a socket, with a connector that is open; the counts are then at zero."""
    async with in_process(options, settings, scopes=scopes) as rig:
        connector = rig.connector()
        await connector.open()
        await connector.list_mailboxes()
        rig.fake.stats.clear()
        yield Stage(rig.fake, connector, rig)
        await connector.close()
