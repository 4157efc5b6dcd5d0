"""Random histories over the JMAP connector and a server with limits, quirks and other users: see `history`.

`JMAP_HISTORIES=1000` runs so many, `JMAP_FIRST_HISTORY=5000` from that seed on. All of it is in one process and on
simulated time, so that a seed that fails does so again; should it not, `PYTHONHASHSEED=0` leaves nothing to chance.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.api.errors import ConnectorError
from connectors.jmap.connector import JmapConnector
from connectors.jmap.settings import parse_settings
from gateway.mailbox.transfer import CopyOutcome
from gateway.mailbox.user_mail import AppendUid, UserMail
from gateway.mailbox.view import ExpungeOutcome, StoreOutcome
from gateway.store import placements
from gateway.store.accounts import AccountRow
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.sync.account_sync import EXPIRY_PAUSE_S
from gateway.wire.commands import StoreAction
from tests.gateway.mailbox.history import History
from tests.gateway.mailbox.restless_jmap import OutsideJmap, digest_of
from tests.gateway.mailbox.simulated_client import SimulatedClient
from tests.simulated_loop import SimulatedClock, run_simulated
from tests.stack import PATIENT_S, running_stack

FIRST = int(os.environ.get("JMAP_FIRST_HISTORY", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("JMAP_HISTORIES", "6")))
LIVES = 3
STEPS = 30
TIMEOUT_S = 2.0
Key = tuple[int, int]
"""(mailbox id, UID)"""


class JmapHistory(History):
    """Tells the ledger what clients ask for, and knows which messages are marked as deleted, and where."""

    outside: OutsideJmap

    def __init__(self, seed: int) -> None:
        self.clock = SimulatedClock()
        super().__init__(seed, OutsideJmap(seed, self.clock))
        self.settings = {
            "push": self.random.choice(("auto", "auto", "eventsource", "off")),
            "expunge": self.outside.expunge,
            "max_concurrent": self.random.choice((1, 4)),
            "timeout_s": TIMEOUT_S,
        }
        self.marks: dict[Key, bool] = {}
        self.unsure: set[Key] = set()
        self.under_way: Counter[Key] = Counter()
        self.ever_marked: set[Key] = set()
        self.expunging: Counter[int] = Counter()
        self.unanswered: set[bytes] = set()
        self.asked: list[bytes] = []

    def connect(self, _: AccountRow) -> Connector:
        user = self.outside.options.users[0]
        credential = FixedCredential(PasswordCredential(user.name, Secret(user.password)))
        settings = parse_settings({"url": self.outside.fake.url, **self.settings})
        return JmapConnector(settings, credential, clock=self.clock, transport=self.outside.server.transport())

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
        ledger, keys = self.outside.ledger, [(client.view.mailbox_id, uid) for uid in uids]
        refs = await self.refs(client, uids)
        keywords = {name.lower().replace("\\", "$") for name in names}
        ledger.flagged.update((ref, keyword) for ref in refs for keyword in keywords)
        if action is StoreAction.REPLACE:
            ledger.refilled.update(refs)
        concerns_mark = "\\Deleted" in names or action is StoreAction.REPLACE
        if not concerns_mark:
            return await super().store_flags(client, uids, action, names, since)
        if "\\Deleted" in names and action is not StoreAction.REMOVE:
            self.ever_marked.update(keys)
            if self.expunging[client.view.mailbox_id]:
                # Another client's EXPUNGE, under way, may take these along.
                self.note_leaving(client, refs)
        self.under_way.update(keys)
        self.unsure.update(key for key in keys if self.under_way[key] > 1)
        try:
            outcome = await super().store_flags(client, uids, action, names, since)
        except asyncio.CancelledError:
            self.unsure.update(keys)
            raise
        finally:
            self.under_way.subtract(keys)
        left_out = {*outcome.modified, *outcome.failed}
        is_marked = "\\Deleted" in names and action is not StoreAction.REMOVE
        for key in keys:
            if key[1] not in left_out:
                self.marks[key] = is_marked
                if any(("\\Deleted" in row.flags.decode()) != is_marked for row in client.view.flag_rows([key[1]])):
                    # It was away just then, or another client was later.
                    self.unsure.add(key)
        return outcome

    async def copy_to(self, client: SimulatedClient, uids: list[int], name: str, *, is_move: bool) -> CopyOutcome:
        ledger, source = self.outside.ledger, client.view._mailbox.row
        refs = await self.refs(client, uids)
        ledger.entering.update((ref, name) for ref in refs)
        if is_move:
            ledger.leaving.update((ref, source.ref) for ref in refs)
        if not self.outside.has_many_mailboxes:
            emails = self.outside.account.emails
            ledger.appended.update(digest_of(emails[ref].content.data) for ref in refs if ref in emails)
        return await super().copy_to(client, uids, name, is_move=is_move)

    async def expunge_marked(self, client: SimulatedClient) -> ExpungeOutcome:
        mailbox_id = client.view.mailbox_id
        self.expunging[mailbox_id] += 1
        try:
            marked = [uid for uid in client.uids if (mailbox_id, uid) in self.ever_marked]
            self.note_leaving(client, {*await self.refs(client, marked), *self.outside.refs_of(self.unanswered)})
            return await super().expunge_marked(client)
        finally:
            self.expunging[mailbox_id] -= 1

    def note_leaving(self, client: SimulatedClient, refs: Collection[str]) -> None:
        ledger, source = self.outside.ledger, client.view._mailbox.row.ref
        ledger.leaving.update((ref, source) for ref in refs)
        ledger.entering.update((ref, name) for ref in refs for name in ("Trash", "Archive"))

    def next_message(self) -> bytes:
        """Return a new message, or now and then one that a client has stored before."""
        if self.asked and self.random.random() < 0.1:
            return self.random.choice(self.asked)
        return super().next_message()

    async def append_message(self, name: str, data: bytes, flags: list[str]) -> AppendUid:
        ledger, row, digest = self.outside.ledger, await self.row(name), digest_of(data)
        is_new = data not in self.asked
        self.asked.append(data)
        ledger.appended[digest] += 1
        ledger.ever_appended[digest] += 1
        ledger.joining.add((digest, name))
        # Whoever hangs up or gets no answer does not learn what became of the message.
        self.unanswered.add(digest)
        done = await super().append_message(name, data, flags)
        if row is not None and row.uidvalidity == done.uidvalidity:
            key = row.id, done.uid
            if "\\Deleted" in flags:
                self.ever_marked.add(key)
                self.marks[key] = True
            if is_new:
                self.unanswered.discard(digest)
            else:
                # If it was there already, or an earlier APPEND is answered again, others may have marked it meanwhile.
                self.unsure.add(key)
        return done

    async def delete_mailbox(self, user: UserMail, name: str) -> None:
        self.outside.ledger.dropped.add(name)
        await super().delete_mailbox(user, name)

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
        assert sorted("/".join(row.path) for row in await self.rows()) == outside.present()
        await super().check()
        assert outside.wrongs() == []
        outside.ledger.forget()

    def check_marks(self, row: MailboxRow, flags: dict[int, FlagSet]) -> None:
        """Check that exactly those messages are marked as deleted here that a client has marked here."""
        for uid, found in flags.items():
            is_marked = "\\Deleted" in found.names()
            is_sure = self.contents[row.id, row.uidvalidity, uid] not in self.unanswered
            if is_sure and (row.id, uid) not in self.unsure:
                assert is_marked == self.marks.get((row.id, uid), False), f"UID {uid} of {row.path}"
            self.marks[row.id, uid] = is_marked
            self.unsure.discard((row.id, uid))


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_agrees_after_any_history_with_a_jmap_server(tmp_path: Path, seed: int) -> None:
    run_simulated(seed, _live(tmp_path, seed))


async def _live(directory: Path, seed: int) -> None:
    history = JmapHistory(seed)
    for life in range(LIVES):
        async with running_stack(directory, make_connector=history.connect, clock=history.clock) as stack:
            if not life:
                await stack.start_account("work", "alex", "jmap", {})
            await history.live(stack, STEPS)
        for _ in range(history.random.randint(0, 10)):
            history.outside.act()
    await history.outside.server.close()
