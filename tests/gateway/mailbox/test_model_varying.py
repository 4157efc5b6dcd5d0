"""Random histories over a backend that composes its messages anew at each reading, with a cache that forgets."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from connectors.memory.backend import Layout, MemoryBackend
from gateway.errors import MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.store import contents, placements
from tests.gateway.mailbox.history import History
from tests.gateway.mailbox.test_model import LIVES, OutsideMemory
from tests.stack import Stack, running_stack

SEEDS = range(2)


class OutsideVarying(OutsideMemory):
    """What others do at the backend, and the cache forgetting what it holds."""

    stack: Stack

    def __init__(self, seed: int, backend: MemoryBackend) -> None:
        super().__init__(seed, backend)
        self.copies_are_equal = False

    def act(self) -> None:
        if self.random.random() < 0.1:
            context = self.stack.engine().context
            context.cache.remove_account(context.account_id)
        super().act()

    def stored(self, body: bytes) -> bytes:
        return re.sub(rb"\AX-Composed: [0-9]+\r\n", b"", body)


class VaryingHistory(History):
    """Compares what is there once it has been read, which gives new UIDs to what has other octets by now."""

    outside: OutsideVarying

    async def live(self, stack: Stack, steps: int = 50) -> None:
        self.outside.stack = stack
        await super().live(stack, steps)

    async def check(self) -> None:
        for name in self.outside.present():
            view = await self.open(name, is_read_only=True)
            assert view is not None
            await self.read_what_is_there(view)
            view.close()
        await super().check()
        await self.check_kept()

    async def read_what_is_there(self, view: View) -> None:
        async for block in view.fetch(list(view.uids), Needs(body=True)):
            for row in block:
                assert row.body is not None
                with contextlib.suppress(MailError):
                    await row.body.__aenter__()
                await row.body.__aexit__(None, None, None)

    async def check_kept(self) -> None:
        """Check that there are octets for every message that is said to have some."""
        context, store = self.stack.engine().context, self.stack.store
        for row in await self.rows():
            placed = await store.read(lambda tx, key=row.id: placements.load(tx, key))  # type: ignore[misc]
            ids = [one[1] for one in placed]
            kept = await store.read(lambda tx, ids=ids: contents.kept_ids(tx, ids))  # type: ignore[misc]
            assert set(context.cache.kept.ids(context.account_id)) >= set(kept.values())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("layout", [pytest.param("folders", marks=pytest.mark.long), "items", "labels"])
async def test_everybody_agrees_though_octets_vary(tmp_path: Path, layout: str, seed: int) -> None:
    backend = MemoryBackend(
        Layout(layout), bodies_vary=True, has_exact_headers=False, page_size=7, batch_limit=4, is_sparse=seed == 1
    )
    outside = OutsideVarying(seed, backend)
    history = VaryingHistory(seed, outside)
    for life in range(LIVES):
        async with running_stack(tmp_path, backends={"work": backend}) as stack:
            outside.stack = stack
            if not life:
                await stack.add_account("work", layout=layout)
            await history.live(stack)
