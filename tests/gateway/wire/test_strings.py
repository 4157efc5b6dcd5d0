from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import strings

_QUOTED = re.compile(rb'"(?:[^"\\\r\n\x00]|\\["\\])*"')


def read_back(wire: bytes) -> bytes:
    """Undo `quote` by the grammar, with nothing of the code under test."""
    if wire.startswith(b'"'):
        assert _QUOTED.fullmatch(wire)
        return re.sub(rb'\\(["\\])', rb"\1", wire[1:-1])
    match = re.match(rb"\{([0-9]+)\}\r\n", wire)
    assert match
    data = wire[match.end() :]
    assert len(data) == int(match[1])
    assert b"\0" not in data
    return data


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'say "a\\b"', b'"say \\"a\\\\b\\""'),
        (b"tab\tstays", b'"tab\tstays"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"caf\xc3\xa9", b"{5}\r\ncaf\xc3\xa9"),
        (b"nul\0", b"{4}\r\nnul\x80"),
        (b"x" * 1000, b'"' + b"x" * 1000 + b'"'),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_quote_table(text: bytes, wire: bytes) -> None:
    assert strings.quote(text) == wire


def test_quote_keeps_utf8_in_quotes_only_when_the_other_side_takes_it() -> None:
    assert strings.quote(b"caf\xc3\xa9", utf8=True) == b'"caf\xc3\xa9"'
    assert strings.quote(b"caf\xe9", utf8=True) == b"{4}\r\ncaf\xe9"


@given(st.binary(max_size=1100), st.booleans())
def test_quote_is_a_string_of_the_same_octets(text: bytes, utf8: bool) -> None:
    assert read_back(strings.quote(text, utf8=utf8)) == text.replace(b"\0", b"\x80")


def test_nstring_of_nothing_is_nil() -> None:
    assert strings.nstring(None) == b"NIL"
    assert strings.nstring(b"NIL") == b'"NIL"'


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (b"INBOX", b"INBOX"),
        (b"a]b", b"a]b"),
        (b"NIL", b'"NIL"'),
        (b"nil", b'"nil"'),
        (b"", b'""'),
        (b"two words", b'"two words"'),
        (b"50%", b'"50%"'),
        (b"&U,BTFw-", b"&U,BTFw-"),
    ],
)
def test_astring_table(text: bytes, wire: bytes) -> None:
    assert strings.astring(text) == wire


@pytest.mark.parametrize("octet", [b"(", b")", b"{", b" ", b"%", b"*", b'"', b"\\", b"]", b"\0", b"\x7f", b"\x80", b""])
def test_atom_specials_are_no_atom(octet: bytes) -> None:
    assert not strings.is_atom(octet)
    assert strings.is_atom(b"a!#$&'+,-./0:;<=>?@[^_`|}~z")


@pytest.mark.parametrize(
    ("text", "line"), [("ok", b"ok"), ("a\r\nb\0c", b"a b c"), ("", b"."), (" \n", b"."), ("naïve", b"na?ve")]
)
def test_text_line_is_one_line(text: str, line: bytes) -> None:
    assert strings.text_line(text) == line
