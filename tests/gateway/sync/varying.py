"""Accounts at a backend that composes its messages anew, in other octets, each time they are read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from connectors.api.types import BytesContent
from connectors.memory.backend import MemoryBackend
from gateway.mailbox.fetch import FetchRow, Needs
from gateway.mailbox.view import View
from tests.stack import Stack, message

LAYOUTS = ["folders", "items", "labels"]
DATE = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)


async def varying_account(stack: Stack, layout: str = "items") -> MemoryBackend:
    return await stack.add_account("work", layout=layout, bodies_vary=True, exact_headers=False)


async def append(stack: Stack, number: int = 1, mailbox: str = "INBOX") -> int:
    return await append_octets(stack, message(number), mailbox)


async def append_octets(stack: Stack, data: bytes, mailbox: str = "INBOX") -> int:
    return (await (await stack.user()).append(mailbox, BytesContent(data), ("\\Seen",), DATE)).uid


def evict(stack: Stack) -> None:
    """Let the cache forget everything, as if it were too small."""
    stack.engine().context.cache.remove_account(stack.engine().context.account_id)


async def rows(view: View, needs: Needs, uids: Sequence[int] | None = None) -> dict[int, FetchRow]:
    """Return what FETCH has to show, by UID."""
    wanted = list(view.uids) if uids is None else list(uids)
    return {row.uid: row async for block in view.fetch(wanted, needs) for row in block}


async def octets(view: View, uid: int) -> bytes:
    (row,) = (await rows(view, Needs(body=True), [uid])).values()
    assert row.body is not None
    async with row.body as body:
        return await body.read(0, body.size)
