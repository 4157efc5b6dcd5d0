from __future__ import annotations

import random
import zlib

import pytest

from gateway.imap.deflate import DeflateError, DeflateLayer

MOST = 1000
TEXT = b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n" * 100


class Client:
    """The other end, by zlib alone."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._inflate = zlib.decompressobj(-15)

    def sent(self, data: bytes, *, is_last: bool = False) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)

    def read(self, data: bytes) -> bytes:
        return self._inflate.decompress(data)

    @property
    def is_at_end(self) -> bool:
        return self._inflate.eof


def expanded(layer: DeflateLayer) -> list[bytes]:
    pieces = []
    while piece := layer.expand(MOST):
        pieces.append(piece)
    return pieces


def test_what_is_sent_is_there_at_once_and_smaller() -> None:
    layer, client = DeflateLayer(), Client()
    first = layer.compress(TEXT)
    assert len(first) * 10 < len(TEXT)
    assert client.read(first) == TEXT
    assert client.read(layer.compress(b"a OK\r\n")) == b"a OK\r\n"
    assert not client.is_at_end
    assert client.read(layer.finish(b"b OK\r\n")) == b"b OK\r\n"
    assert client.is_at_end


def test_octets_may_come_one_by_one() -> None:
    layer = DeflateLayer()
    came = b""
    for octet in Client().sent(TEXT):
        layer.feed(bytes([octet]))
        came += b"".join(expanded(layer))
    assert came == TEXT
    assert layer.received_octets == 0


def test_no_piece_is_larger_than_asked_for_and_nothing_is_lost() -> None:
    layer = DeflateLayer()
    data = bytes(500_000) + random.Random(5).randbytes(20_000) + bytes(MOST)
    layer.feed(Client().sent(data))
    pieces = expanded(layer)
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) == MOST


@pytest.mark.parametrize("garbage", [b"a1 NOOP\r\n", b"\xff" * 10, b"\x06\x00"])
def test_what_is_no_deflate_is_told(garbage: bytes) -> None:
    layer = DeflateLayer()
    layer.feed(garbage)
    with pytest.raises(DeflateError):
        expanded(layer)
    assert layer.expand(MOST) == b""


def test_what_follows_the_end_of_the_stream_is_kept_apart() -> None:
    layer = DeflateLayer()
    layer.feed(Client().sent(TEXT, is_last=True) + b"a1 NOOP\r\n")
    assert b"".join(expanded(layer)) == TEXT
    assert layer.is_ended
    layer.feed(b"a2 NOOP\r\n")
    assert layer.expand(MOST) == b""
    assert layer.take_rest() == b"a1 NOOP\r\na2 NOOP\r\n"
    assert layer.take_rest() == b""


def test_an_end_behind_a_flush_belongs_to_the_stream() -> None:
    layer, client = DeflateLayer(), Client()
    layer.feed(client.sent(TEXT))
    assert b"".join(expanded(layer)) == TEXT
    layer.feed(client.sent(b"", is_last=True) + b"a1 NOOP\r\n")
    assert layer.take_rest() == b"a1 NOOP\r\n"
