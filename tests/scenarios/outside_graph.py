"""The stand-in for Microsoft Graph, changed behind the gateway's back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType

from connectors.api.connector import Connector
from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.graph import SPEC as GRAPH
from connectors.graph.connector import GraphConnector
from connectors.graph.settings import parse_settings
from tests.connectors.graph.writing_rig import ROOT, InProcess
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.scenarios.outside import MailboxPath, Outside

_MARKS = frozenset({"\\Seen", "\\Flagged", "\\Answered"})


class OutsideGraphApi(Outside):
    """The stand-in's first user, who has the usual mailboxes as folders, beside those that Outlook has itself.

    What is expunged is deleted, as with the other backends. The next look for changes is an hour away.
    """

    connector_name = "graph"
    spec = GRAPH
    # Outlook has folders of these names itself. What comes into Drafts is a draft.
    renamed = MappingProxyType({"Archive": "Archives", "Drafts": "Sketches"})
    _own = ("Archives", "Sketches", "Junk", "Sent", "Trash")

    def __init__(self, fake: FakeGraph) -> None:
        self.fake = fake
        for name in self._own:
            fake.create_folder(name)
        self.settings = {
            "api_root": ROOT,
            "expunge": "permanent",
            "poll_interval_s": 3600.0,
            "requests_per_10_minutes": 1_000_000,
        }

    def connect(self, settings: Mapping[str, object]) -> Connector:
        login = FixedCredential(BearerCredential("", Secret(self.fake.access_token())))
        return GraphConnector(parse_settings(self.spec.check(settings)), login, transport=InProcess(self.fake))

    def deliver(self, mailbox: MailboxPath, data: bytes, flags: frozenset[str], date: datetime) -> None:
        ref = self.fake.deliver(data, _place(mailbox), received=date)
        if flags:
            self._mark(ref, flags)

    def remove(self, mailbox: MailboxPath, number: int) -> None:
        self.fake.delete(self._find(mailbox, number))

    def set_flags(self, mailbox: MailboxPath, number: int, flags: frozenset[str]) -> None:
        self._mark(self._find(mailbox, number), flags)

    def create(self, mailbox: MailboxPath) -> None:
        self.fake.create_folder(mailbox)

    def delete(self, mailbox: MailboxPath) -> None:
        self.fake.delete_folder(mailbox)

    def _mark(self, ref: str, flags: frozenset[str]) -> None:
        assert "\\Deleted" not in flags, "Outlook has no mark for it"
        self.fake.mark(
            ref,
            is_read="\\Seen" in flags,
            flag="flagged" if "\\Flagged" in flags else "notFlagged",
            verb=102 if "\\Answered" in flags else 0,
            categories=sorted(flags - _MARKS),
        )

    def _find(self, mailbox: MailboxPath, number: int) -> str:
        for ref in self.fake.ids_in(_place(mailbox)):
            if self.fake.message(ref).content.envelope.subject == f"Number {number}":
                return ref
        raise AssertionError(f"no message {number} in {mailbox}")


def _place(mailbox: MailboxPath) -> str | MailboxPath:
    return "inbox" if mailbox == ("INBOX",) else mailbox


@asynccontextmanager
async def outside_graph() -> AsyncIterator[OutsideGraphApi]:
    """Hand out a stand-in with one account. In the end nothing may have been sent that Graph's types forbid."""
    fake = FakeGraph(GraphOptions(requests_per_10_min=None))
    yield OutsideGraphApi(fake)
    fake.assert_no_violations()
