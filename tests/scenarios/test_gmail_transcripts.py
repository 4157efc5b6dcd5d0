"""The transcripts that need Gmail's ids and labels, over a memory backend that has them, and without them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import shared_spec
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.player import Player
from tests.scenarios.script import Numbering, read_script
from tests.scenarios.serving import serving
from tests.stack import INBOX, message

TRANSCRIPTS = Path(__file__).with_name("transcripts")


class OutsideGmail(OutsideMemory):
    """A memory backend that is like Gmail: headers come with whole messages only."""

    def __init__(self) -> None:
        super().__init__(Layout.LABELS)
        self.backend = MemoryBackend(
            Layout.LABELS,
            is_sparse=True,
            lists_account=True,
            reports_tree=True,
            has_gmail_ids=True,
            has_outlines=False,
        )
        self.spec = shared_spec({"scenario": self.backend})


@pytest.mark.parametrize("numbering", list(Numbering))
async def test_transcript(numbering: Numbering, tmp_path: Path) -> None:
    script = read_script(TRANSCRIPTS / "x-gm-ext-1.txt")
    assert script.is_for("memory-gmail")
    outside = OutsideGmail()
    async with serving(tmp_path, outside) as served:
        await Player(script, served, outside, numbering).play()
        assert await served.problems() == []


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[LineClient]:
    """A client of an account without Gmail's ids, in its INBOX with one message."""
    outside = OutsideMemory(Layout.LABELS)
    outside.backend.deliver(INBOX, message(1))
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        await client.ask(b"s SELECT INBOX")
        yield client


async def test_other_accounts_have_no_such_ids_and_labels(stranger: LineClient) -> None:
    assert b"X-GM-EXT-1" not in b"".join(await stranger.ask(b"a CAPABILITY"))
    told = await stranger.ask(b"b FETCH 1 (X-GM-MSGID X-GM-THRID X-GM-LABELS)")
    assert told[0] == b"* 1 FETCH (X-GM-MSGID NIL X-GM-THRID NIL X-GM-LABELS ())"
    for key in (b"X-GM-MSGID 1", b"X-GM-THRID 1", b"X-GM-LABELS \\Inbox"):
        assert (await stranger.ask(b"c SEARCH " + key))[0] == b"* SEARCH"
    assert (await stranger.ask(b"d SEARCH X-GM-RAW is:unread"))[-1].startswith(b"d NO [CANNOT]")
    assert (await stranger.ask(b"e STORE 1 +X-GM-LABELS (a)"))[-1].startswith(b"e NO [CANNOT]")
