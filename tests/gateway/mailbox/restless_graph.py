"""A mailbox at Graph on which others are at work all the time, and a ledger of what the gateway has done there.

Others act whenever the gateway calls something: before it is carried out, and before its answer arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from connectors.graph.categories import Categories
from gateway.errors import ErrorKind
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from tests.fakes.graph import mapi
from tests.fakes.graph.content import Content
from tests.fakes.graph.options import Clock, GraphOptions, Quirks
from tests.fakes.graph.records import Folder, Message
from tests.gateway.mailbox.history import DOWN, Outside
from tests.gateway.mailbox.watched_graph import (
    Ledger,
    RestlessFake,
    RestlessTransport,
    WatchedMailbox,
    name_of,
    subject_in,
    subject_of,
)
from tests.simulated_loop import START

LABELS: Final = ("Important", "Work", "Personal", "To Do", "Later")
COMING_AND_GOING: Final = ("Box", "Box/Sub", "Other")
STANDING: Final = ("INBOX", "Archive", "Drafts", "Sent Items", "Deleted Items", "Junk Email")
CATEGORIES: Final = ("Blue", "To Do", "Work", "Caf\u00e9 {1}")
OWN_FLAGS: Final = mapi.canonical("String {6f0d4b1c-93a7-4e58-8d2b-51c7e09a3f64} Name ImapFlags")
SOMETIMES: Final = (
    "delta_repeats",
    "delta_replays",
    "delta_partial",
    "delta_empty_pages",
    "delta_lags",
    "delta_loses_arrivals",
    "deleted_are_found",
    "mime_varies",
    "throttles_without_retry_after",
    "batch_keeps_order",
    "mime_into_folders",
)
"""What Graph may be like all the time."""

READING: Final = ("messages.delta", "folder-messages.list", "messages.get", "messages.value", "*folders.list", "$batch")
WRITING: Final = (
    "messages.patch",
    "messages.move",
    "messages.copy",
    "messages.delete",
    "messages.permanentDelete",
    "messages.create",
    "folder-messages.create",
    "folders.*",
    "$batch",
)
REFUSED: Final = ((429, 3), (429, None), (503, 2), (503, None), (500, None), (504, None))


class OutsideGraph(Outside):
    """What others do at Graph, and what goes wrong there."""

    refusals = DOWN | {
        ErrorKind.NOT_FOUND,
        ErrorKind.NO_SUCH_DESTINATION,
        ErrorKind.ALREADY_EXISTS,
        ErrorKind.HAS_CHILDREN,
        ErrorKind.INVALID_NAME,
        ErrorKind.DENIED,
        ErrorKind.RATE_LIMITED,
        ErrorKind.REJECTED,
        ErrorKind.UNSUPPORTED,
    }
    # A copy is made at Graph, and served as Graph makes its octets.
    copies_are_equal = False
    has_edits = True
    alters_tree = True

    def __init__(self, seed: int, clock: Clock) -> None:
        super().__init__(seed)
        chance = self.random
        chosen = {name: True for name in SOMETIMES if chance.random() < 0.25}
        quirks = Quirks(**chosen, conflict_every=chance.choice((0, 0, 3, 7)))
        options = GraphOptions(seed=seed, requests_per_10_min=None, token_lifetime_s=10**9, quirks=quirks)
        self.fake = RestlessFake(options, clock=clock)
        self.transport = RestlessTransport(self.fake)
        self.expunge = chance.choice(("trash", "trash", "delete", "permanent"))
        mailbox = self.fake.mailbox
        assert isinstance(mailbox, WatchedMailbox)
        self.mailbox = mailbox
        self.ledger = mailbox.ledger = Ledger(self.expunge)
        self.categories = Categories(LABELS)
        self.evict: Callable[[], object] = lambda: None
        self.has_evicted = False
        self.destinations: dict[str, str] = {}
        """In which mailbox a client has stored a subject last."""
        self.is_restless = False
        self._hang_ups: list[Callable[[], object]] = []
        self.fake.stir = self._stir
        self.ledger.is_outside = False

    # -- names --------------------------------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        return (*STANDING, *COMING_AND_GOING)

    def alterable(self) -> Sequence[str]:
        return COMING_AND_GOING

    def present(self) -> Sequence[str]:
        return sorted(self.folders())

    def folders(self) -> dict[str, Folder]:
        """Return the folders that are mailboxes, by their names."""
        root = self.mailbox.root
        mail = (each for each in self.mailbox.folders.values() if each.is_below(root) and each is not root)
        return {name_of(each): each for each in mail if not _is_hidden(each)}

    # -- what others do -----------------------------------------------------------------------------------------------

    @contextmanager
    def _outside(self) -> Iterator[None]:
        self.ledger.is_outside = True
        try:
            yield
        finally:
            self.ledger.is_outside = False

    def _stir(self) -> int:
        """Let something happen, perhaps; return how many turns of the loop the call has to wait."""
        chance = self.random
        if not self.is_restless:
            return 0
        if chance.random() < 0.12:
            self.act()
        if self._hang_ups and chance.random() < 0.2:
            self._hang_ups.pop()()
        return chance.choice((0, 0, 0, 1, 5, 20))

    def hang_up(self, cancel: Callable[[], object]) -> None:
        if self.random.random() < 0.3:
            cancel()
        else:
            self._hang_ups.append(cancel)

    def act(self) -> None:
        with self._outside():
            chance = self.random.random()
            if chance < 0.03:
                self.has_evicted = True
                self.evict()
            elif self.is_editing:
                self._edit_or_mark()
            elif chance < 0.12:
                self._alter_tree()
            elif chance < 0.18:
                self._draft()
            else:
                self._alter_mail()

    def _some_folder(self) -> str:
        folders = self.folders()
        return self.mailbox.ids.folder(folders[self.random.choice(sorted(folders.keys() - {"Outbox"}))].number)

    def _refs(self) -> list[str]:
        ids, root = self.mailbox.ids, self.mailbox.root
        return [ids.message(one.number) for one in self.mailbox.messages.values() if one.folder.is_below(root)]

    def _deliver(self) -> str:
        chance = self.random
        return self.fake.deliver(
            self.next_message(),
            self._some_folder() if chance.random() < 0.5 else "inbox",
            received=START + timedelta(seconds=chance.choice((self.number, chance.randint(0, 100_000)))),
            is_read=chance.random() < 0.3,
            is_flagged=chance.random() < 0.2,
            categories=chance.sample(CATEGORIES, chance.choice((0, 0, 1, 2))),
        )

    def _alter_mail(self) -> None:
        chance, fake, refs = self.random, self.fake, self._refs()
        if not refs or chance.random() < 0.35:
            self._deliver()
            return
        ref = chance.choice(refs)
        match chance.randrange(8):
            case 0 | 1:
                self._mark(ref)
            case 2:
                fake.delete(ref)
            case 3:
                fake.purge(ref if chance.random() < 0.5 else self._deliver())
            case 4:
                fake.copy(ref, self._some_folder())
            case 5:
                with self.mailbox.swinging():
                    fake.move_there_and_back(ref, self._some_folder())
            case _:
                fake.move(ref, self._some_folder())

    def _mark(self, ref: str) -> None:
        chance, fake = self.random, self.fake
        match chance.randrange(4):
            case 0:
                fake.mark(ref, is_read=chance.random() < 0.5)
            case 1:
                fake.mark(ref, flag=chance.choice(("notFlagged", "flagged", "complete")))
            case 2:
                fake.mark(ref, categories=chance.sample(CATEGORIES, chance.randint(0, 2)))
            case _:
                fake.mark(ref, verb=chance.choice((102, 103, 104)))

    def _drafts(self) -> list[str]:
        return [ref for ref in self._refs() if self.fake.message(ref).is_draft]

    def _draft(self) -> None:
        """Begin a draft, or send one."""
        chance, fake, drafts = self.random, self.fake, self._drafts()
        if not drafts or chance.random() < 0.6:
            place = "drafts" if chance.random() < 0.8 else self._some_folder()
            fake.deliver(self.next_message(), place, is_draft=True, is_read=True)
            return
        message = fake.message(chance.choice(drafts))
        self.mailbox.change(message, {"isDraft"}, is_draft=False, is_read=True)
        self.mailbox.move(message, self.mailbox.well_known["sentitems"])

    def _edit_or_mark(self) -> None:
        chance, refs, drafts = self.random, self._refs(), self._drafts()
        if drafts and chance.random() < 0.7:
            ref = chance.choice(drafts)
            self.ledger.edited.add(ref)
            content = Content.of_mime(self.next_message())
            self.mailbox.change(self.fake.message(ref), {"subject", "body"}, content=content)
        elif refs:
            self._mark(chance.choice(refs))

    def _alter_tree(self) -> None:
        chance, mailbox, folders = self.random, self.mailbox, self.folders()
        name, new = chance.choice(COMING_AND_GOING), chance.choice(COMING_AND_GOING)
        folder = folders.get(name)
        thrown_away = list(mailbox.well_known["deleteditems"].children.values())
        if thrown_away and chance.random() < 0.3:
            mailbox.delete_folder(chance.choice(thrown_away), is_purge=True)
        elif folder is None:
            above = self._above(name)
            if above is not None:
                mailbox.create_folder(name.rpartition("/")[2], above)
        elif chance.random() < 0.5:
            above = self._above(new)
            if new not in folders and above is not None and not above.is_below(folder):
                self._rename(folder, above, new.rpartition("/")[2])
        else:
            mailbox.delete_folder(folder, is_purge=chance.random() < 0.5)

    def _above(self, name: str) -> Folder | None:
        above = name.rpartition("/")[0]
        return self.folders().get(above) if above else self.mailbox.root

    def _rename(self, folder: Folder, above: Folder, name: str) -> None:
        if folder.parent is above or folder.name.lower() not in above.children:
            self.mailbox.move_folder(folder, above)
            self.mailbox.rename_folder(folder, name)

    # -- trouble ------------------------------------------------------------------------------------------------------

    def cause_trouble(self) -> None:
        chance, fake = self.random, self.fake
        times, skip = chance.choice((1, 1, 1, 2, 5)), chance.choice((0, 0, 1, 4))
        operation = chance.choice(READING if chance.random() < 0.5 else WRITING)
        match chance.randrange(7):
            case 0:
                fake.throttle(chance.choice((1, 5, 40)), retry_after_s=chance.choice((None, 2)))
            case 1:
                fake.fail_next(operation, times, skip, is_cut=True)
            case 2:
                fake.fail_next(operation, times, skip, is_cut=True, is_after_work=True)
            case 3:
                fake.fail_next(operation, times, skip, status=504, is_after_work=True)
            case 4:
                fake.fail_next(chance.choice(("messages.patch", "messages.move")), times, skip, status=412)
            case _:
                status, retry_after_s = chance.choice(REFUSED)
                fake.fail_next(operation, times, skip, status=status, retry_after_s=retry_after_s)

    def expire(self) -> None:
        where = self._some_folder() if self.random.random() < 0.5 else None
        self.fake.expire_delta_tokens(where, self.random.choice((410, 400, 404)))

    def calm(self) -> None:
        self.is_restless = False
        self.fake.faults.clear()
        self._hang_ups.clear()

    def release(self) -> None:
        """Nothing is held up for longer than a few turns of the loop."""

    async def idle(self) -> None:
        for _ in iter(lambda: self.transport.under_way, 0):
            await asyncio.sleep(0)

    # -- comparing ----------------------------------------------------------------------------------------------------

    def wrongs(self) -> list[str]:
        """Return what the gateway did there that it should not have."""
        return [*self.fake.violations, *self.ledger.wrongs, *self.ledger.counts()]

    def forget(self) -> None:
        """Once all is quiet nothing is being asked for any more."""
        self.ledger.forget()
        self.has_evicted = False

    def refuted(self, data: bytes) -> bool:
        """Tell whether it is there. Graph makes drafts in Drafts; if that answer is lost, one may be left there."""
        subject, mailbox = subject_in(data), self.mailbox
        held = [one for one in mailbox.messages.values() if one.folder.is_below(mailbox.root)]
        if self.destinations.get(subject) != "Drafts":
            held = [one for one in held if not (one.is_draft and one.folder is mailbox.well_known["drafts"])]
        refs = (mailbox.ids.message(one.number) for one in held if subject_of(one) == subject)
        return any(ref not in self.ledger.meddled for ref in refs)

    def compare(
        self,
        name: str,
        row: MailboxRow,
        rows: Mapping[int, PlacementRow],
        refs: Mapping[int, str],
        bodies: Mapping[int, bytes],
        flags: Mapping[int, FlagSet],
    ) -> None:
        folder, ids = self.folders()[name], self.mailbox.ids
        assert row.ref == ids.folder(folder.number)
        held = {ids.message(one.number): one for one in self.mailbox.in_folder(folder)}
        missing = [subject_of(held[ref]) for ref in held.keys() - refs.values()]
        assert not missing, f"{name} lacks {missing}"
        surplus = refs.values() - held.keys()
        assert not surplus, f"{name} has {surplus}"
        assert len(refs) == len(held)
        # Whether a message is a draft is kept by the gateway where nobody can say so to Graph.
        own = {"\\deleted", "\\draft"} - {flag.lower() for flag in row.storable_flags}
        for uid, ref in refs.items():
            subject = subject_of(held[ref]).encode()
            assert b"Subject: %b\r\n" % subject in bodies[uid], f"{name} has no {subject!r}: {bodies[uid]!r}"
            assert b"text of number %b." % subject.removeprefix(b"Number ") in bodies[uid]
            shown, told = {flag.lower() for flag in flags[uid].names()} - own, self._flags(held[ref]) - own
            assert shown == told, f"{subject!r} in {name}: {shown} and not {told}"

    def _flags(self, message: Message) -> set[str]:
        told = {"\\seen"} if message.is_read else set[str]()
        told |= {"\\flagged"} if message.flag["flagStatus"] == "flagged" else set()
        told |= {"\\draft"} if message.is_draft else set()
        properties = message.extended or {}
        verbs = {"102": "\\answered", "103": "\\answered", "104": "$forwarded"}
        told |= {verbs[verb]} if (verb := properties.get(mapi.LAST_VERB)) in verbs else set()
        told |= {flag.lower() for flag in properties.get(OWN_FLAGS, "").split() if flag != "-"}
        return told | {self.categories.keyword(each).lower() for each in message.categories}


def _is_hidden(folder: Folder) -> bool:
    return folder.is_hidden or (folder.parent is not None and _is_hidden(folder.parent))
