"""One account's mail: what the modules of this connector share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from connectors.api.types import MailboxRef, MessageRef
from connectors.jmap.brief import Brief
from connectors.jmap.calls import Call
from connectors.jmap.client import JmapClient
from connectors.jmap.errors import MethodTooLarge
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
"""More than a patch of one message usually takes in a request."""

_OVERHEAD_OCTETS = 4096
"""More than a request takes beside its ids and patches."""


class Mail:
    """The client, the limits that follow from its session, and the mailboxes as they were last seen.

    `tree` is what was last seen of the mailboxes, by whatever way, and `listed` what the gateway was last told of them;
    None if nothing yet. They say what a mailbox was, never that it is still there: who needs to know asks the server.
    """

    def __init__(self, client: JmapClient, settings: JmapSettings, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self.expunge_to: ExpungeTo = settings.expunge
        self.brief = Brief()
        self.tree: dict[MailboxRef, Mailbox] | None = None
        self.listed: dict[MailboxRef, Mailbox] | None = None
        self.listed_at: float = 0.0
        """When `listed` was last found to be true, by the clock's `monotonic`."""
        self._at_once: int | None = None
        """Messages in one request that the server was found to give, where that is less than it says."""

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

    @property
    def request_room(self) -> int:
        """Octets of ids and patches that fit into one request."""
        most = self.client.limits.max_size_request
        return max(most - _OVERHEAD_OCTETS, most // 2)

    # -- calls --------------------------------------------------------------------------------------------------------

    def call(self, name: str, call_id: str, arguments: Mapping[str, object] | None = None) -> Call:
        """Return a call on this account."""
        return Call(name, {"accountId": self.client.account_id, **(arguments or {})}, call_id)

    async def emails(self, refs: Iterable[str], properties: Sequence[str], **arguments: object) -> EmailsRead:
        """Read messages by ref, in as few requests as the limits allow; those that are gone are left out.

        A message is gone only if the server says so, or says nothing of it and of no other that was asked with it: some
        give as many as they like and are silent about the rest.
        """
        read = EmailsRead()
        pending = list(dict.fromkeys(refs))
        while pending:
            some = next(in_portions(pending, self._read_limit, self.request_room, _octets_of_id))
            refused, silent = await self._read(some, properties, arguments, read)
            if refused:
                self._at_once = max(len(some) // 2, 1)
            again = refused + (silent if len(silent) < len(some) - len(refused) else [])
            pending = again + pending[len(some) :]
        return read

    @property
    def _read_limit(self) -> int:
        """Messages that are read by one request, at least 1."""
        most = self.get_limit * max(min(self.calls_limit, MAX_PAGE // self.get_limit), 1)
        return most if self._at_once is None else min(most, self._at_once)

    async def _read(
        self, refs: Sequence[str], properties: Sequence[str], arguments: Mapping[str, object], read: EmailsRead
    ) -> tuple[list[str], list[str]]:
        """Read some messages by one request; return those that were too many, and those it says nothing of.

        Raises:
            MethodTooLarge: a single one is too many.
        """
        calls = {f"get{index}": chunk for index, chunk in enumerate(in_chunks(refs, self.get_limit))}
        asked = {"properties": list(properties), **arguments}
        results = await self.client.call(
            *(self.call("Email/get", call_id, {"ids": chunk, **asked}) for call_id, chunk in calls.items())
        )
        refused: list[str] = []
        silent: list[str] = []
        for call_id, chunk in calls.items():
            try:
                reply = results.get(call_id, GetReply[Email])
            except MethodTooLarge:
                if len(refs) == 1:
                    raise
                refused += chunk
                continue
            read.state = read.state or reply.state
            read.found.update({MessageRef(email.id): email for email in reply.items})
            silent += unanswered(chunk, reply)
        return refused, silent


def unanswered(refs: Iterable[str], reply: GetReply[Email]) -> list[str]:
    """Return those of which the reply says neither how nor that they are not."""
    answered = {email.id for email in reply.items}.union(reply.not_found or ())
    return [ref for ref in refs if ref not in answered]


class EmailsRead:
    """Messages by ref, and the state of the account before the first of them was read, if there was one to read."""

    def __init__(self) -> None:
        self.found: dict[MessageRef, Email] = {}
        self.state: str | None = None


def in_chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in order, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def in_portions(items: Iterable[T], most: int, octets: int, length: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the items in order, at most `most` at a time and no more than `octets` hold, but one at least."""
    some: list[T] = []
    room = octets
    for item in items:
        size = length(item)
        if some and (len(some) >= most or size > room):
            yield some
            some, room = [], octets
        some.append(item)
        room -= size
    if some:
        yield some


def _octets_of_id(ref: str) -> int:
    return len(ref) + 3
