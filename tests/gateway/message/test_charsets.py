from __future__ import annotations

import pytest

from gateway.message.charsets import codec_of, decode


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (b"plain", None, "plain"),
        ("grüße".encode(), b"UTF-8", "grüße"),
        ("grüße".encode("latin-1"), b"ISO-8859-1", "grüße"),
        (b"\x80", b"iso-8859-1", "€"),
        ("привет".encode("koi8-r"), b"KOI8-R", "привет"),
        ("会議".encode("iso-2022-jp"), b"ISO-2022-JP", "会議"),
        ("会議".encode("shift_jis"), b"x-sjis", "会議"),
        ("关于".encode("gb18030"), b"GB2312", "关于"),
        ("한글".encode("cp949"), b"ks_c_5601-1987", "한글"),
        ("hé".encode("utf-7"), b"utf-7", "hé"),
        ("grüße".encode(), b"us-ascii", "grüße"),
        ("grüße".encode("latin-1"), b"us-ascii", "grüße"),
        ("grüße".encode("latin-1"), b"utf-8", "grüße"),
        ("grüße".encode(), b"x-unknown", "grüße"),
        (b"a\x81", b"shift_jis", "a\ufffd"),
    ],
)
def test_decoding(octets: bytes, charset: bytes | None, text: str) -> None:
    assert decode(octets, charset) == text


@pytest.mark.parametrize(
    "charset",
    [
        b"punycode",
        b"idna",
        b"unicode_escape",
        b"undefined",
        b"rot13",
        b"hex",
        b"zlib",
        b"",
        b"\xff",
        b"a" * 99,
        b"../x",
        b"\0",
    ],
)
def test_codecs_that_are_no_charset_are_not_used(charset: bytes) -> None:
    assert decode(b"a-b \xc3\xbc", charset) == "a-b ü"


def test_an_unknown_name_has_no_codec() -> None:
    assert codec_of(b"x-unknown") is None
    assert codec_of(None) is None
