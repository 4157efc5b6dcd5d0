"""A JMAP server on which others are at work all the time, and a ledger of what the gateway has done there.

Others act whenever the gateway asks something: before a request, between two of its calls, and before it is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from gateway.errors import ErrorKind
from gateway.store.flags import FlagSet
from gateway.store.mailboxes import MailboxRow
from gateway.store.placements import PlacementRow
from tests.fakes.jmap.account import Account
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.faults import FaultKind
from tests.fakes.jmap.in_process import InProcessServer
from tests.fakes.jmap.options import Clock, EventSourceMode, FakeOptions, Quirk, UrlStyle
from tests.fakes.jmap.records import Email, Mailbox
from tests.fakes.jmap.stats import Violation
from tests.gateway.mailbox.history import DOWN, Outside

ALWAYS = ("INBOX", "Archive", "Trash")
COMING_AND_GOING = ("Junk", "Box", "Box/Sub", "Other")
SYSTEM_FLAGS = {"$seen": "\\seen", "$flagged": "\\flagged", "$answered": "\\answered", "$draft": "\\draft"}
KEYWORDS = ("$seen", "$flagged", "$answered", "$draft", "work", "$forwarded")
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

STEADY_QUIRKS = (
    Quirk.BARE_EVENT_SOURCE_URL,
    Quirk.INVALID_ARGUMENTS_FOR_BAD_STATE,
    Quirk.NEWEST_FIRST_CHANGES,
    Quirk.CHANGES_BY_LAST_CHANGE,
    Quirk.CREATED_AND_DESTROYED,
    Quirk.FORBID_DUPLICATES,
    Quirk.LIMITS_MISSPELT,
    Quirk.SESSION_STATE_MOVES,
    Quirk.SESSION_STATE_CONSTANT,
    Quirk.NO_CALCULATE_TOTAL,
    Quirk.COARSE_QUERY_STATE,
    Quirk.NO_UPDATED_PROPERTIES,
    Quirk.THREAD_IS_EMAIL,
)
"""What a server may be like all the time."""
PASSING_QUIRKS = (Quirk.ENDLESS_CHANGES, Quirk.CANNOT_CALCULATE_CHANGES)
"""What lets all be listed anew as long as it lasts."""

READING_FAULTS = (
    FaultKind.STATUS,
    FaultKind.PAGE,
    FaultKind.BROKEN_JSON,
    FaultKind.CUT,
    FaultKind.CUT_BODY,
    FaultKind.METHOD_ERROR,
)
HTTP_FAULTS = READING_FAULTS[:-1]
DOWNLOAD_FAULTS = (FaultKind.STATUS, FaultKind.PAGE, FaultKind.CUT, FaultKind.CUT_BODY)
READING_CALLS = ("Email/changes", "Email/query", "Email/get", "Mailbox/get", "Mailbox/changes")
WRITING_FAULTS = (*READING_FAULTS, FaultKind.CUT_AFTER, FaultKind.STATUS_AFTER, FaultKind.SET_ERROR)
WRITING_CALLS = ("Email/set", "Email/import", "Mailbox/set")
SET_ERRORS = ("forbidden", "overQuota", "serverFail", "tooLarge", "invalidProperties", "rateLimit")


def digest_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Ledger:
    """What clients have asked for, and what the gateway did at the server that nobody had asked for (`wrongs`).

    Clients name a mailbox to put messages into, or to delete, by its name, which may be another's meanwhile; so one
    counts as named by each name that it has had since all was quiet (`called`).
    """

    def __init__(self, account: WatchedAccount, *, expunge_destroys: bool) -> None:
        self.is_outside = False
        self.wrongs: list[str] = []
        self.leaving: set[tuple[str, str]] = set()
        self.entering: set[tuple[str, str]] = set()
        self.flagged: set[tuple[str, str]] = set()
        self.refilled: set[str] = set()
        self.appended: Counter[bytes] = Counter()
        self.ever_appended: Counter[bytes] = Counter()
        self.joining: set[tuple[bytes, str]] = set()
        self.dropped: set[str] = set()
        self.imported: Counter[bytes] = Counter()
        self.meddled: set[str] = set()
        self.called: defaultdict[str, set[str]] = defaultdict(set)
        self._account = account
        self._expunge_destroys = expunge_destroys
        account.ledger = self

    def note_names(self) -> None:
        for mailbox in self._account.mailboxes.values():
            self.called[mailbox.id].add(name_of(mailbox, self._account))

    def added(self, email: Email) -> None:
        if self.is_outside:
            return
        digest = digest_of(email.content.data)
        self.imported[digest] += 1
        if self.imported[digest] > self.appended[digest]:
            self.wrongs.append(f"{email.id} was stored once more")

    def altered(self, email: Email, mailbox_ids: set[str], keywords: set[str]) -> None:
        if self.is_outside:
            self.meddled.add(email.id)
            return
        self.note_names()
        digest = digest_of(email.content.data)
        asked = {*self.entering, *self.joining}
        for mailbox_id in email.mailbox_ids - mailbox_ids:
            if (email.id, mailbox_id) not in self.leaving and not self._is_dropped(mailbox_id):
                self.wrongs.append(f"{email.id} was taken out of {mailbox_id}")
        for mailbox_id in mailbox_ids - email.mailbox_ids:
            names = self.called[mailbox_id]
            if not any((one, name) in asked for one in (email.id, digest) for name in names):
                self.wrongs.append(f"{email.id} was put into {mailbox_id}")
        for keyword in keywords ^ email.keywords:
            is_joined = any(digest == joined for joined, _ in self.joining)
            if email.id not in self.refilled and (email.id, keyword) not in self.flagged and not is_joined:
                self.wrongs.append(f"{keyword} of {email.id} was changed")

    def destroyed(self, email: Email) -> None:
        if self.is_outside:
            self.meddled.add(email.id)
            return
        self.note_names()
        for mailbox_id in email.mailbox_ids:
            if not self._is_dropped(mailbox_id) and not self._is_ended(email, mailbox_id):
                self.wrongs.append(f"{email.id} in {mailbox_id} was destroyed")

    def _is_dropped(self, mailbox_id: str) -> bool:
        return not self.dropped.isdisjoint(self.called[mailbox_id])

    def _is_ended(self, email: Email, mailbox_id: str) -> bool:
        """Whether it was asked to leave the mailbox, and that is one out of which messages are destroyed."""
        is_end = self._expunge_destroys or self._account.mailboxes[mailbox_id].role in ("trash", "junk")
        return is_end and len(email.mailbox_ids) == 1 and (email.id, mailbox_id) in self.leaving

    def forget(self) -> None:
        """Once all is quiet nothing is being asked for any more."""
        for asked in (self.leaving, self.entering, self.flagged, self.joining, self.refilled, self.dropped):
            asked.clear()
        self.imported.clear()
        self.appended.clear()
        self.called.clear()
        self.note_names()


def name_of(mailbox: Mailbox, account: Account) -> str:
    """Return what clients call a mailbox."""
    if mailbox.role == "inbox":
        return "INBOX"
    return "/".join([*reversed([each.name for each in account.ancestors(mailbox)]), mailbox.name])


class WatchedAccount(Account):
    """Tells a ledger of every change of a message."""

    ledger: Ledger | None = None

    def add_email(self, email: Email, *, is_delivery: bool = False) -> None:
        super().add_email(email, is_delivery=is_delivery)
        if self.ledger is not None:
            self.ledger.added(email)

    def update_email(
        self, email: Email, *, mailbox_ids: set[str] | None = None, keywords: set[str] | None = None
    ) -> None:
        if self.ledger is not None:
            self.ledger.altered(
                email,
                email.mailbox_ids if mailbox_ids is None else mailbox_ids,
                email.keywords if keywords is None else keywords,
            )
        super().update_email(email, mailbox_ids=mailbox_ids, keywords=keywords)

    def destroy_email(self, email: Email) -> None:
        if self.ledger is not None:
            self.ledger.destroyed(email)
        super().destroy_email(email)


class RestlessFake(FakeJmap):
    """Calls `stir`, and dawdles, wherever a request may be held up."""

    account_type = WatchedAccount
    stir: Callable[[], int] = staticmethod(lambda: 0)

    async def pass_gate(self, where: str) -> None:
        for _ in range(self.stir()):
            await asyncio.sleep(0)
        await super().pass_gate(where)


def _is_race(violation: Violation) -> bool:
    """Whether a conforming client cannot help it: others moved the message, or a client hung up amid a request."""
    return "tooManyMailboxes" in violation.detail or (
        violation.where in ("api", "upload") and "at a time are allowed" in violation.detail
    )


def some_options(chance: random.Random) -> FakeOptions:
    """Return the limits and quirks of one server."""
    return FakeOptions(
        max_objects_in_get=chance.choice((3, 16, 500)),
        max_objects_in_set=chance.choice((2, 16, 500)),
        max_calls_in_request=chance.choice((6, 16)),
        max_concurrent_requests=chance.choice((1, 4)),
        max_concurrent_upload=chance.choice((1, 4)),
        query_clamp=chance.choice((None, 2, 5)),
        changes_clamp=chance.choice((None, 1, 3)),
        max_mailboxes_per_email=chance.choice((None, None, None, None, None, 1)),
        urls=chance.choice(list(UrlStyle)),
        event_source=chance.choice(
            (EventSourceMode.PROPER, EventSourceMode.PROPER, EventSourceMode.DIES, EventSourceMode.NONE_204)
        ),
        quirks=frozenset(quirk for quirk in STEADY_QUIRKS if chance.random() < 0.25),
    )


class OutsideJmap(Outside):
    """What others do at the server, and what goes wrong there."""

    refusals = DOWN | {
        ErrorKind.NOT_FOUND,
        ErrorKind.NO_SUCH_DESTINATION,
        ErrorKind.ALREADY_EXISTS,
        ErrorKind.HAS_CHILDREN,
        ErrorKind.INVALID_NAME,
        ErrorKind.DENIED,
        ErrorKind.RATE_LIMITED,
        ErrorKind.OVER_QUOTA,
        ErrorKind.TOO_LARGE,
        ErrorKind.REJECTED,
        ErrorKind.UNSUPPORTED,
    }
    alters_tree = True

    def __init__(self, seed: int, clock: Clock) -> None:
        super().__init__(seed)
        self.options = some_options(self.random)
        self.fake = RestlessFake(self.options, clock=clock)
        self.server = InProcessServer(self.fake)
        for name in ("Drafts", "Sent"):
            self.fake.delete_mailbox(name)
        account = self.fake.account()
        assert isinstance(account, WatchedAccount)
        self.account = account
        self.expunge = self.random.choice(("trash", "trash", "archive", "destroy"))
        self.ledger = Ledger(account, expunge_destroys=self.expunge == "destroy")
        self.has_many_mailboxes = self.options.max_mailboxes_per_email != 1
        self.is_restless = False
        self._hang_ups: list[Callable[[], object]] = []
        self.fake.stir = self._stir

    # -- names --------------------------------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        return (*ALWAYS, *COMING_AND_GOING)

    def alterable(self) -> Sequence[str]:
        return COMING_AND_GOING

    def present(self) -> Sequence[str]:
        return sorted(name_of(mailbox, self.account) for mailbox in self.account.mailboxes.values())

    # -- what others do -----------------------------------------------------------------------------------------------

    @contextmanager
    def _outside(self) -> Iterator[None]:
        self.ledger.is_outside = True
        self.ledger.note_names()
        try:
            yield
        finally:
            self.ledger.note_names()
            self.ledger.is_outside = False

    def _stir(self) -> int:
        """Let something happen, perhaps; return how many turns of the loop the request has to wait."""
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
            if self.random.random() < 0.12:
                self._alter_tree()
            else:
                self._alter_mail()

    def _alter_mail(self) -> None:
        chance, fake = self.random, self.fake
        refs = list(self.account.emails)
        if not refs or chance.random() < 0.35:
            self._deliver()
            return
        ref = chance.choice(refs)
        match chance.randrange(8):
            case 0 | 1 | 2:
                fake.set_keywords(ref, chance.sample(KEYWORDS, chance.randint(0, 2)), chance.sample(KEYWORDS, 1))
            case 3:
                fake.remove(ref)
            case 4:
                fake.remove(self._deliver())
            case 5:
                fake.move(ref, self._some_mailbox())
            case _ if not self.has_many_mailboxes:
                fake.move(ref, self._some_mailbox())
            case 6:
                fake.move(ref, self._some_mailbox(), self._some_mailbox())
            case _:
                held = fake.email(ref).mailbox_ids | {fake.mailbox(self._some_mailbox()).id}
                self.account.update_email(fake.email(ref), mailbox_ids=held)

    def _deliver(self) -> str:
        chance = self.random
        when = START + timedelta(seconds=chance.choice((self.number, chance.randint(0, 100_000))))
        also = [self._some_mailbox()] if self.has_many_mailboxes and chance.random() < 0.2 else []
        keywords = chance.sample(KEYWORDS, chance.randint(0, 2))
        data = self.next_message()
        return self.fake.deliver(self._some_mailbox(), data, keywords=keywords, received_at=when, also_in=also)

    def _some_mailbox(self) -> str:
        return self.random.choice(self.present())

    def _alter_tree(self) -> None:
        chance, fake, there = self.random, self.fake, set(self.present())
        name = chance.choice(COMING_AND_GOING)
        if name not in there:
            fake.create_mailbox(name)
            return
        match chance.randrange(3):
            case 0:
                new = chance.choice(COMING_AND_GOING)
                parent = new.rpartition("/")[0]
                if new not in there and (not parent or parent in there) and not new.startswith(name + "/"):
                    fake.rename_mailbox(name, new)
            case 1:
                fake.subscribe(name, chance.random() < 0.5)
            case _:
                fake.delete_mailbox(name)

    # -- trouble ------------------------------------------------------------------------------------------------------

    def cause_trouble(self) -> None:
        chance, fake = self.random, self.fake
        match chance.randrange(20):
            case 0:
                fake.throttle(times=chance.randint(1, 3), retry_after_s=1, is_date=chance.random() < 0.3)
            case 1:
                fake.drop_connections()
            case 2:
                fake.change_session()
            case 3:
                fake.configure(quirks=self.options.quirks | {chance.choice(PASSING_QUIRKS)})
            case 4:
                kind = chance.choice((FaultKind.HANG, FaultKind.HANG_AFTER, FaultKind.DELAY))
                fake.fail_next(chance.choice((*READING_CALLS, *WRITING_CALLS)), kind, delay_s=chance.uniform(0.0, 1.5))
            case 5 | 6:
                where = chance.choice(("api", "upload", "download", "session"))
                self._fail(where, chance.choice(DOWNLOAD_FAULTS if where == "download" else HTTP_FAULTS))
            case 7 | 8 | 9 | 10 | 11:
                self._fail(chance.choice(READING_CALLS), chance.choice(READING_FAULTS))
            case _:
                self._fail(chance.choice(WRITING_CALLS), chance.choice(WRITING_FAULTS))

    def _fail(self, where: str, kind: FaultKind) -> None:
        chance = self.random
        error = chance.choice(SET_ERRORS) if kind is FaultKind.SET_ERROR else "serverFail"
        if kind is FaultKind.METHOD_ERROR and where.endswith("/changes"):
            error = chance.choice(("serverFail", "cannotCalculateChanges", "tooManyChanges"))
        times, skip, octets = chance.choice((1, 1, 1, 2, 5)), chance.randint(0, 2), chance.randint(0, 200)
        self.fake.fail_next(
            where,
            kind,
            times=times,
            skip=skip,
            status=chance.choice((500, 502) if kind is FaultKind.STATUS_AFTER else (500, 502, 503)),
            error=error,
            octets=octets,
        )

    def expire(self) -> None:
        self.fake.expire_states()

    def calm(self) -> None:
        self.is_restless = False
        self.fake.clear_faults()
        self._hang_ups.clear()
        if self.fake.options.quirks != self.options.quirks:
            self.fake.configure(quirks=self.options.quirks)

    def release(self) -> None:
        """Nothing is held up for longer than a few turns of the loop."""

    async def idle(self) -> None:
        await self.server.idle()

    # -- comparing ----------------------------------------------------------------------------------------------------

    def wrongs(self) -> list[str]:
        """Return what the gateway did there that it should not have."""
        return [str(each) for each in self.fake.violations if not _is_race(each)] + self.ledger.wrongs

    def refs_of(self, digests: Collection[bytes]) -> list[str]:
        """Return the messages of these octets."""
        return [email.id for email in self.account.emails.values() if digest_of(email.content.data) in digests]

    def refuted(self, data: bytes) -> bool:
        if self.ledger.ever_appended[digest_of(data)] > 1:
            return False
        held = [email.id for email in self.account.emails.values() if email.content.data == data]
        return any(email_id not in self.ledger.meddled for email_id in held)

    def compare(
        self,
        name: str,
        row: MailboxRow,
        rows: Mapping[int, PlacementRow],
        refs: Mapping[int, str],
        bodies: Mapping[int, bytes],
        flags: Mapping[int, FlagSet],
    ) -> None:
        mailbox = self.fake.mailbox(name)
        assert row.ref == mailbox.id
        held = {email.id: email for email in self.fake.emails_in(name)}
        assert sorted(refs.values()) == sorted(held)
        for uid, ref in refs.items():
            email, one = held[ref], rows[uid]
            assert bodies[uid] == email.content.data
            assert one[5] == int(email.received_at.timestamp())
            assert (one[7], one[8]) == (email.size, 1)
            shown = {flag.lower() for flag in flags[uid].names()} - {"\\deleted"}
            assert shown == {SYSTEM_FLAGS.get(keyword, keyword) for keyword in email.keywords}
