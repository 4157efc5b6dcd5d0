from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message.envelope import render_envelope
from gateway.message.headers import header_block
from gateway.message.index import decode_index, encode_index
from gateway.message.limits import MAX_DEPTH, MAX_PARTS
from gateway.message.part import Part
from gateway.message.preview import preview
from gateway.message.scan import scan
from gateway.message.structure import render_plain_body, render_structure
from gateway.message.text import body_text, sent_date
from tests.corpus.generate import messages
from tests.gateway.message.grammar import read_body, read_envelope
from tests.gateway.message.samples import many_parts, nested_messages, nested_multiparts, vector, vectors

PIECES = (
    b"\r\n", b"\n", b"\r", b"--b", b"--bb", b"--", b"--b--", b"Content-Type: ", b"multipart/mixed; boundary=b",
    b"multipart/digest; boundary=bb", b"multipart/alternative; boundary=", b"message/rfc822", b"message/global",
    b"Content-Transfer-Encoding: base64", b"Content-Disposition: ", b"Content-Language: ", b";", b'"', b"(", b")", b"<",
    b">", b"@", b",", b":", b"\\", b"=?utf-8?q?x?=", b" ", b"\t", b"\0", b"\xff", b"From: ", b"To: ", b"Subject: ",
    b"x", b"{3}", b"text/",
)  # fmt: skip


def _check(data: bytes) -> None:
    """Nothing may raise, all answers are in the grammar and agree, and the parts lie within each other in order."""
    part = scan(data)
    structure = render_structure(part, is_extensible=True)
    read_body(structure)
    plain = render_structure(part, is_extensible=False)
    read_body(plain, is_extensible=False)
    assert render_plain_body(structure) == plain
    read_envelope(render_envelope(header_block(data)))
    assert decode_index(encode_index(part)) == part
    assert scan(memoryview(data)) == part
    assert len(preview(data, part)) <= 200
    assert all(isinstance(text, str) for text in body_text(data, part))
    sent_date(header_block(data))
    assert (part.header_start, part.end) == (0, len(data))
    _check_offsets(data, part)


def _check_offsets(data: bytes, part: Part) -> None:
    assert part.header_start <= part.body_start <= part.end
    if part.is_text:
        assert part.lines == data.count(b"\n", part.body_start, part.end)
    if part.message is not None:
        assert (part.message.header_start, part.message.end) == (part.body_start, part.end)
        assert part.lines == data.count(b"\n", part.body_start, part.end)
        _check_offsets(data, part.message)
    position = part.body_start
    for child in part.children:
        assert position <= child.header_start
        _check_offsets(data, child)
        position = child.end
    assert position <= part.end


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_octets_give_a_valid_answer(data: bytes) -> None:
    _check(data)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=80).map(b"".join))
def test_random_mail_pieces_give_a_valid_answer(data: bytes) -> None:
    _check(data)


@pytest.mark.parametrize("name", list(vectors()))
def test_broken_mail_gives_a_valid_answer(name: str) -> None:
    _check(vector(name))


def test_ordinary_mail_gives_a_valid_answer() -> None:
    for message in messages(100, seed=7):
        _check(message.data)


def test_truncated_and_altered_mail_gives_a_valid_answer() -> None:
    for message in messages(15, seed=8):
        data = message.data[:6_000]
        for cut in range(0, len(data), 211):
            _check(data[:cut])
            _check(data[:cut] + b"\0\xff\r" + data[cut + 3 :])


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(many_parts(10_000), id="10,000 parts"),
        pytest.param(many_parts(60_000), id="60,000 parts"),
        pytest.param(nested_multiparts(1_000), id="multiparts 1,000 deep"),
        pytest.param(nested_messages(1_000), id="messages 1,000 deep"),
        pytest.param(b"X: " + b"a" * 3_000_000 + b"\r\n\r\nbody", id="a huge header line"),
        pytest.param(b"X: a\r\n" * 300_000 + b"\r\nbody", id="a huge header"),
        pytest.param(b"\r\n" * 1_000_000, id="empty lines"),
        pytest.param(b"To: " + b"a@example.com, " * 60_000 + b"\r\n\r\n", id="60,000 addresses"),
        pytest.param(b"To: " + b"(" * 500_000, id="unclosed comments"),
        pytest.param(b"To: " + b'"' * 500_001, id="unclosed quotes"),
        pytest.param(b"To: " + b'\\"' * 300_000, id="escaped quotes"),
        pytest.param(b"To: " + b"<" * 500_000, id="angle brackets"),
        pytest.param(b"To: " + b"a:" * 200_000, id="group marks"),
        pytest.param(b"To: " + b"<@a," * 100_000, id="routes"),
        pytest.param(b"Subject: " + b"=?utf-8?q?a?= " * 60_000, id="encoded words"),
        pytest.param(
            nested_multiparts(90)[:-2_000] + b"\r\n--\r\n--level" * 100_000, id="lines like boundaries, 90 levels open"
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=\r\n\r\n" + b"--\n" * 300_000, id="an empty boundary, often"
        ),
    ],
)
def test_hostile_mail_is_answered_in_bounded_time(data: bytes) -> None:
    _check(data)


def _count(part: Part) -> int:
    inner = [*part.children, *([part.message] if part.message else [])]
    return 1 + sum(map(_count, inner))


def _depth(part: Part) -> int:
    inner = [*part.children, *([part.message] if part.message else [])]
    return 1 + max(map(_depth, inner), default=0)


def test_parts_and_depth_are_bounded() -> None:
    assert _count(scan(many_parts(MAX_PARTS + 50))) == MAX_PARTS
    assert _depth(scan(nested_multiparts(MAX_DEPTH * 3))) == MAX_DEPTH
    assert _depth(scan(nested_messages(MAX_DEPTH * 3))) == MAX_DEPTH


def test_what_is_too_deep_is_opaque() -> None:
    part = scan(nested_messages(MAX_DEPTH * 3))
    while part.message is not None:
        part = part.message
    assert (part.type, part.subtype) == (b"application", b"octet-stream")


def test_the_line_end_before_a_boundary_belongs_to_it() -> None:
    data = vector("multipart-plain")
    bodies = [data[child.body_start : child.end] for child in scan(data).children]
    assert bodies == [b"one", b"two"]


def test_an_outer_boundary_ends_what_is_unclosed_inside() -> None:
    data = vector("multipart-nested-inner-unclosed")
    root = scan(data)
    assert [child.subtype for child in root.children] == [b"alternative", b"plain"]
    assert [data[child.body_start : child.end] for child in root.children[0].children] == [b"one"]


def test_a_boundary_that_begins_like_the_outer_one_is_the_inner_one() -> None:
    data = vector("multipart-nested-inner-has-outer-as-prefix")
    (inner,) = scan(data).children
    assert [data[child.body_start : child.end] for child in inner.children] == [b"one"]


def test_lines_of_an_embedded_message_count_its_header() -> None:
    part = scan(vector("message-alone"))
    assert part.message is not None
    assert (part.lines, part.message.lines) == (5, 2)


def test_a_multipart_without_parts_has_an_empty_one() -> None:
    (child,) = scan(vector("multipart-without-parts")).children
    assert (child.type, child.subtype, child.size_octets) == (b"text", b"plain", 0)
