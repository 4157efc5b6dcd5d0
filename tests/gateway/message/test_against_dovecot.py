"""What we say of a message is what Dovecot 2.3 says of it, octet for octet and value for value.

Every difference is listed with its reason; a difference that is not listed fails, and so does one that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from gateway.message.binary import UnknownEncoding, decode_part, decoded_size
from gateway.message.envelope import render_envelope
from gateway.message.headers import header_block
from gateway.message.part import Part
from gateway.message.scan import scan
from gateway.message.sections import Span, locate
from gateway.message.structure import render_structure
from gateway.wire.fetch import Section, SectionText
from tests.corpus.generate import messages
from tests.gateway.message.differences import DIFFERENCES
from tests.gateway.message.dovecot import MaildirServer, running_maildir_server
from tests.gateway.message.grammar import Value, read_body, read_envelope
from tests.gateway.message.samples import many_parts, nested_messages, nested_multiparts, vectors

FIELDS = (b"SUBJECT", b"FROM", b"TO", b"CONTENT-TYPE")
PARTS_COMPARED = 40


@pytest.fixture(scope="module")
def dovecot() -> Iterator[MaildirServer]:
    with running_maildir_server() as server:
        yield server


def _part_numbers(part: Part, prefix: tuple[int, ...] = (), is_message: bool = True) -> Iterator[tuple[int, ...]]:
    """Yield the numbers of every part that exists."""
    if part.children:
        for number, child in enumerate(part.children, 1):
            yield (*prefix, number)
            yield from _part_numbers(child, (*prefix, number), is_message=False)
        return
    if is_message:
        prefix = (*prefix, 1)
        yield prefix
    if part.message is not None:
        yield from _part_numbers(part.message, prefix)


def _sections(root: Part, most_parts: int) -> Iterator[Section]:
    yield Section()
    yield Section((), SectionText.HEADER)
    yield Section((), SectionText.TEXT)
    yield Section((), SectionText.HEADER_FIELDS, FIELDS)
    yield Section((), SectionText.HEADER_FIELDS_NOT, FIELDS)
    for numbers in list(_part_numbers(root))[:most_parts]:
        yield Section(numbers)
        yield Section(numbers, SectionText.MIME)
        part = root.child(numbers)
        if part is not None and part.message is not None:
            yield Section(numbers, SectionText.HEADER)
            yield Section(numbers, SectionText.TEXT)
            yield Section(numbers, SectionText.HEADER_FIELDS, FIELDS)
            yield Section(numbers, SectionText.HEADER_FIELDS_NOT, FIELDS)


def _name(section: Section) -> bytes:
    words = [b"%d" % number for number in section.part]
    if section.text is not SectionText.ALL:
        words.append(section.text.value)
    name = b".".join(words)
    return b"%b (%b)" % (name, b" ".join(section.fields)) if section.fields else name


def _leaves(root: Part, most_parts: int) -> Iterator[tuple[int, ...]]:
    for numbers in list(_part_numbers(root))[:most_parts]:
        part = root.child(numbers)
        if part is not None and not part.is_multipart and part.message is None:
            yield numbers


def _ours(data: bytes, most_parts: int) -> dict[bytes, Value]:
    root = scan(data)
    answer: dict[bytes, Value] = {
        b"RFC822.SIZE": len(data),
        b"ENVELOPE": read_envelope(render_envelope(header_block(data))),
        b"BODY": read_body(render_structure(root, is_extensible=False), is_extensible=False),
        b"BODYSTRUCTURE": read_body(render_structure(root, is_extensible=True)),
    }
    for section in _sections(root, most_parts):
        found = locate(root, section, data)
        octets = data[found.offset : found.offset + found.length] if isinstance(found, Span) else found
        answer[b"BODY[%b]" % _name(section)] = octets
    for numbers in _leaves(root, most_parts):
        dotted = b".".join(b"%d" % number for number in numbers)
        try:
            answer[b"BINARY[%b]" % dotted] = decode_part(root, numbers, data)
            answer[b"BINARY.SIZE[%b]" % dotted] = decoded_size(root, numbers, data)
        except UnknownEncoding:
            answer[b"BINARY[%b]" % dotted] = b"NO [UNKNOWN-CTE]"
    return answer


def _differences(
    dovecot: MaildirServer, samples: Mapping[str, bytes], most_parts: int = PARTS_COMPARED
) -> dict[tuple[str, str], tuple[Value, Value]]:
    """Return (name, item) of every difference, with our value and Dovecot's."""
    found: dict[tuple[str, str], tuple[Value, Value]] = {}
    with dovecot.mailbox(list(samples.values())) as box:
        for number, (name, data) in enumerate(samples.items(), 1):
            ours = _ours(data, most_parts)
            theirs = box.fetch(number, list(ours))
            for item, value in ours.items():
                if theirs.get(item) != value:
                    found[name, item.decode()] = value, theirs.get(item)
    return found


def test_broken_mail_is_answered_as_dovecot_does(dovecot: MaildirServer) -> None:
    found = _differences(dovecot, vectors())
    listed = {(name, item) for difference in DIFFERENCES for name in difference.vectors for item in difference.items}
    unexpected = {key: values for key, values in found.items() if key not in listed}
    assert unexpected == {}
    assert listed - found.keys() == set()


def test_ordinary_mail_is_answered_as_dovecot_does(dovecot: MaildirServer) -> None:
    samples = {f"message {number}": message.data for number, message in enumerate(messages(300, seed=20240101))}
    assert _differences(dovecot, samples) == {}


def test_limits_are_those_of_dovecot(dovecot: MaildirServer) -> None:
    samples = {
        "parts at the limit": many_parts(9_999),
        "parts beyond the limit": many_parts(10_020),
        "multiparts within the limit": nested_multiparts(90),
        "messages within the limit": nested_messages(90),
        "multiparts beyond the limit": nested_multiparts(120),
        "messages beyond the limit": nested_messages(120),
    }
    assert _differences(dovecot, samples, most_parts=2) == {}


@pytest.mark.parametrize("section", [b"2", b"1.1", b"1.HEADER", b"1.TEXT", b"1.HEADER.FIELDS (SUBJECT)", b"3.1.MIME"])
def test_a_missing_section_is_nil_where_dovecot_says_something(dovecot: MaildirServer, section: bytes) -> None:
    """A part that does not exist has no text, so it is NIL (RFC 9051 section 9, `nstring`), not an empty string."""
    data = b"Subject: one\r\n\r\nText.\r\n"
    words = section.split(b" ")[0].split(b".")
    numbers = tuple(int(word) for word in words if word.isdigit())
    text = SectionText(b".".join(word for word in words if not word.isdigit()))
    fields = (b"SUBJECT",) if text is SectionText.HEADER_FIELDS else ()
    assert locate(scan(data), Section(numbers, text, fields), data) is None
    with dovecot.mailbox([data]) as box:
        assert box.fetch(1, [b"BODY[%b]" % section]) == {b"BODY[%b]" % section: b""}
