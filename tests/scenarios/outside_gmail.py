"""The stand-in for Gmail, changed behind the gateway's back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType

from connectors.api.connector import Connector
from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.gmail import SPEC as GMAIL
from connectors.gmail.connector import GmailConnector
from connectors.gmail.oauth import GmailCredentials
from connectors.gmail.settings import parse_settings
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.mailbox import Message
from tests.fakes.gmail.options import PUBSUB_SCOPE, FakeOptions
from tests.fakes.gmail.server import running_fake
from tests.scenarios.outside import MailboxPath, Outside
from tests.scenarios.samples import marker

_LABELS = {
    ("INBOX",): "INBOX",
    ("[Gmail]", "Drafts"): "DRAFT",
    ("[Gmail]", "Sent Mail"): "SENT",
    ("[Gmail]", "Spam"): "SPAM",
    ("[Gmail]", "Trash"): "TRASH",
}
_MARKS = {"\\Flagged": "STARRED"}


class OutsideGmailApi(Outside):
    """The stand-in's first user, who has the usual mailboxes as user labels, beside what Gmail has itself.

    What is expunged is deleted, as with the other backends. With `is_pushed` Gmail publishes changes; the next look for
    them is an hour away in any case.
    """

    connector_name = "gmail"
    spec = GMAIL
    # Gmail takes no labels of these names; it has some of these mailboxes itself, elsewhere.
    renamed = MappingProxyType(
        {"Archive": "Archives", "Drafts": "Sketches", "Junk": "Unwanted", "Sent": "Post", "Trash": "Bin"}
    )

    def __init__(self, fake: FakeGmail, api_root: str, *, is_pushed: bool = False) -> None:
        self.fake = fake
        for name in self.renamed.values():
            fake.new_label(name)
        self.settings = {
            "api_root": api_root,
            "pubsub_root": api_root,
            "expunge": "delete",
            "poll_interval_s": 3600.0,
            "units_per_minute": 1_000_000.0,
        }
        if is_pushed:
            self.settings |= {"topic": fake.options.topic_name, "subscription": fake.options.subscription_name}

    def connect(self, settings: Mapping[str, object]) -> Connector:
        login = FixedCredential(BearerCredential("", Secret(self.fake.access_token())))
        puller = FixedCredential(BearerCredential("", Secret(self.fake.access_token([PUBSUB_SCOPE], user=""))))
        return GmailConnector(parse_settings(self.spec.check(settings)), GmailCredentials(login, puller))

    def deliver(self, mailbox: MailboxPath, data: bytes, flags: frozenset[str], date: datetime) -> None:
        self.fake.deliver(data, {self._label(mailbox), *_marks(flags)}, date=date)

    def remove(self, mailbox: MailboxPath, number: int) -> None:
        message, label = self._find(mailbox, number), self._label(mailbox)
        if message.labels - {label, "UNREAD", "STARRED"}:
            self.fake.relabel(message.id, remove={label})
        else:
            self.fake.delete(message.id)

    def set_flags(self, mailbox: MailboxPath, number: int, flags: frozenset[str]) -> None:
        wanted = _marks(flags)
        self.fake.relabel(self._find(mailbox, number).id, wanted, {"UNREAD", "STARRED"} - wanted)

    def create(self, mailbox: MailboxPath) -> None:
        self.fake.new_label("/".join(mailbox))

    def delete(self, mailbox: MailboxPath) -> None:
        self.fake.delete_label(self._label(mailbox))

    def _label(self, mailbox: MailboxPath) -> str:
        if mailbox in _LABELS:
            return _LABELS[mailbox]
        found = self.fake.mailbox.labels.named("/".join(mailbox))
        assert found is not None, f"no label {mailbox}"
        return found.id

    def _find(self, mailbox: MailboxPath, number: int) -> Message:
        label = self._label(mailbox)
        for message in self.fake.mailbox.messages.values():
            if label in message.labels and marker(number) in message.content().raw:
                return message
        raise AssertionError(f"no message {number} in {mailbox}")


def _marks(flags: frozenset[str]) -> frozenset[str]:
    """Return the labels that stand for flags; there is none for flags that Gmail does not have."""
    unknown = flags - _MARKS.keys() - {"\\Seen"}
    assert not unknown, f"Gmail has no {unknown}"
    marks = {_MARKS[flag] for flag in flags & _MARKS.keys()}
    return frozenset(marks if "\\Seen" in flags else marks | {"UNREAD"})


@asynccontextmanager
async def outside_gmail(
    options: FakeOptions | None = None, *, is_pushed: bool = False
) -> AsyncIterator[OutsideGmailApi]:
    """Run a stand-in with one account. In the end nothing may have been sent that Gmail's description forbids."""
    fake = FakeGmail(options)
    async with running_fake(fake) as endpoints:
        yield OutsideGmailApi(fake, endpoints.api_root, is_pushed=is_pushed)
    assert fake.violations == []
