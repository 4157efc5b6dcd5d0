from __future__ import annotations

import gzip
import random
import zlib

import pytest

from connectors.transport.decoding import PIECE_OCTETS, BadCoding, Decoder

TEXT = random.Random(1).randbytes(100_000) + b"mail " * 100_000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def decoded(coding: str, data: bytes, step: int) -> bytes:
    decoder = Decoder(coding)
    pieces = [piece for start in range(0, len(data), step) for piece in decoder.feed(data[start : start + step])]
    decoder.finish()
    assert max(map(len, pieces), default=0) <= PIECE_OCTETS
    return b"".join(pieces)


@pytest.mark.parametrize("step", [1000, 65536, 10_000_000])
@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        (" GZIP ", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:150_000]) + gzip.compress(TEXT[150_000:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
    ids=["none", "identity", "gzip", "spaced", "x-gzip", "members", "zlib", "bare"],
)
def test_a_body_is_decoded_in_small_pieces(coding: str, data: bytes, step: int) -> None:
    assert decoded(coding, data, step) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_is_decoded_octet_by_octet(coding: str) -> None:
    data = gzip.compress(b"mail" * 100) if coding == "gzip" else zlib.compress(b"mail" * 100)
    assert decoded(coding, data, 1) == b"mail" * 100


@pytest.mark.parametrize("coding", ["gzip", "deflate", ""])
def test_an_empty_body_is_empty_in_any_coding(coding: str) -> None:
    decoder = Decoder(coding)
    assert list(decoder.feed(b"")) == []
    decoder.finish()


def test_a_bomb_comes_out_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < PIECE_OCTETS
    total = 0
    for piece in Decoder("gzip").feed(bomb):
        assert len(piece) <= PIECE_OCTETS
        total += len(piece)
        if total > 1_000_000:
            break
    assert total < 1_100_000


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", b"this is no gzip"),
        ("gzip", gzip.compress(b"mail") + b"and more"),
        ("deflate", b"this is no deflate"),
        ("deflate", zlib.compress(TEXT)[:50] + b"garbage" * 1000),
    ],
    ids=range(4),
)
def test_garbage_is_told(coding: str, data: bytes) -> None:
    with pytest.raises(BadCoding):
        decoded(coding, data, 64)


@pytest.mark.parametrize(
    ("coding", "data"), [("gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT))], ids=["gzip", "deflate"]
)
def test_a_body_that_ends_early_is_told(coding: str, data: bytes) -> None:
    with pytest.raises(BadCoding, match="ends in the middle"):
        decoded(coding, data[:-5], 65536)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", "x" * 1000])
def test_a_coding_that_was_not_asked_for_is_refused(coding: str) -> None:
    with pytest.raises(BadCoding, match="not asked for"):
        Decoder(coding)
