from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager

import pytest

from connectors.api.errors import Rejected
from connectors.api.types import BytesContent
from connectors.imap.sheaf import LARGE_OCTETS, Sheaf
from connectors.imap.transport import Transport


class Wire(Transport):
    """A transport that notes what is sent at once."""

    def __init__(self) -> None:
        super().__init__(5.0)
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


@asynccontextmanager
async def waiting(sheaf: Sheaf, leave: Future[None]) -> AsyncIterator[asyncio.Task[None]]:
    """Let somebody begin to wait for leave."""
    task = asyncio.create_task(sheaf.wait_for(leave))
    await asyncio.sleep(0)
    yield task


async def test_small_pieces_go_together() -> None:
    wire = Wire()
    sheaf = Sheaf(wire)
    for piece in (b"a ", b"b ", b"c"):
        sheaf.add(piece)
        assert not sheaf.is_large
    sheaf.send()
    sheaf.send()
    assert wire.sent == [b"a b c"]


async def test_much_is_large_until_it_is_sent() -> None:
    wire = Wire()
    sheaf = Sheaf(wire)
    sheaf.add(b"x" * LARGE_OCTETS)
    was_large = sheaf.is_large
    sheaf.send()
    assert (was_large, sheaf.is_large) == (True, False)
    assert wire.sent == [b"x" * LARGE_OCTETS]


async def test_with_leave_nothing_is_sent_early() -> None:
    wire = Wire()
    sheaf = Sheaf(wire)
    leave: Future[None] = Future()
    leave.set_result(None)
    sheaf.add(b"a")
    await sheaf.wait_for(leave)
    sheaf.add(b"b")
    sheaf.send()
    assert wire.sent == [b"ab"]


async def test_all_but_the_last_octet_goes_out_before_leave_is_waited_for() -> None:
    wire = Wire()
    sheaf = Sheaf(wire)
    leave: Future[None] = Future()
    sheaf.add(b"a ")
    sheaf.add(b"bc")
    async with waiting(sheaf, leave) as task:
        assert (wire.sent, task.done()) == ([b"a b"], False)
        leave.set_result(None)
        await task
    sheaf.add(b"d")
    sheaf.send()
    assert wire.sent == [b"a b", b"cd"]


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_refusal_is_raised(is_known: bool) -> None:
    sheaf = Sheaf(Wire())
    sheaf.add(b"a")
    leave: Future[None] = Future()
    if is_known:
        leave.set_exception(ValueError("refused"))
    async with waiting(sheaf, leave) as task:
        if not is_known:
            leave.set_exception(ValueError("refused"))
        with pytest.raises(ValueError, match="refused"):
            await task


async def test_the_last_of_a_message_waits_for_what_comes_behind_it() -> None:
    wire = Wire()
    sheaf = Sheaf(wire)
    await sheaf.add_content(BytesContent(b"y" * 10), 10)
    assert wire.sent == []
    sheaf.add(b"\r\n")
    sheaf.send()
    assert wire.sent == [b"y" * 10 + b"\r\n"]


@pytest.mark.parametrize("claimed", [4, 6])
async def test_a_message_that_has_not_the_size_it_claims_is_refused(claimed: int) -> None:
    with pytest.raises(Rejected, match=f"{claimed} octets"):
        await Sheaf(Wire()).add_content(BytesContent(b"hello"), claimed)
