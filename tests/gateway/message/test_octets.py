from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from gateway.message.octets import Buffer, count_lines, find, take

DATA = (b"x" * 70 + b"\r\n") * 8_000 + b"--needle\r\n"


@pytest.fixture(params=["bytes", "memoryview", "mmap"])
def buffer(request: pytest.FixtureRequest, tmp_path: Path) -> Buffer:
    if request.param == "bytes":
        return DATA
    if request.param == "memoryview":
        return memoryview(DATA)
    path = tmp_path / "message"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def test_a_needle_is_found_across_windows(buffer: Buffer) -> None:
    assert find(buffer, b"\n--needle", 0, len(buffer)) == DATA.index(b"\n--needle")


@pytest.mark.parametrize("shift", range(12))
def test_a_needle_on_the_border_of_two_windows_is_found(shift: int) -> None:
    data = b"x" * ((1 << 18) - shift) + b"\n--needle" + b"y" * 100
    assert find(memoryview(data), b"\n--needle", 0, len(data)) == (1 << 18) - shift


def test_a_needle_that_reaches_beyond_the_end_is_not_found(buffer: Buffer) -> None:
    at = DATA.index(b"--needle")
    assert find(buffer, b"--needle", 0, at + 8) == at
    assert find(buffer, b"--needle", 0, at + 7) == -1
    assert find(buffer, b"--needle", at + 1, len(buffer)) == -1


def test_lines_are_counted_by_line_feeds(buffer: Buffer) -> None:
    assert count_lines(buffer, 0, len(buffer)) == 8_001
    assert count_lines(buffer, 0, 71) == 0
    assert count_lines(buffer, 0, 72) == 1


def test_octets_are_taken_as_bytes(buffer: Buffer) -> None:
    assert take(buffer, 69, 73) == b"x\r\nx"
