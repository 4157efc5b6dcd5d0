"""What a connector may do beyond the required. A connector offers an ability by inheriting its class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from connectors.api.types import MailboxInfo, MailboxRef, MessageContent, MessageRef, MessageState, PushEvent, Role


class MailboxAdmin(ABC):
    """The mailbox tree can be changed."""

    @abstractmethod
    async def create_mailbox(self, path: tuple[str, ...], role: Role | None) -> MailboxInfo:
        """Create a mailbox, and its parents where the backend needs them.

        Raises:
            AlreadyExists, Denied.
            Unsupported: the name or role cannot be had at this backend.
        """

    @abstractmethod
    async def rename_mailbox(self, mailbox: MailboxRef, path: tuple[str, ...]) -> MailboxInfo:
        """Rename a mailbox, its children with it.

        The returned ref may be a new one, and then those of the children are too: list the mailboxes again.

        Raises:
            AlreadyExists, NotFound, Denied.
            Unsupported: the name cannot be had, is below the mailbox itself, or the mailbox is INBOX.
        """

    @abstractmethod
    async def delete_mailbox(self, mailbox: MailboxRef) -> None:
        """Delete a mailbox and the messages in it; its children stay.

        Raises:
            NotFound, Denied, Unsupported.
        """


class Subscriptions(ABC):
    """The backend keeps which mailboxes are subscribed; otherwise the gateway does."""

    @abstractmethod
    async def subscribe(self, mailbox: MailboxRef, is_subscribed: bool) -> None:
        """Subscribe or unsubscribe. To unsubscribe, `mailbox` may be gone; see `names_without_mailbox`.

        Raises:
            NotFound, Denied.
        """

    async def names_without_mailbox(self) -> Mapping[tuple[str, ...], MailboxRef] | None:
        """Return paths that are subscribed and have no mailbox, each with what `subscribe` takes for it.

        Names of mailboxes that there are may be among them. None if the backend keeps none, and the gateway does.
        """
        return None


class Push(ABC):
    """The backend tells of changes by itself."""

    @abstractmethod
    def watch(self) -> AsyncIterator[PushEvent]:
        """Yield an event soon after something happens; end or raise `Unavailable` when the channel is lost.

        Events may be merged and may be spurious. After this iterator is started, changes are not missed: a change that
        happened before is the business of the caller's next sync.
        """

    @abstractmethod
    async def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Say which mailboxes somebody has open, to be watched first where the backend cannot watch all.

        Returns at once; may be called at any time, also while nothing is watched.
        """

    def is_watching(self, mailbox: MailboxRef) -> bool:
        """Whether `watch` has told of all that has happened in the mailbox, as far as the backend has told it.

        Then a look at the mailbox now would find nothing new. False where that is not known for certain. Returns at
        once.
        """
        return False


class AccountListing(ABC):
    """All messages of the account can be listed at once, for less than mailbox by mailbox.

    For backends whose `Capabilities.cursor_scope` is ACCOUNT.
    """

    @abstractmethod
    def list_account(self) -> AsyncIterator[Sequence[MessageState]]:
        """Yield every message of the account, in pages, oldest first, with its complete `MessageState.mailboxes`.

        A message in many mailboxes comes once. What happens meanwhile is in this or in `changes` from a position taken
        before, or in both; a message that is in the account from the beginning to the end is never left out.
        """


class BatchFetch(ABC):
    """Several whole messages can be had in one request."""

    @abstractmethod
    def fetch_many(
        self, mailbox: MailboxRef, refs: Sequence[MessageRef]
    ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
        """Yield the messages in any order, octet for octet as the backend holds them; those that are gone are left out.

        Meant for small messages: a content is valid until the next one is asked for, and is read at once by the
        caller, who may close the generator early. At most `Capabilities.outline_limit` refs.
        """


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be stored; see `Connector.append`."""

    content: MessageContent
    flags: frozenset[str]
    internal_date: datetime | None


class BatchAppend(ABC):
    """Several messages can be stored in one request."""

    @abstractmethod
    async def append_many(self, mailbox: MailboxRef, messages: Sequence[NewMessage]) -> Sequence[MessageState]:
        """Store the messages in this order, all of them or none; return the state of each.

        At most `Capabilities.batch_limit` messages, at least one.

        Raises:
            OutcomeUnknown: all may be stored, some of them, or none.
            Unsupported: these can only be appended one by one; nothing is stored.
            ConnectorError: see `Connector.append`; nothing is stored.
        """


class PreparedAppend(ABC):
    """Messages can be handed over before they may be stored, so that nothing has to wait for that."""

    @abstractmethod
    async def append_by_leave(
        self, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None]
    ) -> Sequence[MessageState]:
        """Store the messages in this order, all of them or none, once there is `leave`; return the state of each.

        Before that nothing exists that anybody could take for a message. `leave` is given by another task or thread,
        and soon; if it holds an exception in place of a result nothing is stored, and that is raised.
        More than one message only with `BatchAppend`, and within its limits.

        Raises:
            OutcomeUnknown: all may be stored, some of them, or none; only after there was leave.
            Unsupported: several messages can only be appended one by one; nothing is stored.
            ConnectorError: see `Connector.append`; nothing is stored.
        """


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Messages whose text contains every one of `terms`; in headers too unless `body_only`."""

    terms: tuple[str, ...]
    body_only: bool = False


class TextSearch(ABC):
    """The backend can search message text."""

    @abstractmethod
    async def search_text(self, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
        """Return the messages of the mailbox that match.

        Raises:
            Unsupported: the backend cannot look for these terms; whoever wants to know reads the messages.
        """


class NativeSearch(ABC):
    """The backend has a search language of its own, which clients may use as it is (X-GM-RAW of X-GM-EXT-1)."""

    @abstractmethod
    async def search_native(self, mailbox: MailboxRef, query: str) -> frozenset[MessageRef]:
        """Return the messages of the mailbox that the backend finds with `query`, in its own language.

        Raises:
            Rejected: it is no query there.
        """


@dataclass(frozen=True, slots=True)
class QuotaInfo:
    """Storage in octets and, where the backend counts them, messages. A limit of None is no limit known."""

    name: str
    used_octets: int
    limit_octets: int | None
    used_messages: int | None = None
    limit_messages: int | None = None


class Quota(ABC):
    """The backend tells how full the account is."""

    @abstractmethod
    async def quota(self) -> Sequence[QuotaInfo]:
        """Return the quota roots of the account."""
