"""The stand-in itself: its accounts and everything a test may do to them behind a client's back."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.capabilities import has_quota
from tests.fakes.jmap.content import Content
from tests.fakes.jmap.faults import OF_METHODS, Fault, FaultKind, Faults, Gate, Throttle
from tests.fakes.jmap.options import Clock, FakeOptions, FakeUser, Quirk, SystemClock
from tests.fakes.jmap.push import Changed, PushHub
from tests.fakes.jmap.records import RIGHTS, Email, Mailbox
from tests.fakes.jmap.session import SESSION_PATH, WELL_KNOWN_PATH, Origins
from tests.fakes.jmap.stats import Stats, Violation

Path = str | tuple[str, ...]
STANDARD_MAILBOXES = (
    ("Archive", "archive"),
    ("Drafts", "drafts"),
    ("Junk", "junk"),
    ("Sent", "sent"),
    ("Trash", "trash"),
)
KINDS = frozenset({"session", "api", "upload", "download", "events", "websocket"})
"""The kinds of HTTP request, as they are counted and as failures and gates name them."""


class FakeJmap:
    """A JMAP server's state. `tests.fakes.jmap.server.running_fake` puts it on the network.

    A mailbox is named by its path: a tuple of names from the root, or one string with `/` between them. `INBOX` in any
    case is the mailbox with that role. Where `user` is left out, the first user's own account is meant. `account_type`
    is for tests that look on at every change.
    """

    account_type: type[Account] = Account

    def __init__(self, options: FakeOptions | None = None, *, clock: Clock | None = None) -> None:
        self.options = options or FakeOptions()
        self.clock: Clock = clock or SystemClock()
        self.stats = Stats()
        self.faults = Faults()
        self.push = PushHub()
        self.throttling = Throttle()
        self.in_flight: Counter[tuple[str, str]] = Counter()
        self.origins = Origins(0, 0)
        self.session_path = SESSION_PATH
        self.session_is_elsewhere = False
        self._gates: dict[str, Gate] = {}
        self._session_changes = 0
        self._accounts: dict[str, Account] = {}
        for name in dict.fromkeys(name for user in self.options.users for name in user.accounts):
            self._accounts[name] = self._new_account(name)

    def _new_account(self, name: str) -> Account:
        account = self.account_type(
            f"A{len(self._accounts) + 1:03d}",
            name,
            lambda of, states: self.push.publish({of.id: self._pushed(states)}),
        )
        account.add_mailbox(self.options.inbox_name, role="inbox")
        for mailbox_name, role in STANDARD_MAILBOXES:
            account.add_mailbox(mailbox_name, role=role)
        account.is_read_only = name in self.options.read_only_accounts
        return account

    def _pushed(self, states: dict[str, str]) -> dict[str, str]:
        """Return the states of the types that clients may know of."""
        return {name: state for name, state in states.items() if name != "Quota" or has_quota(self.options)}

    def all_states(self, user: FakeUser) -> Changed:
        """Return the present state of every type in every account that a user sees."""
        return {account.id: self._pushed(account.states()) for account in self.accounts_of(user).values()}

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The URL of the session document, while it is on the network."""
        return (self.origins.api if self.session_is_elsewhere else self.origins.primary) + self.session_path

    @property
    def session_location(self) -> str:
        """Where a redirect to the session document points: a path, or a URL if it is on the other host."""
        return self.url if self.session_is_elsewhere else self.session_path

    @property
    def well_known_url(self) -> str:
        return self.origins.primary + WELL_KNOWN_PATH

    @property
    def violations(self) -> list[Violation]:
        """What clients did that a conforming one does not."""
        return self.stats.violations

    def assert_no_violations(self) -> None:
        assert self.violations == []

    def violation(self, where: str, detail: str) -> None:
        self.stats.violations.append(Violation(where, detail))

    def account(self, user: str | None = None) -> Account:
        """Return the account of that name, or the first user's own."""
        return self._accounts[user or self.options.users[0].accounts[0]]

    @property
    def accounts(self) -> list[Account]:
        return list(self._accounts.values())

    def accounts_of(self, user: FakeUser) -> dict[str, Account]:
        """Return the accounts that a user sees, by id."""
        return {account.id: account for account in (self._accounts[name] for name in user.accounts)}

    def session_state(self) -> str:
        """Return the state of the session document, as replies carry it."""
        if self.options.has(Quirk.SESSION_STATE_CONSTANT):
            return "0"
        if self.options.has(Quirk.SESSION_STATE_MOVES):
            self._session_changes += 1
        return f"s{self._session_changes}"

    # -- mail comes and changes --------------------------------------------------------------------------------------

    def deliver(
        self,
        path: Path,
        data: bytes,
        *,
        keywords: Iterable[str] = (),
        received_at: datetime | None = None,
        user: str | None = None,
        also_in: Iterable[Path] = (),
    ) -> str:
        """Let a message arrive and return its id."""
        account = self.account(user)
        content = Content.of(data)
        mailbox_ids = {self.mailbox(each, user).id for each in (path, *also_in)}
        moment = (received_at or self.clock.now()).astimezone(UTC).replace(microsecond=0)
        names = {keyword.lower() for keyword in keywords}
        with account.changing():
            email = account.new_email(content, content.blob_id(), mailbox_ids, names, moment, self.options.quirks)
            account.add_email(email, is_delivery=True)
        return email.id

    def remove(self, email_id: str, *, user: str | None = None) -> None:
        """Destroy a message."""
        self.account(user).destroy_email(self.email(email_id, user))

    def set_keywords(
        self, email_id: str, add: Iterable[str] = (), remove: Iterable[str] = (), *, user: str | None = None
    ) -> None:
        email = self.email(email_id, user)
        gone = {keyword.lower() for keyword in remove}
        keywords = (email.keywords - gone) | {keyword.lower() for keyword in add}
        self.account(user).update_email(email, keywords=keywords)

    def move(self, email_id: str, *paths: Path, user: str | None = None) -> None:
        """Put a message into these mailboxes and no other."""
        ids = {self.mailbox(path, user).id for path in paths}
        if not ids:
            raise ValueError("a message has to be somewhere")
        self.account(user).update_email(self.email(email_id, user), mailbox_ids=ids)

    def email(self, email_id: str, user: str | None = None) -> Email:
        """Return a message.

        Raises:
            KeyError: there is none.
        """
        return self.account(user).emails[email_id]

    def emails_in(self, path: Path, *, user: str | None = None) -> list[Email]:
        """Return the messages of a mailbox, oldest first."""
        mailbox = self.mailbox(path, user)
        return [self.email(email_id, user) for email_id in mailbox.emails.page(0, len(mailbox.emails))]

    # -- mailboxes ---------------------------------------------------------------------------------------------------

    def mailbox(self, path: Path, user: str | None = None) -> Mailbox:
        """Return a mailbox.

        Raises:
            KeyError: there is none of that path.
        """
        account = self.account(user)
        names = _names(path)
        if len(names) == 1 and names[0].upper() == "INBOX" and (inbox := account.with_role("inbox")):
            return inbox
        found: Mailbox | None = None
        for name in names:
            found = account.child(found.id if found else None, name)
            if found is None:
                raise KeyError(path)
        if found is None:
            raise KeyError(path)
        return found

    def create_mailbox(self, path: Path, role: str | None = None, *, user: str | None = None) -> str:
        """Make a mailbox, and its parents where they are missing; return its id."""
        account = self.account(user)
        *parents, name = _names(path)
        parent_id: str | None = None
        for parent in parents:
            parent_id = (account.child(parent_id, parent) or account.add_mailbox(parent, parent_id)).id
        if account.child(parent_id, name) is not None:
            raise ValueError(f"{path} exists")
        return account.add_mailbox(name, parent_id, role).id

    def rename_mailbox(self, path: Path, new_path: Path, *, user: str | None = None) -> None:
        """Rename or move a mailbox; the new parent must exist."""
        mailbox = self.mailbox(path, user)
        *parents, name = _names(new_path)
        mailbox.parent_id = self.mailbox(tuple(parents), user).id if parents else None
        mailbox.name = name
        self.account(user).touch_mailbox(mailbox)

    def delete_mailbox(self, path: Path, *, user: str | None = None) -> None:
        """Delete a mailbox, the messages that are in no other, and its children."""
        account = self.account(user)
        with account.changing():
            self._delete(account, self.mailbox(path, user))

    def _delete(self, account: Account, mailbox: Mailbox) -> None:
        for child in account.children(mailbox.id):
            self._delete(account, child)
        account.destroy_mailbox(mailbox)

    def subscribe(self, path: Path, is_subscribed: bool, *, user: str | None = None) -> None:
        mailbox = self.mailbox(path, user)
        mailbox.is_subscribed = is_subscribed
        self.account(user).touch_mailbox(mailbox)

    def deny(self, path: Path, *rights: str, user: str | None = None) -> None:
        """Take rights from the user (`mayAddItems` and so on); earlier denials are lifted.

        Raises:
            ValueError: no such right.
        """
        unknown = set(rights) - set(RIGHTS)
        if unknown:
            raise ValueError(f"unknown right: {', '.join(sorted(unknown))}")
        mailbox = self.mailbox(path, user)
        mailbox.denied = set(rights)
        self.account(user).touch_mailbox(mailbox)

    # -- trouble -----------------------------------------------------------------------------------------------------

    def expire_states(self, *, user: str | None = None) -> None:
        """Forget what happened: no state given out so far is known any more."""
        for journal in self.account(user).journals.values():
            journal.expire()

    def throttle(
        self,
        *,
        for_s: float | None = None,
        times: int = 1,
        status: int = 429,
        retry_after_s: float = 1.0,
        is_date: bool = False,
        says_when: bool = True,
    ) -> None:
        """Refuse every request for `for_s` seconds, or else the next `times` ones, with Retry-After in either form."""
        until = None if for_s is None else self.clock.monotonic() + for_s
        left = 0 if for_s is not None else times
        self.throttling = Throttle(status, until, left, retry_after_s, is_date, says_when, self.clock)

    def fail_next(
        self, where: str, kind: FaultKind | str, *, times: int | None = 1, skip: int = 0, **details: Any
    ) -> None:
        """Let the next requests at `where` fail: a kind of HTTP request (see `KINDS`) or a method name.

        A failure of HTTP at a method name meets the request that calls the method. `details` are fields of `Fault`.
        `times` of None is until `clear_faults`; the first `skip` pass unharmed.

        Raises:
            ValueError: the kind does not fit `where`.
        """
        fault = Fault(FaultKind(kind), **details)
        is_impossible = fault.kind is FaultKind.BROKEN_JSON and where in ("download", "events")
        if is_impossible or ("/" not in where and (where not in KINDS or fault.kind in OF_METHODS)):
            raise ValueError(f"{fault.kind.value} cannot be planned at {where!r}")
        self.faults.plan(where, fault, times, skip)

    def clear_faults(self) -> None:
        """Drop planned failures and throttling."""
        self.faults.clear()
        self.throttling = Throttle()

    def hold(self, where: str) -> Gate:
        """Let requests wait at `where`, as for `fail_next`; with `:done` behind a kind of request, after the work.

        Raises:
            ValueError: there is no such place.
        """
        if "/" not in where and where.removesuffix(":done") not in KINDS:
            raise ValueError(f"requests cannot be held at {where!r}")
        self._gates[where] = gate = Gate()
        return gate

    def release_all(self) -> None:
        """Open every gate."""
        for gate in self._gates.values():
            gate.release()
        self._gates.clear()

    async def pass_gate(self, where: str) -> None:
        gate = self._gates.get(where)
        if gate is not None:
            await gate.pass_through()

    def drop_connections(self) -> None:
        """Cut the push connections there are now."""
        self.push.drop_all()

    # -- the session -------------------------------------------------------------------------------------------------

    def configure(self, **changes: Any) -> None:
        """Change options while it runs; the state of the session moves.

        Raises:
            TypeError: no such option.
        """
        self.options = dataclasses.replace(self.options, **changes)
        self.change_session()

    def change_session(self) -> None:
        """Let the session document have a new state."""
        self._session_changes += 1

    def move_session(self, path: str = "/jmap/session-moved", *, to_other_host: bool = False) -> None:
        """Serve the session at another path, on `localhost` and the second port if so asked; the old one redirects.

        `url` is the new place from now on.
        """
        self.session_is_elsewhere = to_other_host
        self.session_path = path
        self.change_session()

    def change_credentials(self, name: str, *, password: str | None = None, token: str | None = None) -> None:
        """Give a user another password or token: what it had is refused from now on."""
        users = tuple(
            dataclasses.replace(user, password=password or user.password, token=token or user.token)
            if user.name == name
            else user
            for user in self.options.users
        )
        self.options = dataclasses.replace(self.options, users=users)


def _names(path: Path) -> tuple[str, ...]:
    return tuple(path.split("/")) if isinstance(path, str) else path
