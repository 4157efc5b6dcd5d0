"""Placements against a naive model: whatever is done in whatever order, numbers and counters agree."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.store import flags, invariants, mailboxes, messages, placements, tombstones
from gateway.store.database import Store, Transaction
from gateway.store.messages import MessageValues
from tests.gateway.store.conftest import Place, add_place
from tests.manual_clock import ManualClock

BITS = st.integers(0, 31)
KEYWORDS = st.sampled_from(["", "a", "a b"])
PICK = st.integers(0, 10_000)


@dataclass
class Mailbox:
    """What the model knows of a mailbox: uid -> [message, flags, keywords, modseq]."""

    modseq: int
    floor: int
    uidvalidity: int
    uidnext: int = 1
    rows: dict[int, list[Any]] = field(default_factory=dict)
    buried: dict[int, int] = field(default_factory=dict)


class Placements(RuleBasedStateMachine):
    """Two mailboxes and the messages in them."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        url = f"sqlite:///{self.folder.name}/mail.db"
        self.store = self.loop.run_until_complete(Store.open(url, clock=ManualClock()))
        self.place: Place = self.loop.run_until_complete(add_place(self.store))
        self.sizes: dict[int, int | None] = {}
        self.exact: dict[int, bool] = {}
        self.model: dict[int, Mailbox] = {}
        for mailbox_id in (self.place.inbox, self.place.other):
            row = self.read(lambda tx, m=mailbox_id: mailboxes.mailbox_by_id(tx, m))  # type: ignore[misc]
            self.model[mailbox_id] = Mailbox(row.highestmodseq, row.tombstone_floor, row.uidvalidity)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.loop.run_until_complete(self.store.close())
            self.loop.close()
            self.folder.cleanup()

    def write(self, body: Callable[[Transaction], Awaitable[Any]]) -> Any:
        return self.loop.run_until_complete(self.store.write(body))

    def read(self, body: Callable[[Transaction], Awaitable[Any]]) -> Any:
        return self.loop.run_until_complete(self.store.read(body))

    def pick(self, number: int) -> int:
        return (self.place.inbox, self.place.other)[number % 2]

    @rule(size=st.none() | st.integers(0, 1000), is_exact=st.booleans(), count=st.integers(1, 4))
    def new_messages(self, size: int | None, is_exact: bool, count: int) -> None:
        values = [MessageValues(f"m{len(self.sizes) + n}", size=size, size_is_exact=is_exact) for n in range(count)]
        ids = self.write(lambda tx: messages.upsert_messages(tx, self.place.account_id, 0, values))
        for message_id in ids.values():
            self.sizes[message_id] = size
            self.exact[message_id] = is_exact and size is not None

    @precondition(lambda self: self.sizes)
    @rule(number=PICK, size=st.integers(0, 1000), is_exact=st.booleans())
    def set_size(self, number: int, size: int, is_exact: bool) -> None:
        message_id = list(self.sizes)[number % len(self.sizes)]
        self.write(lambda tx: messages.set_size(tx, message_id, size, is_exact=is_exact))
        if is_exact or not self.exact[message_id]:
            self.sizes[message_id] = size
            self.exact[message_id] = is_exact

    @rule(
        number=PICK,
        wanted=st.lists(st.tuples(BITS, KEYWORDS, st.none() | st.integers(1, 60)), max_size=5),
    )
    def insert(self, number: int, wanted: list[tuple[int, str, int | None]]) -> None:
        mailbox_id = self.pick(number)
        mailbox = self.model[mailbox_id]
        held = {row[0] for row in mailbox.rows.values()}
        free = [message_id for message_id in self.sizes if message_id not in held]
        new: list[tuple[int, int, str, int | None, int | None]] = []
        expected: list[int] = []
        uidnext = mailbox.uidnext
        for message_id, (bits, keywords, given) in zip(free, wanted, strict=False):
            is_taken = given in mailbox.rows or given in expected
            uid = uidnext if given is None or is_taken else given
            new.append((message_id, bits, keywords, None if uid == uidnext else uid, None))
            uidnext = max(uidnext, uid + 1)
            expected.append(uid)
        uids, modseq = self.write(lambda tx: placements.insert_placements(tx, mailbox_id, new))
        assert uids == expected
        if new:
            mailbox.modseq += 1
            mailbox.uidnext = uidnext
        assert modseq == mailbox.modseq
        for uid, (message_id, bits, keywords, _, _) in zip(uids, new, strict=True):
            mailbox.rows[uid] = [message_id, bits, keywords, modseq]
            mailbox.buried.pop(uid, None)

    @rule(number=PICK, states=st.lists(st.tuples(st.integers(1, 30), BITS, KEYWORDS), max_size=8))
    def set_flags(self, number: int, states: list[tuple[int, int, str]]) -> None:
        mailbox_id = self.pick(number)
        mailbox = self.model[mailbox_id]
        modseq = self.write(lambda tx: placements.set_flags(tx, mailbox_id, states))
        wanted = {uid: [bits, keywords] for uid, bits, keywords in states if uid in mailbox.rows}
        changed = [uid for uid, state in wanted.items() if mailbox.rows[uid][1:3] != state]
        mailbox.modseq += bool(changed)
        for uid in changed:
            mailbox.rows[uid][1:] = [*wanted[uid], mailbox.modseq]
        assert modseq == mailbox.modseq

    @rule(number=PICK, uids=st.lists(st.integers(1, 30), max_size=8))
    def remove(self, number: int, uids: list[int]) -> None:
        mailbox_id = self.pick(number)
        mailbox = self.model[mailbox_id]
        modseq = self.write(lambda tx: placements.remove_placements(tx, mailbox_id, uids))
        gone = {uid for uid in uids if uid in mailbox.rows}
        mailbox.modseq += bool(gone)
        for uid in gone:
            del mailbox.rows[uid]
            mailbox.buried[uid] = mailbox.modseq
        assert modseq == mailbox.modseq

    @rule(number=PICK, keep=st.integers(0, 4))
    def prune(self, number: int, keep: int) -> None:
        mailbox_id = self.pick(number)
        mailbox = self.model[mailbox_id]
        self.write(lambda tx: tombstones.prune(tx, mailbox_id, keep))
        newest_first = sorted(mailbox.buried.values(), reverse=True)
        if len(newest_first) > keep:
            mailbox.floor = max(mailbox.floor, newest_first[keep])
            mailbox.buried = {uid: modseq for uid, modseq in mailbox.buried.items() if modseq > newest_first[keep]}

    @rule(number=PICK)
    def reset(self, number: int) -> None:
        mailbox_id = self.pick(number)
        old = self.model[mailbox_id]
        row = self.write(lambda tx: mailboxes.reset_mailbox(tx, mailbox_id))
        assert row.uidvalidity > old.uidvalidity
        self.model[mailbox_id] = Mailbox(old.modseq + 1, old.modseq + 1, row.uidvalidity)

    @invariant()
    def rows_agree(self) -> None:
        for mailbox_id, mailbox in getattr(self, "model", {}).items():
            row = self.read(lambda tx, m=mailbox_id: mailboxes.mailbox_by_id(tx, m))  # type: ignore[misc]
            held = list(mailbox.rows.values())
            assert (row.uidnext, row.highestmodseq, row.tombstone_floor, row.uidvalidity) == (
                (mailbox.uidnext, mailbox.modseq, mailbox.floor, mailbox.uidvalidity)
            )
            assert (row.messages, row.unseen, row.deleted, row.octets) == (
                len(held),
                sum(not item[1] & flags.SEEN for item in held),
                sum(bool(item[1] & flags.DELETED) for item in held),
                sum(self.sizes[item[0]] or 0 for item in held),
            )
            loaded = self.read(lambda tx, m=mailbox_id: placements.load(tx, m))  # type: ignore[misc]
            assert [(item[0], list(item[1:5])) for item in loaded] == sorted(mailbox.rows.items())
            for modseq in {mailbox.modseq - 1, mailbox.modseq - 3}:
                changed = self.read(
                    lambda tx, m=mailbox_id, since=modseq: placements.changed_since(tx, m, since)  # type: ignore[misc]
                )
                assert [item[0] for item in changed] == sorted(
                    uid for uid, item in mailbox.rows.items() if item[3] > modseq
                )
                buried = self.read(
                    lambda tx, m=mailbox_id, since=modseq: tombstones.since(tx, m, since)  # type: ignore[misc]
                )
                assert buried == sorted(uid for uid, at in mailbox.buried.items() if at > modseq)

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "store"):
            assert self.read(invariants.check) == []


TestPlacements = Placements.TestCase
TestPlacements.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
