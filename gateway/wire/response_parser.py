"""One response that has arrived whole, as a value (RFC 9051 section 9, `response`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.wire import flags as wire_flags
from gateway.wire.codes import Code, Status
from gateway.wire.response_fetch import FetchParser
from gateway.wire.response_scanner import ResponseSyntaxError, Scanner
from gateway.wire.responses import (
    AppendUid,
    CapabilityData,
    CodeArgument,
    ContinuationRequest,
    CopyUid,
    EnabledData,
    ESearchData,
    ExistsData,
    ExpungeData,
    FlagsData,
    IdData,
    InProgress,
    ListData,
    MalformedData,
    Namespace,
    NamespaceData,
    QuotaData,
    QuotaRootData,
    RecentData,
    Response,
    ResponseCode,
    SearchData,
    StatusData,
    StatusResponse,
    StreamedLiteral,
    TaggedResponse,
    UnknownData,
    VanishedData,
)
from gateway.wire.sequence_set import SequenceSet

T = TypeVar("T")

_STATUS_WORDS = {status.value: status for status in Status}
_TAGGED_WORDS = {b"OK": Status.OK, b"NO": Status.NO, b"BAD": Status.BAD}
_CODES = {code.value: code for code in Code}
_NUMBERED = re.compile(rb"\* +([0-9]{1,10}) +([A-Za-z]+)")
_NAMED = re.compile(rb"\* +([A-Za-z][A-Za-z0-9.\-]*)")
_TAGGED = re.compile(rb'([^ +*(){"\\\x00-\x1f\x7f][^ (){"\\\x00-\x1f\x7f]{0,199}) (OK|NO|BAD)(?: |\Z)', re.IGNORECASE)
# A code ends at the first "]" outside quoted strings: the tag in an INPROGRESS may hold one.
_CODE = re.compile(rb'\[([^\]\[ ]+)(?: +((?:[^"\]]|"[^"\\]*(?:\\.[^"\\]*)*")*))?\] ?')
_CODE_LOOSE = re.compile(rb"\[([^\]\[ ]+)(?: +([^\]]*))?\] ?")
_SEARCH = re.compile(rb"[0-9 ]*")
_LINE_EXCERPT = 200


class ResponseParser:
    """Turns the lines and literals of a response into its value; never raises on what a server sends."""

    def __init__(self, nesting: int) -> None:
        self._nesting = nesting
        self._fetch = FetchParser()

    def parse(self, lines: Sequence[bytes], literals: Sequence[bytes | StreamedLiteral]) -> Response:
        """Return the value; `MalformedData` if the response is against the grammar."""
        line = lines[0]
        if not literals and (fetch := self._fetch.parse_simple(line)) is not None:
            return fetch
        try:
            return self._parse(line, lines, literals)
        except ValueError as exc:
            return MalformedData(str(exc), line[:_LINE_EXCERPT])

    def _parse(self, line: bytes, lines: Sequence[bytes], literals: Sequence[bytes | StreamedLiteral]) -> Response:
        if line.startswith(b"+"):
            return ContinuationRequest(line[1:].removeprefix(b" "))
        if not line.startswith(b"* "):
            return _tagged(line)
        if (numbered := _NUMBERED.match(line)) is not None:
            scanner = Scanner(lines, literals, numbered.end(), self._nesting)
            return self._numbered(int(numbered[1]), numbered[2].upper(), scanner)
        named = _NAMED.match(line)
        if named is None:
            raise ResponseSyntaxError("neither a number nor a name")
        name = named[1].upper()
        if (status := _STATUS_WORDS.get(name)) is not None:
            code, text = parse_status_text(line[named.end() :].removeprefix(b" "))
            return StatusResponse(status, code, text)
        parse = _DATA.get(name)
        if parse is None:
            return UnknownData(name, line[:_LINE_EXCERPT])
        return parse(Scanner(lines, literals, named.end(), self._nesting))

    def _numbered(self, number: int, name: bytes, scanner: Scanner) -> Response:
        if name == b"EXISTS":
            return ExistsData(number)
        if name == b"RECENT":
            return RecentData(number)
        if name == b"EXPUNGE":
            return ExpungeData(number)
        if name == b"FETCH":
            return self._fetch.parse(number, scanner)
        return UnknownData(name, scanner.line[:_LINE_EXCERPT])


def is_status_line(line: bytes) -> bool:
    """Tell whether the first line of a response is one that ends in human-readable text, which holds no literal."""
    if not line.startswith(b"* "):
        return True
    named = _NAMED.match(line)
    return named is not None and named[1].upper() in _STATUS_WORDS


def parse_status_text(data: bytes) -> tuple[ResponseCode | None, str]:
    """Parse `resp-text`: the code, if there is one, and the words."""
    match = (_CODE.match(data) or _CODE_LOOSE.match(data)) if data.startswith(b"[") else None
    if match is None:
        return None, _text(data)
    name = match[1].upper()
    code = _CODES.get(name)
    return ResponseCode(code, name, _code_argument(code, match[2])), _text(data[match.end() :])


def _tagged(line: bytes) -> TaggedResponse:
    match = _TAGGED.match(line)
    if match is None:
        raise ResponseSyntaxError("not an IMAP response")
    code, text = parse_status_text(line[match.end() :])
    return TaggedResponse(match[1], _TAGGED_WORDS[match[2].upper()], code, text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


# -- response codes ----------------------------------------------------------------------------------------------------


def _code_argument(code: Code | None, data: bytes | None) -> CodeArgument:
    if data is None:
        return None
    parse = _CODE_ARGUMENTS.get(code) if code is not None else None
    if parse is None:
        return data
    try:
        return parse(data)
    except ValueError:
        return data


def _code_number(data: bytes) -> int:
    if not data.isdigit() or len(data) > 20:
        raise ResponseSyntaxError("not a number")
    return int(data)


def _code_capabilities(data: bytes) -> frozenset[str]:
    return frozenset(word.decode("ascii").upper() for word in data.split())


def _code_flags(data: bytes) -> tuple[str, ...]:
    return _flag_list(Scanner([data], []))


def _code_charsets(data: bytes) -> tuple[bytes, ...]:
    scanner = Scanner([data], [])
    scanner.expect(b"(")
    return tuple(_until_close(scanner, Scanner.astring))


def _code_append_uid(data: bytes) -> AppendUid:
    uidvalidity, uids = data.split()
    return AppendUid(_code_number(uidvalidity), SequenceSet.parse(uids))


def _code_copy_uid(data: bytes) -> CopyUid:
    uidvalidity, source, destination = data.split()
    return CopyUid(_code_number(uidvalidity), SequenceSet.parse(source), SequenceSet.parse(destination))


def _code_in_progress(data: bytes) -> InProgress:
    scanner = Scanner([data], [])
    scanner.expect(b"(")
    tag, done, goal = scanner.nstring(), scanner.value(), scanner.value()
    if not isinstance(done, int | None) or not isinstance(goal, int | None):
        raise ResponseSyntaxError("not a count")
    return InProgress(tag, done, goal)


def _code_object_id(data: bytes) -> str | None:
    return Scanner([data], []).object_id()


_CODE_ARGUMENTS: dict[Code, Callable[[bytes], CodeArgument]] = {
    Code.APPENDUID: _code_append_uid,
    Code.BADCHARSET: _code_charsets,
    Code.CAPABILITY: _code_capabilities,
    Code.COPYUID: _code_copy_uid,
    Code.HIGHESTMODSEQ: _code_number,
    Code.INPROGRESS: _code_in_progress,
    Code.MAILBOXID: _code_object_id,
    Code.MODIFIED: SequenceSet.parse,
    Code.PERMANENTFLAGS: _code_flags,
    Code.UIDNEXT: _code_number,
    Code.UIDVALIDITY: _code_number,
    Code.UNSEEN: _code_number,
}


# -- data --------------------------------------------------------------------------------------------------------------


def _until_close(scanner: Scanner, parse: Callable[[Scanner], T]) -> list[T]:
    items: list[T] = []
    while not scanner.accept(b")"):
        if scanner.is_at_end:
            raise ResponseSyntaxError(") expected")
        items.append(parse(scanner))
    return items


def _flag_list(scanner: Scanner) -> tuple[str, ...]:
    scanner.expect(b"(")
    return tuple(
        wire_flags.canonical(flag.decode("utf-8", "replace")) for flag in _until_close(scanner, Scanner.astring)
    )


def _words(scanner: Scanner) -> frozenset[str]:
    return frozenset(word.decode("utf-8", "replace").upper() for word in scanner.line[scanner.position :].split())


def _list(scanner: Scanner, *, is_lsub: bool = False) -> ListData:
    # `mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]`
    scanner.expect(b"(")
    attributes = frozenset(word.decode("utf-8", "replace").lower() for word in _until_close(scanner, Scanner.astring))
    delimiter = scanner.nstring() or None
    return ListData(attributes, delimiter, scanner.astring(), is_lsub)


def _status(scanner: Scanner) -> StatusData:
    name = scanner.astring()
    items: dict[str, int] = {}
    mailbox_id: str | None = None
    scanner.expect(b"(")
    while not scanner.accept(b")"):
        item = scanner.word().decode("ascii", "replace")
        if item == "MAILBOXID":
            mailbox_id = scanner.object_id()
        elif isinstance(value := scanner.value(), int):
            items[item] = value
    return StatusData(name, items, mailbox_id)


def _search(scanner: Scanner) -> SearchData:
    # One pattern over the whole line: 300,000 UIDs are common in a large mailbox.
    match = scanner.match(_SEARCH)
    numbers = tuple(map(int, match[0].split())) if match is not None else ()
    modseq = None
    if scanner.accept(b"("):
        if scanner.word() != b"MODSEQ":
            raise ResponseSyntaxError("MODSEQ expected")
        modseq = scanner.number()
        scanner.expect(b")")
    if scanner.peek():
        raise ResponseSyntaxError("a number expected")
    return SearchData(numbers, modseq)


def _esearch(scanner: Scanner) -> ESearchData:
    # `esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)`
    tag: bytes | None = None
    is_uid = False
    numbers: dict[bytes, int] = {}
    found: SequenceSet | None = None
    if scanner.accept(b"("):
        # TAG, and MAILBOX and UIDVALIDITY of RFC 7377.
        while not scanner.accept(b")"):
            name, correlator = scanner.word(), scanner.astring()
            tag = correlator if name == b"TAG" else tag
    while scanner.peek():
        name = scanner.word()
        if name == b"UID":
            is_uid = True
        elif name == b"ALL":
            found = SequenceSet.parse(scanner.astring())
        else:
            value = scanner.value()
            if isinstance(value, int):
                numbers[name] = value
    return ESearchData(
        tag,
        is_uid,
        numbers.get(b"MIN"),
        numbers.get(b"MAX"),
        numbers.get(b"COUNT"),
        found,
        numbers.get(b"MODSEQ"),
    )


def _vanished(scanner: Scanner) -> VanishedData:
    is_earlier = scanner.accept(b"(")
    if is_earlier:
        scanner.word()
        scanner.expect(b")")
    return VanishedData(SequenceSet.parse(scanner.astring()), is_earlier)


def _id(scanner: Scanner) -> IdData:
    if scanner.peek() != b"(":
        scanner.value()
        return IdData(None)
    scanner.expect(b"(")
    items = _until_close(scanner, Scanner.nstring)
    return IdData({(key or b"").lower(): value for key, value in zip(items[::2], items[1::2], strict=False)})


def _namespace(scanner: Scanner) -> NamespaceData:
    return NamespaceData(_namespaces(scanner), _namespaces(scanner), _namespaces(scanner))


def _namespaces(scanner: Scanner) -> tuple[Namespace, ...]:
    value = scanner.value()
    found = []
    for entry in value if isinstance(value, tuple) else ():
        if isinstance(entry, tuple) and len(entry) >= 2 and isinstance(entry[0], bytes):
            found.append(Namespace(entry[0], entry[1] if isinstance(entry[1], bytes) else None))
    return tuple(found)


def _quota(scanner: Scanner) -> QuotaData:
    root = scanner.astring()
    scanner.expect(b"(")
    resources: dict[str, tuple[int, int]] = {}
    while not scanner.accept(b")"):
        name = scanner.word().decode("ascii", "replace")
        resources[name] = (scanner.number(), scanner.number())
    return QuotaData(root, resources)


def _quota_root(scanner: Scanner) -> QuotaRootData:
    name = scanner.astring()
    roots = []
    while scanner.peek():
        roots.append(scanner.astring())
    return QuotaRootData(name, tuple(roots))


_DATA: dict[bytes, Callable[[Scanner], Response]] = {
    b"CAPABILITY": lambda scanner: CapabilityData(_words(scanner)),
    b"ENABLED": lambda scanner: EnabledData(_words(scanner)),
    b"FLAGS": lambda scanner: FlagsData(_flag_list(scanner)),
    b"LIST": _list,
    b"XLIST": _list,
    b"LSUB": lambda scanner: _list(scanner, is_lsub=True),
    b"STATUS": _status,
    b"SEARCH": _search,
    b"SORT": _search,
    b"ESEARCH": _esearch,
    b"VANISHED": _vanished,
    b"ID": _id,
    b"NAMESPACE": _namespace,
    b"QUOTA": _quota,
    b"QUOTAROOT": _quota_root,
}
