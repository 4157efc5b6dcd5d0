"""SEARCH (RFC 9051 sections 6.4.4 and 9: `search`; RFC 3501, RFC 4731, 5032, 5182, 7162, 8474, 8514, X-GM-EXT-1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from gateway.wire import commands, dates, flags
from gateway.wire.codes import Code, Status
from gateway.wire.gmail import MAX_ID
from gateway.wire.parser.cursor import MAX_NUMBER, MAX_NUMBER64, Cursor, InlineLiteral, SyntaxFault
from gateway.wire.parser.returns import read_returns
from gateway.wire.search import (
    AddressField,
    All,
    And,
    BodyContains,
    Comparison,
    DateIs,
    DateOf,
    EmailIdIs,
    FilterNamed,
    Fuzzy,
    GmailMessageIs,
    GmailRaw,
    GmailThreadIs,
    HasFlag,
    HasLabel,
    HeaderContains,
    InSequence,
    InUids,
    LargerThan,
    ModSeqSince,
    Not,
    Or,
    SearchKey,
    SmallerThan,
    TextContains,
    ThreadIdIs,
    Within,
)
from gateway.wire.sequence_set import SequenceSet

CHARSETS = {"UTF-8": "utf-8", "US-ASCII": "ascii", "ASCII": "ascii", "UTF8": "utf-8"}
CHARSET_LIST = b"(UTF-8 US-ASCII)"

_DATE = re.compile(rb"[0-9A-Za-z\-]+")
_LITERAL_HEAD = re.compile(rb"\{([0-9]{1,9})\+?\}\r\n")
_ENTRY_TYPES = (b"ALL", b"PRIV", b"SHARED")

_SIMPLE: dict[bytes, SearchKey] = {
    b"ALL": All(),
    b"ANSWERED": HasFlag(flags.ANSWERED),
    b"DELETED": HasFlag(flags.DELETED),
    b"DRAFT": HasFlag(flags.DRAFT),
    b"FLAGGED": HasFlag(flags.FLAGGED),
    # We know a save date of every message (RFC 8514 section 4.3).
    b"SAVEDATESUPPORTED": All(),
    b"SEEN": HasFlag(flags.SEEN),
    b"RECENT": HasFlag(flags.RECENT),
    b"UNANSWERED": HasFlag(flags.ANSWERED, is_set=False),
    b"UNDELETED": HasFlag(flags.DELETED, is_set=False),
    b"UNDRAFT": HasFlag(flags.DRAFT, is_set=False),
    b"UNFLAGGED": HasFlag(flags.FLAGGED, is_set=False),
    b"UNSEEN": HasFlag(flags.SEEN, is_set=False),
    b"OLD": HasFlag(flags.RECENT, is_set=False),
    b"NEW": And((HasFlag(flags.RECENT), HasFlag(flags.SEEN, is_set=False))),
}
_DATES = {
    prefix + comparison.value.upper().encode("ascii"): (which, comparison)
    for prefix, which in ((b"", DateOf.INTERNAL), (b"SENT", DateOf.SENT), (b"SAVED", DateOf.SAVED))
    for comparison in Comparison
}
_ADDRESSES = {field.value.upper().encode("ascii"): field for field in AddressField}


def read_search(cursor: Cursor, *, is_uid: bool) -> commands.Search:
    """Read `[SP "RETURN" SP options] SP ["CHARSET" SP charset SP] search-key *(SP search-key)`."""
    cursor.space()
    returns = read_returns(cursor)
    charset: str | None = None
    if cursor.accept_word(b"CHARSET"):
        cursor.space()
        charset = read_charset(cursor)
        cursor.space()
    key = read_keys(cursor, charset)
    return commands.Search(key, is_uid, returns.options, charset, returns.partial, returns.update_items)


def read_keys(cursor: Cursor, charset: str | None) -> SearchKey:
    """Read `search-key *(SP search-key)` up to the end of the command."""
    return _Keys(cursor, charset).read_all()


def parse_criteria(data: bytes) -> SearchKey:
    """Read `search-key *(SP search-key)` that is kept somewhere, in UTF-8 (RFC 5466 section 4), literals among it.

    Raises:
        ValueError: it is something else, or more than that.
    """
    texts: list[bytes] = []
    literals: list[InlineLiteral] = []
    start = 0
    # Line ends stand in no text and no quoted string: what ends in one is a literal's head.
    while (head := _LITERAL_HEAD.search(data, start)) is not None:
        texts.append(data[start : head.start()])
        start = head.end() + int(head[1])
        literals.append(InlineLiteral(data[head.end() : start]))
        if start > len(data):
            raise ValueError("A literal is cut off")
    texts.append(data[start:])
    cursor = Cursor(texts, literals, utf8=True)
    try:
        key = read_keys(cursor, "UTF-8")
        cursor.finish()
    except SyntaxFault as fault:
        raise ValueError(fault.text) from fault
    return key


def read_charset(cursor: Cursor) -> str:
    """Read `charset`.

    Laxer than RFC 6855 section 3: it is taken after ENABLE UTF8=ACCEPT too, as IMAP4rev2 has it.
    """
    name = cursor.astring().decode("ascii", "replace").upper()
    if name not in CHARSETS:
        raise SyntaxFault("Charset not supported", status=Status.NO, code=Code.BADCHARSET, arguments=CHARSET_LIST)
    return name


def _uids_between(lowest: int, highest: int) -> SearchKey:
    """Return a key for the UIDs from one to the other, which may be none (RFC 9738 section 3.2)."""
    return InUids(SequenceSet(((lowest, highest),))) if lowest <= highest else Not(_SIMPLE[b"ALL"])


class _Keys:
    """Reads search keys, whose text is in `charset`."""

    def __init__(self, cursor: Cursor, charset: str | None) -> None:
        self._cursor = cursor
        # Laxer than RFC 3501 section 6.4.4: without CHARSET the text is taken for UTF-8, as RFC 9051 has it.
        self._codec = CHARSETS[charset] if charset is not None else "utf-8"
        self._with_argument: dict[bytes, Callable[[], SearchKey]] = {
            b"BODY": lambda: BodyContains(self._text()),
            b"EMAILID": lambda: EmailIdIs(cursor.object_id()),
            b"FILTER": lambda: FilterNamed(self._filter_name()),
            b"FUZZY": lambda: Fuzzy(self._nested()),
            b"HEADER": self._header,
            b"KEYWORD": lambda: HasFlag(self._keyword()),
            b"LARGER": lambda: LargerThan(cursor.number(largest=MAX_NUMBER64)),
            b"MODSEQ": self._modseq,
            b"NOT": lambda: Not(self._nested()),
            b"OLDER": lambda: Within(cursor.number(largest=MAX_NUMBER, smallest=1), is_younger=False),
            b"OR": self._or,
            b"SMALLER": lambda: SmallerThan(cursor.number(largest=MAX_NUMBER64)),
            b"TEXT": lambda: TextContains(self._text()),
            b"THREADID": lambda: ThreadIdIs(cursor.object_id()),
            b"UID": lambda: InUids(cursor.sequence_set()),
            b"UIDAFTER": lambda: _uids_between(cursor.number(smallest=1) + 1, MAX_NUMBER),
            b"UIDBEFORE": lambda: _uids_between(1, cursor.number(smallest=1) - 1),
            b"UNKEYWORD": lambda: HasFlag(self._keyword(), is_set=False),
            b"X-GM-LABELS": lambda: HasLabel(cursor.label()),
            b"X-GM-MSGID": lambda: GmailMessageIs(cursor.number(largest=MAX_ID)),
            b"X-GM-RAW": lambda: GmailRaw(self._text()),
            b"X-GM-THRID": lambda: GmailThreadIs(cursor.number(largest=MAX_ID)),
            b"YOUNGER": lambda: Within(cursor.number(largest=MAX_NUMBER, smallest=1), is_younger=True),
        }

    def read_all(self) -> SearchKey:
        """Read keys up to the end of the command."""
        keys = [self._key()]
        while self._cursor.accept_space():
            keys.append(self._key())
        return _all_of(keys)

    def _key(self) -> SearchKey:
        cursor = self._cursor
        cursor.count()
        first = cursor.peek()
        if first == b"(":
            cursor.enter()
            keys = cursor.in_parentheses(self._key)
            cursor.leave()
            return _all_of(keys)
        if first.isdigit() or first in (b"*", b"$"):
            return InSequence(cursor.sequence_set())
        name = cursor.word()
        if name in _SIMPLE:
            return _SIMPLE[name]
        if name in self._with_argument:
            cursor.space()
            return self._with_argument[name]()
        if name in _DATES:
            cursor.space()
            which, comparison = _DATES[name]
            return DateIs(which, comparison, self._date())
        if name in _ADDRESSES:
            cursor.space()
            return HeaderContains(_ADDRESSES[name].value, self._text())
        raise SyntaxFault(f"Unknown search key {name[:40].decode('ascii')}")

    def _nested(self) -> SearchKey:
        self._cursor.enter()
        key = self._key()
        self._cursor.leave()
        return key

    def _or(self) -> SearchKey:
        left = self._nested()
        self._cursor.space()
        return Or(left, self._nested())

    def _text(self) -> str:
        try:
            return self._cursor.astring().decode(self._codec)
        except UnicodeDecodeError:
            raise SyntaxFault(f"Search text is not {self._codec.upper()}") from None

    def _header(self) -> SearchKey:
        field = self._cursor.astring().decode("utf-8", "replace").lower()
        self._cursor.space()
        return HeaderContains(field, self._text())

    def _keyword(self) -> str:
        return self._cursor.atom().decode("ascii")

    def _filter_name(self) -> str:
        """Read `filter-name`: an atom without a slash (RFC 5466 section 4)."""
        name = self._cursor.atom()
        if b"/" in name:
            raise SyntaxFault("A slash cannot be in the name of a filter")
        return name.decode("ascii")

    def _date(self) -> date:
        match = self._cursor.match(_DATE)
        text = match[0] if match is not None else self._cursor.string()
        try:
            return dates.parse_date(text)
        except ValueError as error:
            raise SyntaxFault(f"Invalid date: {error}") from None

    def _modseq(self) -> SearchKey:
        """Read `[entry-name SP entry-type-req SP] mod-sequence-valzer` (RFC 7162 section 3.1.5).

        The entry is read and has no effect: we keep one mod-sequence for a message, not one for each flag, which the
        section allows.
        """
        cursor = self._cursor
        if cursor.peek() == b'"':
            cursor.string()
            cursor.space()
            if cursor.word() not in _ENTRY_TYPES:
                raise SyntaxFault("Unknown MODSEQ entry type")
            cursor.space()
        return ModSeqSince(cursor.mod_sequence(smallest=0))


def _all_of(keys: list[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else And(tuple(keys))
