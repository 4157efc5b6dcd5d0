"""What a client can ask of SEARCH (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4, RFC 7162, 5032, 4731, 8474)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date

from gateway.wire.gmail import Label
from gateway.wire.sequence_set import SequenceSet


@dataclass(frozen=True, slots=True)
class All:
    """`ALL`."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    """`SEEN`, `UNSEEN`, `KEYWORD x` and so on. `RECENT`, `NEW` and `OLD` use the flag `\\Recent`, `NEW` with an And."""

    flag: str
    is_set: bool = True


class AddressField(enum.Enum):
    """The header fields with a search key of their own."""

    BCC = "bcc"
    CC = "cc"
    FROM = "from"
    SUBJECT = "subject"
    TO = "to"


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """`HEADER field text` and the keys of `AddressField` (lower-case name). Empty text: the field exists."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyContains:
    """`BODY text`."""

    text: str


@dataclass(frozen=True, slots=True)
class TextContains:
    """`TEXT text`: header or body."""

    text: str


class Comparison(enum.Enum):
    """`BEFORE` is <, `ON` is ==, `SINCE` is >=."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


class DateOf(enum.Enum):
    """Which date a key looks at: INTERNALDATE, the Date header (`SENT...`), or SAVEDATE (`SAVED...`, RFC 8514)."""

    INTERNAL = "internal"
    SENT = "sent"
    SAVED = "saved"


@dataclass(frozen=True, slots=True)
class DateIs:
    """A date key; time and zone are disregarded (RFC 9051 section 6.4.4)."""

    which: DateOf
    comparison: Comparison
    date: date


@dataclass(frozen=True, slots=True)
class Within:
    """`OLDER n` / `YOUNGER n` (RFC 5032): INTERNALDATE against now; seconds >= 1."""

    seconds: int
    is_younger: bool


@dataclass(frozen=True, slots=True)
class LargerThan:
    """`LARGER n`: RFC822.SIZE > octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class SmallerThan:
    """`SMALLER n`: RFC822.SIZE < octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class InSequence:
    """A bare sequence set: sequence numbers, in UID SEARCH too. `$` is the saved result."""

    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class InUids:
    """`UID set`."""

    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class ModSeqSince:
    """`MODSEQ [entry type] n` (RFC 7162 section 3.1.5): mod-sequence >= n."""

    modseq: int


@dataclass(frozen=True, slots=True)
class EmailIdIs:
    """`EMAILID id` (RFC 8474 section 6); case counts."""

    object_id: str


@dataclass(frozen=True, slots=True)
class ThreadIdIs:
    """`THREADID id` (RFC 8474 section 6); case counts."""

    object_id: str


@dataclass(frozen=True, slots=True)
class GmailMessageIs:
    """`X-GM-MSGID n` (X-GM-EXT-1)."""

    number: int


@dataclass(frozen=True, slots=True)
class GmailThreadIs:
    """`X-GM-THRID n` (X-GM-EXT-1)."""

    number: int


@dataclass(frozen=True, slots=True)
class HasLabel:
    """`X-GM-LABELS label` (X-GM-EXT-1)."""

    label: Label


@dataclass(frozen=True, slots=True)
class GmailRaw:
    """`X-GM-RAW query` (X-GM-EXT-1), in the backend's own search language."""

    query: str


@dataclass(frozen=True, slots=True)
class FilterNamed:
    """`FILTER name` (RFC 5466): the search that an annotation of the server holds stands in its place."""

    name: str


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """`FUZZY key` (RFC 6203): what comes near the key will do."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Not:
    key: SearchKey


@dataclass(frozen=True, slots=True)
class Or:
    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """Keys in parentheses or side by side."""

    keys: tuple[SearchKey, ...]


SearchKey = (
    All
    | HasFlag
    | HeaderContains
    | BodyContains
    | TextContains
    | DateIs
    | Within
    | LargerThan
    | SmallerThan
    | InSequence
    | InUids
    | ModSeqSince
    | EmailIdIs
    | ThreadIdIs
    | GmailMessageIs
    | GmailThreadIs
    | HasLabel
    | GmailRaw
    | FilterNamed
    | Fuzzy
    | Not
    | Or
    | And
)


def holds(key: SearchKey, kind: type[Fuzzy | FilterNamed]) -> bool:
    """Tell whether a key of that kind stands somewhere in a key."""
    match key:
        case Not(inner) | Fuzzy(inner):
            return isinstance(key, kind) or holds(inner, kind)
        case Or(left, right):
            return holds(left, kind) or holds(right, kind)
        case And(keys):
            return any(holds(one, kind) for one in keys)
        case _:
            return isinstance(key, kind)


def has_numbers(key: SearchKey) -> bool:
    """Tell whether sequence numbers stand somewhere in a key, or may in a filter. The saved result is none of them."""
    match key:
        case InSequence(numbers):
            return not numbers.is_saved_result
        case FilterNamed():
            return True
        case Not(inner) | Fuzzy(inner):
            return has_numbers(inner)
        case Or(left, right):
            return has_numbers(left) or has_numbers(right)
        case And(keys):
            return any(map(has_numbers, keys))
        case _:
            return False


class SearchReturn(enum.Enum):
    """`RETURN (...)` options (RFC 4731, RFC 5182, RFC 5267, RFC 9394); PARTIAL has its range beside it."""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"
    PARTIAL = b"PARTIAL"
    CONTEXT = b"CONTEXT"
    UPDATE = b"UPDATE"


@dataclass(frozen=True, slots=True)
class PartialRange:
    """`1:100`, or `-1:-100` counted from the last result (RFC 9394 section 3.1), as it was written.

    Both ends are positive or both negative, and in either order.
    """

    first: int
    last: int

    @property
    def count(self) -> int:
        """How many results are asked for at most."""
        return abs(self.last - self.first) + 1

    def places(self) -> slice:
        """Return which of the results, in their order, are meant."""
        low, high = sorted((self.first, self.last))
        if low > 0:
            return slice(low - 1, high)
        return slice(low, None if high == -1 else high + 1)

    def to_bytes(self) -> bytes:
        """Return the wire form."""
        return b"%d:%d" % (self.first, self.last)
