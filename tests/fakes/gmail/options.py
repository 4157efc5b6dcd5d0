"""What a stand-in is started with, and in which ways it can be made awkward while it runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

MAIL_SCOPE = "https://mail.google.com/"
MODIFY_SCOPE = "https://www.googleapis.com/auth/gmail.modify"
METADATA_SCOPE = "https://www.googleapis.com/auth/gmail.metadata"
PUBSUB_SCOPE = "https://www.googleapis.com/auth/pubsub"
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


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
    """Ways in which Gmail was seen to differ from its documentation; each may be switched at any time."""

    lie_about_sizes: bool = False
    """`sizeEstimate` is far off, and not only by some octets."""
    history_is_never_valid: bool = False
    """Every startHistoryId is too old, also the newest one from getProfile."""
    drafts_take_labels: bool = False
    """Drafts can be given other labels, as STARRED."""
    absent_label_ids: bool = False
    """Messages inside history records carry only id and threadId, never labelIds."""
    unknown_labels: bool = False
    """Messages carry, besides their own, the id of a label that labels.list does not know."""
    empty_history_pages: bool = False
    """Each page of history is preceded by one without `history`, with a nextPageToken."""
    bare_history_records: bool = False
    """Records that only have `messages` stand between the others."""
    joined_history_records: bool = False
    """What one call added and removed stands in one record, not in two."""
    deduplicates: bool = True
    """insert and import of a Message-ID the mailbox has keep the first message and add the labels to it."""
    exclusive_places: bool = True
    """Of INBOX, SPAM and TRASH a message has one: adding one takes the others away."""
    label_deletion_in_history: bool = False
    """Deleting a label leaves a labelsRemoved record for each message that had it."""
    rename_moves_children: bool = False
    """Renaming label `a` renames `a/b` as well."""
    retry_after_header: bool = False
    """Refusals for a full quota carry a Retry-After header, in whole seconds."""
    absent_dates: bool = False
    """Messages carry no internalDate."""
    nonsense_dates: bool = False
    """Messages carry an internalDate that is none."""
    list_hides_unless_asked: bool = False
    """messages.list by label SPAM or TRASH is empty unless includeSpamTrash is true."""

    def set(self, name: str, value: bool) -> None:
        """Switch a quirk. Raises KeyError if there is none of that name."""
        if name not in self.names():
            raise KeyError(name)
        setattr(self, name, value)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all quirks."""
        return [each.name for each in dataclasses.fields(cls)]


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """The fixed properties of one stand-in.

    `units_per_minute` None: no quota is enforced (units are counted all the same). `costs`: "2026" or "2025", the table
    of projects made since May 2026 or of older ones. `max_concurrent` counts a batch by its parts. `pull_wait_s`: how
    long subscriptions.pull waits for a message. `notifications_per_s` 0: none is ever dropped. `compresses`: replies go
    out in gzip to who takes it, as Google's do.
    """

    address: str = "user@example.com"
    messages: int = 0
    labels: int = 0
    units_per_minute: int | None = None
    costs: str = "2026"
    max_concurrent: int = 50
    token_lifetime_s: int = 3600
    project: str = "fake-project"
    project_number: str = "123456789012"
    client_id: str = "fake-client.apps.googleusercontent.com"
    client_secret: str = "fake-client-secret"
    topic: str = "gmail"
    subscription: str = "gmail-pull"
    pull_wait_s: float = 30.0
    ack_deadline_s: float = 10.0
    notifications_per_s: float = 1.0
    label_limit: int = 10_000
    max_upload_octets: int | None = None
    compresses: bool = False
    seed: int = 1
    quirks: Quirks = field(default_factory=Quirks)

    @property
    def topic_name(self) -> str:
        """The full name of the topic Gmail may publish to."""
        return f"projects/{self.project}/topics/{self.topic}"

    @property
    def subscription_name(self) -> str:
        """The full name of the pull subscription to that topic."""
        return f"projects/{self.project}/subscriptions/{self.subscription}"
