"""The MIME tree that messages are rebuilt from."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.graph.mime import MAX_DEPTH, MAX_PARTS, Entity, read_parameters, read_tree

VECTORS = Path(__file__).parents[2] / "vectors" / "mail"


def body(data: bytes, entity: Entity) -> bytes:
    return data[entity.body_start : entity.end]


def leaves(entity: Entity) -> Iterator[Entity]:
    if not entity.children:
        yield entity
    for child in entity.children:
        yield from leaves(child)


def test_parts_end_before_the_line_end_of_their_boundary() -> None:
    data = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n--b\r\n\r\none\r\n'
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n\r\n--b--\r\nepilogue\r\n"
    )
    one, two = read_tree(data).root.children
    assert (one.type, body(data, one)) == ("text/plain", b"one")
    assert (two.type, body(data, two)) == ("text/html", b"<p>\r\n")


def test_an_inner_boundary_that_begins_like_the_outer_one_is_another() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b2\n\n"
        b"--b2\n\nplain\n--b2\nContent-Type: text/html\n\nhtml\n--b2--\n--b\n\nafter\n--b--\n"
    )
    inner, after = read_tree(data).root.children
    assert [body(data, child) for child in inner.children] == [b"plain", b"html"]
    assert body(data, after) == b"after"


def test_a_missing_last_boundary_is_the_end_of_the_message() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n"
    assert [body(data, part) for part in read_tree(data).root.children] == [b"one", b"two\n"]


def test_an_empty_part_between_boundaries_is_kept() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\ntwo\n--b--\n"
    assert [body(data, part) for part in read_tree(data).root.children] == [b"", b"two"]


def test_a_multipart_without_its_boundary_is_text() -> None:
    data = b"Content-Type: multipart/mixed; boundary=missing\r\n\r\nwords\r\n"
    root = read_tree(data).root
    assert (root.type, root.children, body(data, root)) == ("text/plain", (), b"words\r\n")


def test_parts_of_a_digest_are_messages() -> None:
    data = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b--\n"
    assert read_tree(data).root.children[0].type == "message/rfc822"


def test_nesting_beyond_the_bound_is_told() -> None:
    data = b"".join(b"Content-Type: multipart/mixed; boundary=x%db\n\n--x%db\n" % (n, n) for n in range(MAX_DEPTH + 5))
    assert not read_tree(data + b"\ntext\n").is_whole


def test_more_parts_than_the_bound_are_told() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * (MAX_PARTS + 5) + b"--b--\n"
    tree = read_tree(data)
    assert not tree.is_whole
    assert len(tree.root.children) <= MAX_PARTS


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (b'text/plain; charset="utf-8"', "charset", "utf-8"),
        (b'x/y; name="a \\"b\\" c"', "name", 'a "b" c'),
        (b"x/y; name=a b.txt", "name", "a b.txt"),
        (b"x/y; filename*=utf-8''%C3%9Cbersicht.pdf", "filename", "Übersicht.pdf"),
        (b"x/y; filename*0*=utf-8''%C3; filename*1*=%9Cber; filename*2=.pdf", "filename", "Über.pdf"),
        (b"x/y; filename=plain.pdf; filename*=iso-8859-1''caf%E9.pdf", "filename", "café.pdf"),
        (b'x/y; name="=?utf-8?B?w5xiZXI=?="', "name", "Über"),
        (b'x/y; name="\xc3\x9cber"', "name", "Über"),
        (b"x/y; name=\xdcber", "name", "Über"),
    ],
)
def test_parameters_are_decoded(value: bytes, name: str, expected: str) -> None:
    assert read_parameters(value)[name] == expected


def test_a_mapped_file_gives_the_same_tree_as_memory() -> None:
    data = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\none\r\n--b--\r\n'
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            assert read_tree(buffer) == read_tree(data)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.eml")), ids=lambda path: path.stem)
def test_spans_of_broken_mail_lie_within_the_message(path: Path) -> None:
    data = path.read_bytes()
    tree = read_tree(data)
    for leaf in leaves(tree.root):
        assert 0 <= leaf.start <= leaf.body_start <= leaf.end <= len(data)


LINES = st.sampled_from(
    [b"--b", b"--b--", b"", b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/x; boundary=c",
     b"--c", b"--c--", b"text", b"Content-Transfer-Encoding: base64", b" folded", b"\x00\xff:"]
)  # fmt: skip


@given(st.lists(LINES, max_size=40), st.sampled_from([b"\r\n", b"\n", b"\r"]))
@settings(max_examples=150, deadline=None)
def test_any_lines_make_a_tree(lines: list[bytes], end: bytes) -> None:
    data = b"Content-Type: multipart/mixed; boundary=b" + end + end.join(lines)
    tree = read_tree(data)
    for leaf in leaves(tree.root):
        assert 0 <= leaf.start <= leaf.body_start <= leaf.end <= len(data)
