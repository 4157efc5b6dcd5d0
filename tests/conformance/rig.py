"""What a connector brings along to be tested by the conformance suite.

A `Rig` holds one backend with an empty account. It builds connectors to it, and it can act on the account "from
outside", by means that have nothing to do with the connector under test: another client, the disk, the backend's own
interface. Messages are named from outside by their Message-ID, since refs are the connector's business.
"""

from __future__ import annotations

import email
import email.policy
import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage

from connectors.api.capabilities import Scope
from connectors.api.connector import Connector
from connectors.api.types import (
    BytesContent,
    ChangePage,
    Cursor,
    MailboxInfo,
    MailboxRef,
    MessageContent,
    MessageRef,
    MessageState,
    Role,
)

Path = tuple[str, ...]
INBOX: Path = ("INBOX",)
DATE = datetime(2019, 5, 17, 8, 30, 15, tzinfo=UTC)


class Ability(enum.Enum):
    """What a rig or its backend may lack; a test that needs it is skipped and names it.

    What the connector offers (`MailboxAdmin`, `Push` and so on) and its capabilities are seen from itself.
    """

    OUTSIDE_MAILBOXES = "mailboxes can be created and deleted from outside"
    EXPIRING_CURSORS = "cursors can be made to expire"
    NUL_OCTETS = "a message may contain NUL"
    KEYWORDS = "keywords can be stored, in upper and lower case"
    ANY_NAME = "a mailbox name may have any printable character but the separator"
    DUPLICATES = "a mailbox can hold the same message twice"
    PARENTS_GO = "a mailbox can be deleted and its children stay"
    DELETED_MAILBOXES_GO = "a mailbox that is deleted is gone, and is not in the trash with what it holds"
    PUSH = "the backend tells of changes by itself"
    TOLD_SUBSCRIPTIONS = "that a mailbox was subscribed is told like other changes of the tree"
    SEARCH_AT_ONCE = "a message is found by its text as soon as it is there"


class Rig(ABC):
    """A backend with an empty account: INBOX is there, and it is empty."""

    abilities: frozenset[Ability] = frozenset(Ability)

    @abstractmethod
    def connector(self) -> Connector:
        """Return a new connector to the account, not open yet. May be called several times."""

    @abstractmethod
    async def deliver(self, path: Path, data: bytes) -> None:
        """Put a message, in CRLF, into a mailbox, as the backend's delivery or another client would."""

    @abstractmethod
    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        """Replace the flags of a message."""

    @abstractmethod
    async def remove(self, path: Path, message_id: str) -> None:
        """Remove a message from a mailbox."""

    async def create_mailbox(self, path: Path) -> None:
        """Create a mailbox (with OUTSIDE_MAILBOXES)."""
        raise AssertionError("the rig lacks OUTSIDE_MAILBOXES")

    async def delete_mailbox(self, path: Path) -> None:
        """Delete a mailbox (with OUTSIDE_MAILBOXES)."""
        raise AssertionError("the rig lacks OUTSIDE_MAILBOXES")

    async def expire_cursors(self, path: Path) -> None:
        """Make the cursors handed out so far for a mailbox, or all, too old (with EXPIRING_CURSORS)."""
        raise AssertionError("the rig lacks EXPIRING_CURSORS")


def mail(number: int, body: bytes = b"Some text.\r\n", subject: str = "Test") -> bytes:
    """Return a small message in CRLF; its Message-ID is `message_id(number)`."""
    header = (
        f"From: Ann <ann@example.org>\r\n"
        f"To: Bob <bob@example.org>\r\n"
        f"Subject: {subject} {number}\r\n"
        f"Date: Fri, 17 May 2019 08:30:15 +0000\r\n"
        f"Message-ID: {message_id(number)}\r\n"
        f"MIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return header.encode() + body


def message_id(number: int) -> str:
    return f"<m{number}@conformance.example>"


async def octets(content: MessageContent) -> bytes:
    """Return what the content yields, having checked the promises made of its pieces."""
    chunks = [chunk async for chunk in content.chunks()]
    assert all(0 < len(chunk) <= 1 << 20 for chunk in chunks)
    data = b"".join(chunks)
    assert len(data) == content.size
    return data


@dataclass(frozen=True, slots=True)
class Probe:
    """Short ways to ask a connector, for one mailbox."""

    connector: Connector
    ref: MailboxRef

    async def listing(self) -> list[MessageState]:
        return [state async for page in self.connector.listing(self.ref) for state in page]

    async def refs(self) -> list[MessageRef]:
        return [state.ref for state in await self.listing()]

    async def state(self, ref: MessageRef) -> MessageState:
        (state,) = await self.connector.states(self.ref, [ref])
        assert state.ref == ref
        return state

    async def flags(self, ref: MessageRef) -> frozenset[str]:
        flags = (await self.state(ref)).flags
        assert flags is not None
        return flags

    async def read(self, ref: MessageRef) -> bytes:
        return await octets(await self.connector.fetch(self.ref, ref))

    async def assert_is(self, ref: MessageRef, data: bytes) -> None:
        """Assert that a message is the one that was given: in its octets, or where those vary in what it says."""
        assert self.gist(await self.read(ref)) == self.gist(data)

    async def assert_are(self, refs: Sequence[MessageRef], messages: Sequence[bytes]) -> None:
        assert [self.gist(await self.read(ref)) for ref in refs] == [self.gist(message) for message in messages]

    def gist(self, data: bytes) -> object:
        """Return what the backend has to keep of a message."""
        if not self.connector.capabilities.bodies_vary:
            return data
        message = email.message_from_bytes(data, policy=email.policy.default)
        fields = [str(message[name]) for name in ("From", "To", "Subject", "Message-ID")]
        return fields, " ".join(_text(message).split())

    def assert_size(self, state: MessageState, data: bytes) -> None:
        """Assert that the size told is that of the octets, or is said not to be where those vary."""
        if self.connector.capabilities.bodies_vary:
            assert state.size is None or not state.size_is_exact
        else:
            assert (state.size, state.size_is_exact) == (len(data), True)

    async def append(
        self, data: bytes, flags: frozenset[str] = frozenset(), internal_date: datetime | None = None
    ) -> MessageState:
        return await self.connector.append(self.ref, BytesContent(data), flags, internal_date)

    async def position(self) -> Cursor:
        return await self.connector.position(self.scope)

    def changes(self, cursor: Cursor) -> AsyncIterator[ChangePage]:
        return self.connector.changes(self.scope, cursor)

    @property
    def scope(self) -> MailboxRef | None:
        return self.ref if self.connector.capabilities.cursor_scope.value == "mailbox" else None

    def replica(self) -> Replica:
        return Replica(self, {}, None)


def _text(message: EmailMessage) -> str:
    """Return what a message says. A long text may be cut short, if it is attached whole."""
    body = message.get_body(("plain", "html"))
    text = str(body.get_content()) if body is not None else ""
    whole = [str(part.get_content()) for part in message.iter_attachments() if part.get_content_maintype() == "text"]
    return next((each for each in whole if each.startswith(text.rstrip())), text)


@dataclass(slots=True)
class Replica:
    """What somebody knows of a mailbox who does nothing but apply listings and changes, as the gateway does."""

    probe: Probe
    flags: dict[MessageRef, frozenset[str]]
    cursor: Cursor | None

    async def begin(self) -> None:
        """Take the position and the listing, in that order."""
        self.cursor = await self.probe.position()
        for state in await self.probe.listing():
            self.apply(state)

    async def catch_up(self) -> list[ChangePage]:
        """Apply the changes since the cursor and return the pages."""
        assert self.cursor is not None
        pages = [page async for page in self.probe.changes(self.cursor)]
        for page in pages:
            self.apply_page(page)
            # What was told as the result of a write is not told again; a replica has not seen that.
            assert page.echoes <= self.flags.keys()
            for state in await self.probe.connector.states(self.probe.ref, sorted(page.echoes)) if page.echoes else ():
                self.apply(state)
        assert not pages or pages[-1].cursor is not None
        return pages

    def apply_page(self, page: ChangePage) -> None:
        is_account_wide = self.probe.connector.capabilities.cursor_scope is Scope.ACCOUNT
        for state in page.changed:
            if not (is_account_wide and state.mailboxes is None and state.ref not in self.flags):
                self.apply(state)
        gone = set(page.removed)
        if page.present is not None:
            gone |= self.flags.keys() - page.present
        for ref in gone:
            self.flags.pop(ref, None)
        self.cursor = page.cursor or self.cursor

    def apply(self, state: MessageState) -> None:
        if state.mailboxes is not None and self.probe.ref not in state.mailboxes:
            self.flags.pop(state.ref, None)
            return
        self.flags[state.ref] = self.flags.get(state.ref, frozenset()) if state.flags is None else state.flags

    async def check(self) -> None:
        """Assert that the mailbox is as this replica has it."""
        states = await self.probe.connector.states(self.probe.ref, await self.probe.refs())
        assert {state.ref: state.flags for state in states} == self.flags


async def chosen(connector: Connector, mailboxes: Collection[MailboxRef] | None) -> frozenset[MailboxRef] | None:
    """Return those of a message's mailboxes that it was put into: not those that show all there is, or a quality."""
    views = {info.ref for info in await connector.list_mailboxes() if info.role in (Role.ALL, Role.FLAGGED)}
    return None if mailboxes is None else frozenset(mailboxes) - views


async def find_mailbox(connector: Connector, path: Path) -> MailboxInfo:
    """Return the mailbox of that name."""
    found = [info for info in await connector.list_mailboxes() if info.path == path]
    assert len(found) == 1, f"{path!r} is listed {len(found)} times"
    return found[0]


def paths(mailboxes: Sequence[MailboxInfo]) -> list[Path]:
    return [info.path for info in mailboxes]
