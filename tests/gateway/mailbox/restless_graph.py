"""A mailbox at Graph on which others are at work all the time, and a Graph that refuses, repeats and forgets."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Mapping, Sequence, Set

from gateway.errors import ErrorKind
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from tests.connectors.graph.writing_rig import InProcess
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.mapi import LAST_VERB
from tests.fakes.graph.options import Clock, GraphOptions, Quirks
from tests.fakes.graph.records import Message
from tests.gateway.mailbox.history import DOWN, Outside

FOLDERS: Mapping[str, str] = {"INBOX": "inbox", "Archive": "archive", "Work": "Work"}
HIDDEN_QUIRKS = (
    "delta_repeats",
    "delta_replays",
    "delta_partial",
    "delta_empty_pages",
    "delta_expand_fails",
    "deleted_are_found",
    "mime_varies",
    "batch_keeps_order",
    "throttles_without_retry_after",
)
"""What Graph may be like all the time."""

READING = ("messages.delta", "folder-messages.list", "messages.get", "messages.value", "folders.list", "$batch")
WRITING = ("messages.patch", "messages.move", "messages.copy", "folder-messages.create", "messages.permanentDelete")
REFUSALS = (429, 500, 503, 504)


class OutsideGraph(Outside):
    """What others do in Outlook."""

    refusals = DOWN | {ErrorKind.RATE_LIMITED}
    # A copy is made at Graph, of what Graph has by then.
    copies_are_equal = False

    def __init__(self, seed: int, clock: Clock) -> None:
        super().__init__(seed)
        quirks = Quirks()
        for name in HIDDEN_QUIRKS:
            quirks.set(name, self.random.random() < 0.3)
        quirks.conflict_every = self.random.choice((0, 0, 7))
        self.fake = FakeGraph(GraphOptions(requests_per_10_min=None, quirks=quirks, seed=seed), clock=clock)
        self.fake.create_folder("Work")
        self.transport = InProcess(self.fake)

    def names(self) -> Sequence[str]:
        return tuple(FOLDERS)

    def present(self) -> Sequence[str]:
        return tuple(FOLDERS)

    def act(self) -> None:
        chance, fake = self.random, self.fake
        folder, other = (FOLDERS[chance.choice(self.names())] for _ in range(2))
        there = fake.ids_in(folder)
        if not there or chance.random() < 0.4:
            fake.deliver(self.next_message(), folder, is_read=chance.random() < 0.5)
            return
        ref = chance.choice(there)
        match chance.randrange(6):
            case 0:
                fake.mark(ref, is_read=chance.random() < 0.5, flag=chance.choice(("flagged", "notFlagged", "complete")))
            case 1:
                fake.mark(ref, categories=chance.sample(("Work", "Important", "Grün"), chance.randint(0, 2)))
            case 2:
                chance.choice((fake.delete, fake.purge))(ref)
            case 3:
                fake.move(ref, other)
            case 4:
                fake.move_there_and_back(ref, other)
            case _:
                fake.copy(ref, other)

    def cause_trouble(self) -> None:
        chance, fake = self.random, self.fake
        skip = chance.randrange(3)
        match chance.randrange(4):
            case 0:
                fake.fail_next(chance.choice(READING), times=chance.randint(1, 3), status=chance.choice(REFUSALS))
            case 1:
                fake.fail_next(chance.choice(WRITING), skip=skip, status=chance.choice(REFUSALS))
            case 2:
                fake.fail_next(chance.choice(WRITING), skip=skip, is_cut=True, is_after_work=chance.random() < 0.5)
            case _:
                fake.throttle(chance.choice((1.0, 30.0)), retry_after_s=chance.choice((None, 1, 20)))

    def expire(self) -> None:
        where = self.random.choice((None, *FOLDERS.values()))
        self.fake.expire_delta_tokens(where, self.random.choice((400, 410)))

    def calm(self) -> None:
        self.fake.faults.clear()

    def release(self) -> None:
        """Nothing is held up."""

    async def idle(self) -> None:
        """All is done at once here."""

    def refuted(self, data: bytes) -> bool:
        """Whether a message is there: Message-IDs of messages that clients and others make are never the same."""
        return bool(self.fake.mailbox.with_message_id(_message_id(data)))

    def _told(self, refs: Set[str]) -> list[str]:
        """Say which messages these are, and where they are now."""
        mailbox = self.fake.mailbox
        found = {mailbox.ids.message(each.number): each for each in mailbox.messages.values()}
        return [f"{ref[-6:]} in {found[ref].folder.name if ref in found else None}" for ref in refs]

    def compare(
        self,
        name: str,
        row: MailboxRow,
        rows: Mapping[int, PlacementRow],
        refs: Mapping[int, str],
        bodies: Mapping[int, bytes],
        flags: Mapping[int, FlagSet],
    ) -> None:
        held = {ref: self.fake.message(ref) for ref in self.fake.ids_in(FOLDERS[name])}
        assert len(set(refs.values())) == len(refs), f"{name} shows a message twice"
        shown_refs = set(refs.values())
        assert not (gone := shown_refs - held.keys()), f"{name} shows {self._told(gone)}"
        assert not (lacking := held.keys() - shown_refs), f"{name} lacks {self._told(lacking)}"
        for uid, ref in refs.items():
            assert _message_id(bodies[uid]) == held[ref].content.envelope.message_id
            # The case of keywords means nothing.
            shown = {flag.lower() for flag in flags[uid].names()} - {"\\deleted"}
            assert shown == _marks(held[ref]), (name, uid)


def _message_id(data: bytes) -> str:
    return str(email.message_from_bytes(data, policy=email.policy.default)["Message-ID"]).strip()


def _marks(message: Message) -> set[str]:
    """Return what a message is marked with, as IMAP has it where no category is a label."""
    marks = {"gr=fc;n" if category == "Grün" else category.lower() for category in message.categories}
    marks |= {"\\seen"} if message.is_read else set()
    marks |= {"\\flagged"} if message.flag.get("flagStatus") == "flagged" else set()
    marks |= {"\\draft"} if message.is_draft else set()
    marks |= {"\\answered"} if (message.extended or {}).get(LAST_VERB) in ("102", "103") else set()
    return marks
