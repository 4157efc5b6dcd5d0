"""What a server sends, as values, for the client side (RFC 9051 section 7 and the extensions named at each class).

Mailbox names stay as octets (modified UTF-7 or UTF-8, unquoted): what they mean depends on the connection. Flags are
spelled canonically. Capability names and the names of items are in upper case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.wire import strings
from gateway.wire.codes import Code, Status
from gateway.wire.sequence_set import SequenceSet


class Atom(bytes):
    """A bare word that is neither a number nor NIL, so that it is told from the same octets in a string."""

    __slots__ = ()


# Nested data: a string is bytes, a number int, NIL None, a parenthesised list a tuple.
Nested = bytes | int | None | tuple["Nested", ...]


def render(value: Nested) -> bytes:
    """Return nested data in its canonical wire form: one space between items, strings quoted where they may be.

    `render(parse(x))` says the same as `x`, so an ENVELOPE can be stored and sent on. A number too large for the
    grammar is kept as it is.
    """
    # A stack of its own instead of recursion: depth is bounded by the reader, not by the interpreter.
    out: list[bytes] = []
    pending: list[Nested | _Close] = [value]
    after_open = True
    while pending:
        item = pending.pop()
        if isinstance(item, _Close):
            out.append(b")")
            after_open = False
            continue
        if not after_open:
            out.append(b" ")
        if isinstance(item, tuple):
            out.append(b"(")
            pending.append(_CLOSE)
            pending.extend(reversed(item))
            after_open = True
            continue
        out.append(_render_leaf(item))
        after_open = False
    return b"".join(out)


class _Close:
    """Stands on the stack of `render` for the end of a list."""


_CLOSE = _Close()


def _render_leaf(item: bytes | int | None) -> bytes:
    if isinstance(item, Atom):
        return bytes(item)
    if isinstance(item, int):
        return b"%d" % item
    return strings.nstring(item)


# -- response codes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AppendUid:
    """APPENDUID (RFC 4315 section 3); several UIDs after a MULTIAPPEND."""

    uidvalidity: int
    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class CopyUid:
    """COPYUID (RFC 4315 section 3): the sets pair up in the order written."""

    uidvalidity: int
    source: SequenceSet
    destination: SequenceSet

    def pairs(self, limit: int = 100_000) -> list[tuple[int, int]] | None:
        """Return (source UID, destination UID) pairs; None if the sets differ in length or exceed `limit`."""
        source = expand(self.source, limit)
        destination = expand(self.destination, limit)
        if source is None or destination is None or len(source) != len(destination):
            return None
        return list(zip(source, destination, strict=True))


@dataclass(frozen=True, slots=True)
class InProgress:
    """INPROGRESS (RFC 9585): the tag of the command it is about, how far it is, and of how much."""

    tag: bytes | None
    done: int | None
    goal: int | None


CodeArgument = (
    None
    | int
    | str
    | bytes
    | frozenset[str]
    | tuple[str, ...]
    | tuple[bytes, ...]
    | SequenceSet
    | AppendUid
    | CopyUid
    | InProgress
)


@dataclass(frozen=True, slots=True)
class ResponseCode:
    """`[name argument]`. `code` is None for a name not in `Code`.

    `argument` by code: int for HIGHESTMODSEQ, UIDNEXT, UIDVALIDITY, UNSEEN; frozenset[str] for CAPABILITY; flags as
    tuple[str, ...] for PERMANENTFLAGS; charsets as tuple[bytes, ...] for BADCHARSET; SequenceSet for MODIFIED;
    str for MAILBOXID; AppendUid, CopyUid, InProgress. Any other code has its text as bytes, or None if there is none.
    An argument against the grammar is bytes, as it was sent.
    """

    code: Code | None
    name: bytes
    argument: CodeArgument = None


def expand(numbers: SequenceSet, limit: int) -> list[int] | None:
    """Return the numbers of a set in the order written; None if there are more than `limit`, or a `*`."""
    if sum(abs(last - first) + 1 for first, last in numbers.ranges) > limit:
        return None
    out: list[int] = []
    for first, last in numbers.ranges:
        if not first or not last:
            return None
        # A range is ascending whichever way round it is written (RFC 9051 section 9, `seq-range`).
        out.extend(range(min(first, last), max(first, last) + 1))
    return out


# -- status ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContinuationRequest:
    """`+ text`: a challenge in base64, or words."""

    text: bytes


@dataclass(frozen=True, slots=True)
class TaggedResponse:
    """The end of a command: `status` is OK, NO or BAD."""

    tag: bytes
    status: Status
    code: ResponseCode | None
    text: str


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """`* OK`, `* NO`, `* BAD`, `* BYE` or `* PREAUTH`."""

    status: Status
    code: ResponseCode | None
    text: str


# -- data --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CapabilityData:
    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class EnabledData:
    """RFC 5161."""

    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class FlagsData:
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListData:
    """LIST, LSUB or XLIST; attributes in lower case with their backslash. `delimiter` is None for a flat name."""

    attributes: frozenset[str]
    delimiter: bytes | None
    name: bytes
    is_lsub: bool = False


@dataclass(frozen=True, slots=True)
class StatusData:
    """STATUS of a mailbox: item name (upper case) to number; an item with NIL is left out.

    `mailbox_id` is MAILBOXID (RFC 8474 section 4.3).
    """

    name: bytes
    items: dict[str, int] = field(default_factory=dict)
    mailbox_id: str | None = None


@dataclass(frozen=True, slots=True)
class SearchData:
    """SEARCH, or SORT: numbers in the order sent. `modseq` as of RFC 7162 section 3.1.5."""

    numbers: tuple[int, ...]
    modseq: int | None = None


@dataclass(frozen=True, slots=True)
class ESearchData:
    """ESEARCH (RFC 4731, RFC 9051 section 7.3.4); what was not sent is None."""

    tag: bytes | None = None
    is_uid: bool = False
    minimum: int | None = None
    maximum: int | None = None
    count: int | None = None
    all: SequenceSet | None = None
    modseq: int | None = None


@dataclass(frozen=True, slots=True)
class ExistsData:
    count: int


@dataclass(frozen=True, slots=True)
class RecentData:
    count: int


@dataclass(frozen=True, slots=True)
class ExpungeData:
    sequence_number: int


@dataclass(frozen=True, slots=True)
class VanishedData:
    """RFC 7162 section 3.2.10; `is_earlier` tells of what vanished before, without a change of sequence numbers."""

    uids: SequenceSet
    is_earlier: bool = False


@dataclass(frozen=True, slots=True)
class StreamedLiteral:
    """Stands in a `FetchData` for a literal that was handed out in `LiteralChunk`s; `size` in octets."""

    size: int


SectionData = bytes | StreamedLiteral | None


@dataclass(frozen=True, slots=True)
class FetchData:
    """FETCH; what was not sent is None.

    `sections` maps BODY[...], BINARY[...], RFC822, RFC822.HEADER and RFC822.TEXT, spelled in upper case as sent (with
    `<origin>`), to the octets. `structure` is BODYSTRUCTURE. What begins with `gmail` is X-GM-MSGID, X-GM-THRID and
    X-GM-LABELS (X-GM-EXT-1), labels as octets like mailbox names. `others` maps whatever else was sent (BODY,
    BINARY.SIZE[1]...) to its nested data.
    """

    sequence_number: int
    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int | None = None
    internal_date: datetime | None = None
    size: int | None = None
    email_id: str | None = None
    thread_id: str | None = None
    gmail_message_id: int | None = None
    gmail_thread_id: int | None = None
    gmail_labels: tuple[bytes, ...] | None = None
    envelope: Nested = None
    structure: Nested = None
    sections: dict[bytes, SectionData] = field(default_factory=dict)
    others: dict[bytes, Nested] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdData:
    """RFC 2971; None for NIL. Field names in lower case."""

    fields: dict[bytes, bytes | None] | None


@dataclass(frozen=True, slots=True)
class Namespace:
    prefix: bytes
    delimiter: bytes | None


@dataclass(frozen=True, slots=True)
class NamespaceData:
    """RFC 2342."""

    personal: tuple[Namespace, ...]
    other_users: tuple[Namespace, ...]
    shared: tuple[Namespace, ...]


@dataclass(frozen=True, slots=True)
class QuotaData:
    """RFC 9208: resource name (upper case) to (usage, limit); STORAGE counts units of 1024 octets."""

    root: bytes
    resources: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class QuotaRootData:
    name: bytes
    roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class UnknownData:
    """An untagged response of a kind not known here; `name` in upper case, `line` its first line, shortened."""

    name: bytes
    line: bytes


@dataclass(frozen=True, slots=True)
class MalformedData:
    """A response against the grammar; where it ends was clear, so what follows can be read. `line` is shortened."""

    reason: str
    line: bytes


Response = (
    ContinuationRequest
    | TaggedResponse
    | StatusResponse
    | CapabilityData
    | EnabledData
    | FlagsData
    | ListData
    | StatusData
    | SearchData
    | ESearchData
    | ExistsData
    | RecentData
    | ExpungeData
    | VanishedData
    | FetchData
    | IdData
    | NamespaceData
    | QuotaData
    | QuotaRootData
    | UnknownData
    | MalformedData
)


@dataclass(frozen=True, slots=True)
class LiteralStart:
    """A large message literal follows in chunks; `item` is its name as in `FetchData.sections`."""

    item: bytes
    size: int


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """A piece of that literal, at least one octet; the `FetchData` it belongs to comes after the last piece."""

    data: bytes
    is_last: bool


Event = Response | LiteralStart | LiteralChunk
