from __future__ import annotations

import pytest

from gateway.message.scan import scan
from gateway.message.structure import render_plain_body, render_structure
from tests.gateway.message.samples import vector

TEXT = b'"text" "plain" ("charset" "us-ascii") NIL NIL "7bit"'


def test_a_plain_message() -> None:
    part = scan(b"Subject: x\r\n\r\none\r\ntwo")
    assert render_structure(part, is_extensible=False) == b"(" + TEXT + b" 8 1)"
    assert render_structure(part, is_extensible=True) == b"(" + TEXT + b" 8 1 NIL NIL NIL NIL)"


def test_extension_data_of_a_part() -> None:
    header = (
        b"Content-Type: image/png; name=a\r\nContent-Disposition: inline; size=3\r\nContent-Language: en, de\r\n"
        b"Content-Location: http://example.org/\r\nContent-MD5: abc==\r\nContent-ID: <a@b>\r\n"
        b"Content-Description: a picture\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
    )
    assert render_structure(scan(header + b"QUJD"), is_extensible=True) == (
        b'("image" "png" ("name" "a") "<a@b>" "a picture" "BASE64" 4'
        b' "abc==" ("inline" ("size" "3")) ("en" "de") "http://example.org/")'
    )


def test_extension_data_of_a_multipart() -> None:
    structure = render_structure(scan(vector("multipart-extension-data")), is_extensible=True)
    assert structure == (
        b"((" + TEXT + b" 3 0 NIL NIL NIL NIL)"
        b' "mixed" ("boundary" "b") ("inline" ("x" "y")) ("en") "http://example.org/")'
    )


def test_an_embedded_message() -> None:
    structure = render_structure(scan(b"Content-Type: message/rfc822\r\n\r\nSubject: i\r\n\r\nx\r\n"), False)
    assert structure == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 17 (NIL "i" NIL NIL NIL NIL NIL NIL NIL NIL) (' + TEXT + b" 3 1) 3)"
    )


def test_8bit_octets_and_quotes_are_written_safely() -> None:
    structure = render_structure(scan(b'Content-Type: a/b; x="\xfc"; y="a\\"b"\r\n\r\n'), False)
    assert structure == b'("a" "b" ("x" {1}\r\n\xfc "y" "a\\"b") NIL NIL "7bit" 0)'


@pytest.mark.parametrize(
    ("structure", "body"),
    [
        # Another server's, with blanks, a parenthesis in a literal and extension data of its own.
        (
            b'("TEXT" "PLAIN" ("name" {3}\r\na)b) NIL NIL "7BIT" 3 1 NIL ("x" NIL) "en" NIL 17 (1 (2)))',
            b'("TEXT" "PLAIN" ("name" {3}\r\na)b) NIL NIL "7BIT" 3 1)',
        ),
        (b'("image" "png" NIL NIL NIL "base64" 9)', b'("image" "png" NIL NIL NIL "base64" 9)'),
        (
            b'(("a" "b" NIL NIL NIL "7bit" 1 NIL) ("c" "d" NIL NIL NIL "7bit" 1) "mixed" ("boundary" "x)") NIL)',
            b'(("a" "b" NIL NIL NIL "7bit" 1)("c" "d" NIL NIL NIL "7bit" 1) "mixed")',
        ),
        (
            b'("message" "global" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL)',
            b'("message" "global" NIL NIL NIL "7bit" 1)',
        ),
    ],
)
def test_body_is_made_of_a_finished_structure(structure: bytes, body: bytes) -> None:
    assert render_plain_body(structure) == body


@pytest.mark.parametrize(
    "structure",
    [
        b"", b"NIL", b"(", b"()", b'("a")', b'("a" "b" NIL NIL NIL "7bit" 1', b'("a" "b" NIL NIL NIL "7bit" 1) x',
        b'("a" {99}\r\nb', b'("a" "b', b"(" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_structure_is_refused(structure: bytes) -> None:
    with pytest.raises(ValueError, match=r"body structure|literal"):
        render_plain_body(structure)
