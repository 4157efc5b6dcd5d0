"""Text out of octets in whatever charset they claim to be in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.graph.charsets import decode, decode_words, percent_decoded, storable, unpadded


@pytest.mark.parametrize(
    ("data", "charset", "expected"),
    [
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "utf-8", "café"),
        (b"caf\xe9", None, "café"),
        (b"caf\xc3\xa9", "us-ascii", "café"),
        (b"\x93quoted\x94", "iso-8859-1", "\u201cquoted\u201d"),
        ("会議".encode("iso2022_jp"), b"ISO-2022-JP", "会議"),
        ("关于".encode("gb18030"), "gb2312", "关于"),
        (b"text", "no-such-charset", "text"),
        (b"text", "unicode_escape", "text"),
        (b"text", "x" * 100, "text"),
        (b"text", "", "text"),
    ],
)
def test_text_is_decoded(data: bytes, charset: str | bytes | None, expected: str) -> None:
    assert decode(data, charset) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe_aus?= K", "Grüße aus K"),
        (b"=?utf-8?B?w5xi?=  =?utf-8?B?ZXI=?=", "Über"),
        (b"=?utf-8?B?w5w=?= and =?iso-8859-1?q?=DC?=", "Ü and Ü"),
        (b"=?utf-8?Q?=E4=BC?= =?utf-8?Q?=9A?=", "会"),
        (b"before =?utf-8?q?a?=", "before a"),
        (b"=?utf-8?q?with blank?=", "with blank"),
        (b"=?utf-8?x?what?=", "=?utf-8?x?what?="),
        (b"=?nonsense?q?abc?=", "abc"),
        (b"=?utf-8*en?q?abc?=", "abc"),
        (b"=?utf-8?b?!!!?=", ""),
        (b"", ""),
    ],
)
def test_encoded_words_are_decoded(value: bytes, expected: str) -> None:
    assert decode_words(value) == expected


@given(st.binary(max_size=300), st.text(max_size=20))
def test_decoding_never_fails(data: bytes, charset: str) -> None:
    decode(data, charset)
    decode_words(data)
    storable(decode(data, charset)).encode("utf-8")


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "utf-32", "hz", "cp037"])
@given(data=st.binary(max_size=100))
def test_whatever_is_decoded_can_be_stored(charset: str, data: bytes) -> None:
    storable(decode(data, charset)).encode("utf-8")


def test_control_characters_are_not_stored_but_line_ends_are() -> None:
    assert storable("a\x00b\x1b\tc\r\n\x0c\ufffe\ud800") == "ab\tc\r\n"


def test_digits_without_their_padding_are_decoded() -> None:
    assert [unpadded(digits) for digits in (b"", b"Y", b"YQ", b"YWI", b"YWJj")] == [b"", b"", b"a", b"ab", b"abc"]


def test_percent_signs_are_decoded_where_digits_follow() -> None:
    assert percent_decoded(b"100%25%zz%C3") == b"100%%zz\xc3"
