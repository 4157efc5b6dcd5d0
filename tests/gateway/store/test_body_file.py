"""The files of the body cache: what is written is what is read, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.store.body_file import (
    BLOCK_OCTETS,
    HEADER_OCTETS,
    BodyDamaged,
    BodyEncoder,
    BodyKey,
    PlainFile,
    SealedFile,
    decode_file,
    open_file,
)

KEY = BodyKey(3, 77, 1)
SECRET = bytes(range(32))
SIZES = [0, 1, 100, BLOCK_OCTETS - 1, BLOCK_OCTETS, BLOCK_OCTETS + 1, 3 * BLOCK_OCTETS, 3 * BLOCK_OCTETS + 17]
secrets = pytest.mark.parametrize("secret", [None, SECRET], ids=["plain", "sealed"])


def content(size: int) -> bytes:
    return (b"0123456789abcdef\r\n" * (size // 18 + 1))[:size]


def write(path: Path, data: bytes, secret: bytes | None, step: int = 5000, key: BodyKey = KEY) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    encoder = BodyEncoder(descriptor, key, secret)
    for start in range(0, len(data), step):
        encoder.add(data[start : start + step])
    encoder.finish()
    assert encoder.size == len(data)
    os.close(descriptor)


@secrets
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [777, BLOCK_OCTETS, 10 * BLOCK_OCTETS])
def test_what_is_written_is_read(tmp_path: Path, secret: bytes | None, size: int, step: int) -> None:
    data = content(size)
    write(tmp_path / "f", data, secret, step)
    file = open_file(tmp_path / "f", KEY, secret, is_trusted=False)
    assert isinstance(file, PlainFile if secret is None else SealedFile)
    assert file.size == size
    assert file.read(0, size + 10) == data
    assert bytes(file.buffer()) == data
    file.close()
    file.close()
    assert decode_file((tmp_path / "f").read_bytes(), KEY, secret, is_trusted=False) == data


@secrets
def test_any_range_can_be_read(tmp_path: Path, secret: bytes | None) -> None:
    data = content(2 * BLOCK_OCTETS + 100)
    write(tmp_path / "f", data, secret)
    file = open_file(tmp_path / "f", KEY, secret, is_trusted=True)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, len(data) + 10), st.integers(0, len(data) + 10))
    def check(offset: int, length: int) -> None:
        assert file.read(offset, length) == data[offset : offset + length]

    check()
    file.close()


def test_a_sealed_file_does_not_show_its_content(tmp_path: Path) -> None:
    write(tmp_path / "f", content(1000), SECRET)
    assert b"abcdef" not in (tmp_path / "f").read_bytes()


def test_equal_blocks_are_sealed_differently(tmp_path: Path) -> None:
    write(tmp_path / "f", bytes(2 * BLOCK_OCTETS), SECRET)
    write(tmp_path / "g", bytes(2 * BLOCK_OCTETS), SECRET)
    pieces = set()
    for name in "fg":
        raw = (tmp_path / name).read_bytes()[HEADER_OCTETS:]
        pieces |= {raw[:BLOCK_OCTETS], raw[BLOCK_OCTETS + 16 : 2 * BLOCK_OCTETS + 16]}
    assert len(pieces) == 4


def read_all(path: Path, secret: bytes | None, key: BodyKey = KEY) -> bytes:
    file = open_file(path, key, secret, is_trusted=False)
    try:
        return file.read(0, file.size)
    finally:
        file.close()


@secrets
def test_every_altered_octet_is_found_out(tmp_path: Path, secret: bytes | None) -> None:
    data = content(300)
    write(tmp_path / "f", data, secret)
    raw = (tmp_path / "f").read_bytes()
    unread = {5, 6, 7, 60, 61, 62, 63}  # padding
    if secret is not None:
        unread |= set(range(40, 44))  # the checksum, which sealed files do not use
    else:
        unread |= set(range(44, 60))  # the salt, which plain files do not use
    for index in set(range(len(raw))) - unread:
        altered = bytearray(raw)
        altered[index] ^= 0x40
        (tmp_path / "g").write_bytes(altered)
        with pytest.raises(BodyDamaged):
            read_all(tmp_path / "g", secret)


@secrets
@pytest.mark.parametrize("size", [10, 2 * BLOCK_OCTETS + 5])
def test_a_cut_or_longer_file_is_found_out(tmp_path: Path, secret: bytes | None, size: int) -> None:
    write(tmp_path / "f", content(size), secret)
    raw = (tmp_path / "f").read_bytes()
    cuts = [0, 1, HEADER_OCTETS - 1, HEADER_OCTETS, HEADER_OCTETS + BLOCK_OCTETS + 16, len(raw) - 1]
    for altered in (*(raw[:cut] for cut in cuts if cut < len(raw)), raw + b"x", raw * 2):
        (tmp_path / "g").write_bytes(altered)
        with pytest.raises(BodyDamaged):
            read_all(tmp_path / "g", secret)


def test_a_sealed_file_cut_after_a_block_does_not_open_even_with_a_fitting_header(tmp_path: Path) -> None:
    write(tmp_path / "f", content(3 * BLOCK_OCTETS), SECRET)
    raw = bytearray((tmp_path / "f").read_bytes()[: HEADER_OCTETS + 2 * (BLOCK_OCTETS + 16)])
    raw[32:40] = (2 * BLOCK_OCTETS).to_bytes(8, "big")
    (tmp_path / "f").write_bytes(raw)
    with pytest.raises(BodyDamaged, match="does not decrypt"):
        open_file(tmp_path / "f", KEY, SECRET, is_trusted=True)


def test_swapped_blocks_are_found_out(tmp_path: Path) -> None:
    write(tmp_path / "f", content(3 * BLOCK_OCTETS), SECRET)
    raw = (tmp_path / "f").read_bytes()
    header, rest = raw[:HEADER_OCTETS], raw[HEADER_OCTETS:]
    step = BLOCK_OCTETS + 16
    (tmp_path / "f").write_bytes(header + rest[step : 2 * step] + rest[:step] + rest[2 * step :])
    with pytest.raises(BodyDamaged):
        read_all(tmp_path / "f", SECRET)


@secrets
def test_a_file_of_another_message_does_not_open(tmp_path: Path, secret: bytes | None) -> None:
    write(tmp_path / "f", content(10), secret)
    for key in (BodyKey(3, 78, 1), BodyKey(4, 77, 1), BodyKey(3, 77, 2)):
        with pytest.raises(BodyDamaged):
            read_all(tmp_path / "f", secret, key)
    if secret is not None:
        # Not even if its header is made to say so.
        raw = bytearray((tmp_path / "f").read_bytes())
        raw[16:24] = (78).to_bytes(8, "big")
        (tmp_path / "f").write_bytes(raw)
        with pytest.raises(BodyDamaged, match="does not decrypt"):
            read_all(tmp_path / "f", secret, BodyKey(3, 78, 1))


def test_a_file_opens_only_as_it_was_sealed(tmp_path: Path) -> None:
    write(tmp_path / "plain", content(10), None)
    write(tmp_path / "sealed", content(10), SECRET)
    with pytest.raises(BodyDamaged):
        read_all(tmp_path / "plain", SECRET)
    with pytest.raises(BodyDamaged):
        read_all(tmp_path / "sealed", None)
    with pytest.raises(BodyDamaged):
        read_all(tmp_path / "sealed", bytes(32))


def test_a_file_cut_while_it_is_open_is_an_error_and_no_signal(tmp_path: Path) -> None:
    write(tmp_path / "f", content(100_000), None)
    file = open_file(tmp_path / "f", KEY, None, is_trusted=True)
    os.truncate(tmp_path / "f", 5000)
    with pytest.raises(BodyDamaged):
        file.buffer()
    with pytest.raises(BodyDamaged):
        file.read(50_000, 10)
    file.close()


def test_a_slice_outlives_the_file_it_was_taken_from(tmp_path: Path) -> None:
    write(tmp_path / "f", content(1000), None)
    file = open_file(tmp_path / "f", KEY, None, is_trusted=True)
    part = file.buffer()[10:20]
    file.close()
    assert bytes(part) == content(1000)[10:20]


@secrets
@pytest.mark.parametrize("size", [100, BLOCK_OCTETS + 17])
def test_a_file_that_was_read_whole_is_checked_like_one_that_is_opened(
    tmp_path: Path, secret: bytes | None, size: int
) -> None:
    write(tmp_path / "f", content(size), secret)
    raw = (tmp_path / "f").read_bytes()
    for place in (0, 8, 20, HEADER_OCTETS, len(raw) - 1):
        altered = bytearray(raw)
        altered[place] ^= 1
        with pytest.raises(BodyDamaged):
            decode_file(bytes(altered), KEY, secret, is_trusted=False)
    for other in (raw[:-1], raw + b"x", raw[:10], b""):
        with pytest.raises(BodyDamaged):
            decode_file(other, KEY, secret, is_trusted=True)
    with pytest.raises(BodyDamaged):
        decode_file(raw, BodyKey(3, 78, 1), secret, is_trusted=True)
    with pytest.raises(BodyDamaged):
        decode_file(raw, KEY, SECRET if secret is None else None, is_trusted=True)
