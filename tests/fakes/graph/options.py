"""What a stand-in is started with, and in which ways it can be made awkward while it runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

DELEGATED_SCOPES = ("Mail.ReadWrite", "Mail.ReadWrite.Shared", "Mail.Send", "MailboxSettings.ReadWrite", "User.Read")
APP_ROLES = ("Mail.ReadWrite", "Mail.Send", "MailboxSettings.ReadWrite", "User.Read.All")


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
        return monotonic()


@dataclass(slots=True)
class Quirks:
    """Ways in which Graph was seen to behave; each may be switched at any time. Numbers: 0 is off."""

    delta_disorder: bool = True
    """Changes of a round come in an order of their own."""
    delta_repeats: bool = False
    """Each third item of a round comes a second time, in the same or a later page."""
    delta_replays: bool = False
    """A round begins with changes that the round before told already."""
    delta_partial: bool = False
    """A changed message carries only what was changed; otherwise that is so for `isRead` alone."""
    delta_empty_pages: bool = False
    """Each page is preceded by an empty one with a nextLink."""
    delta_lags: bool = False
    """A change is told by the next round but one: replication takes its time."""
    delta_loses_returns: bool = True
    """With immutable ids, a message that left and came back between two rounds is told as deleted, and never again."""
    delta_loses_arrivals: bool = False
    """A message moved from elsewhere is never told as added; only the removal at the old place is."""
    delta_expand_fails: bool = False
    """$expand on delta is answered with 500; otherwise it is ignored."""
    mime_varies: bool = False
    """$value gives other octets at each call, not only other ones than were delivered."""
    deleted_are_found: bool = False
    """GET of a deleted message's id gives the message, in recoverableitemsdeletions, instead of 404."""
    conflict_every: int = 0
    """Each n-th PATCH of a message is refused with 412, and not done."""
    oversize_is_ignored: bool = False
    """A request above the limit is answered 200, and nothing is done."""
    mime_into_folders: bool = False
    """POST of MIME to a folder's messages works (and makes a draft in Drafts); otherwise it is refused."""
    throttles_without_retry_after: bool = False
    """429 for too many requests, or too many at once, comes without the header."""
    batch_keeps_order: bool = False
    """A batch is answered in the order of its requests, not shuffled."""

    def set(self, name: str, value: bool | int) -> None:
        """Switch a quirk. Raises KeyError if there is none of that name."""
        if name not in self.names():
            raise KeyError(name)
        setattr(self, name, value)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all quirks."""
        return [each.name for each in dataclasses.fields(cls)]


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """The fixed properties of one stand-in.

    `messages` in about `folders` folders are there at the start. `requests_per_10_min`, `upload_octets_per_5_min`: the
    limits of an application and a mailbox; None: not enforced. `max_concurrent` counts a batch by those of its requests
    that run beside each other, four at most. `max_page`: $top and odata.maxpagesize above are refused or cut down.
    `tls`: the login, and the API as well, is served on a second port over https.
    """

    address: str = "user@example.com"
    name: str = "Ada User"
    messages: int = 0
    folders: int = 8
    seed: int = 1
    requests_per_10_min: int | None = 10_000
    upload_octets_per_5_min: int | None = 150_000_000
    max_concurrent: int = 4
    max_page: int = 1000
    max_request_octets: int = 4 * 1024 * 1024
    max_message_octets: int = 150_000_000
    token_lifetime_s: int = 3600
    tenant: str = "5a5e0d3c-6c1b-4d0e-9f55-1d2f3a4b5c6d"
    client_id: str = "11112222-3333-4444-5555-666677778888"
    client_secret: str = "fake-client-secret"
    device_code_lifetime_s: int = 900
    device_interval_s: int = 5
    tls: bool = False
    latency_s: float = 0.0
    quirks: Quirks = field(default_factory=Quirks)
