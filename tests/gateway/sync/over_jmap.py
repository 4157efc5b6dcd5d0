"""A stack whose only account is at a stand-in for a JMAP server, without push: it reads when it is asked to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.jmap import SPEC
from gateway.store.accounts import AccountRow
from tests.fakes.jmap.fake import FakeJmap
from tests.stack import Stack, running_stack


@asynccontextmanager
async def jmap_stack(directory: Path, fake: FakeJmap) -> AsyncIterator[Stack]:
    """Run a stack with an account at `fake`, which is on the network."""
    alice = fake.options.users[0]
    credential = FixedCredential(PasswordCredential(alice.name, Secret(alice.password)))

    def connect(_: AccountRow) -> Connector:
        return SPEC.build(SPEC.check({"url": fake.url, "push": "off"}), credential)

    async with running_stack(directory, make_connector=connect) as stack:
        await stack.start_account("work", "alex", "jmap", {})
        yield stack
