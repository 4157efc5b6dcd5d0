"""The mail of an account, and all that can be done to it.

The methods of `MemoryBackend` are what happens "from outside", as another program at the same account would do it; the
connector uses the same methods, so both leave the same traces in the journal. Nothing here waits.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from connectors.api.errors import (
    AlreadyExists,
    Denied,
    NotFound,
    OverQuota,
    Rejected,
    TooLarge,
    Unsupported,
)
from connectors.api.types import (
    ANSWERED,
    DRAFT,
    FLAGGED,
    SEEN,
    SYSTEM_FLAGS,
    MailboxInfo,
    MailboxRef,
    MessageRef,
    MessageState,
    Role,
)
from connectors.memory import search
from connectors.memory.faults import Faults
from connectors.memory.journal import Journal
from connectors.memory.mail import Mailbox, Message, Path

INBOX: Path = ("INBOX",)
USUAL_ROLES = (Role.DRAFTS, Role.SENT, Role.TRASH, Role.ARCHIVE, Role.JUNK)
GMAIL_ROLES = (Role.FLAGGED, Role.IMPORTANT)
GMAIL_EPOCH = 0x18C0_0000_0000_0000
"""Ids like Gmail's are counted from here on."""

LABEL_FLAGS = frozenset({SEEN, ANSWERED, FLAGGED, DRAFT})
GMAIL_FLAGS = LABEL_FLAGS - {ANSWERED}


class Layout(enum.Enum):
    """How messages sit in mailboxes.

    FOLDERS: a message is in one mailbox; copying and moving make a new message (IMAP, Maildir).
    ITEMS: a message is in one mailbox and keeps its id when it moves (Exchange).
    LABELS: a message is in any number of mailboxes; it ends with the last of them (JMAP, Gmail).
    """

    FOLDERS = "folders"
    ITEMS = "items"
    LABELS = "labels"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class MemoryBackend:
    """An account's mail in memory, shared by any number of connectors of one event loop.

    `is_sparse` makes listings carry ids, membership and flags only. With LABELS, `lists_account` lets all messages be
    listed at once and `reports_tree` lets changes tell of mailboxes; with `has_gmail_ids` ids are like Gmail's,
    there are mailboxes for starred and important messages, and it has a search language. Without `has_outlines`
    headers and dates come with whole messages only, and without `has_exact_headers` headers alone come in other octets;
    with `bodies_vary` so do messages at each of the `readings`. Without `keeps_dates` the date that a client asks for
    is not kept. Limits are in octets; `page_size` and the batch limits are in messages. `clock` gives the date of a
    message that comes without one.
    """

    layout: Layout = Layout.FOLDERS
    has_uids: bool = False
    is_sparse: bool = False
    lists_account: bool = False
    reports_tree: bool = False
    has_gmail_ids: bool = False
    has_outlines: bool = True
    keeps_dates: bool = True
    has_exact_headers: bool = True
    bodies_vary: bool = False
    readings: Iterator[int] = field(default_factory=lambda: count(1))
    append_limit: int | None = None
    appends_together: bool = True
    storage_limit: int | None = None
    page_size: int = 100
    batch_limit: int = 500
    outline_limit: int = 200
    clock: Callable[[], datetime] = utc_now
    faults: Faults = field(default_factory=Faults)
    mailboxes: dict[MailboxRef, Mailbox] = field(default_factory=dict)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        if self.has_uids and self.layout is not Layout.FOLDERS:
            raise ValueError("only a backend of folders has UIDs")
        if self.has_uids and self.bodies_vary:
            raise ValueError("the octets of a UID never change")
        if (self.lists_account or self.reports_tree or self.has_gmail_ids) and self.layout is not Layout.LABELS:
            raise ValueError("only a backend of labels has listings and changes for the whole account, or Gmail's ids")
        self.create_mailbox(INBOX, Role.INBOX)
        for role in (*USUAL_ROLES, *(GMAIL_ROLES if self.has_gmail_ids else ())):
            self.create_mailbox((role.value.capitalize(),), role)

    @property
    def storable_flags(self) -> frozenset[str]:
        """The system flags that are stored."""
        if self.layout is not Layout.LABELS:
            return SYSTEM_FLAGS
        return GMAIL_FLAGS if self.has_gmail_ids else LABEL_FLAGS

    def set_offline(self, is_offline: bool) -> None:
        """Cut the backend off, or bring it back. Cutting it off ends every watch."""
        self.faults.is_offline = is_offline
        self.journal.ring(None)

    # -- the mailbox tree ---------------------------------------------------------------------------------------------

    def mailbox(self, path: Path) -> Mailbox:
        """Return the mailbox of that name.

        Raises:
            NotFound: there is none.
        """
        found = self._at(path)
        if found is None:
            raise NotFound(f"no mailbox {path!r}")
        return found

    def by_ref(self, ref: MailboxRef) -> Mailbox:
        """Return the mailbox with that id.

        Raises:
            NotFound: there is none.
        """
        found = self.mailboxes.get(ref)
        if found is None:
            raise NotFound(f"no mailbox with id {ref!r}")
        return found

    def tree(self) -> list[Mailbox]:
        """Return the mailboxes, INBOX first, parents before children."""
        return sorted(self.mailboxes.values(), key=lambda mailbox: (mailbox.path != INBOX, mailbox.path))

    def info(self, mailbox: Mailbox) -> MailboxInfo:
        is_label = self.layout is Layout.LABELS
        return MailboxInfo(
            ref=mailbox.ref,
            path=mailbox.path,
            role=mailbox.role,
            is_read_only=mailbox.is_read_only,
            is_subscribed=mailbox.is_subscribed,
            storable_flags=self.storable_flags,
            any_keyword=not is_label,
            uidvalidity=mailbox.uidvalidity if self.has_uids else None,
            uidnext=mailbox.uidnext if self.has_uids else None,
            messages=len(mailbox.messages),
        )

    def create_mailbox(self, path: Path, role: Role | None = None) -> Mailbox:
        """Create a mailbox, and in folders the missing ones above it."""
        self._check_name(path)
        if self._at(path) is not None:
            raise AlreadyExists(f"mailbox {path!r} exists")
        if role is not None and any(mailbox.role is role for mailbox in self.mailboxes.values()):
            raise Unsupported(f"another mailbox has the role {role.value} already")
        if self.layout is not Layout.LABELS and len(path) > 1 and self._at(path[:-1]) is None:
            self.create_mailbox(path[:-1])
        serial = self.journal.note(None)
        ref = self._path_ref(path) if self.has_uids else MailboxRef(f"b{serial}")
        self.mailboxes[ref] = created = Mailbox(ref, path, role, uidvalidity=serial)
        return created

    def rename_mailbox(self, old: Path, new: Path) -> Mailbox:
        """Rename a mailbox and those below it. Where refs are names, they change with it."""
        mailbox = self.mailbox(old)
        self._check_name(new)
        if old == INBOX or new[: len(old)] == old:
            raise Unsupported(f"cannot rename {old!r} to {new!r}")
        moving = [other for other in self.mailboxes.values() if other.path[: len(old)] == old]
        targets = {id(other): new + other.path[len(old) :] for other in moving}
        for target in targets.values():
            if self._at(target) is not None:
                raise AlreadyExists(f"mailbox {target!r} exists")
        for other in moving:
            other.path = targets[id(other)]
            if self.has_uids:
                self._give_ref(other, self._path_ref(other.path))
        self.journal.note(None)
        return mailbox

    def delete_mailbox(self, path: Path) -> None:
        """Delete a mailbox with its messages, but not those below it."""
        if path == INBOX:
            raise Denied("INBOX cannot be deleted")
        mailbox = self.mailbox(path)
        for ref in list(mailbox.messages):
            self._take_out(mailbox, ref)
        del self.mailboxes[mailbox.ref]
        self.journal.note(None)

    def subscribe(self, path: Path, is_subscribed: bool) -> None:
        mailbox = self.mailbox(path)
        if mailbox.is_subscribed != is_subscribed:
            mailbox.is_subscribed = is_subscribed
            self.journal.note(None)

    def invalidate_uidvalidity(self, path: Path) -> None:
        """Give a mailbox a new UIDVALIDITY and its messages new UIDs."""
        mailbox = self.mailbox(path)
        messages = list(mailbox.messages.values())
        mailbox.uidvalidity = self.journal.note(mailbox.ref)
        mailbox.messages.clear()
        for message in messages:
            self._put_in(mailbox, message)

    # -- messages -----------------------------------------------------------------------------------------------------

    def deliver(
        self,
        path: Path,
        data: bytes,
        flags: frozenset[str] = frozenset(),
        internal_date: datetime | None = None,
    ) -> MessageRef:
        """Put a new message into a mailbox and return its ref."""
        return self.add(self.mailbox(path), data, flags, internal_date)

    def add(self, mailbox: Mailbox, data: bytes, flags: frozenset[str], internal_date: datetime | None) -> MessageRef:
        """Put a new message into a mailbox and return its ref.

        Raises:
            TooLarge, OverQuota: beyond the limits.
            Rejected: a flag that this backend does not store.
        """
        self._check_flags(flags)
        if self.append_limit is not None and len(data) > self.append_limit:
            raise TooLarge(f"{len(data)} octets are more than {self.append_limit}")
        if self.storage_limit is not None and self.used_octets() + len(data) > self.storage_limit:
            raise OverQuota(f"no room for {len(data)} octets")
        date = internal_date if self.keeps_dates and internal_date is not None else self.clock()
        message = Message(self._new_ident(), data, flags, date)
        message.thread = self._thread_of(message) if self.has_gmail_ids else None
        return self._put_in(mailbox, message)

    def set_flags(self, path: Path, ref: MessageRef, flags: frozenset[str]) -> None:
        """Replace the flags of a message; in every mailbox it is in."""
        self.change_flags(self.mailbox(path), ref, flags)

    def change_flags(self, mailbox: Mailbox, ref: MessageRef, flags: frozenset[str]) -> None:
        self._check_flags(flags)
        message = self.message(mailbox, ref)
        if flags != message.flags:
            message.flags = flags
            self._note_message(message)

    def replace(self, path: Path, ref: MessageRef, data: bytes) -> None:
        """Replace the octets of a message under the same ref, as an edited draft in Exchange."""
        if self.has_uids:
            raise Unsupported("content under a UID never changes")
        message = self.message(self.mailbox(path), ref)
        message.data = data
        message.altered = self._note_message(message)

    def remove(self, path: Path, ref: MessageRef) -> None:
        """Take a message out of a mailbox; the last removal ends it."""
        mailbox = self.mailbox(path)
        self.message(mailbox, ref)
        self._take_out(mailbox, ref)

    def copy(self, source: Mailbox, ref: MessageRef, destination: Mailbox) -> MessageRef:
        """Put a message into another mailbox too; return its ref there."""
        message = self.message(source, ref)
        if self.layout is Layout.LABELS:
            return message.refs.get(destination.ref) or self._put_in(destination, message)
        return self._put_in(destination, Message(self._new_ident(), message.data, message.flags, message.internal_date))

    def move(self, source: Mailbox, ref: MessageRef, destination: Mailbox) -> MessageRef:
        """Move a message; return its ref in the destination."""
        message = self.message(source, ref)
        if source is destination and self.layout is not Layout.FOLDERS:
            return ref
        if self.layout is Layout.ITEMS:
            self._take_out(source, ref)
            return self._put_in(destination, message)
        moved = self.copy(source, ref, destination)
        self._take_out(source, ref)
        return moved

    def message(self, mailbox: Mailbox, ref: MessageRef) -> Message:
        """Return a message of a mailbox.

        Raises:
            NotFound: it is not there.
        """
        message = mailbox.messages.get(ref)
        if message is None:
            raise NotFound(f"no message {ref!r} in {mailbox.path!r}")
        return message

    def messages(self, path: Path) -> list[Message]:
        """Return what is in a mailbox, oldest first."""
        return list(self.mailbox(path).messages.values())

    def state(self, message: Message, mailbox: Mailbox | None, *, is_sparse: bool = False) -> MessageState:
        """Return the state of a message as seen in `mailbox`, or in the account."""
        ref = message.ident if mailbox is None else message.refs[mailbox.ref]
        return MessageState(
            ref=ref,
            mailboxes=frozenset(message.refs) if self.layout is Layout.LABELS else None,
            flags=message.flags,
            uid=int(ref) if self.has_uids else None,
            internal_date=None if is_sparse else message.internal_date,
            size=None if is_sparse else len(message.data),
            size_is_exact=not self.bodies_vary,
            email_id=message.ident if self.has_gmail_ids else None,
            thread_id=message.thread,
        )

    def every_message(self) -> dict[MessageRef, Message]:
        """Return the messages of the account by ident, each once."""
        return {message.ident: message for mailbox in self.mailboxes.values() for message in mailbox.messages.values()}

    def used_octets(self) -> int:
        return sum(len(message.data) for message in self.every_message().values())

    # -- inside -------------------------------------------------------------------------------------------------------

    def _at(self, path: Path) -> Mailbox | None:
        return next((mailbox for mailbox in self.mailboxes.values() if mailbox.path == path), None)

    def _check_name(self, path: Path) -> None:
        if not path or not all(path):
            raise Unsupported(f"a mailbox name has an empty component: {path!r}")
        if self.has_uids and any("/" in component for component in path):
            raise Unsupported(f"the hierarchy separator cannot be in a name: {path!r}")

    def _check_flags(self, flags: frozenset[str]) -> None:
        if self.layout is Layout.LABELS and not flags <= self.storable_flags:
            raise Rejected(f"flags that are not stored here: {sorted(flags - self.storable_flags)}")
        if any(flag.startswith("\\") and flag not in SYSTEM_FLAGS for flag in flags):
            raise Rejected(f"not a system flag among {sorted(flags)}")

    def _new_ident(self) -> MessageRef:
        serial = self.journal.serial + 1
        return MessageRef(f"{GMAIL_EPOCH + serial:x}" if self.has_gmail_ids else f"m{serial}")

    def _thread_of(self, message: Message) -> MessageRef:
        """Return the thread of the message to which this is an answer; else it begins one."""
        parent = search.header(message.data, "In-Reply-To")
        for other in self.every_message().values():
            if parent and search.header(other.data, "Message-ID") == parent:
                return other.thread or other.ident
        return message.ident

    def _path_ref(self, path: Path) -> MailboxRef:
        return MailboxRef("/".join(path))

    def _give_ref(self, mailbox: Mailbox, ref: MailboxRef) -> None:
        del self.mailboxes[mailbox.ref]
        for message in mailbox.messages.values():
            message.refs[ref] = message.refs.pop(mailbox.ref)
        mailbox.ref = ref
        self.mailboxes[ref] = mailbox

    def _put_in(self, mailbox: Mailbox, message: Message) -> MessageRef:
        ref = MessageRef(str(mailbox.uidnext)) if self.has_uids else message.ident
        mailbox.uidnext += 1
        message.refs[mailbox.ref] = ref
        mailbox.messages[ref] = message
        serial = self.journal.note(mailbox.ref, ref)
        message.born = message.born or serial
        return ref

    def _take_out(self, mailbox: Mailbox, ref: MessageRef) -> None:
        del mailbox.messages.pop(ref).refs[mailbox.ref]
        self.journal.note(mailbox.ref, ref)

    def _note_message(self, message: Message) -> int:
        for mailbox, ref in message.refs.items():
            self.journal.note(mailbox, ref)
        return self.journal.serial
