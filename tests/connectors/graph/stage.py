"""Accounts at a stand-in for Graph, for the conformance suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

import httpx

from connectors.api.connector import Connector
from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.settings import SettingValue
from connectors.graph import SPEC
from connectors.graph.connector import GraphConnector
from connectors.graph.settings import parse_settings
from connectors.transport.clock import Clock
from tests.conformance.rig import Ability, Path, Rig
from tests.connectors.graph.writing_rig import ROOT, InProcess
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.fakes.graph.records import Message
from tests.fakes.graph.server import running_graph

NO_SETTINGS: Final[Mapping[str, SettingValue]] = MappingProxyType({})


class GraphRig(Rig):
    """The stand-in's first user; without a transport it is reached on its port."""

    # Graph tells nobody of changes who has no address on the Internet; with a folder go those in it.
    abilities = frozenset(Ability) - {Ability.PUSH, Ability.PARENTS_GO}

    def __init__(
        self,
        fake: FakeGraph,
        settings: Mapping[str, SettingValue],
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.fake = fake
        # $Label1 would come back as $label1, which is the same keyword: of a category only the name is kept.
        self._settings = {"requests_per_10_minutes": 1_000_000, "labels": "", **settings}
        if settings.get("expunge") != "permanent":
            self.abilities = self.abilities - {Ability.DELETED_MAILBOXES_GO}
        if "notification_url" in settings:
            self.abilities = self.abilities | {Ability.PUSH}
        self._clock = clock
        self._transport = transport

    def connector(self) -> Connector:
        source = FixedCredential(BearerCredential("", Secret(self.fake.access_token())))
        settings = parse_settings(SPEC.check(self._settings))
        return GraphConnector(settings, source, clock=self._clock, transport=self._transport)

    async def deliver(self, path: Path, data: bytes) -> None:
        self.fake.deliver(data, _place(path))

    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        flag = "flagged" if "\\Flagged" in flags else "notFlagged"
        self.fake.mark(self._find(path, message_id), is_read="\\Seen" in flags, flag=flag)

    async def remove(self, path: Path, message_id: str) -> None:
        self.fake.delete(self._find(path, message_id))

    async def create_mailbox(self, path: Path) -> None:
        self.fake.create_folder(path)

    async def delete_mailbox(self, path: Path) -> None:
        self.fake.delete_folder(path)

    async def expire_cursors(self, path: Path) -> None:
        self.fake.expire_delta_tokens()

    def _find(self, path: Path, message_id: str) -> str:
        """Return the id of the oldest message of a folder that has this Message-ID."""
        for ref in self.fake.ids_in(_place(path)):
            message: Message = self.fake.message(ref)
            if message.content.envelope.message_id == message_id:
                return ref
        raise AssertionError(f"no message {message_id} in {path}")


def _place(path: Path) -> str | Path:
    return "inbox" if path == ("INBOX",) else path


@asynccontextmanager
async def over_sockets(options: GraphOptions, settings: Mapping[str, SettingValue]) -> AsyncIterator[GraphRig]:
    """Run a stand-in on a port. In the end nothing may have been sent or answered that Graph's types do not allow."""
    async with running_graph(options) as fake:
        yield GraphRig(fake, {"api_root": fake.api_root, **settings})
    fake.assert_no_violations()


@asynccontextmanager
async def in_process(options: GraphOptions, settings: Mapping[str, SettingValue]) -> AsyncIterator[GraphRig]:
    """Run a stand-in without a socket, on a clock that sleeping moves."""
    clock = JumpingClock()
    fake = FakeGraph(options, clock=clock)
    yield GraphRig(fake, {"api_root": ROOT, **settings}, clock=clock, transport=InProcess(fake))
    fake.assert_no_violations()
