"""The stand-in as tests hold it: mailboxes, tokens, quota, faults; and what happens to the mail from outside."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

from tests.fakes.gmail import methods_drafts, methods_labels, methods_mailbox, methods_messages, quota, seeds
from tests.fakes.gmail.calls import Api
from tests.fakes.gmail.content import Content
from tests.fakes.gmail.discovery import description
from tests.fakes.gmail.dispatch import Dispatcher
from tests.fakes.gmail.errors import ApiError
from tests.fakes.gmail.faults import Fault, Faults
from tests.fakes.gmail.labels import PLACES
from tests.fakes.gmail.mailbox import Mailbox, Message
from tests.fakes.gmail.oauth import OAuth
from tests.fakes.gmail.options import MAIL_SCOPE, Clock, FakeOptions, SystemClock
from tests.fakes.gmail.pubsub import PubSub
from tests.fakes.gmail.stats import Stats
from tests.fakes.gmail.tokens import Grant, TokenBook
from tests.fakes.gmail.uploads import Uploads


class FakeGmail:
    """One Gmail with one user to begin with. Made and used on one event loop; nothing is kept when it goes."""

    def __init__(self, options: FakeOptions | None = None, *, clock: Clock | None = None) -> None:
        self.options = options = options if options is not None else FakeOptions()
        self.clock = clock = clock if clock is not None else SystemClock()
        self.quirks = options.quirks
        self.stats = Stats()
        self.costs = quota.costs(options.costs)
        self.quota = quota.Quota(clock, options.units_per_minute)
        self.faults = Faults(clock)
        self.uploads = Uploads()
        self.pubsub = PubSub(options, clock)
        self.latency_s = 0.0
        self.expunge_behavior = "archive"
        self.mailboxes: dict[str, Mailbox] = {}
        gmail = description("gmail.v1")
        self._secrets = random.Random(options.seed)
        self._stamps = itertools.count(1)
        self._open = asyncio.Event()
        self._open.set()
        self.tokens = TokenBook(clock, self._secrets, options.token_lifetime_s)
        self.oauth = OAuth(options, clock, self.tokens, self.faults, gmail.scopes)
        handlers = {
            **methods_messages.handlers(),
            **methods_labels.handlers(),
            **methods_drafts.handlers(),
            **methods_mailbox.handlers(),
        }
        self.dispatcher = Dispatcher(
            self, [Api(gmail, handlers), Api(description("pubsub.v1"), methods_mailbox.pubsub_handlers())]
        )
        self.add_user(options.address)
        if options.messages or options.labels:
            seeds.fill(self.mailbox, options.messages, options.labels, clock.now())

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox of the first user."""
        return self.mailboxes[self.options.address]

    @property
    def violations(self) -> list[str]:
        """What was not as the published description says, in requests and in our own replies."""
        return self.stats.violations

    def add_user(self, address: str) -> Mailbox:
        """Make another user, who has no mail."""
        mailbox = Mailbox(address, self.options, self.clock)
        self.mailboxes[address] = mailbox
        self.oauth.users.add(address)
        self.pubsub.follow(mailbox)
        return mailbox

    # credentials

    def refresh_token(self, scopes: Iterable[str] = (MAIL_SCOPE,), user: str | None = None) -> str:
        """Return a refresh token as a consent by the user gives it."""
        return self.tokens.consent(Grant(user or self.options.address, frozenset(scopes)))

    def access_token(self, scopes: Iterable[str] = (MAIL_SCOPE,), user: str | None = None) -> str:
        """Return an access token; `user` "" is the service account itself."""
        return self.tokens.access(Grant(self.options.address if user is None else user, frozenset(scopes)))

    # what others do to the mail

    def deliver(
        self,
        raw: bytes,
        labels: Iterable[str] = ("INBOX", "UNREAD"),
        *,
        date: datetime | None = None,
        thread: str | None = None,
        user: str | None = None,
    ) -> str:
        """Let a message arrive; return its id. Any labels may be given, also impossible ones."""
        mailbox = self.mailboxes[user or self.options.address]
        number = int(thread, 16) if thread is not None else None
        return mailbox.add(raw, frozenset(labels), date=date, thread=number).id

    def delete(self, message_id: str) -> None:
        """Delete a message for good, behind the client's back."""
        self.mailbox.delete(self.mailbox.message(message_id))

    def relabel(self, message_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Change labels, behind the client's back and without Gmail's rules."""
        self.mailbox.relabel(self.mailbox.message(message_id), frozenset(add), frozenset(remove))

    def trash(self, message_id: str) -> None:
        """Move a message to Trash, as a user does in the browser."""
        self.relabel(message_id, {"TRASH"}, PLACES - {"TRASH"})

    def new_label(self, name: str) -> str:
        """Make a user label; return its id."""
        return self.mailbox.labels.create(name).id

    def rename_label(self, label_id: str, name: str) -> None:
        """Rename a user label."""
        self.mailbox.labels.change(label_id, name, {}, None)

    def delete_label(self, label_id: str) -> None:
        """Delete a user label."""
        self.mailbox.delete_label(label_id)

    def new_draft(self, raw: bytes) -> str:
        """Make a draft; return the draft's id."""
        return self.mailbox.add_draft(raw, None)

    def new_draft_revision(self, draft: str, raw: bytes) -> str:
        """Change a draft; return the id of the message it has now."""
        return self.mailbox.revise_draft(draft, raw, None).id

    def message(self, message_id: str) -> Message:
        """Return a message of the first user. Raises ApiError (400, 404)."""
        return self.mailbox.message(message_id)

    # trouble

    def fail_next(self, method: str = "*", times: int = 1, **fault: object) -> None:
        """Let the next calls of `method` (its id, "oauth.token", or "*") fail as `Fault(**fault)` says."""
        self.faults.order(method, Fault(**fault), times)  # type: ignore[arg-type]

    def throttle(
        self, seconds: float, reason: str = "rateLimitExceeded", code: int = 429, *,
        retry_after_s: int | None = None, tells_end: bool = False,
    ) -> None:  # fmt: skip
        """Refuse every call for `seconds`, with a Retry-After header or with the end in the text if so wanted."""
        self.faults.throttle(seconds, Fault(code, reason, retry_after_s=retry_after_s), tells_end=tells_end)

    def expire_history(self) -> None:
        """Let all historyIds so far be too old."""
        self.mailbox.history.expire()

    def revoke_token(self, token: str | None = None) -> None:
        """End a token, or all of the first user's."""
        if token is not None:
            self.tokens.revoke(token)
        else:
            self.tokens.revoke_user(self.options.address)

    def expire_access_tokens(self) -> None:
        """Let every access token be refused from now on."""
        self.tokens.expire_access()

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

    # what the rest of the stand-in asks

    def mailbox_of(self, grant: Grant) -> Mailbox:
        """Return the mailbox of a token's user; the first one's for a service account, which has none."""
        return self.mailboxes.get(grant.user, self.mailbox)

    def check_user(self, grant: Grant, user_id: str) -> None:
        """Raise ApiError unless `user_id` is the token's user, who has a mailbox."""
        if grant.user not in self.mailboxes:
            raise ApiError(400, "failedPrecondition", "Mail service not enabled", status="FAILED_PRECONDITION")
        if user_id not in {"me", grant.user}:
            raise ApiError(403, "forbidden", f"Delegation denied for {grant.user}")

    def stamped(self, content: Content) -> bytes:
        """Return a message with Message-ID, Date and MIME-Version, of which Gmail adds what is missing."""
        head = ""
        if not content.header("MIME-Version"):
            head += "MIME-Version: 1.0\r\n"
        if not content.header("Date"):
            head += f"Date: {email.utils.format_datetime(self.clock.now())}\r\n"
        if not content.message_id:
            head += f"Message-ID: <CA{next(self._stamps):06d}+{self._secrets.getrandbits(64):x}@mail.gmail.com>\r\n"
        return head.encode() + content.raw
