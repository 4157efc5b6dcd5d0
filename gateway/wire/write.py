"""What a server writes: one function a response, returning its finished octets with the line end (RFC 9051 section 7).

Whatever text is put in, the result is grammatical: names and values are quoted or sent as literals, flags that are no
flags are left out, and free text is kept on one line. Codes come from `gateway.wire.write_code`, FETCH responses from
`gateway.wire.write_fetch`.

`utf8` says that the client has UTF8=ACCEPT or IMAP4rev2 enabled.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gateway.wire import mailbox_name
from gateway.wire.codes import Status
from gateway.wire.commands import ListKind, StatusItem
from gateway.wire.flags import format_flags
from gateway.wire.search import PartialRange
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.strings import nstring, quote, text_line
from gateway.wire.write_code import atoms
from gateway.wire.write_code import capability as capability_code

SEARCH_LINE_OCTETS = 990_000
"""Longer SEARCH results are split: Python's imaplib fails at a line above 1,000,000 octets. Shorter ones never are, as
there are clients that take one line for all of it."""

# A code may hold neither "]" nor line ends; a message of 8-bit text may not be in it either.
_CODE = re.compile(rb"[\x20-\x5c\x5e-\x7e]+")


# -- status responses --------------------------------------------------------------------------------------------------


def tagged(tag: str, status: Status, text: str, code: bytes | None = None, *, utf8: bool = False) -> bytes:
    """`a1 OK [code] text`. `code` is the inside of the brackets."""
    return b"%b %b\r\n" % (tag.encode("ascii"), _status(status, text, code, utf8))


def untagged_status(status: Status, text: str, code: bytes | None = None, *, utf8: bool = False) -> bytes:
    """`* OK [code] text`."""
    return b"* %b\r\n" % _status(status, text, code, utf8)


def continuation(text: str = "OK") -> bytes:
    """`+ text`: go on with the literal, or idle."""
    return b"+ %b\r\n" % text_line(text)


def challenge(data: bytes) -> bytes:
    """`+ base64`: a SASL challenge, which may be empty (RFC 9051 section 6.2.2)."""
    return b"+ %b\r\n" % binascii.b2a_base64(data, newline=False)


def _status(status: Status, text: str, code: bytes | None, utf8: bool) -> bytes:
    line = text_line(text, utf8=utf8)
    if code is not None and _CODE.fullmatch(code):
        return b"%b [%b] %b" % (status.value, code, line)
    if line.startswith(b"["):
        # Text must not pass for a code.
        line = b". " + line
    return b"%b %b" % (status.value, line)


# -- the server --------------------------------------------------------------------------------------------------------


def capability(names: Iterable[str]) -> bytes:
    """`* CAPABILITY IMAP4rev1 ...`."""
    return b"* %b\r\n" % capability_code(names)


def enabled(names: Iterable[str]) -> bytes:
    """`* ENABLED ...` (RFC 5161 section 3.2): what this command has enabled, perhaps nothing."""
    return b"%b\r\n" % b" ".join((b"* ENABLED", *atoms(names)))


def server_id(fields: Sequence[tuple[str, str | None]] | None) -> bytes:
    """`* ID ("name" "value" ...)`, or `* ID NIL` (RFC 2971 section 3.2)."""
    if not fields:
        return b"* ID NIL\r\n"
    pairs = [
        b"%b %b" % (quote(_utf8(name)), nstring(None if value is None else _utf8(value))) for name, value in fields
    ]
    return b"* ID (%b)\r\n" % b" ".join(pairs)


def namespace(
    personal: Sequence[tuple[str, str | None]],
    other_users: Sequence[tuple[str, str | None]] = (),
    shared: Sequence[tuple[str, str | None]] = (),
    *,
    utf8: bool = False,
) -> bytes:
    """`* NAMESPACE (("" "/")) NIL NIL` (RFC 2342 section 5). Each entry is (prefix, delimiter)."""
    groups = [_namespaces(group, utf8) for group in (personal, other_users, shared)]
    return b"* NAMESPACE %b\r\n" % b" ".join(groups)


def _namespaces(group: Sequence[tuple[str, str | None]], utf8: bool) -> bytes:
    if not group:
        return b"NIL"
    return b"(%b)" % b"".join(
        b"(%b %b)" % (mailbox(prefix, utf8=utf8), _delimiter(delimiter)) for prefix, delimiter in group
    )


# -- mailboxes ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """Return a mailbox name, always quoted: imaplib mishandled literals in LIST until 2026."""
    return quote(mailbox_name.to_wire(name, utf8), utf8=utf8)


def mailbox_list(
    name: str,
    attributes: Iterable[str] = (),
    *,
    kind: ListKind = ListKind.LIST,
    delimiter: str | None = "/",
    child_info: Iterable[str] = (),
    old_name: str | None = None,
    utf8: bool = False,
) -> bytes:
    """`* LIST (\\HasNoChildren) "/" "name"`, under the word of the command.

    `child_info` names the selection options that a child matches, for CHILDINFO (RFC 5258 section 3.5): `SUBSCRIBED`.
    `old_name` is what the mailbox was called, for OLDNAME (RFC 5465 section 5.4).
    """
    attribute_list = format_flags(dict.fromkeys(a for a in attributes if a.startswith("\\") and a != "\\*"))
    options = [quote(option) for option in atoms(child_info)]
    items = [b'"CHILDINFO" (%b)' % b" ".join(options)] if options else []
    if old_name is not None:
        items.append(b'"OLDNAME" (%b)' % mailbox(old_name, utf8=utf8))
    extended = b" (%b)" % b" ".join(items) if items else b""
    encoded_name = mailbox(name, utf8=utf8)
    return b"* %b %b %b %b%b\r\n" % (kind.value, attribute_list, _delimiter(delimiter), encoded_name, extended)


def mailbox_status(name: str, values: Iterable[tuple[StatusItem, int | str | None]], *, utf8: bool = False) -> bytes:
    """`* STATUS "name" (MESSAGES 1 ...)`, in the order given.

    A value that is None is written NIL (APPENDLIMIT without a limit, RFC 7889 section 3.1); text, which MAILBOXID has
    (RFC 8474 section 4.3), goes into parentheses and must be an `objectid`.
    """
    pairs = [b"%b %b" % (item.value, _status_value(value)) for item, value in values]
    return b"* STATUS %b (%b)\r\n" % (mailbox(name, utf8=utf8), b" ".join(pairs))


def _status_value(value: int | str | None) -> bytes:
    if value is None:
        return b"NIL"
    if isinstance(value, int):
        return b"%d" % value
    return b"(%b)" % b" ".join(atoms([value]))


def flags(defined: Iterable[str]) -> bytes:
    """`* FLAGS (...)`."""
    return b"* FLAGS %b\r\n" % format_flags(defined)


def exists(count: int) -> bytes:
    """`* n EXISTS`."""
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    """`* n RECENT` (RFC 3501 section 7.3.2)."""
    return b"* %d RECENT\r\n" % count


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _delimiter(delimiter: str | None) -> bytes:
    if delimiter is None or len(delimiter) != 1 or not delimiter.isascii() or delimiter < " ":
        return b"NIL"
    return quote(delimiter.encode("ascii"))


# -- messages ----------------------------------------------------------------------------------------------------------


def expunge(sequence_number: int) -> bytes:
    """`* n EXPUNGE`."""
    return b"* %d EXPUNGE\r\n" % sequence_number


def vanished(uids: SequenceSet, *, earlier: bool = False) -> bytes:
    """`* VANISHED set`, or `* VANISHED (EARLIER) set` (RFC 7162 section 3.2.10); nothing for an empty set."""
    if not uids.ranges:
        return b""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", uids.to_bytes())


def search(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """`* SEARCH 1 2 3 (MODSEQ n)`, in several lines if there are very many.

    `modseq` is the largest of the messages found, for a search with MODSEQ (RFC 7162 section 3.1.5); it is written
    with the last line, and not at all if nothing was found.
    """
    if not numbers:
        return b"* SEARCH\r\n"
    per_line = SEARCH_LINE_OCTETS // (len(str(max(numbers))) + 1)
    lines = [b"* SEARCH" + _rendered(numbers[start : start + per_line]) for start in range(0, len(numbers), per_line)]
    if modseq is not None:
        lines[-1] += b" (MODSEQ %d)" % modseq
    return b"\r\n".join(lines) + b"\r\n"


def _rendered(numbers: Sequence[int]) -> bytes:
    """Return the numbers with a space before each, by one template: twice as fast as one after the other."""
    return b" %d" * len(numbers) % tuple(numbers)


def esearch(
    tag: str,
    *,
    is_uid: bool,
    smallest: int | None = None,
    largest: int | None = None,
    found: SequenceSet | None = None,
    count: int | None = None,
    modseq: int | None = None,
    partial: tuple[PartialRange, SequenceSet] | None = None,
) -> bytes:
    """`* ESEARCH (TAG "a1") UID MIN 1 MAX 9 ALL 1:9 COUNT 9 MODSEQ 7` (RFC 4731 section 3.1, RFC 7162 section 3.1.10).

    What is None is left out, and an empty `found` too, as the grammar has no empty set. `partial` is the range that was
    asked for and what is in it, `PARTIAL (-1:-100 5:9)`, or `PARTIAL (1:100 NIL)` for nothing (RFC 9394 section 3.1).
    """
    parts = [b"* ESEARCH (TAG %b)" % quote(tag.encode("ascii"))]
    if is_uid:
        parts.append(b"UID")
    if smallest is not None:
        parts.append(b"MIN %d" % smallest)
    if largest is not None:
        parts.append(b"MAX %d" % largest)
    if found is not None and found.ranges:
        parts.append(b"ALL " + found.to_bytes())
    if partial is not None:
        asked, numbers = partial
        parts.append(b"PARTIAL (%b %b)" % (asked.to_bytes(), numbers.to_bytes() or b"NIL"))
    if count is not None:
        parts.append(b"COUNT %d" % count)
    if modseq is not None:
        parts.append(b"MODSEQ %d" % modseq)
    return b" ".join(parts) + b"\r\n"


def uid_batches(tag: str, batches: Iterable[tuple[int, int]]) -> bytes:
    """`* UIDBATCHES (TAG "a1") 9000:501,500:1` (RFC 10022); each batch is its highest and its lowest UID."""
    ranges = b",".join(b"%d:%d" % batch for batch in batches)
    return b"* UIDBATCHES (TAG %b)%b\r\n" % (quote(tag.encode("ascii")), b" " + ranges if ranges else b"")
