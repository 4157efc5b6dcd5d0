"""Which part of a message is its body, and which are files."""

from __future__ import annotations

import pytest

from connectors.graph.layout import MAX_BODY_OCTETS, Layout, lay_out
from connectors.graph.mime import read_tree


def laid_out(data: bytes) -> Layout:
    return lay_out(data, read_tree(data))


def part(kind: str, body: str, *fields: str) -> str:
    return "\n".join((f"Content-Type: {kind}", *fields, "", body))


def multipart(subtype: str, *parts: str, boundary: str = "b", more: str = "") -> str:
    inner = "".join(f"--{boundary}\n{each}\n" for each in parts)
    return f"Content-Type: multipart/{subtype}; boundary={boundary}{more}\n\n{inner}--{boundary}--\n"


PLAIN = part("text/plain", "plain")
HTML = part("text/html", "<p>")
IMAGE = part("image/png", "png", "Content-ID: <i@example.org>")


@pytest.mark.parametrize(
    ("message", "body", "names"),
    [
        (PLAIN, "plain", []),
        (HTML, "<p>", []),
        (part("text/plain; name=a.txt", "x"), "", ["a.txt"]),
        (part("text/plain", "x", "Content-Disposition: attachment"), "", ["part-1.txt"]),
        (part("application/pdf", "x"), "", ["part-1.pdf"]),
        (multipart("mixed", PLAIN, PLAIN), "plain", ["part-1.txt"]),
        (multipart("mixed", part("image/png", "x"), PLAIN), "plain", ["part-1.png"]),
        (multipart("alternative", PLAIN, HTML), "<p>", []),
        (multipart("alternative", HTML, PLAIN), "<p>", []),
        (multipart("alternative", PLAIN, part("text/enriched", "x")), "plain", ["part-1.bin"]),
        (multipart("alternative", part("text/calendar", "x")), "", ["part-1.ics"]),
        (multipart("alternative", PLAIN, multipart("related", HTML, IMAGE, boundary="c")), "<p>", ["part-1.png"]),
        (multipart("related", IMAGE, HTML, more="; start=\"<x>\""), "", ["part-1.png", "part-2.html"]),
        (multipart("mixed", multipart("alternative", PLAIN, HTML, boundary="c"), PLAIN), "<p>", ["part-1.txt"]),
        (multipart("report", PLAIN, part("message/delivery-status", "x"), part("text/rfc822-headers", "y")), "plain",
         ["part-1.txt", "part-2.txt"]),
        (multipart("digest", "\nSubject: one\n\nx", "\nSubject: two\n\ny"), "", ["one.eml", "two.eml"]),
        (multipart("signed", PLAIN, part("application/pgp-signature", "x")), "plain", ["smime.p7m"]),
        (multipart("mixed", PLAIN, multipart("signed", PLAIN, part("application/pgp-signature", "x"), boundary="c")),
         "plain", ["part-1.txt", "part-2.asc"]),
        (multipart("encrypted", part("application/pgp-encrypted", "x"), part("application/octet-stream", "y")), "",
         ["part-1.bin", "part-2.bin"]),
        ("", "", []),
    ],
)  # fmt: skip
def test_body_and_files(message: str, body: str, names: list[str]) -> None:
    layout = laid_out(message.encode())
    assert (layout.body, [each.name for each in layout.parts]) == (body, names)


def test_the_start_parameter_names_the_body() -> None:
    root = part("text/html", "<p>", "Content-ID: <root@example.org>")
    message = multipart("related", IMAGE, root, more='; start="<root@example.org>"')
    layout = laid_out(message.encode())
    assert layout.body == "<p>"
    assert [(each.content_id, each.is_inline) for each in layout.parts] == [("i@example.org", True)]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ('"../../etc/passwd"', "_.._etc_passwd"),
        ('"a:b?.txt"', "a_b_.txt"),
        ("=?utf-8?q?=C3=9C=00.pdf?=", "Ü.pdf"),
        ('" "', "part-1.bin"),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ("x" * 300, "x" * 200),
    ],
)
def test_names_are_ones_that_files_can_have(given: str, name: str) -> None:
    layout = laid_out(
        part("application/octet-stream", "x", f"Content-Disposition: attachment; filename={given}").encode()
    )
    assert [each.name for each in layout.parts] == [name]


def test_a_body_that_is_too_long_is_told_to_be_cut() -> None:
    layout = laid_out(b"\n" + b"x" * (MAX_BODY_OCTETS + 1))
    assert layout.is_cut
    assert len(layout.body) == MAX_BODY_OCTETS


def test_an_image_that_nothing_refers_to_is_no_inline_one() -> None:
    message = multipart("mixed", HTML, part("image/png", "x", "Content-Disposition: inline"), IMAGE)
    assert [each.is_inline for each in laid_out(message.encode()).parts] == [False, False]
