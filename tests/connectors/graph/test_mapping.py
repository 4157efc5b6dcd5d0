"""Messages in one piece."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from connectors.api.errors import Rejected
from connectors.api.types import BytesContent
from connectors.graph.mapping import mapped


@pytest.mark.parametrize(
    ("octets", "kind"), [(0, bytes), (5, bytes), (1 << 20, bytes), ((1 << 20) + 1, mmap.mmap), (3_500_000, mmap.mmap)]
)
async def test_octets_are_as_they_came(octets: int, kind: type) -> None:
    data = bytes(range(256)) * (octets // 256) + bytes(octets % 256)
    async with mapped(BytesContent(data)) as message:
        assert isinstance(message.buffer, kind)
        assert message.buffer[:] == data
        assert message.digest == hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Short:
    """Content that ends early."""

    size: int

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"x" * (self.size - 1)


@pytest.mark.parametrize("octets", [10, 2_000_000])
async def test_content_that_ends_early_is_not_stored(octets: int) -> None:
    with pytest.raises(Rejected, match=str(octets)):
        async with mapped(Short(octets)):
            pytest.fail("half a message was handed on")
