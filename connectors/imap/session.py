"""What is known of one account while it is open, shared by everything the connector does."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.api.credentials import CredentialSource
from connectors.api.errors import CursorExpired
from connectors.api.types import SYSTEM_FLAGS, MailboxRef, MessageRef, MessageState
from connectors.imap import names
from connectors.imap.client import Connection
from connectors.imap.mailbox_state import SelectedMailbox
from connectors.imap.names import Naming
from connectors.imap.pool import Pool
from connectors.imap.settings import ImapSettings
from gateway.wire.responses import FetchData
from gateway.wire.sequence_set import MAX_NUMBER, SequenceSet


class Session:
    """Holds the pool, how the server builds names, and what SELECT has taught about each mailbox.

    `believed` is the UIDVALIDITY under which the gateway knows a mailbox's refs. A UID means nothing without it, so
    whatever names messages is refused when the server has another one.
    """

    def __init__(self, settings: ImapSettings, credentials: CredentialSource) -> None:
        self.settings = settings
        self.pool = Pool(settings, credentials, self._learn, self.has_believed_uids)
        self.capabilities: frozenset[str] = frozenset()
        self.naming: Naming | None = None
        self.believed: dict[MailboxRef, int] = {}
        self.delimiters: dict[MailboxRef, str | None] = {}
        self.flag_sweeps: dict[MailboxRef, float] = {}
        self.lifted_marks: dict[MailboxRef, set[int]] = {}
        self._storable: dict[MailboxRef, tuple[frozenset[str], bool]] = {}
        self._read_only: dict[MailboxRef, bool] = {}

    @property
    def watch_limit(self) -> int:
        """How many connections may wait for news now; fewer than set where the server takes few."""
        return min(self.settings.watch_limit, self.pool.allowed // 2)

    def storable_flags(self, mailbox: MailboxRef) -> tuple[frozenset[str], bool]:
        """Return the flags the mailbox keeps, and whether it takes other keywords; all until it was first selected."""
        return self._storable.get(mailbox, (SYSTEM_FLAGS, True))

    def is_read_only(self, mailbox: MailboxRef) -> bool:
        """Tell whether the mailbox was read-only when it was last selected."""
        return self._read_only.get(mailbox, False)

    def has_believed_uids(self, selected: SelectedMailbox) -> bool:
        """Tell whether UIDs mean in the selected mailbox what the gateway thinks."""
        return selected.uidvalidity in (None, self.believed.get(selected.ref, selected.uidvalidity))

    def believes(self, mailbox: MailboxRef, uidvalidity: int) -> bool:
        """Tell whether UIDs of that UIDVALIDITY mean in the mailbox what the gateway thinks, as far as is known."""
        return self.believed.get(mailbox, uidvalidity) == uidvalidity

    def check_uidvalidity(self, connection: Connection) -> None:
        """Make sure that UIDs mean what the gateway thinks.

        Raises:
            CursorExpired: they were invalidated.
        """
        selected = connection.mailbox
        assert selected is not None
        if not self.has_believed_uids(selected):
            raise CursorExpired(f"UIDVALIDITY of {names.readable(selected.ref)} at {connection.where} has changed")

    def forget(self, mailbox: MailboxRef) -> None:
        """Drop what is known of a mailbox that was renamed or deleted."""
        for known in (self.believed, self.delimiters, self.flag_sweeps, self._storable, self._read_only):
            known.pop(mailbox, None)

    def _learn(self, selected: SelectedMailbox) -> None:
        permanent = selected.permanent_flags
        if permanent is None:
            # All flags that are defined can be kept then (RFC 3501 section 6.3.1); of others nothing is said.
            permanent = selected.flags
        keywords = frozenset(flag for flag in permanent if not flag.startswith("\\"))
        self._storable[selected.ref] = (frozenset(permanent) & SYSTEM_FLAGS | keywords, "\\*" in permanent)
        self._read_only[selected.ref] = selected.is_read_only


def uid_of(ref: MessageRef) -> int:
    """Return the UID in a ref; 0, which no message has, if it is no ref of ours."""
    if not ref.isascii() or not ref.isdigit() or len(ref) > 10:
        return 0
    uid = int(ref)
    return uid if uid <= MAX_NUMBER else 0


def ref_of(uid: int) -> MessageRef:
    return MessageRef(str(uid))


def uid_set(uids: Sequence[int]) -> bytes:
    """Return the shortest sequence set of the UIDs, which must not be empty."""
    return SequenceSet.from_numbers(uids).to_bytes()


def state_of(fetched: FetchData) -> MessageState:
    """Return what a FETCH with a UID says of the message."""
    assert fetched.uid is not None
    return MessageState(
        ref=ref_of(fetched.uid),
        flags=None if fetched.flags is None else without_recent(fetched.flags),
        uid=fetched.uid,
        internal_date=fetched.internal_date,
        size=fetched.size,
        email_id=fetched.email_id,
        thread_id=fetched.thread_id,
    )


def without_recent(flags: frozenset[str]) -> frozenset[str]:
    """Return the flags without \\Recent, which is about the connection and not about the message."""
    return flags - {"\\Recent"} if "\\Recent" in flags else flags


def state_items(connection: Connection) -> bytes:
    """Return the FETCH items that make up a message's state."""
    objects = b" EMAILID THREADID" if "OBJECTID" in connection.capabilities else b""
    return b"(UID FLAGS INTERNALDATE RFC822.SIZE%b)" % objects


def merge(fetches: Sequence[FetchData]) -> dict[int, MessageState]:
    """Return the states by UID, ascending; a later FETCH of the same message updates an earlier one.

    A FETCH without UID is news about some message that was not asked for, and one without date and size news of flags.
    """
    states: dict[int, MessageState] = {}
    for fetched in fetches:
        if fetched.uid is None:
            continue
        state = state_of(fetched)
        known = states.get(fetched.uid)
        states[fetched.uid] = state if known is None else updated(known, state)
    return dict(sorted(states.items()))


def updated(known: MessageState, state: MessageState) -> MessageState:
    """Return what is known of a message after one more FETCH of it."""
    return MessageState(
        ref=known.ref,
        flags=state.flags if state.flags is not None else known.flags,
        uid=known.uid,
        internal_date=state.internal_date or known.internal_date,
        size=state.size if state.size is not None else known.size,
        email_id=state.email_id or known.email_id,
        thread_id=state.thread_id or known.thread_id,
    )
