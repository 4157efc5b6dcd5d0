"""The commands a client can send, as values. One class per command; UID forms share the class of the plain one.

Mailbox names are Unicode with `/` between the levels, already decoded from modified UTF-7 or UTF-8, with `INBOX` in
capitals whatever was sent. Flags are spelled canonically: system flags as in RFC 9051 section 2.3.2, keywords as sent.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.wire.context import CancelUpdate
from gateway.wire.fetch import FetchItem
from gateway.wire.gmail import Label
from gateway.wire.jmap_access import GetJmapAccess
from gateway.wire.metadata import GetMetadata, SetMetadata
from gateway.wire.multisearch import MultiSearch
from gateway.wire.notify import Notify
from gateway.wire.quota import GetQuota, GetQuotaRoot, SetQuota
from gateway.wire.rights import GetAcl, ListRights, MyRights, SetAcl
from gateway.wire.search import PartialRange, SearchKey, SearchReturn
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.sort import Sort, Thread
from gateway.wire.uid_batches import UidBatches


class Literal(Protocol):
    """A literal that was kept out of the command line; the reader's spool made it (see `gateway.wire.reader`)."""

    @property
    def size(self) -> int:
        """Octets."""


# -- any state ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capability:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Logout:
    pass


@dataclass(frozen=True, slots=True)
class Id:
    """RFC 2971; None is `ID NIL`. Field names in lower case."""

    fields: tuple[tuple[str, str | None], ...] | None


# -- not authenticated -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTls:
    pass


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: bytes

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, password=***)"


@dataclass(frozen=True, slots=True)
class Authenticate:
    """`mechanism` in upper case; `initial_response` decoded from base64, None if absent (RFC 4959: `=` is empty)."""

    mechanism: str
    initial_response: bytes | None

    def __repr__(self) -> str:
        return f"Authenticate(mechanism={self.mechanism!r}, initial_response=***)"


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """RFC 8437; only for those who have authenticated."""


@dataclass(frozen=True, slots=True)
class Compress:
    """RFC 4978; DEFLATE is the only algorithm there is. Only for those who have authenticated."""


# -- authenticated -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enable:
    """RFC 5161; names in upper case."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QresyncParameters:
    """`QRESYNC (uidvalidity modseq [known-uids [(seqs uids)]])` (RFC 7162 section 3.2.5)."""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None
    match_sequence: SequenceSet | None = None
    match_uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or EXAMINE if `is_examine`."""

    mailbox: str
    is_examine: bool
    condstore: bool = False
    qresync: QresyncParameters | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """`special_uses` as in `USE (\\Sent)` (RFC 6154 section 3). A trailing separator has been taken off."""

    mailbox: str
    special_uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE, or UNSUBSCRIBE if not `is_subscribe`."""

    mailbox: str
    is_subscribe: bool


class StatusItem(enum.Enum):
    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    SIZE = b"SIZE"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    APPENDLIMIT = b"APPENDLIMIT"
    MAILBOXID = b"MAILBOXID"
    DELETED_STORAGE = b"DELETED-STORAGE"


class ListSelection(enum.Enum):
    """Selection options before the reference (RFC 5258 section 3.1)."""

    SUBSCRIBED = b"SUBSCRIBED"
    REMOTE = b"REMOTE"
    RECURSIVEMATCH = b"RECURSIVEMATCH"
    SPECIAL_USE = b"SPECIAL-USE"


class ListReturn(enum.Enum):
    """Return options (RFC 5258 section 3.2, RFC 8440). STATUS is carried apart."""

    SUBSCRIBED = b"SUBSCRIBED"
    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"
    MYRIGHTS = b"MYRIGHTS"


class ListKind(enum.Enum):
    """The three spellings that share one command; the answers carry the same word."""

    LIST = b"LIST"
    LSUB = b"LSUB"
    XLIST = b"XLIST"


@dataclass(frozen=True, slots=True)
class List:
    """LIST, LSUB or XLIST. `is_extended`: RFC 5258 syntax was used. Patterns are Unicode with `*` and `%`.

    `status` are the items of RETURN (STATUS (...)), `annotations` the entries of RETURN (METADATA (...)) (RFC 9590).
    """

    kind: ListKind
    reference: str
    patterns: tuple[str, ...]
    is_extended: bool = False
    selection: frozenset[ListSelection] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    annotations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    pass


@dataclass(frozen=True, slots=True)
class Status:
    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Catenation:
    """CATENATE (RFC 4469): the message is put together from literals and from what IMAP URLs name."""

    parts: tuple[Literal | str, ...]


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """A message to be stored. `content` is what the reader's spool made of the literal."""

    content: Literal | Catenation
    flags: tuple[str, ...] = ()
    internal_date: datetime | None = None
    is_utf8: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND of one or, by MULTIAPPEND (RFC 3502), of several messages."""

    mailbox: str
    messages: tuple[AppendMessage, ...]


@dataclass(frozen=True, slots=True)
class Replace:
    """REPLACE (RFC 8508): the message takes the place of another, which may be in another mailbox."""

    number: SequenceSet
    is_uid: bool
    mailbox: str
    message: AppendMessage


@dataclass(frozen=True, slots=True)
class Idle:
    pass


# -- selected ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    pass


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE, or UNSELECT if not `is_expunging` (RFC 3691)."""

    is_expunging: bool


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE, or UID EXPUNGE if `uids` is set (RFC 4315)."""

    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH. `returns` is None without RETURN; `RETURN ()` has become {ALL}. `charset` in upper case or None.

    `partial` is set if PARTIAL is among `returns`. `update_items` are to be fetched of each new message that is found,
    as long as the result is kept up to date (RFC 5465 section 7).
    """

    key: SearchKey
    is_uid: bool
    returns: frozenset[SearchReturn] | None = None
    charset: str | None = None
    partial: PartialRange | None = None
    update_items: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH. The items are in the order asked, macros expanded.

    `changed_since` and `vanished` are RFC 7162; 0 is taken for `changed_since` (iOS 16 sends it). `partial` is which of
    the messages are meant (RFC 9394 section 3.3).
    """

    numbers: SequenceSet
    is_uid: bool
    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None


class StoreAction(enum.Enum):
    REPLACE = b""
    ADD = b"+"
    REMOVE = b"-"


@dataclass(frozen=True, slots=True)
class Store:
    """STORE; `unchanged_since` is RFC 7162 section 3.1.3."""

    numbers: SequenceSet
    is_uid: bool
    action: StoreAction
    flags: tuple[str, ...]
    is_silent: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class StoreLabels:
    """STORE of X-GM-LABELS (X-GM-EXT-1); `unchanged_since` as in `Store`."""

    numbers: SequenceSet
    is_uid: bool
    action: StoreAction
    labels: tuple[Label, ...]
    is_silent: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY, or MOVE if `is_move` (RFC 6851)."""

    numbers: SequenceSet
    is_uid: bool
    mailbox: str
    is_move: bool


Command = (
    Capability
    | Noop
    | Logout
    | Id
    | StartTls
    | Login
    | Authenticate
    | Unauthenticate
    | Compress
    | Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Namespace
    | Status
    | Append
    | Replace
    | Idle
    | Notify
    | Check
    | Close
    | Expunge
    | Search
    | MultiSearch
    | Sort
    | Thread
    | Fetch
    | Store
    | StoreLabels
    | Copy
    | CancelUpdate
    | UidBatches
    | GetJmapAccess
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | GetAcl
    | MyRights
    | ListRights
    | SetAcl
    | GetMetadata
    | SetMetadata
)
