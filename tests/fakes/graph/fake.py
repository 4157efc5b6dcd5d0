"""The stand-in as tests hold it: mailboxes, tokens, limits, faults; and what happens to the mail from outside."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from tests.fakes.graph import mapi, seeds
from tests.fakes.graph.content import Content
from tests.fakes.graph.delta import Deltas
from tests.fakes.graph.dispatch import Dispatcher
from tests.fakes.graph.errors import ApiError
from tests.fakes.graph.faults import Fault, Faults
from tests.fakes.graph.mailbox import Mailbox, flag_of
from tests.fakes.graph.oauth import OAuth
from tests.fakes.graph.options import APP_ROLES, DELEGATED_SCOPES, Clock, GraphOptions, SystemClock
from tests.fakes.graph.records import Folder, Message
from tests.fakes.graph.schema import Checker
from tests.fakes.graph.stats import Stats
from tests.fakes.graph.subscriptions import Subscriptions
from tests.fakes.graph.tokens import Grant, TokenBook
from tests.fakes.graph.typings import typings
from tests.fakes.graph.uploads import Uploads


class FakeGraph:
    """One Graph with one user to begin with. Made and used on one event loop; nothing is kept when it goes.

    `sent`: what was sent, with the sender's address. `shared`: who may use another's mailbox, by its address.
    `allowed_for_app`: mailboxes an application may use without a user; None: all. Raises TypesMissing.
    """

    def __init__(self, options: GraphOptions | None = None, *, clock: Clock | None = None) -> None:
        self.options = options = options if options is not None else GraphOptions()
        self.clock = clock = clock if clock is not None else SystemClock()
        self.quirks = options.quirks
        self.checker = Checker(typings())
        self.stats = Stats()
        self.chance = random.Random(options.seed)
        self.faults = Faults(clock)
        self.tokens = TokenBook(clock, random.Random(f"{options.seed} tokens"), options.token_lifetime_s)
        self.uploads = Uploads(clock, random.Random(f"{options.seed} uploads"))
        self.deltas = Deltas()
        self.mailboxes: dict[str, Mailbox] = {}
        self.sent: list[tuple[str, Content]] = []
        self.shared: dict[str, set[str]] = {}
        self.allowed_for_app: set[str] | None = None
        self.latency_s = options.latency_s
        self.origin = ""
        self.login_origin = ""
        self.ca_file: str | None = None
        self._nonces = itertools.count(1)
        self._patches = 0
        self._open = asyncio.Event()
        self._open.set()
        self.oauth = OAuth(self)
        self.subscriptions = Subscriptions(self)
        self.dispatcher = Dispatcher(self)
        self.add_user(options.address, options.name)
        if options.messages:
            seeds.seed(self, options.messages, options.folders, options.seed)

    # -- where it is -------------------------------------------------------------------------------------------

    @property
    def api_root(self) -> str:
        """The URL of the API, with its version and without a slash at its end."""
        return f"{self.origin}/v1.0"

    def authority(self, tenant: str = "common") -> str:
        """Return the URL of a tenant's login; https where the stand-in was started with `tls`."""
        return f"{self.login_origin or self.origin}/{tenant}"

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox of the first user."""
        return self.mailboxes[self.options.address]

    @property
    def violations(self) -> list[str]:
        """What was not as Graph's types say, in requests and in our own replies."""
        return self.stats.violations

    def assert_no_violations(self) -> None:
        """Fail a test whose client sent what it must not."""
        assert self.violations == []

    # -- users and credentials ---------------------------------------------------------------------------------

    def add_user(self, address: str, name: str | None = None) -> Mailbox:
        """Make another user, who has no mail."""
        mailbox = Mailbox(address, name or address.partition("@")[0].title(), self.options, self.clock)
        self.mailboxes[address] = mailbox
        mailbox.listeners.append(functools.partial(self.subscriptions.changed, mailbox))
        return mailbox

    def share(self, owner: str, user: str) -> None:
        """Let a user use another's mailbox, with a token for shared ones."""
        self.shared.setdefault(owner, set()).add(user)

    def access_token(self, scopes: Iterable[str] = DELEGATED_SCOPES, user: str | None = None) -> str:
        """Return an access token of a user."""
        return self.tokens.access(Grant(user or self.options.address, frozenset(scopes)))

    def app_token(self, roles: Iterable[str] = APP_ROLES) -> str:
        """Return an access token of the application itself, without a user."""
        return self.tokens.access(Grant("", frozenset(roles)))

    def refresh_token(self, scopes: Iterable[str] = DELEGATED_SCOPES, user: str | None = None) -> str:
        """Return a refresh token as a sign-in gives it."""
        return self.tokens.new_refresh(Grant(user or self.options.address, frozenset(scopes)))

    def expire_access_tokens(self) -> None:
        """Let every access token be refused from now on."""
        self.tokens.expire_access()

    def revoke_tokens(self, user: str | None = None) -> None:
        """End all tokens of a user."""
        self.tokens.revoke(user or self.options.address)

    def user_id(self, address: str) -> str:
        """Return a user's object id."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.options.tenant}.{address}"))

    # -- what others do to the mail ----------------------------------------------------------------------------

    def deliver(
        self,
        raw: bytes,
        folder: str | Iterable[str] = "inbox",
        *,
        received: datetime | None = None,
        is_read: bool = False,
        is_draft: bool = False,
        categories: Iterable[str] = (),
        is_flagged: bool = False,
        user: str | None = None,
    ) -> str:
        """Let a message arrive; return its immutable id. A folder is a well-known name, an id, or a path of names."""
        mailbox = self._mailbox(user)
        message = mailbox.add(
            Content.of_mime(raw), self.folder(folder, user), received=received, is_read=is_read, is_draft=is_draft,
            categories=tuple(categories), flag=flag_of({"flagStatus": "flagged"} if is_flagged else None),
        )  # fmt: skip
        return mailbox.ids.message(message.number)

    def delete(self, message_id: str, user: str | None = None) -> None:
        """Delete a message behind the client's back, as Shift+Delete does: it stays recoverable."""
        mailbox = self._mailbox(user)
        mailbox.delete(mailbox.message(message_id))

    def purge(self, message_id: str, user: str | None = None) -> None:
        """Delete a message for good, behind the client's back."""
        mailbox = self._mailbox(user)
        mailbox.purge(mailbox.message(message_id))

    def move(self, message_id: str, folder: str | Iterable[str], user: str | None = None) -> None:
        """Move a message, behind the client's back."""
        mailbox = self._mailbox(user)
        mailbox.move(mailbox.message(message_id), self.folder(folder, user))

    def move_there_and_back(self, message_id: str, folder: str | Iterable[str], user: str | None = None) -> None:
        """Move a message away and back again: with immutable ids, what delta does not tell."""
        mailbox = self._mailbox(user)
        message = mailbox.message(message_id)
        home = message.folder
        mailbox.move(message, self.folder(folder, user))
        mailbox.move(message, home)

    def copy(self, message_id: str, folder: str | Iterable[str], user: str | None = None) -> str:
        """Copy a message; return the copy's immutable id."""
        mailbox = self._mailbox(user)
        made = mailbox.copy(mailbox.message(message_id), self.folder(folder, user))
        return mailbox.ids.message(made.number)

    def mark(
        self,
        message_id: str,
        *,
        is_read: bool | None = None,
        flag: str | None = None,
        categories: Iterable[str] | None = None,
        importance: str | None = None,
        verb: int | None = None,
        extended: dict[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        """Change marks behind the client's back. `flag`: notFlagged, flagged, complete. `verb`: 102, 103 or 104."""
        mailbox = self._mailbox(user)
        message = mailbox.message(message_id)
        values: dict[str, Any] = {}
        names: list[str] = []
        given = {mapi.canonical(name): value for name, value in (extended or {}).items()}
        if verb is not None:
            given |= {mapi.LAST_VERB: str(verb), mapi.ICON: "262" if verb == 104 else "261"}
        for name, attribute, value in (
            ("isRead", "is_read", is_read),
            ("flag", "flag", flag_of({"flagStatus": flag}) if flag is not None else None),
            ("categories", "categories", tuple(categories) if categories is not None else None),
            ("importance", "importance", importance),
            ("singleValueExtendedProperties", "extended", (message.extended or {}) | given if given else None),
        ):
            if value is not None:
                names.append(name)
                values[attribute] = value
        mailbox.change(message, names, **values)

    def message(self, message_id: str, user: str | None = None) -> Message:
        """Return a message. Raises ApiError (400, 404)."""
        return self._mailbox(user).message(message_id)

    def ids_in(self, folder: str | Iterable[str], user: str | None = None) -> list[str]:
        """Return the immutable ids of a folder's messages, oldest first."""
        mailbox = self._mailbox(user)
        return [mailbox.ids.message(each.number) for each in reversed(mailbox.in_folder(self.folder(folder, user)))]

    def folder(self, where: str | Iterable[str], user: str | None = None) -> Folder:
        """Return a folder by well-known name, id, or path of names (with `/` between them, or one by one)."""
        mailbox = self._mailbox(user)
        if isinstance(where, str):
            try:
                return mailbox.folder(where)
            except ApiError:
                where = where.split("/")
        folder = mailbox.root
        for name in where:
            folder = folder.children[name.lower()]
        return folder

    def folder_id(self, where: str | Iterable[str], user: str | None = None) -> str:
        """Return the id of a folder."""
        return self._mailbox(user).ids.folder(self.folder(where, user).number)

    def create_folder(
        self, path: str | Iterable[str], *, is_hidden: bool = False, folder_class: str = "IPF.Note",
        user: str | None = None,
    ) -> str:  # fmt: skip
        """Make a folder, and those above it that are not there; return its id. In a list a name may hold a slash."""
        mailbox = self._mailbox(user)
        folder = mailbox.root
        *above, last = path.split("/") if isinstance(path, str) else path
        for name in above:
            folder = folder.children.get(name.lower()) or mailbox.create_folder(name, folder)
        folder = mailbox.create_folder(last, folder, is_hidden=is_hidden, folder_class=folder_class)
        return mailbox.ids.folder(folder.number)

    def create_search_folder(self, name: str, user: str | None = None) -> str:
        """Make a folder that shows all unread mail; return its id."""
        mailbox = self._mailbox(user)
        return mailbox.ids.folder(mailbox.create_folder(name, search_query="isRead eq false").number)

    def rename_folder(self, where: str | Iterable[str], name: str, user: str | None = None) -> None:
        """Rename a folder, behind the client's back."""
        self._mailbox(user).rename_folder(self.folder(where, user), name)

    def move_folder(self, where: str | Iterable[str], parent: str | Iterable[str], user: str | None = None) -> None:
        """Put a folder below another, behind the client's back."""
        self._mailbox(user).move_folder(self.folder(where, user), self.folder(parent, user))

    def delete_folder(self, where: str | Iterable[str], user: str | None = None, *, is_purge: bool = True) -> None:
        """Delete a folder for good, or into Deleted Items."""
        self._mailbox(user).delete_folder(self.folder(where, user), is_purge=is_purge)

    def add_strangers(self, where: str | Iterable[str], count: int, user: str | None = None) -> None:
        """Let a folder count items that are no mail, and that no listing shows."""
        self.folder(where, user).strangers += count

    def seed_folders(self, shares: dict[str, int], number: int = 1, user: str | None = None) -> None:
        """Put so many messages into each folder, as if they had always been there; see `seeds.seed_folders`."""
        seeds.seed_folders(self, shares, number, user)

    # -- trouble -----------------------------------------------------------------------------------------------

    def fail_next(self, operation: str = "*", times: int = 1, skip: int = 0, **fault: Any) -> None:
        """Let the next calls of an operation fail as `Fault(**fault)` says, after `skip` that do not."""
        self.faults.order(operation, Fault(**fault), times, skip)

    def throttle(
        self, seconds: float, status: int = 429, code: str = "", retry_after_s: int | None = None, message: str = ""
    ) -> None:
        """Refuse every call for `seconds`, with a Retry-After header if so wanted."""
        self.faults.throttle(seconds, Fault(status, code, message, retry_after_s))

    def expire_delta_tokens(
        self, folder: str | Iterable[str] | None = None, status: int = 410, user: str | None = None
    ) -> None:
        """Let the delta tokens so far be forgotten: of a folder, or all. 410 comes with a Location; another 40x not."""
        mailbox = self._mailbox(user)
        mailbox.expire(self.folder(folder, user) if folder is not None else None, status)

    def is_in_conflict(self) -> bool:
        """Count a PATCH, and tell whether it is one of those that fail."""
        self._patches += 1
        return bool(self.quirks.conflict_every) and self._patches % self.quirks.conflict_every == 0

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold every call that is let in until the block ends."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    async def turn(self) -> None:
        """Wait as long as a call takes: held, latency, and always so long that others may come in beside it."""
        await asyncio.sleep(self.latency_s)
        await self._open.wait()

    # -- what the rest of the stand-in asks --------------------------------------------------------------------

    def mailbox_named(self, name: str) -> Mailbox:
        """Return a mailbox by address or object id. Raises ApiError (404)."""
        for address, mailbox in self.mailboxes.items():
            if name.lower() == address.lower() or name == self.user_id(address):
                return mailbox
        raise ApiError(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")

    def next_nonce(self) -> int:
        """Return a number that was not used before."""
        return next(self._nonces)

    def check_own(self, type_name: str, body: dict[str, Any]) -> None:
        """Note as a violation, and fail the call, where a reply of ours is not of its type. Raises ApiError (500)."""
        self.note_own(type_name, self.checker.reply_faults(type_name, body))

    def note_own(self, what: str, faults: list[str]) -> None:
        """Note faults of a reply of ours. Raises ApiError (500) if there are any."""
        if faults:
            self.stats.violations += [f"reply of {what}: {fault}" for fault in faults]
            raise ApiError(500, "selfCheck", f"The stand-in's own reply is not as described: {faults[0]}")

    def _mailbox(self, user: str | None) -> Mailbox:
        return self.mailboxes[user or self.options.address]
