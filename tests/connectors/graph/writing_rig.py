"""A mailbox of the stand-in with the connector's shared state over it, for tests of what is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.types import BytesContent, MailboxRef, MessageRef, MessageState
from connectors.graph.appending import append
from connectors.graph.client import GraphClient
from connectors.graph.mail import Mail
from connectors.graph.settings import GraphSettings
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.app import application
from tests.fakes.graph.content import Attachment, Content
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.faults import Cut, Fault
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.records import Folder, Message

NONE: frozenset[str] = frozenset()
LOST = Fault(is_cut=True)
LOST_AFTER_WORK = Fault(is_cut=True, is_after_work=True)


@dataclass(frozen=True, slots=True)
class Rig:
    """`box` is the mailbox at the stand-in, `mail` what the connector makes of it."""

    fake: FakeGraph
    box: Mailbox
    mail: Mail

    @property
    def client(self) -> GraphClient:
        return self.mail.client

    def ref(self, name: str) -> MailboxRef:
        """Return the id of a well-known folder, or of one at the top."""
        return MailboxRef(self.box.ids.folder(self.folder(name).number))

    def folder(self, name: str) -> Folder:
        """Return a well-known folder, or one at the top."""
        return self.box.well_known.get(name) or self.box.root.children[name.lower()]

    def inside(self, name: str) -> list[Message]:
        """Return the messages of a folder, newest first."""
        return self.box.in_folder(self.folder(name))

    def message(self, ref: MessageRef) -> Message:
        """Return a message of the stand-in."""
        return self.box.message(ref)

    def files(self, message: Message) -> Sequence[Attachment]:
        """Return what is attached to a message."""
        return message.content.body.attachments

    async def append(self, name: str, data: bytes, flags: frozenset[str] = NONE, **more: Any) -> MessageState:
        """Append a message to a folder."""
        return await append(self.mail, self.ref(name), BytesContent(data), flags, more.get("date"))

    def seed(self, name: str, count: int) -> list[MessageRef]:
        """Put messages into a folder by other ways than the connector's and return their refs."""
        folder = self.folder(name)
        made = [self.box.add(Content.of_mime(mail(number)), folder) for number in range(count)]
        return [MessageRef(self.box.ids.message(message.number)) for message in made]

    async def fill(self, name: str, count: int) -> list[MessageRef]:
        """Append small messages and return their refs."""
        return [(await self.append(name, mail(number))).ref for number in range(count)]


MakeRig = Callable[..., Rig]

ROOT = "http://graph.test/v1.0"


class InProcess(httpx.AsyncBaseTransport):
    """The stand-in as a transport: a connection it cuts is one that breaks while the reply is waited for."""

    def __init__(self, fake: FakeGraph) -> None:
        self._inner = httpx.ASGITransport(app=application(fake))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except Cut as exc:
            raise httpx.RemoteProtocolError("cut") from exc


def rig_of(fake: FakeGraph, clock: JumpingClock, **settings: object) -> Rig:
    """Return the first user's mailbox, with an account that has these settings."""
    chosen = GraphSettings(**{"api_root": ROOT, "requests_per_10_minutes": 1_000_000, **settings})  # type: ignore[arg-type]
    source = FixedCredential(BearerCredential("", Secret(fake.access_token())))
    client = GraphClient(chosen, source, clock=clock, transport=InProcess(fake), chance=lambda: 0.0)
    return Rig(fake, fake.mailbox, Mail(client, chosen))


def mail(number: int, extra: bytes = b"") -> bytes:
    """Return a small message."""
    return (
        b"Date: Mon, 06 May 2024 08:00:00 +0000\r\nFrom: Alex <alex@example.org>\r\nTo: bo@example.org\r\n"
        b"Subject: Message %d\r\nMessage-ID: <%d@example.org>\r\n%b\r\nBody %d.\r\n" % (number, number, extra, number)
    )
