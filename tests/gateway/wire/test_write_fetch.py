from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import write_fetch
from gateway.wire.commands import Fetch
from gateway.wire.fetch import BodySection, FetchAttribute, Section, SectionText
from tests.gateway.wire.reading import parse


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (b"flags", b"FLAGS"),
        (b"RFC822", b"RFC822"),
        (b"RFC822.PEEK", b"RFC822"),
        (b"rfc822.header", b"RFC822.HEADER"),
        (b"BODY", b"BODY"),
        (b"body[]", b"BODY[]"),
        (b"BODY.PEEK[]<0.2048>", b"BODY[]<0>"),
        (b"BODY.PEEK[1.2.mime]", b"BODY[1.2.MIME]"),
        (b"BODY[3.header]", b"BODY[3.HEADER]"),
        (b'BODY.PEEK[header.fields (From "To")]<10.5>', b"BODY[HEADER.FIELDS (From To)]<10>"),
        (b'BODY[2.HEADER.FIELDS.NOT ("a b" x)]', b'BODY[2.HEADER.FIELDS.NOT ("a b" x)]'),
        (b"BINARY.PEEK[1.2]<0.9>", b"BINARY[1.2]<0>"),
        (b"BINARY[]", b"BINARY[]"),
        (b"preview", b"PREVIEW"),
        (b"PREVIEW (LAZY)", b"PREVIEW"),
        (b"binary.size[4]", b"BINARY.SIZE[4]"),
    ],
)
def test_items_are_echoed_as_they_were_asked(asked: bytes, name: bytes) -> None:
    command = parse(b"FETCH 1 (" + asked + b")")
    assert isinstance(command, Fetch)
    (item,) = command.items
    assert write_fetch.item_name(item) == name


def test_every_attribute_has_a_name() -> None:
    names = {attribute: write_fetch.item_name(attribute) for attribute in FetchAttribute}
    assert names.pop(FetchAttribute.RFC822_PEEK) == b"RFC822"
    assert all(name == attribute.value for attribute, name in names.items())


def test_lines() -> None:
    items = [write_fetch.uid(825), write_fetch.flags(b"(\\Seen)"), write_fetch.modseq(2121231000)]
    wire = b"* 23 FETCH (UID 825 FLAGS (\\Seen) MODSEQ (2121231000))\r\n"
    assert write_fetch.line(23, items) == wire
    assert write_fetch.open_line(23) + b" ".join(items) + write_fetch.CLOSE_LINE == wire


def test_object_ids() -> None:
    assert write_fetch.object_id("M6d99ac3275bb4e") == b"(M6d99ac3275bb4e)"  # RFC 8474 section 5.3
    assert write_fetch.object_id(None) == b"NIL"


def test_previews() -> None:
    # RFC 8970 section 5.
    assert write_fetch.preview("Preview text!") == b'"Preview text!"'
    assert write_fetch.preview("") == b'""'
    assert write_fetch.preview(None) == b"NIL"
    assert write_fetch.preview("Grüße") == b"{7}\r\nGr\xc3\xbc\xc3\x9fe"


def test_binary_value_is_literal8_only_where_there_is_a_nul() -> None:
    assert write_fetch.binary_value(b"ab") == b"{2}\r\nab"
    assert write_fetch.binary_value(b"a\0") == b"~{2}\r\na\0"
    assert write_fetch.literal_start(0) == b"{0}\r\n"


def test_a_literal_holds_no_nul_and_keeps_its_length() -> None:
    assert write_fetch.literal_octets(b"a\0\0\x80\r\n") == b"a\x80\x80\x80\r\n"


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=4), st.lists(st.integers(1, 99), max_size=3))
def test_any_echo_is_a_section_again(fields: list[bytes], part: list[int]) -> None:
    clean = tuple(field.replace(b"\0", b"") for field in fields)
    item = BodySection(Section(tuple(part), SectionText.HEADER_FIELDS, clean))
    # A literal in the echo is announced as a server announces it, which a client may as well.
    command = parse(b"FETCH 1 " + write_fetch.item_name(item))
    assert isinstance(command, Fetch)
    assert command.items == (item,)


def test_lines_that_begin_with_the_uid() -> None:
    # RFC 9586
    assert write_fetch.uid_line(25996, [b"FLAGS (\\Seen)"]) == b"* 25996 UIDFETCH (FLAGS (\\Seen))\r\n"
    assert write_fetch.open_uid_line(7) == b"* 7 UIDFETCH ("
