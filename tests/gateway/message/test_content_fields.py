from __future__ import annotations

import pytest

from gateway.message.content_fields import (
    boundary_of,
    parse_content_type,
    parse_disposition,
    parse_encoding,
    parse_languages,
    parse_parameters,
    read_content_fields,
)
from gateway.message.limits import MAX_LANGUAGES, MAX_PARAMETERS
from gateway.message.part import Parameters, Part

TEXT = (b"text", b"plain", ())


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (b"text/html", (b"text", b"html", ())),
        (b"TEXT/HTML; Charset=UTF-8", (b"TEXT", b"HTML", ((b"Charset", b"UTF-8"),))),
        (b"text / html ; a = b", (b"text", b"html", ((b"a", b"b"),))),
        (b"text/html (com;ment) ; (more) a=b (end)", (b"text", b"html", ((b"a", b"b"),))),
        (b"text/html (nested (comment)); a=b", (b"text", b"html", ((b"a", b"b"),))),
        (b"text", TEXT),
        (b"text; a=b", (b"text", b"plain", ((b"a", b"b"),))),
        (b"text/html a=b; c=d", (b"text", b"html", ((b"a", b"b"), (b"c", b"d")))),
        (b"image", TEXT),
        (b"", TEXT),
        (b";;;", TEXT),
        (b"/plain", TEXT),
        (b"a/b/c", TEXT),
        (b'"text"/plain', TEXT),
    ],
)
def test_content_type(value: bytes, parsed: tuple[bytes, bytes, Parameters]) -> None:
    assert parse_content_type(value) == parsed


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        (b"", ()),
        (b"; a=b;c=d", ((b"a", b"b"), (b"c", b"d"))),
        (b';a="b;c=d";e=f', ((b"a", b"b;c=d"), (b"e", b"f"))),
        (b'; a="x\\"y\\\\z"', ((b"a", b'x"y\\z'),)),
        (b';a="unclosed; b=c', ((b"a", b"unclosed; b=c"),)),
        (b";;a=b", ((b"a", b"b"),)),
        (b"; flag; a=b", ((b"a", b"b"),)),
        (b"; a=b c; d=e", ((b"a", b"b"), (b"d", b"e"))),
        (b"; name=b c.txt ; d=e", ((b"name", b"b c.txt"), (b"d", b"e"))),
        (b"; a=b, c", ((b"a", b"b"),)),
        (b"; a=", ((b"a", b""),)),
        (b"; a=x@y/z=[1]", ((b"a", b"x@y/z=[1]"),)),
        (b"; n*=utf-8''a%20b; s=3", ((b"s", b"3"), (b"n*", b"utf-8''a%20b"))),
        (b'; n*1=" b"; n*0="a;"', ((b"n", b"a; b"),)),
        (b"; n*0*=utf-8''a; n*1=b c; n*2*=%20", ((b"n*", b"utf-8''ab%20"),)),
        (b'; n*0="a b"; n*1*=%20c', ((b"n*", b"''a%20b%20c"),)),
        (b"; n*0=a; n*2=c", ((b"n*0", b"a"), (b"n*2", b"c"))),
    ],
)
def test_parameters(text: bytes, parameters: Parameters) -> None:
    assert parse_parameters(text) == parameters


def test_parameters_are_bounded() -> None:
    assert len(parse_parameters(b";a=b" * 10_000)) == MAX_PARAMETERS
    assert len(parse_languages(b"en," * 10_000)) == MAX_LANGUAGES


@pytest.mark.timeout(10)
@pytest.mark.parametrize("octets", [b";", b"; ", b"a", b'"', b'\\"', b"(", b"a(", b"*0*=", b"=", b"/", b";a*"])
def test_a_long_field_of_one_pattern_takes_linear_time(octets: bytes) -> None:
    value = octets * (500_000 // len(octets))
    parse_content_type(value)
    parse_content_type(b"text/plain; a=" + value)
    parse_disposition(value)
    parse_encoding(value)
    parse_languages(value)


@pytest.mark.parametrize(
    ("value", "disposition"),
    [
        (b"attachment", (b"attachment", ())),
        (b'INLINE; filename="a b"', (b"INLINE", ((b"filename", b"a b"),))),
        (b'"attachment"; filename=a b.txt', (b"attachment", ((b"filename", b"a b.txt"),))),
        (b"", None),
        (b"; filename=x", None),
    ],
)
def test_disposition(value: bytes, disposition: tuple[bytes, Parameters] | None) -> None:
    assert parse_disposition(value) == disposition


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (b"BASE64", b"BASE64"),
        (b'"base64"', b"base64"),
        (b"base64 (comment)", b"base64"),
        (b"quoted-printable; x=y", b"quoted-printable"),
        (b"8 bit", b"8bit"),
        (b"x-uuencode later", b"x-uuencode"),
        (b"", b"7bit"),
    ],
)
def test_encoding(value: bytes, encoding: bytes) -> None:
    assert parse_encoding(value) == encoding


def test_languages() -> None:
    assert parse_languages(b'en, de-DE (German) ,, "fr"') == (b"en", b"de-DE", b"fr")
    assert parse_languages(b",") == ()


@pytest.mark.parametrize(
    ("parameters", "boundary"),
    [
        (((b"Boundary", b"a b "),), b"a b"),
        (((b"boundary*", b"us-ascii''a%3Db"),), b"a=b"),
        (((b"charset", b"x"),), None),
    ],
)
def test_boundary(parameters: Parameters, boundary: bytes | None) -> None:
    assert boundary_of(parameters) == boundary


def test_the_first_of_repeated_fields_counts() -> None:
    part = Part()
    read_content_fields(part, b"Content-ID: <1>\r\ncontent-id : <2>\r\nX-Content-MD5: no\r\n", is_in_digest=False)
    assert (part.content_id, part.md5) == (b"<1>", None)


def test_defaults() -> None:
    plain, in_digest, typed = Part(), Part(), Part()
    read_content_fields(plain, b"", is_in_digest=False)
    read_content_fields(in_digest, b"", is_in_digest=True)
    read_content_fields(typed, b"Content-Type: text/html\r\n", is_in_digest=True)
    assert (plain.type, plain.subtype, plain.parameters) == (b"text", b"plain", ((b"charset", b"us-ascii"),))
    assert (in_digest.type, in_digest.subtype, in_digest.parameters) == (b"message", b"rfc822", ())
    assert (typed.type, typed.subtype, typed.encoding) == (b"text", b"html", b"7bit")
