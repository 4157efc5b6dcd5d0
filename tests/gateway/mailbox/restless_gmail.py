"""A Gmail on which others are at work all the time, and a ledger of what the gateway has done there.

Others act whenever the gateway calls a method: before it is carried out, and before its answer arrives.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager

import httpx

from gateway.errors import ErrorKind
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from gateway.wire.gmail import Label, SystemLabel
from tests.connectors.gmail.rig import InProcess
from tests.fakes.gmail import labels as fake_labels
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.labels import PLACES, LabelBook
from tests.fakes.gmail.mailbox import Mailbox, Message
from tests.fakes.gmail.options import Clock, FakeOptions, Quirks
from tests.gateway.mailbox.history import DOWN, Outside

SYSTEM = {
    "INBOX": "INBOX",
    "[Gmail]/All Mail": "ALL",
    "[Gmail]/Drafts": "DRAFT",
    "[Gmail]/Important": "IMPORTANT",
    "[Gmail]/Sent Mail": "SENT",
    "[Gmail]/Spam": "SPAM",
    "[Gmail]/Starred": "STARRED",
    "[Gmail]/Trash": "TRASH",
}
COMING_AND_GOING = ("Box", "Box/Sub", "Other")
LABELS: Mapping[Label, str] = {
    SystemLabel.INBOX: "INBOX",
    SystemLabel.STARRED: "[Gmail]/Starred",
    SystemLabel.IMPORTANT: "[Gmail]/Important",
    SystemLabel.SPAM: "[Gmail]/Spam",
    SystemLabel.TRASH: "[Gmail]/Trash",
    **{name: name for name in COMING_AND_GOING},
}
"""The labels that clients give and take, and the names of their mailboxes."""
MARKS = ("UNREAD", "STARRED", "IMPORTANT")
ASIDE = frozenset({"SPAM", "TRASH"})
HIDDEN_QUIRKS = (
    "lie_about_sizes",
    "absent_label_ids",
    "unknown_labels",
    "empty_history_pages",
    "bare_history_records",
    "joined_history_records",
    "label_deletion_in_history",
    "list_hides_unless_asked",
    "rename_moves_children",
)
"""What Gmail may be like all the time."""

READING = ("history.list", "messages.list", "messages.get", "labels.list", "getProfile", "drafts.list")
WRITING = (
    "messages.modify",
    "messages.batchModify",
    "messages.delete",
    "messages.insert",
    "drafts.create",
    "drafts.delete",
    "labels.create",
    "labels.patch",
)
REFUSED = (("rateLimitExceeded", 429), ("userRateLimitExceeded", 403), ("backendError", 503), ("backendError", 500))


class Ledger:
    """What clients have asked for, and what the gateway did that nobody had asked for (`wrongs`)."""

    def __init__(
        self,
        there: Callable[[], Set[str]],
        named: Callable[[str], Set[str]],
        *,
        last_is_trashed: bool,
        last_is_deleted: bool,
    ) -> None:
        """Begin; `there` tells the ids of the labels that there are, `named` of those that were so named of late."""
        self.there = there
        self.named = named
        self.is_outside = True
        self.wrongs: list[str] = []
        self.leaving: set[tuple[str, str]] = set()
        self.entering: set[tuple[str, str]] = set()
        """By the name of the mailbox, as a client gives it: which one has it is only clear when that is looked up."""
        self.shed: set[tuple[str, str]] = set()
        """Messages to be taken out of a mailbox that is not the one a client has open, by its name."""
        self.refilled: set[str] = set()
        """Messages whose labels are to be others than before, whatever these are."""
        self.flagged: set[str] = set()
        self.joining: set[bytes] = set()
        self.meddled: set[str] = set()
        self.unseen: set[str] = set()
        """Messages that others have changed since the gateway last asked for anything."""
        self._last_is_trashed = last_is_trashed
        self._last_is_deleted = last_is_deleted

    def altered(self, message: Message, after: frozenset[str]) -> None:
        """Note that a message is about to have other labels."""
        ref, before = message.id, message.labels
        if self.is_outside:
            self.meddled.add(ref)
            self.unseen.add(ref)
            return
        is_joining = message.content().header("Subject").encode() in self.joining
        left = self._left(ref)
        entered = {label for one, name in self.entering if one == ref for label in self.named(name)}
        for label in after - before:
            is_thrown_away = label == "TRASH" and left and (self._last_is_trashed or left & {"ALL", "SENT", "DRAFT"})
            is_asked = label in entered or (label in {"UNREAD", "STARRED"} and ref in self.flagged)
            if not (is_asked or is_thrown_away or is_joining):
                self.wrongs.append(f"{ref} was given {label}")
        # Deleting a mailbox takes its label off.
        for label in (before - after) & self.there():
            is_asked = label in left or (label in {"UNREAD", "STARRED"} and ref in self.flagged)
            is_displaced = label in PLACES and (entered or left)
            if not (is_asked or is_displaced or is_joining):
                self.wrongs.append(f"{ref} lost {label}")

    def deleted(self, message: Message) -> None:
        """Note that a message is about to be deleted for good."""
        ref, labels = message.id, message.labels
        if self.is_outside:
            self.meddled.add(ref)
            return
        left = self._left(ref)
        place = labels & ASIDE
        may_be = bool(left & place)
        may_be = may_be or (not place and "DRAFT" in left & labels and not self._last_is_trashed)
        others = labels - {"UNREAD", "ALL", "YELLOW_STAR"} - left
        may_be = may_be or (not place and self._last_is_deleted and bool(left & labels) and not others)
        if not may_be and ref not in self.unseen:
            self.wrongs.append(f"{ref} with {sorted(labels)} was deleted for good, and was to leave {sorted(left)}")

    def _left(self, ref: str) -> set[str]:
        named = {label for one, name in self.shed if one == ref for label in self.named(name)}
        named |= (self.there() - {"SENT", "DRAFT"}) if ref in self.refilled else set()
        return {label for one, label in self.leaving if one == ref} | named

    def forget(self) -> None:
        """Once all is quiet nothing is being asked for any more."""
        for asked in (
            self.leaving,
            self.shed,
            self.refilled,
            self.entering,
            self.flagged,
            self.joining,
            self.meddled,
            self.unseen,
        ):
            asked.clear()


class WatchedLabels(LabelBook):
    """Remembers what names each user label has had since `forget`."""

    def __init__(self, quirks: Quirks, limit: int) -> None:
        super().__init__(quirks, limit)
        self._had: defaultdict[str, set[str]] = defaultdict(set)

    def ever_named(self, name: str) -> set[str]:
        """Return the ids of the labels that had the name at any time."""
        return {label_id for label_id, names in self._had.items() if name in names}

    def forget(self) -> None:
        self._had = defaultdict(set, {label.id: {label.name} for label in self if not label.is_system})

    def _put(self, label: fake_labels.Label) -> None:
        super()._put(label)
        self._had[label.id].add(label.name)


class WatchedMailbox(Mailbox):
    """Tells a ledger of every change of a message that was there."""

    ledger: Ledger | None = None

    def __init__(self, address: str, options: FakeOptions, clock: Clock) -> None:
        super().__init__(address, options, clock)
        self.labels: WatchedLabels = WatchedLabels(options.quirks, options.label_limit)

    def relabel(self, message: Message, add: frozenset[str], remove: frozenset[str]) -> None:
        taken = remove | (PLACES - add if add & PLACES else frozenset())
        if self.ledger is not None:
            self.ledger.altered(message, (message.labels | add) - taken)
        super().relabel(message, add, remove)

    def delete(self, message: Message) -> None:
        if self.ledger is not None:
            self.ledger.deleted(message)
        super().delete(message)

    def delete_label(self, label_id: str) -> None:
        if self.ledger is not None:
            # What was just stored there is still somewhere, whoever deletes the label.
            self.ledger.meddled.update(one.id for one in self.messages.values() if label_id in one.labels)
        super().delete_label(label_id)


class RestlessFake(FakeGmail):
    """Calls `stir`, and dawdles, before a call is carried out."""

    stir: Callable[[], int] = staticmethod(lambda: 0)

    def add_user(self, address: str) -> Mailbox:
        super().add_user(address)
        mailbox = WatchedMailbox(address, self.options, self.clock)
        self.mailboxes[address] = mailbox
        self.pubsub.follow(mailbox)
        return mailbox

    async def turn(self) -> None:
        for _ in range(self.stir()):
            await asyncio.sleep(0)
        await super().turn()


class RestlessTransport(InProcess):
    """Counts the requests under way, but for those that wait for news, and stirs before an answer arrives."""

    def __init__(self, fake: RestlessFake) -> None:
        super().__init__(fake)
        self._fake = fake
        self.under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        counted = 0 if request.url.path.endswith(":pull") else 1
        self.under_way += counted
        try:
            answer = await super().handle_async_request(request)
            for _ in range(self._fake.stir()):
                await asyncio.sleep(0)
            return answer
        finally:
            self.under_way -= counted


class OutsideGmail(Outside):
    """What others do at Gmail, and what goes wrong there."""

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
    alters_tree = True

    def __init__(self, seed: int, clock: Clock) -> None:
        super().__init__(seed)
        chance = self.random
        quirks = Quirks(**{name: True for name in HIDDEN_QUIRKS if chance.random() < 0.25})
        self.fake = RestlessFake(FakeOptions(seed=seed, quirks=quirks), clock=clock)
        self.transport = RestlessTransport(self.fake)
        self.expunge = chance.choice(("archive", "archive", "trash", "delete"))
        mailbox = self.fake.mailbox
        assert isinstance(mailbox, WatchedMailbox)
        self.mailbox = mailbox
        self.ledger = Ledger(
            lambda: {label.id for label in mailbox.labels},
            lambda name: {SYSTEM[name]} if name in SYSTEM else mailbox.labels.ever_named(name),
            last_is_trashed=self.expunge == "trash",
            last_is_deleted=self.expunge == "delete",
        )
        mailbox.ledger = self.ledger
        self.is_restless = False
        self._hang_ups: list[Callable[[], object]] = []
        self.fake.stir = self._stir
        self.ledger.is_outside = False

    # -- names --------------------------------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        return (*SYSTEM, *COMING_AND_GOING)

    def alterable(self) -> Sequence[str]:
        return COMING_AND_GOING

    def present(self) -> Sequence[str]:
        return sorted([*SYSTEM, *(label.name for label in self.mailbox.labels if not label.is_system)])

    def label_of(self, name: str) -> str | None:
        """Return the id of the label that a mailbox is."""
        if name in SYSTEM:
            return SYSTEM[name]
        return next((label.id for label in self.mailbox.labels if label.name == name), None)

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
            if chance < 0.1:
                self._alter_tree()
            elif chance < 0.2:
                self._draft()
            else:
                self._alter_mail()

    def _user_labels(self) -> list[str]:
        return [label.id for label in self.mailbox.labels if not label.is_system]

    def _alter_mail(self) -> None:
        chance, fake = self.random, self.fake
        refs = [message.id for message in self.mailbox.messages.values() if not message.labels & {"CHAT", "DRAFT"}]
        if not refs or chance.random() < 0.35:
            self._deliver()
            return
        ref = chance.choice(refs)
        labels = [*self._user_labels(), "INBOX", "IMPORTANT"]
        match chance.randrange(8):
            case 0 | 1:
                fake.relabel(ref, {chance.choice(MARKS)}, set())
            case 2:
                fake.relabel(ref, set(), {chance.choice(MARKS)})
            case 3:
                fake.delete(ref if chance.random() < 0.5 else self._deliver())
            case 4:
                fake.relabel(ref, {chance.choice(("TRASH", "SPAM", "INBOX"))})
            case 5:
                fake.relabel(ref, set(), {chance.choice(("TRASH", "SPAM", "INBOX"))})
            case 6:
                fake.relabel(ref, {chance.choice(labels)})
            case _:
                fake.relabel(ref, set(), {chance.choice(labels)})

    def _deliver(self) -> str:
        chance = self.random
        if chance.random() < 0.05:
            return self.fake.deliver(self.next_message(), ["CHAT"])
        place = chance.choice((["INBOX"], ["INBOX"], ["INBOX"], ["SENT"], ["TRASH"], ["SPAM"], []))
        held = chance.sample(self._user_labels(), chance.randint(0, min(2, len(self._user_labels()))))
        return self.fake.deliver(self.next_message(), [*place, *held, *chance.sample(MARKS, chance.randint(0, 2))])

    def _draft(self) -> None:
        chance, drafts = self.random, list(self.mailbox.drafts)
        if not drafts or chance.random() < 0.4:
            self.fake.new_draft(self.next_message())
            return
        draft = chance.choice(drafts)
        if chance.random() < 0.6:
            self.fake.new_draft_revision(draft, self.next_message())
        else:
            self.mailbox.delete(self.mailbox.messages[self.mailbox.drafts[draft]])

    def _alter_tree(self) -> None:
        chance, fake = self.random, self.fake
        name = chance.choice(COMING_AND_GOING)
        label = self.label_of(name)
        new = chance.choice(COMING_AND_GOING)
        if label is None:
            fake.new_label(name)
        elif chance.random() < 0.4 and self.label_of(new) is None and not new.startswith(name):
            below = [each for each in self.present() if each.startswith(f"{name}/")]
            if not below or not self.fake.quirks.rename_moves_children:
                fake.rename_label(label, new)
        else:
            fake.delete_label(label)

    # -- trouble ------------------------------------------------------------------------------------------------------

    def cause_trouble(self) -> None:
        chance, fake = self.random, self.fake
        times = chance.choice((1, 1, 1, 2, 5))
        method = f"gmail.users.{chance.choice(READING if chance.random() < 0.5 else WRITING)}"
        match chance.randrange(6):
            case 0:
                fake.throttle(chance.choice((1, 5, 40)), tells_end=chance.random() < 0.5)
            case 1:
                fake.fail_next(method, times, is_cut=True)
            case 2:
                fake.fail_next(method, times, is_cut=True, is_after_work=True)
            case 3:
                fake.fail_next(method, times, is_after_work=True)
            case _:
                reason, status = chance.choice(REFUSED)
                fake.fail_next(method, times, status=status, reason=reason)

    def expire(self) -> None:
        self.fake.expire_history()

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
        return self.fake.violations + self.ledger.wrongs

    def forget(self) -> None:
        """Once all is quiet nothing is being asked for any more."""
        self.ledger.forget()
        self.mailbox.labels.forget()

    def refuted(self, data: bytes) -> bool:
        subject = data.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
        held = [one for one in self.mailbox.messages.values() if one.content().header("Subject") == subject]
        return any(one.id not in self.ledger.meddled for one in held)

    def compare(
        self,
        name: str,
        row: MailboxRow,
        rows: Mapping[int, PlacementRow],
        refs: Mapping[int, str],
        bodies: Mapping[int, bytes],
        flags: Mapping[int, FlagSet],
    ) -> None:
        label = self.label_of(name)
        assert row.ref == label
        held = {one.id: one for one in self.mailbox.messages.values() if label in _holders(one.labels)}
        missing, surplus = {ref: held[ref].labels for ref in held.keys() - refs.values()}, refs.values() - held.keys()
        assert not missing, f"{name} lacks {missing}"
        assert not surplus, f"{name} has {surplus}"
        assert len(refs) == len(held)
        for uid, ref in refs.items():
            one = held[ref]
            assert bodies[uid] == one.content().raw
            # A draft is not starred at Gmail; who flags one in Drafts has that kept by the gateway.
            held_by_gmail = {"\\seen", "\\draft"} | ({"\\flagged"} if label != "DRAFT" else set())
            shown = {flag.lower() for flag in flags[uid].names()} & held_by_gmail
            assert shown == _flags(one.labels) & held_by_gmail, f"{ref} in {name}: {shown} of {one.labels}"


def _holders(labels: frozenset[str]) -> frozenset[str]:
    if "TRASH" in labels:
        return frozenset({"TRASH"})
    if "SPAM" in labels:
        return frozenset({"SPAM"})
    return labels if "CHAT" in labels else labels | {"ALL"}


def _flags(labels: frozenset[str]) -> set[str]:
    marks = {"STARRED": "\\flagged", "DRAFT": "\\draft"}
    return {flag for label, flag in marks.items() if label in labels} | (set() if "UNREAD" in labels else {"\\seen"})
