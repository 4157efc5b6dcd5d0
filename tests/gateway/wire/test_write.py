from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import write, write_code
from gateway.wire.codes import Code, Status
from gateway.wire.commands import ListKind, StatusItem
from gateway.wire.search import PartialRange
from gateway.wire.sequence_set import SequenceSet

_TOKEN = re.compile(rb'[()]|"(?:[^"\\\r\n\x00]|\\["\\])*"|\{[0-9]+\}\r\n|\\?[^(){ \x00-\x1f%*"\\\x7f-\xff]+|\\\*')

Token = bytes | tuple[str, bytes]


def tokens(line: bytes, *, utf8: bool = False) -> list[Token]:
    """Cut a response into its tokens by the grammar, failing on what is none; strings come as ("string", octets)."""
    assert line.endswith(b"\r\n")
    assert line.startswith(b"* ")
    found: list[Token] = [b"*"]
    position = 1
    depth = 0
    while position < len(line) - 2:
        if line[position : position + 1] == b" ":
            assert line[position + 1 : position + 2] not in (b" ", b")", b"\r"), line
            position += 1
            continue
        match = _TOKEN.match(line, position)
        assert match, line[position:]
        token = match[0]
        position = match.end()
        if token.startswith(b"{"):
            size = int(token[1:-3])
            found.append(("string", line[position : position + size]))
            assert b"\0" not in line[position : position + size]
            position += size
        elif token.startswith(b'"'):
            assert utf8 or token.isascii()
            found.append(("string", re.sub(rb'\\(["\\])', rb"\1", token[1:-1])))
        else:
            depth += {b"(": 1, b")": -1}.get(token, 0)
            assert depth >= 0
            found.append(token)
    assert depth == 0
    assert position == len(line) - 2
    return found


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "wire"),
    [
        (write.tagged("a1", Status.OK, "Done"), b"a1 OK Done\r\n"),
        (write.tagged("a1", Status.NO, "No room", Code.OVERQUOTA.value), b"a1 NO [OVERQUOTA] No room\r\n"),
        (
            write.tagged("A003", Status.OK, "APPEND completed", write_code.append_uid(38505, [3955])),
            b"A003 OK [APPENDUID 38505 3955] APPEND completed\r\n",
        ),
        (write.tagged("a1", Status.BAD, ""), b"a1 BAD .\r\n"),
        (write.tagged("a1", Status.OK, "[ALERT] x"), b"a1 OK . [ALERT] x\r\n"),
        (write.tagged("a1", Status.OK, "x", b"BAD]\r\nCODE"), b"a1 OK x\r\n"),
        (write.untagged_status(Status.BYE, "a\r\nb"), b"* BYE a b\r\n"),
        (write.untagged_status(Status.OK, "é", utf8=True), "* OK é\r\n".encode()),
        (write.continuation(), b"+ OK\r\n"),
        (write.continuation("idling"), b"+ idling\r\n"),
        (write.challenge(b""), b"+ \r\n"),
        (write.challenge(b"n,,"), b"+ biws\r\n"),
        (write.capability(["IMAP4rev1", "LITERAL-"]), b"* CAPABILITY IMAP4rev1 LITERAL-\r\n"),
        (write.enabled(["CONDSTORE", "QRESYNC"]), b"* ENABLED CONDSTORE QRESYNC\r\n"),
        (write.enabled([]), b"* ENABLED\r\n"),
        (write.server_id(None), b"* ID NIL\r\n"),
        (write.server_id([("name", "x"), ("os", None)]), b'* ID ("name" "x" "os" NIL)\r\n'),
        (write.namespace([("", "/")]), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (
            write.namespace([("", "/"), ("#mh/", "/")], [("~", "/")], [("#ftp/", None), ("x", "\\")]),
            b'* NAMESPACE (("" "/")("#mh/" "/")) (("~" "/")) (("#ftp/" NIL)("x" "\\\\"))\r\n',
        ),
        (write.flags(["\\Seen", "$Forwarded"]), b"* FLAGS (\\Seen $Forwarded)\r\n"),
        (write.exists(23), b"* 23 EXISTS\r\n"),
        (write.recent(5), b"* 5 RECENT\r\n"),
        (write.expunge(44), b"* 44 EXPUNGE\r\n"),
        (write.vanished(SequenceSet.from_numbers([405, 407, 410, 425])), b"* VANISHED 405,407,410,425\r\n"),
        (write.vanished(SequenceSet.parse(b"41,43:116"), earlier=True), b"* VANISHED (EARLIER) 41,43:116\r\n"),
        (write.vanished(SequenceSet(())), b""),
        (write.search([]), b"* SEARCH\r\n"),
        (write.search([], modseq=3), b"* SEARCH\r\n"),
        (write.search([2, 84, 882]), b"* SEARCH 2 84 882\r\n"),
        (write.search([2, 5], modseq=917162500), b"* SEARCH 2 5 (MODSEQ 917162500)\r\n"),
        (write.esearch("A282", is_uid=False, smallest=2, count=3), b'* ESEARCH (TAG "A282") MIN 2 COUNT 3\r\n'),
        (
            # RFC 9394 section 3.1.
            write.esearch("A01", is_uid=True, partial=(PartialRange(-1, -100), SequenceSet(((3, 9), (12, 12))))),
            b'* ESEARCH (TAG "A01") UID PARTIAL (-1:-100 3:9,12)\r\n',
        ),
        (
            write.esearch("A04", is_uid=True, partial=(PartialRange(24000, 24500), SequenceSet(()))),
            b'* ESEARCH (TAG "A04") UID PARTIAL (24000:24500 NIL)\r\n',
        ),
        (write.esearch("a", is_uid=True), b'* ESEARCH (TAG "a") UID\r\n'),
        (
            write.esearch("a", is_uid=True, largest=9, found=SequenceSet.parse(b"1:3,5"), modseq=1236),
            b'* ESEARCH (TAG "a") UID MAX 9 ALL 1:3,5 MODSEQ 1236\r\n',
        ),
        (write.esearch("a", is_uid=False, found=SequenceSet(()), count=0), b'* ESEARCH (TAG "a") COUNT 0\r\n'),
    ],
)
def test_responses(line: bytes, wire: bytes) -> None:
    assert line == wire


@pytest.mark.parametrize(
    ("line", "wire"),
    [
        (write.mailbox_list("INBOX"), b'* LIST () "/" "INBOX"\r\n'),
        (
            write.mailbox_list("Entwürfe", ["\\Drafts", "\\HasNoChildren"]),
            b'* LIST (\\Drafts \\HasNoChildren) "/" "Entw&APw-rfe"\r\n',
        ),
        (write.mailbox_list("Entwürfe", utf8=True), '* LIST () "/" "Entwürfe"\r\n'.encode()),
        (write.mailbox_list("x", kind=ListKind.LSUB, delimiter=None), b'* LSUB () NIL "x"\r\n'),
        (write.mailbox_list('a"b', ["\\Inbox"], kind=ListKind.XLIST), b'* XLIST (\\Inbox) "/" "a\\"b"\r\n'),
        (
            write.mailbox_list("Foo", child_info=["SUBSCRIBED"]),  # RFC 5258 section 5
            b'* LIST () "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        ),
        (
            write.mailbox_list("NewMailbox", old_name="OldMailbox"),  # RFC 5465 section 5.4
            b'* LIST () "/" "NewMailbox" ("OLDNAME" ("OldMailbox"))\r\n',
        ),
        (write.mailbox_list("", ["\\Noselect", "\\Noselect", "bad", "\\*"]), b'* LIST (\\Noselect) "/" ""\r\n'),
        (
            write.mailbox_status("a b", [(StatusItem.MESSAGES, 231), (StatusItem.UIDNEXT, 44292)]),
            b'* STATUS "a b" (MESSAGES 231 UIDNEXT 44292)\r\n',
        ),
        (
            write.mailbox_status("x", [(StatusItem.APPENDLIMIT, None), (StatusItem.MAILBOXID, "F2212ea87")]),
            b'* STATUS "x" (APPENDLIMIT NIL MAILBOXID (F2212ea87))\r\n',
        ),
        (write.mailbox_status("x", []), b'* STATUS "x" ()\r\n'),
    ],
)
def test_mailbox_responses(line: bytes, wire: bytes) -> None:
    assert line == wire


def test_long_search_is_split_into_lines_that_imaplib_reads() -> None:
    numbers = [4_000_000_000 + n for n in range(200_001)]
    lines = write.search(numbers, modseq=7).split(b"\r\n")
    assert lines.pop() == b""
    assert len(lines) == 3
    assert all(line.startswith(b"* SEARCH ") and len(line) < 1_000_000 for line in lines)
    assert [b"MODSEQ" in line for line in lines] == [False, False, True]
    found = [int(word) for line in lines for word in line.removesuffix(b" (MODSEQ 7)").split(b" ")[2:]]
    assert found == numbers


def test_name_longer_than_a_quoted_string_may_be_is_a_literal() -> None:
    assert write.mailbox_list("x" * 1001) == b'* LIST () "/" {1001}\r\n' + b"x" * 1001 + b"\r\n"


# -- whatever comes ----------------------------------------------------------------------------------------------------

ANY_TEXT = st.one_of(st.text(max_size=20), st.text(alphabet='ab"\\\r\n\0(){}[]%*& é😀\ud800', max_size=20))
TEXTS = st.lists(ANY_TEXT, max_size=4)


@given(ANY_TEXT, TEXTS, st.one_of(st.none(), ANY_TEXT), TEXTS, st.booleans())
def test_any_list_is_grammatical(
    name: str, attributes: list[str], delimiter: str | None, child_info: list[str], utf8: bool
) -> None:
    line = write.mailbox_list(name, attributes, delimiter=delimiter, child_info=child_info, utf8=utf8)
    found = tokens(line, utf8=utf8)
    closing = found.index(b")")
    assert found[:3] == [b"*", b"LIST", b"("]
    assert all(isinstance(flag, bytes) and flag.startswith(b"\\") for flag in found[3:closing])
    separator, encoded = found[closing + 1 : closing + 3]
    assert separator == b"NIL" or (isinstance(separator, tuple) and len(separator[1]) == 1)
    assert isinstance(encoded, tuple)


@given(ANY_TEXT, st.one_of(st.none(), ANY_TEXT), st.booleans())
def test_any_status_text_is_one_line(text: str, code: str | None, utf8: bool) -> None:
    encoded = None if code is None else code.encode("utf-8", "replace")
    for line in (
        write.tagged("a1", Status.NO, text, encoded, utf8=utf8),
        write.untagged_status(Status.NO, text, encoded, utf8=utf8),
    ):
        pattern = rb"(?:a1|\*) NO (?:\[[\x20-\x5c\x5e-\x7e]+\] |(?!\[))[^\r\n\x00]+\r\n"
        assert re.fullmatch(pattern, line), line
        assert utf8 or line.isascii()
    assert re.fullmatch(rb"\+ [^\r\n\x00]+\r\n", write.continuation(text))


@given(st.one_of(st.none(), st.lists(st.tuples(ANY_TEXT, st.one_of(st.none(), ANY_TEXT)), max_size=4)))
def test_any_id_is_grammatical(fields: list[tuple[str, str | None]] | None) -> None:
    tokens(write.server_id(fields))


@given(TEXTS, ANY_TEXT, st.one_of(st.none(), ANY_TEXT), st.booleans())
def test_other_responses_are_grammatical_too(texts: list[str], text: str, delimiter: str | None, utf8: bool) -> None:
    tokens(write.capability(texts))
    tokens(write.enabled(texts))
    tokens(write.flags(texts))
    tokens(write.mailbox_status(text, [(StatusItem.MESSAGES, 1), (StatusItem.MAILBOXID, text)], utf8=utf8), utf8=utf8)
    tokens(write.namespace([(name, delimiter) for name in texts], [(text, "/")], utf8=utf8), utf8=utf8)


def test_uid_batches() -> None:
    batches = [(215295, 99696), (99695, 20351), (20350, 7830), (7829, 1)]
    told = b'* UIDBATCHES (TAG "A143") 215295:99696,99695:20351,20350:7830,7829:1\r\n'
    assert write.uid_batches("A143", batches) == told
    assert write.uid_batches("A144", []) == b'* UIDBATCHES (TAG "A144")\r\n'
