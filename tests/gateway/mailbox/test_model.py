"""Random histories over the memory backend, in each of its layouts: see `tests.gateway.mailbox.history`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.api import errors
from connectors.api.types import MessageRef
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from tests.gateway.mailbox.history import OUTSIDE_FLAGS, History, Outside
from tests.stack import LAYOUTS, running_stack

SEEDS = range(2)
LIVES = 3
NAMES = ("INBOX", "Archive", "Trash")
WRITES = (Operation.STORE_FLAGS, Operation.COPY, Operation.MOVE, Operation.EXPUNGE, Operation.APPEND)


class OutsideMemory(Outside):
    """What others do at a memory backend."""

    def __init__(self, seed: int, backend: MemoryBackend) -> None:
        super().__init__(seed)
        self.backend = backend
        self.has_edits = backend.layout is Layout.ITEMS
        self.copies_are_equal = not self.has_edits

    def names(self) -> Sequence[str]:
        return NAMES

    def present(self) -> Sequence[str]:
        return NAMES

    def act(self) -> None:
        chance, backend = self.random, self.backend
        path = (chance.choice(NAMES),)
        refs = list(backend.mailbox(path).messages)
        if not refs or chance.random() < 0.4:
            backend.deliver(path, self.next_message(), self.some_flags())
            return
        ref = chance.choice(refs)
        other = backend.mailbox((chance.choice(NAMES),))
        match chance.randrange(5):
            case 0 | 1:
                backend.set_flags(path, ref, self.some_flags(OUTSIDE_FLAGS))
            case 2:
                backend.remove(path, ref)
            case _ if self.is_editing:
                backend.replace(path, ref, self.next_message())
            case 3:
                backend.move(backend.mailbox(path), ref, other)
            case _:
                backend.copy(backend.mailbox(path), ref, other)

    def cause_trouble(self) -> None:
        faults, chance = self.backend.faults, self.random
        operation = chance.choice(WRITES)
        match chance.randrange(5):
            case 0:
                faults.fail_after_doing(operation)
            case 1:
                faults.fail_next(operation, errors.Unavailable("down"))
            case 2:
                faults.fail_next(operation, errors.OutcomeUnknown("lost before it was done"))
            case 3:
                faults.hold(Operation.CHANGES, is_after=True)
            case _:
                faults.fail_next(Operation.CHANGES, errors.Unavailable("down"))

    def expire(self) -> None:
        self.backend.journal.expire_cursors()

    def calm(self) -> None:
        faults = self.backend.faults
        faults._before.clear()
        faults._after.clear()
        self.release()

    def release(self) -> None:
        self.backend.faults.release(Operation.CHANGES, is_after=True)

    async def idle(self) -> None:
        """All is done at once here."""

    def refuted(self, data: bytes) -> bool:
        return any(one.data == data for one in self.backend.every_message().values())

    def stored(self, body: bytes) -> bytes:
        """Return what the backend has of a message that is served in this way."""
        return body

    def compare(
        self,
        name: str,
        row: MailboxRow,
        rows: Mapping[int, PlacementRow],
        refs: Mapping[int, str],
        bodies: Mapping[int, bytes],
        flags: Mapping[int, FlagSet],
    ) -> None:
        held = self.backend.mailbox((name,)).messages
        storable = self.backend.info(self.backend.mailbox((name,))).storable_flags

        def kept(names: frozenset[str] | tuple[str, ...]) -> FlagSet:
            return FlagSet.of(flag for flag in names if self.backend.layout is not Layout.LABELS or flag in storable)

        here = Counter((self.stored(bodies[uid]), kept(flags[uid].names())) for uid in bodies)
        assert here == Counter((one.data, kept(one.flags)) for one in held.values())
        if self.backend.has_uids:
            assert {MessageRef(str(uid)): data for uid, data in bodies.items()} == {
                ref: one.data for ref, one in held.items()
            }
            assert row.uidvalidity == self.backend.mailbox((name,)).uidvalidity


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("settings", LAYOUTS)
async def test_everybody_agrees_after_any_history(tmp_path: Path, settings: dict[str, Any], seed: int) -> None:
    backend = MemoryBackend(
        Layout(settings["layout"]),
        has_uids=bool(settings.get("uids")),
        is_sparse="listing" in settings,
        lists_account=bool(settings.get("lists_account")),
        reports_tree=bool(settings.get("reports_tree")),
        page_size=7,
        batch_limit=4,
    )
    outside = OutsideMemory(seed, backend)
    history = History(seed, outside)
    for life in range(LIVES):
        async with running_stack(tmp_path, backends={"work": backend}) as stack:
            if not life:
                await stack.add_account("work", **settings)
            await history.live(stack)
        # While nobody looks, the world goes on.
        for _ in range(history.random.randint(0, 10)):
            outside.act()
