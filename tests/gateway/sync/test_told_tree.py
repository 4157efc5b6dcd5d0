"""A backend that tells of changes of the tree once, by comparing with what it listed before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fakes.jmap.server import running_fake
from tests.gateway.sync.over_jmap import jmap_stack
from tests.stack import PATIENT_S


async def test_a_rename_is_learned_although_a_reading_failed_meanwhile(tmp_path: Path) -> None:
    async with running_fake() as fake, jmap_stack(tmp_path, fake) as stack:
        view = await stack.open("INBOX")
        engine = stack.engine()
        fake.rename_mailbox("Archive", "Renamed")
        fake.fail_next("Email/changes", "method-error", error="serverFail")
        async with asyncio.timeout(PATIENT_S):
            assert not await engine.wait_until_read(view.mailbox_id, PATIENT_S)
            assert await engine.wait_until_read(view.mailbox_id, PATIENT_S)
        names = {entry.name for entry in (await (await stack.user())._tree()).entries() if entry.exists}
        assert "Renamed" in names
        assert "Archive" not in names
