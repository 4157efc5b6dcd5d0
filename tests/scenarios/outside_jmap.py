"""The stand-in JMAP server, changed behind the gateway's back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.jmap import SPEC as JMAP
from connectors.jmap.keywords import keywords_of
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.records import Email
from tests.fakes.jmap.server import running_fake
from tests.scenarios.outside import MailboxPath, Outside
from tests.scenarios.samples import marker


class OutsideJmap(Outside):
    """The account of the stand-in's first user. What is expunged is destroyed, as with the other backends."""

    connector_name = "jmap"
    spec = JMAP

    def __init__(self, fake: FakeJmap, push: str = "off") -> None:
        user = fake.options.users[0]
        self.fake = fake
        self._credential = PasswordCredential(user.name, Secret(user.password))
        self.settings = {"url": fake.url, "expunge": "destroy", "push": push, "poll_interval_s": 3600.0}

    def connect(self, settings: Mapping[str, object]) -> Connector:
        return self.spec.build(settings, FixedCredential(self._credential))

    def deliver(self, mailbox: MailboxPath, data: bytes, flags: frozenset[str], date: datetime) -> None:
        self.fake.deliver(mailbox, data, keywords=keywords_of(flags), received_at=date)

    def remove(self, mailbox: MailboxPath, number: int) -> None:
        email = self._find(mailbox, number)
        left = email.mailbox_ids - {self.fake.mailbox(mailbox).id}
        if left:
            self.fake.account().update_email(email, mailbox_ids=left)
        else:
            self.fake.remove(email.id)

    def set_flags(self, mailbox: MailboxPath, number: int, flags: frozenset[str]) -> None:
        email = self._find(mailbox, number)
        self.fake.set_keywords(email.id, keywords_of(flags), email.keywords - keywords_of(flags).keys())

    def create(self, mailbox: MailboxPath) -> None:
        self.fake.create_mailbox(mailbox)
        self.fake.subscribe(mailbox, True)

    def delete(self, mailbox: MailboxPath) -> None:
        self.fake.delete_mailbox(mailbox)

    def _find(self, mailbox: MailboxPath, number: int) -> Email:
        for email in self.fake.emails_in(mailbox):
            if marker(number) in email.content.data:
                return email
        raise AssertionError(f"no message {number} in {mailbox}")


@asynccontextmanager
async def outside_jmap(options: FakeOptions | None = None, push: str = "off") -> AsyncIterator[OutsideJmap]:
    """Run a stand-in with one account of its own."""
    async with running_fake(options) as fake:
        yield OutsideJmap(fake, push)
        fake.assert_no_violations()
