from __future__ import annotations

import base64
import binascii
import random

import pytest

from gateway.message.binary import UnknownEncoding, decode_part, decoded_size, iter_decoded
from gateway.message.scan import scan
from tests.gateway.message.samples import vector


def _message(encoding: bytes, body: bytes, kind: bytes = b"application/octet-stream") -> bytes:
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (kind, encoding, body)


def _decoded(data: bytes) -> bytes | None:
    root = scan(data)
    octets = decode_part(root, (1,), data)
    assert decoded_size(root, (1,), data) == (None if octets is None else len(octets))
    assert decode_part(root, (1,), memoryview(data)) == octets
    return octets


@pytest.mark.parametrize(
    ("encoding", "body", "octets"),
    [
        (b"7bit", b"a\r\n", b"a\r\n"),
        (b"8BIT", b"\xfc\n", b"\xfc\n"),
        (b"binary", b"a\0b\n", b"a\0b\n"),
        (b"base64", b"SGVsbG8=\r\n", b"Hello"),
        (b"Base64", b"SGVs\r\nbG8=", b"Hello"),
        (b"base64", b"SGVsbG8", b"Hello"),
        (b"base64", b"SG!Vs-bG8=", b"Hello"),
        (b"base64", b"SGVsbG8=SGVsbG8=", b"Hello"),
        (b"base64", b"SGVsbG8hS", b"Hello!"),
        (b"base64", b"=", b""),
        (b"base64", b"", b""),
        (b"quoted-printable", b"a=3Db=\r\nc\r\n", b"a=bc\r\n"),
        (b"quoted-printable", b"a  \t\r\nb=20\r\n", b"a\r\nb \r\n"),
        (b"quoted-printable", b"=zz=3", b"=zz=3"),
        (b"quoted-printable", b"=fc=FC", b"\xfc\xfc"),
    ],
)
def test_encodings(encoding: bytes, body: bytes, octets: bytes) -> None:
    assert _decoded(_message(encoding, body)) == octets


@pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"quoted-printable"])
def test_lines_of_text_end_in_crlf(encoding: bytes) -> None:
    assert _decoded(_message(encoding, b"a\nb\r\nc", b"text/plain")) == b"a\r\nb\r\nc"


def test_text_in_base64_comes_as_it_was_encoded() -> None:
    assert _decoded(_message(b"base64", base64.b64encode(b"a\nb"), b"text/plain")) == b"a\nb"


def test_large_parts_are_decoded_in_pieces() -> None:
    octets = random.Random(1).randbytes(1_500_000)
    data = _message(b"base64", base64.encodebytes(octets).replace(b"\n", b"\r\n"))
    pieces = list(iter_decoded(scan(data), data))
    assert b"".join(pieces) == octets
    assert max(map(len, pieces)) <= 1 << 18
    printable = b"".join(
        binascii.b2a_qp(octets[start : start + 20], istext=False) + b"=\r\n" for start in range(0, 300_000, 20)
    )
    assert _decoded(_message(b"quoted-printable", printable)) == octets[:300_000]


def test_an_unknown_encoding_is_told() -> None:
    data = _message(b"x-uuencode", b"begin")
    for call in (decode_part, decoded_size):
        with pytest.raises(UnknownEncoding) as caught:
            call(scan(data), (1,), data)
        assert caught.value.encoding == b"x-uuencode"


def test_a_missing_part_is_none() -> None:
    data = vector("multipart-plain")
    assert decode_part(scan(data), (3,), data) is None
    assert decoded_size(scan(data), (3,), data) is None


def test_the_whole_message_and_compound_parts_come_as_they_are() -> None:
    data = vector("message-base64")
    root = scan(data)
    assert decode_part(root, (), data) == data
    assert decoded_size(root, (), data) == len(data)
    assert decode_part(root, (1,), data) == data[root.body_start :]
