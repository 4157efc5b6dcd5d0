"""Octets of a file are read where that costs least."""

from __future__ import annotations

import asyncio

import pytest

from gateway.message.octets import Buffer
from gateway.store.disk_wait import DiskWait
from gateway.sync.open_body import ON_LOOP_OCTETS, FileBody


class Noting(FileBody):
    """A file that notes whether it is read on the event loop."""

    def __init__(self) -> None:
        self.size = 10 * ON_LOOP_OCTETS
        self.on_loop: list[bool] = []

    def _read(self, offset: int, length: int) -> bytes:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.on_loop.append(False)
        else:
            self.on_loop.append(True)
        return b"x" * length

    def buffer(self) -> Buffer:
        return b""

    def close(self) -> None:
        return None


async def test_after_a_piece_that_waited_for_the_disk_the_next_is_read_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = Noting()
    for waits in (False, True, True, False, False):
        monkeypatch.setattr(DiskWait, "is_long", lambda _, waits=waits: waits)
        assert await body.read(0, 5) == b"xxxxx"
    assert body.on_loop == [True, True, False, False, True]


async def test_a_large_piece_is_always_read_in_a_thread() -> None:
    body = Noting()
    assert len(await body.read(0, ON_LOOP_OCTETS + 1)) == ON_LOOP_OCTETS + 1
    assert body.on_loop == [False]
