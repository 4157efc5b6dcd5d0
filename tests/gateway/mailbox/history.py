"""One random history: several clients and the world outside work on the same mailboxes, things fail, processes restart.

Whatever happens, each client knows what it was told, and once all is quiet everybody agrees. What the backend is, what
happens there and what can go wrong is for an `Outside`; whoever has more to check derives from `History`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from connectors.api.types import BytesContent, Role
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.transfer import CopyOutcome
from gateway.mailbox.user_mail import AppendUid, UserMail
from gateway.mailbox.view import ExpungeOutcome, StoreOutcome, View
from gateway.store import mailboxes, placements
from gateway.store.database import Transaction
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from gateway.wire import search as keys
from gateway.wire.commands import StoreAction
from tests.gateway.mailbox.simulated_client import Memory, SimulatedClient, resynchronised
from tests.stack import PATIENT_S, Stack, message

STEPS_PER_LIFE = 50
STEPS_PER_CHECK = 10
CLIENTS = 5
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Label1", "Work")
OUTSIDE_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft")
DOWN = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.OUTCOME_UNKNOWN})
Place = tuple[int, int]
"""(mailbox id, UIDVALIDITY)"""


class Outside(ABC):
    """The backend, as others work on it behind the gateway's back. All of it happens at once, without waiting."""

    refusals: frozenset[ErrorKind] = DOWN
    """What clients may be told when something goes wrong."""
    copies_are_equal = True
    """Whether a copy has the octets that its original had when the client looked."""
    has_edits = False
    """Whether messages get other octets at the backend. Clients then only look and set flags, until all is read."""
    alters_tree = False
    """Whether mailboxes come and go: clients, too, make, rename and delete them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"outside {seed}")
        self.is_editing = False
        self.number = 0

    def next_message(self) -> bytes:
        """Return a message that was never there."""
        self.number += 1
        return message(self.number)

    def some_flags(self, among: Sequence[str] = OUTSIDE_FLAGS) -> frozenset[str]:
        return frozenset(self.random.sample(among, self.random.randint(0, 2)))

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the mailboxes that clients name, there or not."""

    def alterable(self) -> Sequence[str]:
        """Return the mailboxes that are made, renamed and deleted."""
        return ()

    @abstractmethod
    def present(self) -> Sequence[str]:
        """Return those of the mailboxes that are compared and are there."""

    @abstractmethod
    def act(self) -> None:
        """Do something to messages or mailboxes."""

    @abstractmethod
    def cause_trouble(self) -> None:
        """Let something go wrong soon."""

    @abstractmethod
    def expire(self) -> None:
        """Let the cursors be too old."""

    @abstractmethod
    def calm(self) -> None:
        """End all trouble."""

    @abstractmethod
    def release(self) -> None:
        """Let go on whatever is held up."""

    def hang_up(self, cancel: Callable[[], object]) -> None:
        """Let a client go away amid its command, by calling `cancel`."""
        cancel()

    @abstractmethod
    async def idle(self) -> None:
        """Return when the backend is at work on nothing any more."""

    @abstractmethod
    def refuted(self, data: bytes) -> bool:
        """Whether the backend has a message that an APPEND was told not to be stored."""

    @abstractmethod
    def compare(
        self,
        name: str,
        row: MailboxRow,
        rows: Mapping[int, PlacementRow],
        refs: Mapping[int, str],
        bodies: Mapping[int, bytes],
        flags: Mapping[int, FlagSet],
    ) -> None:
        """Compare what clients see of a mailbox, by UID, with what is there."""


class History:
    """Remembers over restarts what must hold for ever."""

    def __init__(self, seed: int, outside: Outside) -> None:
        self.random = random.Random(seed)
        self.outside = outside
        self.stack: Stack
        self.clients: list[SimulatedClient] = []
        self.asleep: list[Memory] = []
        self.contents: dict[tuple[int, int, int], bytes] = {}
        self.named: dict[tuple[str, int, int], bytes] = {}
        self.seen: dict[Place, tuple[MailboxRow, dict[int, PlacementRow]]] = {}

    # -- lives --------------------------------------------------------------------------------------------------------

    async def live(self, stack: Stack, steps: int = STEPS_PER_LIFE) -> None:
        """Go through one life of the process."""
        self.stack = stack
        for step in range(steps):
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
        chance, outside = self.random, self.outside
        while len(self.clients) < CLIENTS and chance.random() < 0.5:
            await self.come()
        if chance.random() < 0.15:
            outside.cause_trouble()
        if chance.random() < 0.05:
            await self.expire()
        if outside.has_edits and chance.random() < 0.2:
            outside.is_editing = True
            await self.settle()
        await self.work()
        if self.clients and chance.random() < 0.1:
            self.leave(chance.choice(self.clients))
        if outside.is_editing:
            # Who reads a mailbox after a message has moved there cannot tell that it was edited before.
            await self.settle()
            outside.is_editing = False

    async def work(self) -> None:
        """Let some clients send a command each, of which some do not wait for the answer."""
        chance = self.random
        busy = chance.sample(self.clients, min(len(self.clients), chance.randint(0, 3)))
        tasks = [asyncio.create_task(self.act(client)) for client in busy]
        hung_up = {client for client in busy if chance.random() < 0.06}
        for _ in range(chance.randint(0, 6)):
            if chance.random() < 0.4:
                self.outside.act()
            await asyncio.sleep(0)
        for client, task in zip(busy, tasks, strict=True):
            if client in hung_up:
                self.outside.hang_up(task.cancel)
        # Some writes have to read before they can be answered.
        self.outside.release()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client, task in zip(busy, tasks, strict=True):
            if task.cancelled():
                client.view.close()
                self.clients.remove(client)
            else:
                task.result()

    async def come(self) -> None:
        """Let one more client open a mailbox, if it is there."""
        name, is_read_only = self.random.choice(self.outside.names()), self.random.random() < 0.15
        view = await self.open(name, is_read_only=is_read_only)
        if view is not None:
            self.clients.append(SimulatedClient(name, view))

    async def open(self, name: str, *, is_read_only: bool) -> View | None:
        """Open a mailbox; while it cannot be had, try again as a user would. None if there is none."""
        async with asyncio.timeout(PATIENT_S):
            while True:
                try:
                    return await self.stack.open(name, is_read_only=is_read_only)
                except MailError as error:
                    if error.kind is ErrorKind.NOT_FOUND and self.outside.alters_tree:
                        return None
                    if error.kind not in self.outside.refusals:
                        raise
                self.outside.calm()
                self.stack.engine().retry()
                await asyncio.sleep(0)

    def leave(self, client: SimulatedClient) -> None:
        self.asleep.append(client.fall_asleep())
        client.view.close()
        self.clients.remove(client)

    async def expire(self) -> None:
        """Make the cursors too old. A listing cannot tell of replaced octets, so those are read before."""
        if self.outside.has_edits:
            await self.settle()
        self.outside.expire()

    # -- clients ------------------------------------------------------------------------------------------------------

    async def act(self, client: SimulatedClient) -> None:
        """Send one command and be told its outcome and the news."""
        chance, view = self.random, client.view
        if view.is_defunct:
            view.close()
            self.clients.remove(client)
            return
        uids = sorted(chance.sample(client.uids, chance.randint(0, min(len(client.uids), 6))))
        may_expunge = chance.random() < 0.6
        commands = self.commands(client, uids)
        chosen = chance.choice(commands)
        for command in commands:
            if command is not chosen:
                command.close()
        try:
            await chosen
        except MailError as error:
            if error.kind not in self.outside.refusals:
                raise
        if not view.is_defunct:
            client.take(allow_expunge=may_expunge)

    def commands(self, client: SimulatedClient, uids: list[int]) -> list[Coroutine[Any, Any, None]]:
        """Return what a client may do next, with those messages if with any; one of them is begun."""
        commands: list[Coroutine[Any, Any, None]] = [self.search(client), self.look(client, uids)]
        if not client.view.is_read_only:
            commands += [self.store(client, uids), self.store(client, uids)]
        if not client.view.is_read_only and not self.outside.is_editing:
            commands += [
                self.copy(client, uids, is_move=False),
                self.copy(client, uids, is_move=True),
                self.expunge(client),
                self.append(client),
            ]
        if self.outside.alters_tree:
            commands.append(self.alter_tree())
        return commands

    async def store(self, client: SimulatedClient, uids: list[int]) -> None:
        chance = self.random
        action, names = chance.choice(list(StoreAction)), sorted(self.some_flags())
        is_silent = chance.random() < 0.3
        since = client.view.max_modseq(uids) - chance.randint(0, 2) if chance.random() < 0.3 else None
        outcome = await self.store_flags(client, uids, action, names, since)
        left_out = {*outcome.modified, *outcome.failed}
        done = [uid for uid in uids if uid not in left_out]
        client.stored(done, action, names, is_silent=is_silent)

    async def store_flags(
        self, client: SimulatedClient, uids: list[int], action: StoreAction, names: list[str], since: int | None
    ) -> StoreOutcome:
        return await client.view.store(uids, action, names, since)

    def some_flags(self) -> frozenset[str]:
        return frozenset(self.random.sample(FLAGS, self.random.randint(0, 2)))

    async def copy(self, client: SimulatedClient, uids: list[int], *, is_move: bool) -> None:
        name = self.random.choice(self.outside.names())
        outcome = await self.copy_to(client, uids, name, is_move=is_move)
        assert len({uid for uid, _ in outcome.pairs}) == len(outcome.pairs)
        row = await self.row(name)
        if row is None or row.uidvalidity != outcome.uidvalidity or not self.outside.copies_are_equal:
            return
        for uid, copied in outcome.pairs:
            content = self.contents.get((client.view.mailbox_id, client.view.uidvalidity, uid))
            if content is not None:
                self.bind(row, copied, content)

    async def copy_to(self, client: SimulatedClient, uids: list[int], name: str, *, is_move: bool) -> CopyOutcome:
        return await client.view.copy(uids, name, is_move=is_move)

    async def expunge(self, client: SimulatedClient) -> None:
        marked = {uid for uid in client.uids if "\\Deleted" in client.view.flag_rows([uid])[0].flags.decode()}
        outcome = await self.expunge_marked(client)
        assert set(outcome.removed) <= marked | set(client.uids)

    async def expunge_marked(self, client: SimulatedClient) -> ExpungeOutcome:
        return await client.view.expunge()

    async def append(self, client: SimulatedClient) -> None:
        name, data, names = self.random.choice(self.outside.names()), self.next_message(), sorted(self.some_flags())
        try:
            done = await self.append_message(name, data, names)
        except MailError as error:
            if error.kind is ErrorKind.UNAVAILABLE:
                assert not self.outside.refuted(data)
            raise
        row = await self.row(name)
        if row is not None and row.uidvalidity == done.uidvalidity:
            self.bind(row, done.uid, _digest(data))

    async def append_message(self, name: str, data: bytes, flags: list[str]) -> AppendUid:
        return await (await self.stack.user()).append(name, BytesContent(data), flags, None)

    def next_message(self) -> bytes:
        return self.outside.next_message()

    async def alter_tree(self) -> None:
        """Make, rename or delete a mailbox."""
        user, names = await self.stack.user(), self.outside.alterable()
        match self.random.randrange(5):
            case 0 | 1:
                await user.create(self.random.choice(names), self.random.sample([Role.JUNK], self.random.randrange(2)))
            case 2:
                await user.rename(*self.random.sample(names, 2))
            case 3:
                await self.delete_mailbox(user, self.random.choice(names))
            case _:
                await user.subscribe(self.random.choice(names), self.random.random() < 0.5)

    async def delete_mailbox(self, user: UserMail, name: str) -> None:
        await user.delete(name)

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

    async def settle(self) -> None:
        """End the trouble and wait until everything at the backend has been read."""
        self.outside.calm()
        engine = self.stack.engine()
        async with asyncio.timeout(PATIENT_S):
            await self.until_tree_is_known()
            await asyncio.gather(*engine._writes, return_exceptions=True)
            await self.outside.idle()
            await self.until_read()

    async def until_tree_is_known(self) -> None:
        await self.stack.engine().wait_for_tree(PATIENT_S)

    async def until_read(self) -> None:
        """Have every mailbox read, from now on."""
        engine = self.stack.engine()
        for row in await self.rows():
            while not await engine.wait_until_read(row.id, PATIENT_S):
                engine.retry()
                await asyncio.sleep(0)

    async def rows(self) -> list[MailboxRow]:
        account_id = self.stack.engine().context.account_id
        return await self.stack.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))

    async def row(self, name: str) -> MailboxRow | None:
        return next((row for row in await self.rows() if "/".join(row.path) == name), None)

    async def check(self) -> None:
        """Compare backend, store, fresh views and old ones."""
        assert await self.stack.check() == []
        for name in self.outside.present():
            row, rows, refs = await self.check_rows(name)
            view = await self.open(name, is_read_only=True)
            assert view is not None
            fresh = SimulatedClient(name, view)
            bodies = await self.read_bodies(fresh.view)
            assert list(bodies) == fresh.uids
            self.outside.compare(name, row, rows, refs, bodies, fresh.flags)
            for uid, data in bodies.items():
                self.bind(row, uid, _digest(data))
            self.check_marks(row, fresh.flags)
            for client in self.clients:
                if client.view.mailbox_id == row.id and client.view.uidvalidity == row.uidvalidity:
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

    def check_marks(self, row: MailboxRow, flags: dict[int, FlagSet]) -> None:
        """Check what only the gateway holds of the flags."""

    async def read_bodies(self, view: View) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        async for block in view.fetch(list(view.uids), Needs(envelope=True, size=True, body=True)):
            for row in block:
                assert row.body is not None
                async with row.body as body:
                    found[row.uid] = await body.read(0, body.size)
                assert row.size == len(found[row.uid])
        return found

    async def check_rows(self, name: str) -> tuple[MailboxRow, dict[int, PlacementRow], dict[int, str]]:
        """Compare the rows of a mailbox with what they were when last looked at; return them, and the refs by UID."""
        found = await self.row(name)
        assert found is not None, f"{name} is not in the store"
        mailbox_id = found.id

        async def read(tx: Transaction) -> tuple[MailboxRow | None, list[PlacementRow], dict[int, str]]:
            refs = {uid: ref for ref, uid, *_ in await placements.refs_of(tx, mailbox_id)}
            return await mailboxes.mailbox_by_id(tx, mailbox_id), await placements.load(tx, mailbox_id), refs

        row, rows, refs = await self.stack.store.read_bulk(read)
        assert row is not None
        now = {one[0]: one for one in rows}
        before = self.seen.get((row.id, row.uidvalidity))
        if before is not None:
            old_row, old = before
            assert row.uidnext >= old_row.uidnext
            assert all(uid >= old_row.uidnext for uid in now.keys() - old.keys())
            changed = [one for uid, one in now.items() if uid not in old or one[2:4] != old[uid][2:4]]
            assert all(one[4] > old_row.highestmodseq for one in changed)
            assert all(one[4] >= old[uid][4] for uid, one in now.items() if uid in old)
            assert all(one[1] == old[uid][1] for uid, one in now.items() if uid in old)
            if changed or old.keys() - now.keys():
                assert row.highestmodseq > old_row.highestmodseq
        self.seen[row.id, row.uidvalidity] = (row, now)
        return row, now, refs

    def bind(self, row: MailboxRow, uid: int, content: bytes) -> None:
        """Remember the octets of a UID, or compare them with what they were, by mailbox and by name."""
        assert self.contents.setdefault((row.id, row.uidvalidity, uid), content) == content
        assert self.named.setdefault(("/".join(row.path), row.uidvalidity, uid), content) == content


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
