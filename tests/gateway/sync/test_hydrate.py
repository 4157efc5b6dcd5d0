"""Messages whose header the backend does not give alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from connectors.api.types import MailboxRef, MessageRef, Outline
from connectors.memory.connector import MemoryConnector
from connectors.memory.faults import Operation
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from tests.stack import INBOX, Stack, message, until_held


def leave_out(monkeypatch: pytest.MonkeyPatch, *left_out: MessageRef) -> None:
    outlines = MemoryConnector.outlines

    async def some(self: MemoryConnector, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        async for outline in outlines(self, mailbox, refs):
            if outline.ref not in left_out:
                yield outline

    monkeypatch.setattr(MemoryConnector, "outlines", some)


async def envelopes(view: View) -> dict[int, bytes | None]:
    return {row.uid: row.envelope async for block in view.fetch(list(view.uids), Needs(envelope=True)) for row in block}


@pytest.mark.parametrize("settings", [{}, {"layout": "labels", "listing": "sparse"}])
async def test_a_message_left_out_of_the_outlines_is_read_whole_and_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    backend = await stack.add_account("work", **settings)
    refs = [backend.deliver(INBOX, message(number)) for number in range(3)]
    view = await stack.open()
    await until_held(view, 3)
    leave_out(monkeypatch, refs[1])
    found = await envelopes(view)
    assert [b"Number %d" % number in (found[number + 1] or b"") for number in range(3)] == [True] * 3
    calls = backend.faults.calls
    assert (calls[Operation.FETCH], calls[Operation.OUTLINES]) == (1, 1)
    assert await envelopes(view) == found
    assert (calls[Operation.FETCH], calls[Operation.OUTLINES]) == (1, 1)
    assert [row.uid async for block in view.fetch([2], Needs(date=True)) for row in block] == [2]
    assert await stack.check() == []


async def test_messages_that_are_gone_are_not_read_one_by_one(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await stack.add_account()
    refs = [backend.deliver(INBOX, message(number)) for number in range(4)]
    view = await stack.open()
    await until_held(view, 4)
    gate = backend.faults.hold(Operation.CHANGES)
    for ref in refs[1:]:
        backend.remove(INBOX, ref)
    await gate.reached()
    found = await envelopes(view)
    assert found[1] is not None
    assert backend.faults.calls[Operation.FETCH] == 0
    backend.faults.release(Operation.CHANGES)
    await until_held(view, 1)
