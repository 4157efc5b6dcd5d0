"""How a stand-in server behaves: its users, its limits, and the deviations of real servers it imitates."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

DEFAULT_PASSWORD = "secret-of-alice"
DEFAULT_TOKEN = "token-of-alice"


class Clock(Protocol):
    """Where the stand-in takes its time from."""

    def now(self) -> datetime:
        """Return the time of day, timezone-aware."""

    def monotonic(self) -> float:
        """Return seconds since some fixed point."""


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed point."""
        return time.monotonic()


class UrlStyle(enum.Enum):
    """How the URLs in the session document are written."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    """Relative to the session document, as Cyrus 3.6 gives them."""
    OTHER_HOST = "other-host"
    """API and events on `localhost`, blobs on 127.0.0.1, both at a second port, as Fastmail spreads its hosts."""


class EventSourceMode(enum.Enum):
    """What the event source does."""

    PROPER = "proper"
    NONE_204 = "none-204"
    """Answers 204 to everything, as Cyrus 3.6 does."""
    NO_PING = "no-ping"
    """Sends states, but never the pings that were asked for."""
    DIES = "dies"
    """The connection is lost after each state event."""
    STALLS = "stalls"
    """The connection stays open and silent: no state and no ping ever comes."""
    BUFFERING = "buffering"
    """A proxy in between passes on nothing before the reply has ended (`closeafter=state` helps)."""


class Quirk(enum.Enum):
    """A deviation seen on real servers, or a liberty of the RFC that clients forget."""

    BARE_EVENT_SOURCE_URL = "bare-event-source-url"
    """`eventSourceUrl` has no variables (Fastmail)."""
    INVALID_ARGUMENTS_FOR_BAD_STATE = "invalid-arguments-for-bad-state"
    """A state that is unknown gives `invalidArguments` (Cyrus)."""
    CANNOT_CALCULATE_CHANGES = "cannot-calculate-changes"
    """/changes always fails so."""
    ENDLESS_CHANGES = "endless-changes"
    """`hasMoreChanges` is true although `newState` is the state that was given (James)."""
    NEWEST_FIRST_CHANGES = "newest-first-changes"
    """Pages of /changes come newest first (allowed by RFC 8620 section 5.2)."""
    CHANGES_BY_LAST_CHANGE = "changes-by-last-change"
    """Each id comes once, where it last changed: one may be `updated` that was never `created` before (Cyrus)."""
    CREATED_AND_DESTROYED = "created-and-destroyed"
    """An id that came and went is in both `created` and `destroyed` of a page."""
    FORBID_DUPLICATES = "forbid-duplicates"
    """Importing octets that are there already gives `alreadyExists` (Cyrus); otherwise duplicates are allowed."""
    DATES_WRAP = "dates-wrap"
    """Import keeps 32 bits of the seconds since 1970 (Cyrus)."""
    FORBID_SAME_MESSAGE_ID = "forbid-same-message-id"
    """Importing a message with a Message-ID that is there already gives `alreadyExists` (allowed by RFC 8621 4.8)."""
    IMPORT_LOSES = "import-loses"
    """Import stores an empty message, whatever was uploaded."""
    IMPORT_REPAIRS = "import-repairs"
    """Import turns bare line feeds into CRLF and drops NUL, so that blob id and size differ from what was uploaded."""
    LIMITS_MISSING = "limits-missing"
    """The capabilities state no limit at all; those of the options are in force."""
    LIMITS_COUNT_TOGETHER = "limits-count-together"
    """`maxObjectsInGet` and `maxObjectsInSet` bound what all calls of a request together read and write."""
    GET_STOPS_SHORT = "get-stops-short"
    """Email/get gives at most 7 messages and is silent about the rest."""
    LIMITS_MISSPELT = "limits-misspelt"
    """`maxConcurrentRequest`, as in the example of RFC 8620 section 2.1, and `emailsListSortOptions` (Cyrus)."""
    SESSION_STATE_MOVES = "session-state-moves"
    """`sessionState` differs in every reply."""
    SESSION_STATE_CONSTANT = "session-state-constant"
    """`state` of the session is always "0" (Cyrus)."""
    NO_CALCULATE_TOTAL = "no-calculate-total"
    """`total` is never given (James)."""
    COARSE_QUERY_STATE = "coarse-query-state"
    """`queryState` moves with every change of the account (allowed by RFC 8620 section 5.5)."""
    NO_UPDATED_PROPERTIES = "no-updated-properties"
    """`updatedProperties` of Mailbox/changes is always null."""
    THREAD_IS_EMAIL = "thread-is-email"
    """`threadId` equals the id of the Email (James)."""
    ROLES_FIXED = "roles-fixed"
    """Roles cannot be given to a mailbox (James)."""
    SUBSCRIPTIONS_SILENT = "subscriptions-silent"
    """A changed `isSubscribed` is not reported by Mailbox/changes (James)."""


@dataclass(frozen=True, slots=True)
class FakeUser:
    """A login. `accounts` names the accounts it sees; the first is its own and primary."""

    name: str = "alice"
    password: str = DEFAULT_PASSWORD
    token: str = DEFAULT_TOKEN
    accounts: tuple[str, ...] = ("alice",)


BOB = FakeUser("bob", "secret-of-bob", "token-of-bob", ("bob",))


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """Everything that can be chosen. Sizes in octets, times in seconds; None is no limit.

    The limits of the core capability default to the least that RFC 8620 section 2 suggests. `query_clamp` and
    `changes_clamp` bound how many ids one reply of /query and /changes holds whatever the client asks.
    `redirects` is the number of hops between /.well-known/jmap and the session document.
    `read_only_accounts` are names of accounts. `quota_octets` and `quota_messages` turn on RFC 9425.
    `ping_min_s` and `ping_max_s` clamp the ping interval; tests may set them under a second. `delay_s` is how much
    later each request is served, as over a long way.
    """

    users: tuple[FakeUser, ...] = (FakeUser(), BOB)
    read_only_accounts: frozenset[str] = frozenset()
    inbox_name: str = "Inbox"
    max_size_upload: int = 50_000_000
    max_concurrent_upload: int = 4
    max_size_request: int = 10_000_000
    max_concurrent_requests: int = 4
    max_calls_in_request: int = 16
    max_objects_in_get: int = 500
    max_objects_in_set: int = 500
    query_clamp: int | None = None
    changes_clamp: int | None = None
    max_mailboxes_per_email: int | None = None
    max_keywords_per_email: int = 100
    max_mailbox_depth: int | None = 10
    max_size_mailbox_name: int = 255
    may_create_top_level: bool = True
    forbidden_in_names: str = ""
    quota_octets: int | None = None
    quota_messages: int | None = None
    urls: UrlStyle = UrlStyle.ABSOLUTE
    redirects: int = 1
    event_source: EventSourceMode = EventSourceMode.PROPER
    ping_min_s: float = 1.0
    ping_max_s: float = 3600.0
    delay_s: float = 0.0
    websocket: bool = False
    quirks: frozenset[Quirk] = field(default_factory=frozenset)

    def has(self, quirk: Quirk) -> bool:
        return quirk in self.quirks
