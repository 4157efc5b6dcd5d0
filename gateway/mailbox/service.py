"""The mail of all users of this process: accounts with their engines, and the mailboxes that are open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.api.connector import Connector
from gateway.accounts.account import Account, AccountHealth
from gateway.clock import Clock
from gateway.errors import ErrorKind, GatewayError, MailError
from gateway.mailbox.flag_sets import FlagSets
from gateway.mailbox.indexing import Indexing
from gateway.mailbox.known_names import KnownNames
from gateway.mailbox.listings import Listings
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.mailbox.user_mail import UserMail
from gateway.store import accounts, messages, users
from gateway.store.accounts import AccountRow, AccountState
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store
from gateway.store.errors import StoreError
from gateway.store.mailboxes import MailboxRow
from gateway.store.search_index import SearchIndex
from gateway.sync.bus import ChangeBus
from gateway.sync.context import AccountContext
from gateway.sync.engine import AccountEngine, SyncSettings
from gateway.sync.hydrate import Prefetch
from gateway.sync.start_gate import StartGate

log = logging.getLogger(__name__)

ENGINES_AT_ONCE = 8
"""So many are started in one turn of the loop."""

KEPT_OPEN = 64
"""Mailboxes kept in memory after their last view closed, so that the next SELECT needs no reading."""

MakeConnector = Callable[[AccountRow], Connector]
"""Builds the connector of an account from its row.

Raises:
    GatewayError: the settings or the credentials cannot be used.
"""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """`append_limit` in octets. The waits are for what a client would otherwise have to ask for again.

    A first listing is waited for as long as something comes of it within `first_listing_wait_s`; a mailbox that may be
    shown while it grows only for `growing_wait_s`.
    """

    append_limit: int = 50 << 20
    tree_wait_s: float = 20.0
    first_listing_wait_s: float = 120.0
    growing_wait_s: float = 10.0
    fresh_wait_s: float = 1.0
    fresh_age_s: float = 1.0


class MailService:
    """Built once by the composition root; `start` it, and `close` it at the end."""

    def __init__(
        self,
        store: Store,
        cache: BodyCache,
        clock: Clock,
        make_connector: MakeConnector,
        settings: MailSettings | None = None,
        sync_settings: SyncSettings | None = None,
        search_index: SearchIndex | None = None,
    ) -> None:
        self.store = store
        self.settings = settings or MailSettings()
        self.bus = ChangeBus()
        self._start_gate = StartGate()
        self._cache = cache
        self._clock = clock
        self._make_connector = make_connector
        self._sync_settings = sync_settings or SyncSettings()
        is_eager = self._sync_settings.prefetch is not Prefetch.NONE
        self._indexing = Indexing(search_index, store, is_eager=is_eager)
        self._engines: dict[int, AccountEngine] = {}
        self._set_up: dict[int, tuple[str, dict[str, object], bytes | None]] = {}
        self._unusable: dict[int, str] = {}
        self._flag_sets = FlagSets()
        self._open: dict[int, OpenMailbox] = {}
        self._loading: dict[int, asyncio.Task[OpenMailbox]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.names = KnownNames()
        self.listings = Listings(store, self.bus, clock)
        self._interest: dict[int, dict[int, int]] = {}
        self._untold: set[int] = set()
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to synchronise every account."""
        ids = await self.store.read(accounts.all_ids)
        await asyncio.to_thread(self._cache.kept.keep_accounts, set(ids))
        await self._indexing.start()
        await self.start_accounts()

    async def close(self) -> None:
        """End all work; writes that were sent to a backend are settled at the next start."""
        engines, self._engines = list(self._engines.values()), {}
        await asyncio.gather(self.tell_interest(), return_exceptions=True)
        await self._indexing.close()
        await asyncio.gather(*(engine.stop() for engine in engines))
        for mailbox in self._open.values():
            await mailbox.close()
        self._open.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    # -- accounts -----------------------------------------------------------------------------------------------------

    async def start_accounts(self) -> None:
        """Have every account work with what the operator has set up, some at a time.

        To build an engine and to let it take its first step takes a quarter of a millisecond, and there may be
        thousands: clients are served meanwhile.
        """
        for number, account_id in enumerate(await self.store.read(accounts.all_ids), 1):
            # Read only now: it may have been changed, and started by a session, since this began.
            row = await self.store.read(lambda tx, key=account_id: accounts.account_by_id(tx, key))  # type: ignore[misc]
            if row is not None:
                await self.engine_of(row)
            if number % ENGINES_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def engine_of(self, row: AccountRow) -> AccountEngine | None:
        """Return the running engine of an account; None for an account that cannot be used.

        It is started if need be, and started anew if the operator has changed settings or credentials.
        """
        set_up = (row.connector, row.settings, row.credentials)
        while (engine := self._engines.get(row.id)) is not None:
            if self._set_up.get(row.id) == set_up and row.state is not AccountState.DISABLED:
                return engine
            # Somebody else may have started it anew meanwhile.
            await self.forget_account(row.id)
        if row.state is AccountState.DISABLED:
            return None
        try:
            connector = self._make_connector(row)
        except GatewayError as error:
            if self._unusable.get(row.id) != error.operator_text:
                self._unusable[row.id] = error.operator_text
                log.error("account %s cannot be used: %s", row.name, error.operator_text)
            return None
        self._unusable.pop(row.id, None)
        account = Account(
            row.id, row.name, connector, self._clock, on_state=lambda health: self._store_health(row.id, health)
        )
        context = AccountContext(account, self.store, self.bus, self._cache, self._clock, start_gate=self._start_gate)
        self._set_up[row.id] = set_up
        engine = self._engines[row.id] = AccountEngine(context, self._sync_settings)
        await self._indexing.attach(engine)
        # Of what is open already nobody tells it any more.
        await engine.set_interest(frozenset(self._interest.get(row.id, ())))
        engine.start()
        return engine

    def running_engine(self, account_id: int) -> AccountEngine | None:
        """Return the engine of an account if it runs."""
        return self._engines.get(account_id)

    async def forget_account(self, account_id: int) -> None:
        """Stop working on an account that was removed, or whose settings have changed.

        Views of its mailboxes become defunct: they hold on to an engine that works no more.
        """
        engine = self._engines.pop(account_id, None)
        if engine is None:
            return
        for mailbox_id, mailbox in list(self._open.items()):
            if mailbox.row.account_id == account_id:
                self._open.pop(mailbox_id, None)
                mailbox.become_defunct()
                await mailbox.close()
        await self._indexing.detach(account_id)
        await engine.stop()

    async def _store_health(self, account_id: int, health: AccountHealth) -> None:
        try:
            await self.store.write(
                lambda tx: accounts.set_account_state(tx, account_id, health.state, health.last_error)
            )
        except StoreError as error:
            # It is only what is shown, and must not keep the account from working or from being tried again.
            log.error("the state of account %d cannot be stored: %s", account_id, error.operator_text)

    # -- users --------------------------------------------------------------------------------------------------------

    async def open_user(self, login: str) -> UserMail:
        """Return the mail of a user who has logged in, for one session.

        Raises:
            MailError: there is no such user (any more).
        """
        user = await self.store.read(lambda tx: users.user_by_login(tx, login))
        if user is None:
            raise MailError(ErrorKind.NOT_FOUND, "This login no longer exists.")
        mail = UserMail(self, user.id, user.login)
        await mail.refresh_accounts()
        return mail

    # -- open mailboxes -----------------------------------------------------------------------------------------------

    @property
    def open_mailboxes(self) -> int:
        """How many mailboxes are held in memory."""
        return len(self._open)

    async def open_mailbox(self, mailbox_id: int, row: MailboxRow | None = None) -> OpenMailbox:
        """Return the mailbox with its columns loaded, shared by all who have it open.

        `row` is what the store says of it, if the caller has just read that.

        Raises:
            LookupError: there is no such mailbox.
        """
        while True:
            mailbox = self._open.get(mailbox_id)
            if mailbox is None or mailbox.is_defunct:
                mailbox = await self._load(mailbox_id)
            if row is None or not mailbox.is_at(row):
                await mailbox.refresh()
            # Others may have had it closed meanwhile.
            if self._open.get(mailbox_id) is mailbox:
                # Most recently used last.
                self._open[mailbox_id] = self._open.pop(mailbox_id)
                self._trim()
                return mailbox

    async def refresh_mailbox(self, mailbox_id: int) -> None:
        """Let the views of a mailbox, if there are any, learn at once of what was just written to it."""
        mailbox = self._open.get(mailbox_id)
        if mailbox is not None:
            await mailbox.refresh()

    async def reread_date(self, mailbox_id: int, uid: int) -> None:
        """Let the views of a mailbox have the date that a message has in the store."""
        mailbox = self._open.get(mailbox_id)
        entry = mailbox.find(uid) if mailbox is not None else None
        if mailbox is None or entry is None:
            return
        rows = await self.store.read(lambda tx: messages.message_rows(tx, [entry.message_id]))
        row = rows.get(entry.message_id)
        if row is not None and row.internal_date is not None:
            mailbox.learned_date(uid, row.internal_date, row.internal_zone or 0)

    def claimed_uid(self, mailbox_id: int) -> int:
        """Return the UID below which no message is \\Recent for whoever comes next.

        A session that has the mailbox open may have claimed more than is in the store yet.
        """
        mailbox = self._open.get(mailbox_id)
        return 0 if mailbox is None or mailbox.is_defunct else mailbox.recent_uid

    async def _load(self, mailbox_id: int) -> OpenMailbox:
        loading = self._loading.get(mailbox_id)
        if loading is None:
            loading = asyncio.get_running_loop().create_task(self._load_now(mailbox_id))
            self._loading[mailbox_id] = loading
            loading.add_done_callback(lambda _: self._loading.pop(mailbox_id, None))
        return await asyncio.shield(loading)

    async def _load_now(self, mailbox_id: int) -> OpenMailbox:
        """Load a mailbox and hold it open, before anybody else can find that nobody is loading it."""
        void = self._open.pop(mailbox_id, None)
        if void is not None:
            await void.close()
        mailbox = OpenMailbox(mailbox_id, self.store, self.bus, self._flag_sets)
        try:
            await mailbox.load()
        except BaseException:
            await mailbox.close()
            raise
        self._open[mailbox_id] = mailbox
        return mailbox

    def _trim(self) -> None:
        """Close those that nobody looks at and that were used longest ago; somebody is about to look at the last."""
        if len(self._open) <= KEPT_OPEN:
            return
        *older, (_, last) = self._open.items()
        idle = [key for key, mailbox in older if not mailbox.has_watchers]
        kept = KEPT_OPEN if last.has_watchers else KEPT_OPEN - 1
        for key in idle[: max(0, len(idle) - kept)]:
            closing = asyncio.get_running_loop().create_task(self._open.pop(key).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def view_opened(self, account_id: int, mailbox_id: int) -> None:
        """Count a view, and have its mailbox watched."""
        counts = self._interest.setdefault(account_id, {})
        counts[mailbox_id] = counts.get(mailbox_id, 0) + 1
        if counts[mailbox_id] == 1:
            await self._tell_interest(account_id)

    def view_closed(self, account_id: int, mailbox_id: int) -> None:
        """Count a view less. That nobody looks any more is told soon, unless somebody does by then."""
        counts = self._interest.get(account_id, {})
        if counts.get(mailbox_id, 0) > 1:
            counts[mailbox_id] -= 1
            return
        counts.pop(mailbox_id, None)
        self._untold.add(account_id)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell_untold())

    async def tell_interest(self) -> None:
        """Return when the engines know which views were closed."""
        if self._telling is not None:
            await asyncio.shield(self._telling)

    async def _tell_untold(self) -> None:
        while self._untold:
            await self._tell_interest(self._untold.pop())

    async def _tell_interest(self, account_id: int) -> None:
        engine = self._engines.get(account_id)
        if engine is not None:
            await engine.set_interest(frozenset(self._interest.get(account_id, ())))

    def engines(self) -> Sequence[AccountEngine]:
        """Return the engines that run."""
        return list(self._engines.values())
