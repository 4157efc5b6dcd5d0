"""Random histories over the Graph connector and a Graph with quirks and other users: see `history`.

`GRAPH_HISTORIES=1000` runs so many, `GRAPH_FIRST_HISTORY=5000` from that seed on. All of it is in one process and on
simulated time, so that a seed that fails does so again; should it not, `PYTHONHASHSEED=0` leaves nothing to chance.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.errors import ConnectorError
from connectors.api.settings import SettingValue
from connectors.graph import SPEC
from connectors.graph.connector import GraphConnector
from connectors.graph.settings import parse_settings
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.transfer import CopyOutcome
from gateway.mailbox.user_mail import AppendUid, UserMail
from gateway.mailbox.view import ExpungeOutcome, StoreOutcome
from gateway.store import contents, placements
from gateway.store.accounts import AccountRow
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from gateway.wire.commands import StoreAction
from tests.connectors.graph.writing_rig import ROOT
from tests.gateway.mailbox.history import History
from tests.gateway.mailbox.restless_graph import LABELS, OutsideGraph
from tests.gateway.mailbox.simulated_client import SimulatedClient
from tests.gateway.mailbox.watched_graph import subject_in
from tests.simulated_loop import SimulatedClock, run_simulated
from tests.stack import PATIENT_S, Stack, running_stack

FIRST = int(os.environ.get("GRAPH_FIRST_HISTORY", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("GRAPH_HISTORIES", "6")))
LIVES = 2
STEPS = 20
BETWEEN_WHOLE_S = 19 * 3600.0
"""After so long every folder is read whole, whatever its changes tell."""


class GraphHistory(History):
    """Tells the ledger what clients ask for, and remembers which message had which UID."""

    outside: OutsideGraph

    def __init__(self, seed: int) -> None:
        self.clock = SimulatedClock()
        self.asked: list[bytes] = []
        self.numbered: dict[tuple[int, int], dict[str, int]] = {}
        super().__init__(seed, OutsideGraph(seed, self.clock))
        self.settings: dict[str, SettingValue] = {
            "api_root": ROOT,
            "requests_per_10_minutes": 1_000_000,
            "expunge": self.outside.expunge,
            "labels": ",".join(LABELS),
            "max_concurrent": self.random.choice((1, 2, 4)),
            "append": self.random.choice(("rebuild", "rebuild", "rebuild", "draft")),
        }
        self.poll_interval_s = self.random.choice((60.0, 3600.0))
        self.sync = SyncSettings(
            prefetch=self.random.choice((Prefetch.NONE, Prefetch.NONE, Prefetch.HEADERS, Prefetch.BODIES)),
            poll_interval_s=self.poll_interval_s,
            parallel_mailboxes=self.random.choice((1, 2)),
        )

    def connect(self, _: AccountRow) -> Connector:
        login = FixedCredential(BearerCredential("", Secret(self.outside.fake.access_token())))
        settings = parse_settings(SPEC.check(self.settings))
        return GraphConnector(settings, login, clock=self.clock, transport=self.outside.transport)

    async def live(self, stack: Stack, steps: int = STEPS) -> None:
        def evict() -> None:
            context = stack.engine().context
            context.cache.remove_account(context.account_id)

        self.outside.evict = evict
        try:
            await super().live(stack, steps)
        finally:
            self.outside.evict = lambda: None

    async def work(self) -> None:
        self.outside.is_restless = True
        await super().work()
        self.outside.is_restless = False

    # -- what clients ask for -----------------------------------------------------------------------------------------

    async def refs(self, client: SimulatedClient, uids: list[int]) -> list[str]:
        mailbox_id = client.view.mailbox_id
        rows = await self.stack.store.read_bulk(lambda tx: placements.by_uids(tx, mailbox_id, uids))
        return [row[2] for row in rows]

    async def store_flags(
        self, client: SimulatedClient, uids: list[int], action: StoreAction, names: list[str], since: int | None
    ) -> StoreOutcome:
        self.outside.ledger.flagged.update(await self.refs(client, uids))
        return await super().store_flags(client, uids, action, names, since)

    async def copy_to(self, client: SimulatedClient, uids: list[int], name: str, *, is_move: bool) -> CopyOutcome:
        ledger, source, refs = self.outside.ledger, client.view._mailbox.row, await self.refs(client, uids)
        if is_move:
            ledger.entering.update((ref, name) for ref in refs)
            ledger.leaving.update((ref, source.ref) for ref in refs)
        else:
            ledger.copied.update(refs)
        return await super().copy_to(client, uids, name, is_move=is_move)

    async def expunge_marked(self, client: SimulatedClient) -> ExpungeOutcome:
        refs = await self.refs(client, client.uids)
        self.outside.ledger.leaving.update((ref, client.view._mailbox.row.ref) for ref in refs)
        return await super().expunge_marked(client)

    async def delete_mailbox(self, user: UserMail, name: str) -> None:
        self.outside.ledger.is_deleting_mailboxes = True
        await super().delete_mailbox(user, name)

    def next_message(self) -> bytes:
        """Return a message that is to be stored, now and then one that is there already."""
        is_repeated = bool(self.asked) and self.random.random() < 0.1
        data = self.random.choice(self.asked) if is_repeated else self.outside.next_message()
        self.asked.append(data)
        self.outside.ledger.appended[subject_in(data)] += 1
        return data

    async def append_message(self, name: str, data: bytes, flags: list[str]) -> AppendUid:
        self.outside.destinations[subject_in(data)] = name
        return await super().append_message(name, data, flags)

    async def append(self, client: SimulatedClient) -> None:
        before = len(self.asked)
        try:
            await super().append(client)
        except AssertionError:
            # That it is there says nothing where it was asked for before.
            if self.asked[before] not in self.asked[:before]:
                raise
            raise MailError(ErrorKind.UNAVAILABLE, "it was stored before") from None

    # -- when all is quiet --------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        if self.outside.fake.quirks.delta_loses_arrivals:
            # What nobody tells is found when a folder is read whole, which is done at a poll.
            self.outside.calm()
            self.clock.skip(BETWEEN_WHOLE_S)
            await asyncio.sleep(self.poll_interval_s + 1)
        await super().settle()

    async def until_tree_is_known(self) -> None:
        engine = self.stack.engine()
        while True:
            try:
                await engine.wait_for_tree(PATIENT_S)
            except ConnectorError:
                engine.retry()
                await asyncio.sleep(0)
            else:
                return

    async def until_read(self) -> None:
        # What is told by the next round but one needs two.
        for _ in range(2 if self.outside.fake.quirks.delta_lags else 1):
            await self._until_all_are_read()

    async def _until_all_are_read(self) -> None:
        engine = self.stack.engine()
        while True:
            await engine.freshen_tree(-1.0, PATIENT_S)
            before = [row for row in await self.rows() if row.is_selectable]
            done = await asyncio.gather(*(engine.wait_until_read(row.id, PATIENT_S) for row in before))
            after = [row for row in await self.rows() if row.is_selectable]
            if (
                all(done)
                and {row.id for row in before} == {row.id for row in after}
                and all(row.is_listed for row in after)
            ):
                return
            engine.retry()
            await asyncio.sleep(0)

    async def check(self) -> None:
        outside = self.outside
        assert sorted("/".join(row.path) for row in await self.rows() if row.is_selectable) == outside.present()
        await self._read_all()
        await super().check()
        await self._check_kept()
        wrongs = outside.wrongs()
        assert not wrongs, "\n".join(wrongs)
        outside.forget()

    async def _read_all(self) -> None:
        """Read every message, which gives new UIDs to what was forgotten and has other octets by now."""
        for name in self.outside.present():
            view = await self.open(name, is_read_only=True)
            assert view is not None
            async for block in view.fetch(list(view.uids), Needs(body=True)):
                for row in block:
                    assert row.body is not None
                    with contextlib.suppress(MailError):
                        await row.body.__aenter__()
                    await row.body.__aexit__(None, None, None)
            view.close()

    async def _check_kept(self) -> None:
        """Check that there are octets for every message that is said to have some."""
        context, store = self.stack.engine().context, self.stack.store
        for row in await self.rows():
            placed = await store.read(lambda tx, key=row.id: placements.load(tx, key))  # type: ignore[misc]
            ids = [one[1] for one in placed]
            kept = await store.read(lambda tx, ids=ids: contents.kept_ids(tx, ids))  # type: ignore[misc]
            assert set(context.cache.kept.ids(context.account_id)) >= set(kept.values())

    async def check_rows(self, name: str) -> tuple[MailboxRow, dict[int, PlacementRow], dict[int, str]]:
        """Check besides that no message has got another UID without need."""
        row, rows, refs = await super().check_rows(name)
        before = self.numbered.get((row.id, row.uidvalidity), {})
        now = {ref: uid for uid, ref in refs.items()}
        ledger, outside = self.outside.ledger, self.outside
        may_vary = outside.has_evicted and outside.fake.quirks.mime_varies
        for ref in before.keys() & now.keys():
            has_cause = may_vary or (ref, row.ref) in ledger.parted or ref in ledger.edited
            assert before[ref] == now[ref] or has_cause, f"{ref} in {name} had UID {before[ref]} and has {now[ref]}"
        self.numbered[row.id, row.uidvalidity] = now
        return row, rows, refs


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_agrees_after_any_history_with_graph(tmp_path: Path, seed: int) -> None:
    run_simulated(seed, _live(tmp_path, seed))


async def _live(directory: Path, seed: int) -> None:
    history = GraphHistory(seed)
    for life in range(LIVES):
        async with running_stack(
            directory, sync=history.sync, make_connector=history.connect, clock=history.clock
        ) as stack:
            if not life:
                await stack.start_account("work", "alex", "graph", {})
            await history.live(stack, STEPS)
        for _ in range(history.random.randint(0, 10)):
            history.outside.act()
