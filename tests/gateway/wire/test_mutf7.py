from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import mutf7


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("", b""),
        ("INBOX/a b", b"INBOX/a b"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 section 5.1.3
        ("☺!", b"&Jjo-!"),
        ("A&B", b"A&-B"),
        ("&&", b"&-&-"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("😀", b"&2D3eAA-"),
        ("tab\t", b"tab&AAk-"),
    ],
)
def test_names_both_ways(name: str, wire: bytes) -> None:
    assert mutf7.encode(name) == wire
    assert mutf7.decode(wire) == name


@pytest.mark.parametrize(
    "wire",
    [
        b"AT&T",
        b"&Jjo!",  # RFC 3501 section 5.1.3: no shift back
        b"&U,BTFw-&ZeVnLIqe-",  # the same place: superfluous shift
        b"&AGE-",  # "a" needs no encoding
        b"&A-",
        b"&AAA",
        b"&2D0-",  # half a surrogate pair
        b"&APx-",  # bits left over
        b"caf\xc3\xa9",
        b"a\r\n",
    ],
)
def test_malformed_names_are_refused(wire: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- every kind of ValueError is the contract
        mutf7.decode(wire)


def test_unpaired_surrogate_is_replaced() -> None:
    assert mutf7.decode(mutf7.encode("a\ud800b")) == "a\ufffdb"


@given(st.text())
def test_every_name_survives(name: str) -> None:
    wire = mutf7.encode(name)
    assert wire.isascii()
    assert b"\r" not in wire
    assert b"\n" not in wire
    assert mutf7.decode(wire) == name


@given(st.binary(max_size=40))
def test_one_name_has_one_spelling(wire: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert mutf7.encode(mutf7.decode(wire)) == wire
