from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.memory.faults import Operation
from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from gateway.mailbox import service as mail_service
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving

MANY = 20


def deliver(outside: OutsideMemory, name: str, text: bytes = b"s") -> None:
    outside.deliver((name,), b"Subject: %b\r\n\r\n%b\r\n" % (text, text), frozenset(), datetime(2024, 1, 1, tzinfo=UTC))


async def listed(served: Served, *names: str) -> None:
    for name in names:
        await served.settle_mailbox((name,))


async def test_mailboxes_are_open_no_longer_than_any_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_service, "KEPT_OPEN", 3)
    outside = OutsideMemory()
    names = [f"Box{number:02}" for number in range(MANY)]
    for name in names:
        outside.create((name,))
        deliver(outside, name)
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        told = await client.ask(b"a ESEARCH IN (personal) RETURN (COUNT) ALL")
        assert [line.split(b'"')[3].decode() for line in told[:-1]] == names
        assert told[-1].startswith(b"a OK ")
        assert served.services.mail.open_mailboxes <= 3


async def test_one_that_cannot_be_searched_does_not_hide_what_others_hold(tmp_path: Path) -> None:
    outside = OutsideMemory()
    deliver(outside, "Archive", b"needle")
    deliver(outside, "Sent", b"other")
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        await listed(served, "Archive", "Sent")
        # Of the one the header is known, of the other it has to be read.
        await client.ask(b"a SELECT Archive")
        await client.ask(b"b FETCH 1 (ENVELOPE)")
        await client.ask(b"c UNSELECT")
        outside.set_offline(True)
        told = await client.ask(b"d ESEARCH IN (mailboxes (Sent Archive)) SUBJECT needle")
        assert len(told) == 2
        assert told[0].startswith(b'* ESEARCH (TAG "d" MAILBOX "Archive" UIDVALIDITY ')
        assert told[1].startswith(b"d NO [UNAVAILABLE] 1 of 2 mailboxes could not be searched: ")
        outside.set_offline(False)


async def test_a_search_in_names_that_are_no_mailboxes_finds_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        assert [line[:5] for line in await client.ask(b'a ESEARCH IN (mailboxes ("*" "%" Gone)) ALL')] == [b"a OK "]


async def test_it_is_refused_where_it_is_switched_off(tmp_path: Path) -> None:
    settings = ImapSettings(switches=Switches(disabled=frozenset({"MULTISEARCH"})))
    async with serving(tmp_path, OutsideMemory(), settings) as served:
        client = await served.log_in()
        assert await client.ask(b"a ESEARCH IN (personal) ALL") == [
            b"a BAD ESEARCH needs MULTISEARCH, which is not offered"
        ]


async def test_one_that_was_never_listed_is_listed_first(tmp_path: Path) -> None:
    outside = OutsideMemory()
    deliver(outside, "Archive")
    gate = outside.backend.faults.hold(Operation.LISTING)
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        client.write(b"a ESEARCH IN (mailboxes Archive) ALL\r\n")
        await gate.reached()
        outside.backend.faults.release(Operation.LISTING)
        await client.expect(b'* ESEARCH (TAG "a" MAILBOX "Archive" UIDVALIDITY ')
        await client.expect(b"a OK ")
