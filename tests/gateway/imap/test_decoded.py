from __future__ import annotations

import base64
import random
from typing import cast

import pytest

from gateway.imap.decoded import Decoded
from gateway.mailbox.fetch import Body
from gateway.message.binary import UnknownEncoding
from gateway.message.octets import Buffer
from gateway.message.part import Part
from gateway.message.scan import scan

SMALL = b"0123456789"
# Several times what is decoded at a time, and more than is kept.
LARGE = random.Random(1).randbytes(1_500_000)


class HeldBody:
    """A message in memory that counts how often it was looked into."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.part: Part = scan(data)
        self.looks = 0

    @property
    def buffer(self) -> Buffer:
        self.looks += 1
        return self._data


def held(content: bytes, encoding: bytes = b"base64") -> HeldBody:
    head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: %b\r\n\r\n" % encoding
    return HeldBody(head + base64.encodebytes(content))


async def sent(body: HeldBody, partial: tuple[int, int] | None) -> tuple[Decoded, bytes]:
    decoded = Decoded(cast(Body, body), (1,), partial)
    await decoded.measure()
    return decoded, b"".join([piece async for piece in decoded.wanted()])


@pytest.mark.parametrize("content", [b"", SMALL, LARGE])
@pytest.mark.parametrize(
    "partial", [None, (0, 1), (3, 4), (9, 9), (10, 1), (196_000, 1_200_000), (1_499_999, 5), (2**62, 2**62)]
)
async def test_what_is_measured_is_what_is_sent(content: bytes, partial: tuple[int, int] | None) -> None:
    decoded, octets = await sent(held(content), partial)
    assert octets == (content if partial is None else content[partial[0] : sum(partial)])
    assert (decoded.size, decoded.length) == (len(content), len(octets))
    assert decoded.has_nul == (b"\0" in octets)


async def test_only_what_is_large_is_decoded_a_second_time() -> None:
    async def looks(content: bytes, partial: tuple[int, int] | None = None) -> int:
        body = held(content)
        await sent(body, partial)
        return body.looks

    assert await looks(LARGE) == await looks(SMALL) + 1
    assert await looks(LARGE, (7, 100)) == await looks(SMALL)


async def test_a_part_that_is_missing_or_cannot_be_decoded_is_known_before_anything_is_measured() -> None:
    assert Decoded(cast(Body, held(SMALL)), (2,), None).is_missing
    assert not Decoded(cast(Body, held(SMALL)), (1,), None).is_missing
    with pytest.raises(UnknownEncoding):
        Decoded(cast(Body, held(SMALL, b"x-uuencode")), (1,), None)
