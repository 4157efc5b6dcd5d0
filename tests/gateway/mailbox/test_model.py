"""Random histories: several clients and the world outside work on the same mailboxes, things fail, processes restart.

Whatever happens, each client knows what it was told, and once all is quiet everybody agrees.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent, MessageRef
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.store import mailboxes, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from gateway.wire import search as keys
from gateway.wire.commands import StoreAction
from tests.gateway.mailbox.simulated_client import Memory, SimulatedClient, resynchronised
from tests.stack import PATIENT_S, Stack, message, running_stack

LAYOUTS = [
    pytest.param({"layout": "folders"}, id="folders"),
    pytest.param({"layout": "folders", "uids": True}, id="uids"),
    pytest.param({"layout": "items"}, id="items"),
    pytest.param({"layout": "labels"}, id="labels"),
    pytest.param({"layout": "labels", "listing": "sparse"}, id="sparse labels"),
    pytest.param({"layout": "labels", "lists_account": True, "reports_tree": True}, id="whole labels"),
]
SEEDS = range(2)
LIVES = 3
STEPS_PER_LIFE = 50
STEPS_PER_CHECK = 10
NAMES = ("INBOX", "Archive", "Trash")
CLIENTS = 5
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Label1", "Work")
OUTSIDE_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft")
WRITES = (Operation.STORE_FLAGS, Operation.COPY, Operation.MOVE, Operation.EXPUNGE, Operation.APPEND)
Place = tuple[int, int]
"""(mailbox id, UIDVALIDITY)"""


class History:
    """One random history. What must hold for ever is remembered over restarts."""

    def __init__(self, seed: int, settings: dict[str, Any]) -> None:
        self.random = random.Random(seed)
        self.settings = settings
        self.backend: MemoryBackend
        self.stack: Stack
        self.clients: list[SimulatedClient] = []
        self.asleep: list[Memory] = []
        self.contents: dict[tuple[int, int, int], bytes] = {}
        self.seen: dict[Place, tuple[MailboxRow, dict[int, PlacementRow]]] = {}
        self.number = 0
        self.is_editing = False

    # -- lives --------------------------------------------------------------------------------------------------------

    async def live(self, stack: Stack) -> None:
        """Go through one life of the process."""
        self.stack = stack
        for step in range(STEPS_PER_LIFE):
            await self.step()
            if step % STEPS_PER_CHECK == STEPS_PER_CHECK - 1:
                await self.settle()
                await self.check()
        self.asleep.extend(client.fall_asleep() for client in self.clients)
        self.close_clients()

    def close_clients(self) -> None:
        for client in self.clients:
            client.view.close()
        self.clients.clear()

    async def step(self) -> None:
        """Let some clients work at the same time, while things happen outside and go wrong."""
        chance = self.random
        while len(self.clients) < CLIENTS and chance.random() < 0.5:
            self.clients.append(await self.come())
        if chance.random() < 0.15:
            self.cause_trouble()
        if chance.random() < 0.05:
            await self.expire()
        if self.backend.layout is Layout.ITEMS and chance.random() < 0.2:
            self.is_editing = True
            await self.settle()
        busy = chance.sample(self.clients, min(len(self.clients), chance.randint(0, 3)))
        tasks = [asyncio.create_task(self.act(client)) for client in busy]
        hung_up = {client for client in busy if chance.random() < 0.06}
        for _ in range(chance.randint(0, 6)):
            if chance.random() < 0.4:
                self.act_outside()
            await asyncio.sleep(0)
        for client, task in zip(busy, tasks, strict=True):
            if client in hung_up:
                task.cancel()
        # Some writes have to read before they can be answered.
        self.release()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client, task in zip(busy, tasks, strict=True):
            if task.cancelled():
                client.view.close()
                self.clients.remove(client)
            else:
                task.result()
        if self.clients and chance.random() < 0.1:
            self.leave(chance.choice(self.clients))
        if self.is_editing:
            # Who reads a mailbox after a message has moved there cannot tell that it was edited before.
            await self.settle()
            self.is_editing = False

    async def come(self) -> SimulatedClient:
        name = self.random.choice(NAMES)
        view = await self.open(name, is_read_only=self.random.random() < 0.15)
        return SimulatedClient(name, view)

    async def open(self, name: str, *, is_read_only: bool) -> View:
        """Open a mailbox; while it cannot be had, try again as a user would."""
        async with asyncio.timeout(PATIENT_S):
            while True:
                try:
                    return await self.stack.open(name, is_read_only=is_read_only)
                except MailError as error:
                    if error.kind is not ErrorKind.UNAVAILABLE:
                        raise
                self.calm()
                self.stack.engine().retry()
                await asyncio.sleep(0)

    def leave(self, client: SimulatedClient) -> None:
        self.asleep.append(client.fall_asleep())
        client.view.close()
        self.clients.remove(client)

    # -- outside ------------------------------------------------------------------------------------------------------

    def next_message(self) -> bytes:
        self.number += 1
        return message(self.number)

    def act_outside(self) -> None:
        chance, backend = self.random, self.backend
        path = (chance.choice(NAMES),)
        refs = list(backend.mailbox(path).messages)
        if not refs or chance.random() < 0.4:
            backend.deliver(path, self.next_message(), self.some_flags(OUTSIDE_FLAGS))
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

    def some_flags(self, among: tuple[str, ...]) -> frozenset[str]:
        return frozenset(self.random.sample(among, self.random.randint(0, 2)))

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

    async def expire(self) -> None:
        """Make the cursors too old. A listing cannot tell of replaced octets, so those are read before."""
        if self.backend.layout is Layout.ITEMS:
            await self.settle()
        self.backend.expire_cursors()

    # -- clients ------------------------------------------------------------------------------------------------------

    async def act(self, client: SimulatedClient) -> None:
        """Send one command and be told its outcome and the news."""
        chance, view = self.random, client.view
        uids = sorted(chance.sample(client.uids, chance.randint(0, min(len(client.uids), 6))))
        may_expunge = chance.random() < 0.6
        commands: list[Coroutine[Any, Any, None]] = [self.search(client), self.look(client, uids)]
        if not view.is_read_only:
            commands += [self.store(client, uids), self.store(client, uids)]
        if not view.is_read_only and not self.is_editing:
            commands += [
                self.copy(client, uids, is_move=False),
                self.copy(client, uids, is_move=True),
                self.expunge(client),
                self.append(client),
            ]
        chosen = chance.choice(commands)
        for command in commands:
            if command is not chosen:
                command.close()
        try:
            await chosen
        except MailError as error:
            if error.kind not in (ErrorKind.UNAVAILABLE, ErrorKind.OUTCOME_UNKNOWN):
                raise
        client.take(allow_expunge=may_expunge)

    async def store(self, client: SimulatedClient, uids: list[int]) -> None:
        chance = self.random
        action, names = chance.choice(list(StoreAction)), sorted(self.some_flags(FLAGS))
        is_silent = chance.random() < 0.3
        since = client.view.max_modseq(uids) - chance.randint(0, 2) if chance.random() < 0.3 else None
        outcome = await client.view.store(uids, action, names, since)
        left_out = {*outcome.modified, *outcome.failed}
        client.stored([uid for uid in uids if uid not in left_out], action, names, is_silent=is_silent)

    async def copy(self, client: SimulatedClient, uids: list[int], *, is_move: bool) -> None:
        name = self.random.choice(NAMES)
        outcome = await client.view.copy(uids, name, is_move=is_move)
        assert len({uid for uid, _ in outcome.pairs}) == len(outcome.pairs)
        if self.backend.layout is Layout.ITEMS:
            return
        row = await self.row(name)
        for uid, copied in outcome.pairs:
            content = self.contents.get((client.view.mailbox_id, client.view.uidvalidity, uid))
            if content is not None:
                self.bind((row.id, row.uidvalidity, copied), content)

    async def expunge(self, client: SimulatedClient) -> None:
        marked = {uid for uid in client.uids if "\\Deleted" in client.view.flag_rows([uid])[0].flags.decode()}
        outcome = await client.view.expunge()
        assert set(outcome.removed) <= marked | set(client.uids)

    async def append(self, client: SimulatedClient) -> None:
        name, data = self.random.choice(NAMES), self.next_message()
        user = await self.stack.user()
        try:
            done = await user.append(name, BytesContent(data), sorted(self.some_flags(FLAGS)), None)
        except MailError as error:
            if error.kind is ErrorKind.UNAVAILABLE:
                assert all(one.data != data for one in self.backend.every_message().values())
            raise
        row = await self.row(name)
        self.bind((row.id, done.uidvalidity, done.uid), hashlib.sha256(data).digest())

    async def search(self, client: SimulatedClient) -> None:
        key: keys.SearchKey = self.random.choice(
            (
                keys.All(),
                keys.HasFlag("\\Seen"),
                keys.Not(keys.HasFlag("\\Deleted")),
                keys.HeaderContains("Subject", "number 1"),
                keys.TextContains("text of number 2"),
                keys.And((keys.HasFlag("\\Flagged", is_set=False), keys.BodyContains("number 3"))),
            )
        )
        found = await client.view.search(key)
        assert found == sorted(set(found))
        assert set(found) <= set(client.uids)

    async def look(self, client: SimulatedClient, uids: list[int]) -> None:
        numbers = []
        async for block in client.view.fetch(uids, Needs(envelope=True, structure=True, header=True, size=True)):
            for row in block:
                assert client.uids[row.sequence_number - 1] == row.uid
                numbers.append(row.uid)
        assert numbers == sorted(numbers)

    # -- when all is quiet --------------------------------------------------------------------------------------------

    def calm(self) -> None:
        faults = self.backend.faults
        faults._before.clear()
        faults._after.clear()
        self.release()

    def release(self) -> None:
        self.backend.faults.release(Operation.CHANGES, is_after=True)

    async def settle(self) -> None:
        """End the trouble and wait until everything at the backend has been read."""
        self.calm()
        engine = self.stack.engine()
        async with asyncio.timeout(PATIENT_S):
            await engine.wait_for_tree(PATIENT_S)
            await asyncio.gather(*engine._writes, return_exceptions=True)
            for name in NAMES:
                row = await self.row(name)
                while not await engine.wait_until_read(row.id, PATIENT_S):
                    engine.retry()
                    await asyncio.sleep(0)

    async def row(self, name: str) -> MailboxRow:
        account_id = self.stack.engine().context.account_id
        rows = await self.stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))
        return next(row for row in rows if row.path == (name,))

    async def check(self) -> None:
        """Compare backend, store, fresh views and old ones."""
        assert await self.stack.check() == []
        for name in NAMES:
            row = await self.check_rows(name)
            fresh = SimulatedClient(name, await self.open(name, is_read_only=True))
            bodies = await self.read_bodies(fresh.view)
            assert list(bodies) == fresh.uids
            self.compare_with_backend(name, row, bodies, fresh.flags)
            for uid, data in bodies.items():
                self.bind((row.id, row.uidvalidity, uid), hashlib.sha256(data).digest())
            for client in self.clients:
                if client.name == name:
                    await client.view._mailbox.refresh()
                    client.take(allow_expunge=True)
                    assert not client.view.is_defunct
                    assert client.flags == client.shown()
                    assert client.flags == fresh.flags
            assert not fresh.view._mailbox.ghosts
            for memory in self.asleep:
                if memory.name == name and memory.uidvalidity == row.uidvalidity:
                    assert await resynchronised(memory, fresh.view) == fresh.flags
            fresh.view.close()
        del self.asleep[:-10]

    async def read_bodies(self, view: View) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        async for block in view.fetch(list(view.uids), Needs(envelope=True, size=True, body=True)):
            for row in block:
                assert row.body is not None
                async with row.body as body:
                    found[row.uid] = await body.read(0, body.size)
                assert row.size == len(found[row.uid])
        return found

    def compare_with_backend(
        self, name: str, row: MailboxRow, bodies: dict[int, bytes], flags: dict[int, FlagSet]
    ) -> None:
        held = self.backend.mailbox((name,)).messages
        storable = self.backend.info(self.backend.mailbox((name,))).storable_flags

        def kept(names: frozenset[str] | tuple[str, ...]) -> FlagSet:
            return FlagSet.of(flag for flag in names if self.backend.layout is not Layout.LABELS or flag in storable)

        here = Counter((bodies[uid], kept(flags[uid].names())) for uid in bodies)
        assert here == Counter((one.data, kept(one.flags)) for one in held.values())
        if self.backend.has_uids:
            assert {MessageRef(str(uid)): data for uid, data in bodies.items()} == {
                ref: one.data for ref, one in held.items()
            }
            assert row.uidvalidity == self.backend.mailbox((name,)).uidvalidity

    async def check_rows(self, name: str) -> MailboxRow:
        """Compare the rows of a mailbox with what they were when last looked at."""
        mailbox_id = (await self.row(name)).id

        async def read(tx: Transaction) -> tuple[MailboxRow | None, list[PlacementRow]]:
            return await mailboxes.mailbox_by_id(tx, mailbox_id), await placements.load(tx, mailbox_id)

        row, rows = await self.stack.store.read_bulk(read)
        assert row is not None
        now = {one[0]: one for one in rows}
        before = self.seen.get((row.id, row.uidvalidity))
        if before is not None:
            old_row, old = before
            assert row.uidnext >= old_row.uidnext
            assert all(uid >= old_row.uidnext for uid in now.keys() - old.keys())
            changed = [one for uid, one in now.items() if uid not in old or one[2:4] != old[uid][2:4]]
            assert all(one[4] > old_row.highestmodseq for one in changed)
            assert all(one[1] == old[uid][1] for uid, one in now.items() if uid in old)
            if changed or old.keys() - now.keys():
                assert row.highestmodseq > old_row.highestmodseq
        self.seen[row.id, row.uidvalidity] = (row, now)
        return row

    def bind(self, key: tuple[int, int, int], content: bytes) -> None:
        """Remember the octets of a UID, or compare them with what they were."""
        assert self.contents.setdefault(key, content) == content


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("settings", LAYOUTS)
async def test_everybody_agrees_after_any_history(tmp_path: Path, settings: dict[str, Any], seed: int) -> None:
    history = History(seed, settings)
    history.backend = MemoryBackend(
        Layout(settings["layout"]),
        has_uids=bool(settings.get("uids")),
        is_sparse="listing" in settings,
        lists_account=bool(settings.get("lists_account")),
        reports_tree=bool(settings.get("reports_tree")),
        page_size=7,
        batch_limit=4,
    )
    backends = {"work": history.backend}
    for life in range(LIVES):
        async with running_stack(tmp_path, backends=backends) as stack:
            if not life:
                await stack.add_account("work", **settings)
            await history.live(stack)
        # While nobody looks, the world goes on.
        for _ in range(history.random.randint(0, 10)):
            history.act_outside()
