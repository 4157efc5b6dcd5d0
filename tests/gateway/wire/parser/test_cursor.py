from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.limits import Limits
from gateway.wire.parser.cursor import Cursor, InlineLiteral, MessageLiteral, SyntaxFault
from gateway.wire.strings import astring, quote


def read_string(wire: bytes) -> Cursor:
    """Return a cursor at a string as a server writes it, literal or not."""
    if wire.startswith(b"{"):
        return Cursor([b"", b""], [InlineLiteral(wire[wire.index(b"\n") + 1 :])])
    return Cursor([wire])


@given(st.binary(max_size=50), st.booleans())
def test_quoted_text_is_read_back(text: bytes, utf8: bool) -> None:
    cursor = read_string(quote(text, utf8=utf8))
    assert cursor.string() == text.replace(b"\0", b"\x80")
    assert cursor.is_at_end()


@given(st.binary(max_size=50))
def test_astring_is_read_back(text: bytes) -> None:
    assert read_string(astring(text)).astring() == text.replace(b"\0", b"\x80")


def test_literals_are_read_between_the_texts() -> None:
    cursor = Cursor([b"", b" ", b" x"], [InlineLiteral(b"one two"), InlineLiteral(b"")])
    assert cursor.astring() == b"one two"
    cursor.space()
    assert cursor.is_at_literal()
    assert cursor.string() == b""
    cursor.space()
    assert cursor.atom() == b"x"
    cursor.finish()


def test_message_literal_is_no_string() -> None:
    cursor = Cursor([b"", b""], [MessageLiteral(5)])
    with pytest.raises(SyntaxFault):
        cursor.astring()
    assert cursor.message_literal().size == 5


@pytest.mark.parametrize("text", [b"NIL", b"nil", b"NIL)"])
def test_nil_is_no_string(text: bytes) -> None:
    assert Cursor([text]).nstring() is None


@pytest.mark.parametrize("text", [b"NILx", b"x", b"", b'"x', b'"\\x"', b'"a\x00"', b'"a\r"'])
def test_what_is_no_nstring_is_refused(text: bytes) -> None:
    with pytest.raises(SyntaxFault):
        Cursor([text]).nstring()


@pytest.mark.parametrize(("text", "number"), [(b"0", 0), (b"007", 7), (b"4294967295", 4294967295), (b"12x", 12)])
def test_numbers(text: bytes, number: int) -> None:
    assert Cursor([text]).number() == number


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"4294967296", b"9" * 5000])
def test_wrong_numbers_are_refused(text: bytes) -> None:
    with pytest.raises(SyntaxFault):
        Cursor([text]).number()


def test_members_of_a_list_are_counted() -> None:
    limits = Limits(arguments=3)
    cursor = Cursor([b"(a b c)"], limits=limits)
    assert cursor.in_parentheses(cursor.atom) == [b"a", b"b", b"c"]
    cursor = Cursor([b"(a b c d)"], limits=limits)
    with pytest.raises(SyntaxFault, match="Too many"):
        cursor.in_parentheses(cursor.atom)


def test_fault_names_the_place_unless_it_may_be_secret() -> None:
    cursor = Cursor([b"LOGIN (pass"])
    cursor.atom()
    cursor.space()
    assert cursor.fault("String expected").text == "String expected at '('"
    cursor.is_secret = True
    assert cursor.fault("String expected").text == "String expected"
    assert Cursor([b""]).fault("Atom expected").text == "Atom expected at the end"


@pytest.mark.parametrize("octet", [bytes([n]) for n in range(256)])
def test_fault_can_be_told_whatever_the_octet(octet: bytes) -> None:
    assert Cursor([octet]).fault("Atom expected").text.startswith("Atom expected at ")
