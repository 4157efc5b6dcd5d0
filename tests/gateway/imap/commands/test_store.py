from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.imap.commands import select, store
from gateway.imap.session import Session
from gateway.mailbox.view import FlagRow
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving

COUNT = 6
DATE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    outside = OutsideMemory()
    async with serving(tmp_path, outside) as running:
        for number in range(COUNT):
            outside.deliver(("INBOX",), b"Subject: %d\r\n\r\nText\r\n" % number, frozenset(), DATE)
        await running.settle_mailbox(("INBOX",))
        yield running


class Turns:
    """Counts the turns of the loop, and notes at which of them flags are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told_at: list[int] = []
        self._count = 0
        tell_flags = Session.tell_flags

        def note(session: Session, rows: Sequence[FlagRow]) -> None:
            if rows:
                self.told_at.append(self._count)
            tell_flags(session, rows)

        monkeypatch.setattr(Session, "tell_flags", note)
        self._tick()

    def _tick(self) -> None:
        self._count += 1
        self._handle = asyncio.get_running_loop().call_soon(self._tick)

    def stop(self) -> None:
        self._handle.cancel()


async def test_others_have_their_turn_while_many_flags_are_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROWS_PER_BLOCK", 2)
    client = await served.log_in()
    await client.ask(b"a SELECT INBOX")
    turns = Turns(monkeypatch)
    told = await client.ask(b"b STORE 1:* +FLAGS (\\Flagged)")
    turns.stop()
    assert len(told) == COUNT + 1
    assert len(turns.told_at) == len(set(turns.told_at)) == COUNT // 2


async def test_others_have_their_turn_while_a_client_learns_what_it_has_missed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "ROWS_PER_BLOCK", 2)
    client = await served.log_in()
    row = await served.mailbox_row(("INBOX",))
    assert row is not None
    await client.ask(b"a ENABLE QRESYNC")
    turns = Turns(monkeypatch)
    told = await client.ask(b"b SELECT INBOX (QRESYNC (%d 1))" % row.uidvalidity)
    turns.stop()
    fetched = [line for line in told if b" FETCH " in line]
    assert len(turns.told_at) == len(set(turns.told_at)) == (len(fetched) + 1) // 2 > 1
