"""A Dovecot in the place of Exchange's IMAP server: what is stored there is at Graph's stand-in by the next call."""

from __future__ import annotations

import asyncio
import imaplib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.api.credentials import BearerCredential, Secret
from connectors.graph.client import GraphClient
from connectors.graph.imap_append import Letterbox
from connectors.graph.imap_session import ImapSession
from connectors.graph.mail import Mail
from connectors.graph.settings import AppendBy, GraphSettings
from tests.connectors.graph.imap_script import Tokens
from tests.connectors.graph.writing_rig import ROOT, InProcess, Rig
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.content import Content
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.records import Folder
from tests.servers.dovecot import PASSWORD, Dovecot

_LISTED = re.compile(rb'\([^)]*\) "/" "?([^"]*)"?')
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')


@dataclass
class Delivery:
    """Brings to Graph what is new at Dovecot.

    `late`: so many calls are answered before that is seen. `alter` is what Exchange makes of a message.
    """

    fake: FakeGraph
    dovecot: Dovecot
    user: str
    late: int = 0
    alter: Callable[[bytes], bytes] = bytes
    folders: dict[bytes, Folder] = field(default_factory=dict)
    """The folders at the stand-in, by the names that they have by IMAP."""

    octets: dict[int, bytes] = field(default_factory=dict)
    """Of the messages brought, by their number at the stand-in."""

    uids: dict[bytes, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Bring what is new."""
        if self.late:
            self.late -= 1
            return
        box = self.fake.mailbox
        for name, raw, date, flags in await asyncio.to_thread(self._new):
            made = box.add(
                Content.of_mime(self.alter(raw)), self.folders[name], received=date, is_read=b"\\Seen" in flags
            )
            if b"\\Flagged" in flags:
                box.change(made, ["flag"], flag={**made.flag, "flagStatus": "flagged"})
            self.octets[made.number] = raw

    def _new(self) -> list[tuple[bytes, bytes, datetime, bytes]]:
        client = self.dovecot.client(self.user)
        found = []
        for name in self.folders:
            if client.select(b'"' + name + b'"', readonly=True)[0] != "OK":  # type: ignore[arg-type]
                continue
            first = self.uids.get(name, 0) + 1
            _, (numbers,) = client.uid("SEARCH", f"UID {first}:*")
            for uid in [int(each) for each in numbers.split() if int(each) >= first]:
                _, data = client.uid("FETCH", str(uid), "(FLAGS INTERNALDATE BODY.PEEK[])")
                assert isinstance(data[0], tuple)
                line, raw = data[0]
                match = _DATE.search(line)
                assert match is not None
                date = datetime.strptime(match[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
                found.append((name, raw, date, line))
                self.uids[name] = uid
        client.logout()
        return found


class Bridged(InProcess):
    """The stand-in as a transport, to which everything new is brought before each call."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery.fake)
        self._delivery = delivery

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._delivery.run()
        return await super().handle_async_request(request)


@dataclass
class Bridge:
    """An account that stores messages by IMAP."""

    rig: Rig
    delivery: Delivery
    letterbox: Letterbox
    tokens: Tokens

    @property
    def at_dovecot(self) -> imaplib.IMAP4:
        """Return another client, logged in."""
        return self.delivery.dovecot.client(self.delivery.user)

    async def close(self) -> None:
        await self.letterbox.close()
        await self.rig.client.close()


def bridge_over(fake: FakeGraph, clock: JumpingClock, dovecot: Dovecot, **settings: Any) -> Bridge:
    """Return an account of a fresh user."""
    user = f"{dovecot.fresh_user()}@example.org"
    chosen = GraphSettings(
        **{
            "api_root": ROOT,
            "append": AppendBy.IMAP,
            "imap_host": dovecot.host,
            "imap_port": dovecot.tls_port,
            "ca_file": str(dovecot.ca_file),
            "timeout_s": 20.0,
            **settings,
        }
    )
    delivery = Delivery(fake, dovecot, user, folders={b"INBOX": fake.mailbox.well_known["inbox"]})
    tokens = Tokens(BearerCredential(user, Secret(PASSWORD)), graph=fake.access_token())
    client = GraphClient(chosen, tokens, clock=clock, transport=Bridged(delivery), chance=lambda: 0.0)
    letterbox = Letterbox(ImapSession(chosen, tokens))
    return Bridge(Rig(fake, fake.mailbox, Mail(client, chosen)), delivery, letterbox, tokens)
