"""Random histories over the Gmail connector and a Gmail with quirks and other users: see `history`.

`GMAIL_HISTORIES=1000` runs so many, `GMAIL_FIRST_HISTORY=5000` from that seed on. All of it is in one process and on
simulated time, so that a seed that fails does so again; should it not, `PYTHONHASHSEED=0` leaves nothing to chance.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.errors import ConnectorError
from connectors.api.settings import SettingValue
from connectors.gmail import SPEC
from connectors.gmail.connector import GmailConnector
from connectors.gmail.oauth import GmailCredentials
from connectors.gmail.settings import parse_settings
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.transfer import CopyOutcome
from gateway.mailbox.view import ExpungeOutcome, StoreOutcome
from gateway.store import messages, placements
from gateway.store.accounts import AccountRow
from gateway.sync.account_sync import EXPIRY_PAUSE_S
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from gateway.wire.commands import StoreAction
from tests.fakes.gmail.client import ROOT
from tests.fakes.gmail.options import PUBSUB_SCOPE
from tests.gateway.mailbox.history import History
from tests.gateway.mailbox.restless_gmail import LABELS, OutsideGmail
from tests.gateway.mailbox.simulated_client import SimulatedClient
from tests.simulated_loop import SimulatedClock, run_simulated
from tests.stack import PATIENT_S, running_stack

FIRST = int(os.environ.get("GMAIL_FIRST_HISTORY", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("GMAIL_HISTORIES", "6")))
LIVES = 3
STEPS = 30


class GmailHistory(History):
    """Tells the ledger what clients ask for."""

    outside: OutsideGmail

    def __init__(self, seed: int) -> None:
        self.clock = SimulatedClock()
        self.asked: list[bytes] = []
        super().__init__(seed, OutsideGmail(seed, self.clock))
        self.settings: dict[str, SettingValue] = {
            "api_root": ROOT,
            "units_per_minute": 10_000_000.0,
            "expunge": self.outside.expunge,
            "batch_size": self.random.choice((2, 50)),
            "max_concurrent": self.random.choice((1, 8)),
            "append": self.random.choice(("insert", "insert", "import")),
            "auto_expunge": self.random.random() < 0.15,
        }
        if self.random.random() < 0.3:
            options = self.outside.fake.options
            self.settings |= {
                "topic": options.topic_name,
                "subscription": options.subscription_name,
                "pubsub_root": ROOT,
            }
        self.sync = SyncSettings(
            prefetch=self.random.choice((Prefetch.NONE, Prefetch.NONE, Prefetch.HEADERS, Prefetch.BODIES)),
            poll_interval_s=self.random.choice((60.0, 3600.0)),
            parallel_mailboxes=self.random.choice((1, 2)),
        )

    def connect(self, _: AccountRow) -> Connector:
        fake = self.outside.fake
        login = FixedCredential(BearerCredential("", Secret(fake.access_token())))
        puller = FixedCredential(BearerCredential("", Secret(fake.access_token([PUBSUB_SCOPE], user=""))))
        settings = parse_settings(SPEC.check(self.settings))
        credentials = GmailCredentials(login, puller)
        return GmailConnector(settings, credentials, clock=self.clock, transport=self.outside.transport)

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
        ledger, refs = self.outside.ledger, await self.refs(client, uids)
        ledger.flagged.update(refs)
        if self.settings["auto_expunge"] and "\\Deleted" in names and action is not StoreAction.REMOVE:
            ledger.leaving.update((ref, client.view._mailbox.row.ref) for ref in refs)
        return await super().store_flags(client, uids, action, names, since)

    async def copy_to(self, client: SimulatedClient, uids: list[int], name: str, *, is_move: bool) -> CopyOutcome:
        ledger, source, refs = self.outside.ledger, client.view._mailbox.row, await self.refs(client, uids)
        ledger.entering.update((ref, name) for ref in refs)
        if is_move:
            ledger.leaving.update((ref, source.ref) for ref in refs)
        return await super().copy_to(client, uids, name, is_move=is_move)

    async def expunge_marked(self, client: SimulatedClient) -> ExpungeOutcome:
        refs = await self.refs(client, client.uids)
        self.outside.ledger.leaving.update((ref, client.view._mailbox.row.ref) for ref in refs)
        return await super().expunge_marked(client)

    def commands(self, client: SimulatedClient, uids: list[int]) -> list[Coroutine[Any, Any, None]]:
        commands = super().commands(client, uids)
        if not client.view.is_read_only:
            commands.append(self.store_labels(client, uids))
        return commands

    async def store_labels(self, client: SimulatedClient, uids: list[int]) -> None:
        chance, ledger = self.random, self.outside.ledger
        action, labels = chance.choice(list(StoreAction)), chance.sample(list(LABELS), chance.randint(0, 2))
        since = client.view.max_modseq(uids) - chance.randint(0, 2) if chance.random() < 0.3 else None
        # Those that the client has been told of, though the store may know already that some have left the mailbox.
        ids = [entry.message_id for uid in uids if (entry := client.view._mailbox.find(uid)) is not None]
        refs = list((await self.stack.store.read_bulk(lambda tx: messages.refs_by_ids(tx, ids))).values())
        if action is not StoreAction.REMOVE:
            ledger.entering.update((ref, LABELS[label]) for ref in refs for label in labels)
        if action is StoreAction.REPLACE:
            ledger.refilled.update(refs)
        elif action is StoreAction.REMOVE:
            ledger.shed.update((ref, LABELS[label]) for ref in refs for label in labels)
        outcome = await client.view.store_labels(uids, action, labels, since)
        assert set(outcome.failed) | set(outcome.modified) <= set(uids)

    async def append(self, client: SimulatedClient) -> None:
        """Store a message, now and then one that is there already; a draft gets the fields that it lacks."""
        chance = self.random
        name, names = chance.choice(self.outside.names()), sorted(self.some_flags())
        data = chance.choice(self.asked) if self.asked and chance.random() < 0.1 else self.next_message()
        is_new = data not in self.asked
        self.asked.append(data)
        self.outside.ledger.joining.add(data.split(b"Subject: ")[1].split(b"\r\n")[0])
        try:
            await self.append_message(name, data, names)
        except MailError as error:
            # A draft is not recognised by its octets, to which Gmail adds fields.
            if is_new and error.kind is ErrorKind.UNAVAILABLE and name != "[Gmail]/Drafts":
                assert not self.outside.refuted(data)
            raise

    # -- when all is quiet --------------------------------------------------------------------------------------------

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
        engine = self.stack.engine()
        while True:
            before = [row for row in await self.rows() if row.is_selectable]
            done = await asyncio.gather(*(engine.wait_until_read(row.id, PATIENT_S) for row in before))
            after = [row for row in await self.rows() if row.is_selectable]
            if (
                all(done)
                and {row.id for row in before} == {row.id for row in after}
                and all(row.is_listed for row in after)
            ):
                return
            self.clock.skip(EXPIRY_PAUSE_S)
            engine.retry()
            await asyncio.sleep(0)

    async def check(self) -> None:
        outside = self.outside
        assert sorted("/".join(row.path) for row in await self.rows() if row.is_selectable) == outside.present()
        await super().check()
        assert not outside.wrongs(), outside.wrongs()
        outside.forget()


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_agrees_after_any_history_with_gmail(tmp_path: Path, seed: int) -> None:
    run_simulated(seed, _live(tmp_path, seed))


async def _live(directory: Path, seed: int) -> None:
    history = GmailHistory(seed)
    for life in range(LIVES):
        async with running_stack(
            directory, sync=history.sync, make_connector=history.connect, clock=history.clock
        ) as stack:
            if not life:
                await stack.start_account("work", "alex", "gmail", {})
            await history.live(stack, STEPS)
        for _ in range(history.random.randint(0, 10)):
            history.outside.act()
