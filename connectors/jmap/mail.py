"""One account's mail: what the modules of this connector share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from connectors.api.types import MailboxRef, MessageRef
from connectors.jmap.calls import Call
from connectors.jmap.client import JmapClient
from connectors.jmap.settings import ExpungeTo, JmapSettings
from connectors.jmap.structs import Email, GetReply, Mailbox
from connectors.transport.clock import Clock

T = TypeVar("T")

MAX_PAGE = 5000
"""Objects in one reply at most, whatever the server would allow: about a megabyte and a half of JSON."""

MAX_BATCH = 1000
"""Objects that one request changes at most; servers that take more have been seen to run into their own time-outs."""

MAX_OUTLINES = 200
"""Headers in one reply at most, so that it stays within a few megabytes."""

_OCTETS_PER_PATCH = 1024
"""More than a patch of one message ever takes in a request."""


class Mail:
    """The client, the limits that follow from its session, and the mailboxes as they were last seen.

    `tree` is what was last seen of the mailboxes, by whatever way, and `listed` what the gateway was last told of them;
    None if nothing yet. They say what a mailbox was, never that it is still there: who needs to know asks the server.
    """

    def __init__(self, client: JmapClient, settings: JmapSettings, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self.expunge_to: ExpungeTo = settings.expunge
        self.tree: dict[MailboxRef, Mailbox] | None = None
        self.listed: dict[MailboxRef, Mailbox] | None = None
        self.listed_at: float = 0.0
        """When `listed` was last found to be true, by the clock's `monotonic`."""

    @property
    def is_read_only(self) -> bool:
        account = self.client.session.accounts.get(self.client.account_id)
        return account is not None and account.is_read_only

    @property
    def has_many_mailboxes(self) -> bool:
        """Whether a message can be in several mailboxes at once."""
        return self.client.mail.max_mailboxes_per_email != 1

    # -- limits -------------------------------------------------------------------------------------------------------

    @property
    def get_limit(self) -> int:
        """Objects per Foo/get, at least 1."""
        return min(self.client.limits.max_objects_in_get, MAX_PAGE)

    @property
    def write_limit(self) -> int:
        """Messages per Email/set that is followed by an Email/get of the same, at least 1."""
        return min(self.client.limits.max_objects_in_set, self.get_limit)

    @property
    def calls_limit(self) -> int:
        """Calls per request, at least 1."""
        return self.client.limits.max_calls_in_request

    @property
    def batch_limit(self) -> int:
        """Messages that one request can change and read back."""
        by_calls = self.write_limit * max(self.calls_limit // 2, 1)
        by_octets = max(self.client.limits.max_size_request // _OCTETS_PER_PATCH, 1)
        return min(by_calls, by_octets, MAX_BATCH)

    @property
    def outline_limit(self) -> int:
        return min(self.client.limits.max_objects_in_get, MAX_OUTLINES)

    # -- calls --------------------------------------------------------------------------------------------------------

    def call(self, name: str, call_id: str, arguments: Mapping[str, object] | None = None) -> Call:
        """Return a call on this account."""
        return Call(name, {"accountId": self.client.account_id, **(arguments or {})}, call_id)

    async def emails(self, refs: Iterable[str], properties: Sequence[str], **arguments: object) -> EmailsRead:
        """Read messages by ref, in as few requests as the limits allow; those that are gone are left out."""
        wanted = list(dict.fromkeys(refs))
        read = EmailsRead()
        chunks = list(in_chunks(wanted, self.get_limit))
        for some in in_chunks(chunks, max(min(self.calls_limit, MAX_PAGE // self.get_limit), 1)):
            calls = [
                self.call("Email/get", f"get{index}", {"ids": chunk, "properties": list(properties), **arguments})
                for index, chunk in enumerate(some)
            ]
            results = await self.client.call(*calls)
            for call in calls:
                reply = results.get(call.id, GetReply[Email])
                read.state = read.state or reply.state
                read.found.update({MessageRef(email.id): email for email in reply.items})
        return read


class EmailsRead:
    """Messages by ref, and the state of the account before the first of them was read, if there was one to read."""

    def __init__(self) -> None:
        self.found: dict[MessageRef, Email] = {}
        self.state: str | None = None


def in_chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in order, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
