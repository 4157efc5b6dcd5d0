from __future__ import annotations

import pytest

from gateway.message.scan import scan
from gateway.message.sections import Span, locate
from gateway.wire.fetch import Section, SectionText
from tests.gateway.message.samples import vector


def _section(name: str, section: Section) -> bytes | None:
    data = vector(name)
    found = locate(scan(data), section, data)
    return data[found.offset : found.offset + found.length] if isinstance(found, Span) else found


@pytest.mark.parametrize(
    ("name", "section", "octets"),
    [
        ("no-line-end", Section(), b"Subject: Vector\r\n\r\nabc"),
        ("no-line-end", Section((), SectionText.HEADER), b"Subject: Vector\r\n\r\n"),
        ("no-line-end", Section((), SectionText.TEXT), b"abc"),
        ("no-line-end", Section((1,)), b"abc"),
        ("no-line-end", Section((1,), SectionText.MIME), b"Subject: Vector\r\n\r\n"),
        ("no-line-end", Section((), SectionText.MIME), None),
        ("no-line-end", Section((1,), SectionText.TEXT), None),
        ("no-line-end", Section((1,), SectionText.HEADER), None),
        ("no-line-end", Section((2,)), None),
        ("multipart-plain", Section((2,)), b"two"),
        ("multipart-plain", Section((2,), SectionText.MIME), b"Content-Type: text/html\r\n\r\n"),
        ("multipart-plain", Section((3,)), None),
        ("multipart-plain", Section((2,), SectionText.HEADER_FIELDS, (b"Content-Type",)), None),
        ("multipart-nested", Section((1, 1)), b"one"),
        ("message-alone", Section((1,), SectionText.HEADER), b"Subject: Inner\r\nFrom: bo@example.org\r\n\r\n"),
        ("message-alone", Section((1,), SectionText.TEXT), b"One.\r\nTwo.\r\n"),
        ("message-alone", Section((1, 1)), b"One.\r\nTwo.\r\n"),
        ("message-alone", Section((1,), SectionText.HEADER_FIELDS, (b"SUBJECT",)), b"Subject: Inner\r\n\r\n"),
        ("message-alone", Section((1,), SectionText.HEADER_FIELDS_NOT, (b"SUBJECT",)), b"From: bo@example.org\r\n\r\n"),
        ("multipart-with-message", Section((2, 2)), b"two"),
        ("multipart-with-message", Section((2, 1), SectionText.MIME), b"\r\n"),
        ("empty", Section(), b""),
        ("empty", Section((1,)), b""),
    ],
)
def test_sections(name: str, section: Section, octets: bytes | None) -> None:
    assert _section(name, section) == octets


def test_the_parts_of_a_message_within_a_multipart_count_from_its_own_header() -> None:
    header = _section("multipart-with-message", Section((2,), SectionText.HEADER))
    text = _section("multipart-with-message", Section((2,), SectionText.TEXT))
    whole = _section("multipart-with-message", Section((2,)))
    assert header is not None
    assert text is not None
    assert header + text == whole
    assert header.startswith(b"Subject: Inner\r\n")
