"""Which BODYSTRUCTUREs are passed on."""

from __future__ import annotations

import pytest

from connectors.imap.body_structure import canonical_structure
from gateway.wire.response_reader import ResponseReader
from gateway.wire.responses import FetchData

TEXT = b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 1152 23)'
ENVELOPE = b'("d" "s" (("n" NIL "m" "h")) NIL NIL NIL NIL NIL NIL "<i>")'

GOOD = [
    TEXT,
    TEXT[:-1] + b" NIL NIL NIL NIL)",
    TEXT[:-1] + b' "md5" ("ATTACHMENT" ("FILENAME" "x")) ("en" "de") "loc" ("more" 1 (NIL)))',
    b'("APPLICATION" "PDF" NIL "<id>" "desc" "BASE64" 100)',
    b'("APPLICATION" "PDF" NIL NIL NIL "BASE64" 100 NIL ("INLINE" NIL))',
    b"(" + TEXT + b' "MIXED")',
    b"(" + TEXT + TEXT + b' "MIXED" ("BOUNDARY" "b") NIL "en" NIL)',
    b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 300 ' + ENVELOPE + b" " + TEXT + b" 12)",
    b'("message" "delivery-status" NIL NIL NIL "7BIT" 300)',
]

BAD = [
    b"NIL",
    b"()",
    b'"TEXT"',
    TEXT.replace(b'"7BIT"', b"NIL"),
    TEXT.replace(b" 23", b""),
    TEXT.replace(b"1152", b'"1152"'),
    TEXT.replace(b'("CHARSET" "utf-8")', b'("CHARSET")'),
    TEXT.replace(b'("CHARSET" "utf-8")', b"()"),
    TEXT.replace(b'"PLAIN"', b"PLAIN"),
    TEXT[:-1] + b" 5)",
    TEXT[:-1] + b' NIL "ATTACHMENT")',
    TEXT[:-1] + b' NIL ("ATTACHMENT"))',
    b"(" + TEXT + b")",
    b"(" + TEXT + b" NIL)",
    b"((NIL) " + TEXT + b' "MIXED")',
    b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 300)',
    b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 300 NIL ' + TEXT + b" 12)",
    b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 300 '
    + ENVELOPE.replace(b"NIL NIL NIL NIL NIL", b"() NIL NIL NIL NIL")
    + b" "
    + TEXT
    + b" 12)",
]


def canonical(data: bytes) -> bytes | None:
    reader = ResponseReader()
    reader.feed(b"* 1 FETCH (UID 1 BODYSTRUCTURE %b)\r\n" % data)
    fetched = reader.next_event()
    assert isinstance(fetched, FetchData)
    return canonical_structure(fetched.structure)


@pytest.mark.parametrize("data", GOOD)
def test_a_correct_structure_is_passed_on(data: bytes) -> None:
    assert canonical(data) == data


def test_a_space_between_parts_or_addresses_is_taken_out() -> None:
    """The grammar has none there, though servers send it: `1*body`, `"(" 1*address ")"`."""
    envelope = ENVELOPE.replace(b'(("n" NIL "m" "h"))', b'(("n" NIL "m" "h")(NIL NIL "o" "h"))')
    message = b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 300 ' + envelope + b" " + TEXT + b" 12)"
    tail = b' "MIXED" ("BOUNDARY" "b") ("INLINE" NIL) ("en" "de") NIL)'
    strict = b"(" + TEXT + message + TEXT + tail
    assert canonical(strict) == strict
    lax = strict.replace(b")(NIL NIL", b") (NIL NIL").replace(b')("', b') ("')
    assert lax != strict
    assert canonical(lax) == strict


@pytest.mark.parametrize("data", BAD)
def test_a_structure_against_the_grammar_is_not_passed_on(data: bytes) -> None:
    assert canonical(data) is None


def test_a_deep_structure_is_checked() -> None:
    deep = b"(" * 100 + TEXT + b' "MIXED")' * 100
    assert canonical(deep) == deep
