"""Octets of parts without their transfer encoding."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.graph.parts import Octets, Part


def decoded(data: bytes, encoding: str) -> bytes:
    return b"".join(Octets(data, 0, len(data), encoding).pieces())


@given(st.binary(max_size=4000))
def test_base64_in_lines_is_decoded(data: bytes) -> None:
    assert decoded(base64.encodebytes(data), "base64") == data


@given(st.binary(max_size=2000))
def test_quoted_printable_is_decoded(data: bytes) -> None:
    assert decoded(quopri.encodestring(data), "quoted-printable") == data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"YWJj\r\n!ZGVm*", b"abcdef"),
        (b"YQ==YmM=\r\nZGVm", b"abcdef"),
        (b"YWJjZ", b"abc"),
        (b"YWJjZG", b"abcd"),
        (b"", b""),
        (b"====", b""),
    ],
)
def test_broken_base64_gives_what_can_be_had(data: bytes, expected: bytes) -> None:
    assert decoded(data, "base64") == expected


async def test_many_windows_are_joined_without_a_seam() -> None:
    data = bytes(range(256)) * 8192
    encoded = base64.encodebytes(data)
    octets = Octets(encoded, 0, len(encoded), "base64")
    chunks = [chunk async for chunk in octets.chunks()]
    assert b"".join(chunks) == data
    assert octets.size == len(data)
    assert max(len(chunk) for chunk in chunks) <= 1 << 20


def test_a_line_of_quoted_printable_that_never_ends_is_cut_between_characters() -> None:
    data = b"=41=42=43" * 100_000
    assert decoded(data, "quoted-printable") == b"ABC" * 100_000


def test_octets_in_no_known_encoding_stay_as_they_are() -> None:
    assert decoded(b"begin 644 x\nabc", "x-uuencode") == b"begin 644 x\nabc"


def test_the_octets_in_json_are_never_more_than_was_said() -> None:
    part = Part("ü" * 100, "text/plain", Octets(b"x" * 1001, 0, 1001), "id@example.org", True)
    assert len(str(part.as_json())) <= part.json_octets
