"""Line ends, headers and streaming."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.errors import Unavailable
from connectors.maildir import content
from connectors.maildir.content import WHOLE_OCTETS, count_bare_lf, open_content, read_header, read_small, to_crlf
from tests.conformance.rig import octets

LINES = st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\0"]), max_size=12).map(b"".join)


@given(st.lists(LINES, max_size=5))
def test_bare_lf_is_counted_across_pieces(pieces: list[bytes]) -> None:
    whole, bare, previous = b"".join(pieces), 0, b""
    for piece in pieces:
        bare += count_bare_lf(piece, previous)
        previous = piece or previous
    assert len(to_crlf(whole)) == len(whole) + bare


@pytest.mark.parametrize(
    ("stored", "served"),
    [
        (b"a\nb", b"a\r\nb"),
        (b"a\r\nb\n", b"a\r\nb\r\n"),
        (b"\r\r\n\n", b"\r\r\n\r\n"),
        (b"a\rb\r", b"a\rb\r"),
        (b"", b""),
    ],
)
def test_only_bare_lf_is_changed(stored: bytes, served: bytes) -> None:
    assert to_crlf(stored) == served


@pytest.mark.parametrize("is_verbatim", [True, False])
@pytest.mark.parametrize("data", [b"a\r\nb\nc\r\n\n", b"\r\n" * 40, b"\n\r" * 33, b"x" * 100, b"\r" * 64 + b"\n"])
async def test_big_files_are_converted_across_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, is_verbatim: bool
) -> None:
    monkeypatch.setattr(content, "WHOLE_OCTETS", 0)
    for length in (1, 2, 3, 7):
        monkeypatch.setattr(content, "READ_OCTETS", length)
        (tmp_path / "m").write_bytes(data)
        opened = open_content(str(tmp_path / "m"), is_verbatim=is_verbatim)
        os.unlink(tmp_path / "m")
        expected = data if is_verbatim else to_crlf(data)
        assert opened.size == len(expected)
        assert await octets(opened) == expected
        assert await octets(opened) == expected


@pytest.mark.parametrize("is_verbatim", [True, False])
def test_a_small_file_is_closed_once_it_is_read(tmp_path: Path, is_verbatim: bool) -> None:
    (tmp_path / "m").write_bytes(b"a\nb\n")
    open_content(str(tmp_path / "m"), is_verbatim=is_verbatim)
    held = {os.path.realpath(each.path) for each in os.scandir("/proc/self/fd")}
    assert str((tmp_path / "m").resolve()) not in held


async def test_a_file_cut_short_in_place_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "WHOLE_OCTETS", 0)
    (tmp_path / "m").write_bytes(b"a" * 100)
    opened = open_content(str(tmp_path / "m"), is_verbatim=True)
    os.truncate(tmp_path / "m", 50)
    with pytest.raises(Unavailable):
        await octets(opened)


async def test_the_descriptor_is_closed_with_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "WHOLE_OCTETS", 0)
    (tmp_path / "m").write_bytes(b"a" * 100)
    before = len(os.listdir("/proc/self/fd"))
    opened = open_content(str(tmp_path / "m"), is_verbatim=True)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del opened
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("stored", "header"),
    [
        (b"A: b\nC: d\n\nbody\n", b"A: b\r\nC: d\r\n\r\n"),
        (b"A: b\r\n\r\nbody", b"A: b\r\n\r\n"),
        (b"A: b\r\n\nbody", b"A: b\r\n\r\n"),
        (b"\nbody", b"\r\n"),
        (b"\r\nbody", b"\r\n"),
        (b"A: b\n", b"A: b\r\n"),
        (b"A: b\r", b"A: b\r"),
        (b"", b""),
    ],
)
def test_the_header_ends_with_the_empty_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bytes, header: bytes
) -> None:
    (tmp_path / "m").write_bytes(stored)
    for octets_at_once in (1, 2, 3, 1000):
        monkeypatch.setattr(content, "HEADER_OCTETS", octets_at_once)
        found, size = read_header(str(tmp_path / "m"), is_verbatim=False)
        assert found == header
        assert size in (None, len(to_crlf(stored)))


def test_only_the_beginning_of_a_big_file_is_read_for_its_header(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"A: b\n\n" + b"x" * 1_000_000)
    assert read_header(str(tmp_path / "m"), is_verbatim=False) == (b"A: b\r\n\r\n", None)


def test_a_verbatim_header_keeps_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"A: b\n\nbody\n")
    assert read_header(str(tmp_path / "m"), is_verbatim=True) == (b"A: b\n\n", 11)


@pytest.mark.parametrize("is_verbatim", [False, True])
async def test_a_small_file_of_known_size_is_read_at_once(tmp_path: Path, is_verbatim: bool) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"a\nb\r\n")
    found = read_small(str(path), 5, is_verbatim=is_verbatim)
    assert found is not None
    assert await octets(found) == (b"a\nb\r\n" if is_verbatim else b"a\r\nb\r\n")


def test_a_large_file_or_one_of_another_size_is_left_to_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"x" * (WHOLE_OCTETS + 1))
    assert read_small(str(path), WHOLE_OCTETS + 1, is_verbatim=True) is None
    path.write_bytes(b"abc")
    assert [read_small(str(path), size, is_verbatim=True) for size in (2, 4)] == [None, None]
    with pytest.raises(FileNotFoundError):
        read_small(str(tmp_path / "none"), 3, is_verbatim=True)
