"""What happens at Gmail is announced to clients when it is published; the next look is an hour away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.gmail.options import FakeOptions
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside_gmail import OutsideGmailApi, outside_gmail
from tests.scenarios.samples import date_of, sample
from tests.scenarios.serving import Served, serving

INBOX = ("INBOX",)


@pytest.fixture
async def outside() -> AsyncIterator[OutsideGmailApi]:
    async with outside_gmail(FakeOptions(notifications_per_s=0), is_pushed=True) as outside:
        yield outside


@pytest.fixture
async def served(outside: OutsideGmailApi, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, outside) as served:
        await served.settle_mailbox(INBOX)
        yield served


async def idling(served: Served, mailbox: bytes) -> LineClient:
    client = await served.log_in()
    await client.ask(b"a SELECT " + mailbox)
    client.write(b"b IDLE\r\n")
    await client.expect(b"+ ")
    return client


async def test_mail_flags_and_removals_are_announced(served: Served, outside: OutsideGmailApi) -> None:
    client = await idling(served, b"INBOX")
    for number in (1, 2, 3):
        outside.deliver(INBOX, sample(str(number)), frozenset(), date_of(number))
        await client.lines_to(b"* %d EXISTS" % number)
    outside.set_flags(INBOX, 2, frozenset({"\\Seen", "\\Flagged"}))
    assert b"\\Flagged" in (await client.lines_to(b"* 2 FETCH (UID 2 FLAGS ("))[-1]
    outside.remove(INBOX, 1)
    await client.lines_to(b"* 1 EXPUNGE")


async def test_a_star_is_announced_in_another_mailbox(served: Served, outside: OutsideGmailApi) -> None:
    outside.deliver(INBOX, sample("1"), frozenset(), date_of(1))
    await served.settle_mailbox(INBOX)
    client = await idling(served, b"[Gmail]/Starred")
    outside.set_flags(INBOX, 1, frozenset({"\\Flagged"}))
    await client.lines_to(b"* 1 EXISTS")
