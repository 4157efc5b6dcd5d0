"""Texts of messages that follow one another are those of the rows, or none at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from gateway.mailbox.column_block import Column
from gateway.mailbox.fetch import Needs
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.mailbox.texts import TextReader
from gateway.mailbox.view import View
from gateway.message.usual_fields import usual_block
from gateway.store.body_file import BodyKey
from gateway.sync.engine import AccountEngine
from gateway.sync.small_bodies import SMALL_OCTETS
from tests.stack import INBOX, Stack, message

TEXTS = (Column.ENVELOPE, Column.STRUCTURE, Column.HEADER, Column.USUAL_HEADER)
ALL_TEXTS = Needs(envelope=True, structure=True, header=True)


async def opened(stack: Stack) -> View:
    backend = await stack.add_account()
    for number in (1, 2, 3):
        backend.deliver(INBOX, message(number))
    return await stack.open()


async def read_all(view: View) -> None:
    async for rows in view.fetch(view.uids, Needs(size=True, envelope=True, body=True)):
        for row in rows:
            assert row.body is not None
            async with row.body as body:
                await body.read(0, 1)


async def test_a_block_has_the_texts_of_the_rows(stack: Stack) -> None:
    view = await opened(stack)
    rows = [row async for block in view.fetch(view.uids, ALL_TEXTS) for row in block]
    block = await view.block([2, 3], (Column.UID, *TEXTS))
    assert block is not None
    assert list(block.sequence_numbers) == [2, 3]
    assert list(block.values(Column.ENVELOPE)) == [row.envelope for row in rows[1:]]
    assert list(block.values(Column.STRUCTURE)) == [row.structure for row in rows[1:]]
    assert list(block.values(Column.HEADER)) == [row.header for row in rows[1:]]
    assert list(block.values(Column.USUAL_HEADER)) == [usual_block(row.header or b"") for row in rows[1:]]


async def test_there_is_no_block_before_all_its_texts_are_known(stack: Stack) -> None:
    view = await opened(stack)
    assert await view.block(view.uids, [Column.ENVELOPE]) is None
    assert [row.uid async for block in view.fetch([1, 3], ALL_TEXTS) for row in block] == [1, 3]
    assert await view.block(view.uids, [Column.ENVELOPE]) is None
    assert await view.block([3], TEXTS) is not None
    assert await view.block([1, 3], [Column.ENVELOPE]) is None


async def test_a_block_of_bodies_is_as_much_as_fits(stack: Stack) -> None:
    backend = await stack.add_account()
    light, heavy, large = message(1), b"X: 1\r\n\r\n" + b"x" * SMALL_OCTETS, b"X: 1\r\n\r\n" + b"x" * (SMALL_OCTETS - 8)
    for data in (light, large, large, light, heavy, light):
        backend.deliver(INBOX, data)
    view = await stack.open()
    assert await view.block(view.uids, [Column.BODY]) is None
    await read_all(view)
    sizes = []
    start = 0
    while start < len(view.uids):
        block = await view.block(view.uids[start:], [Column.UID, Column.BODY, Column.ENVELOPE])
        assert block is not None
        bodies = block.values(Column.BODY)
        assert list(bodies) == [(light, large, large, light, heavy, light)[start + n] for n in range(len(block))]
        assert list(block.values(Column.UID)) == list(view.uids[start : start + len(block)]) if len(block) else True
        sizes.append(len(block))
        start += len(block) or 1
    assert sizes == [2, 2, 0, 1]


async def test_bodies_end_before_one_that_is_not_at_hand_or_no_neighbour(stack: Stack) -> None:
    view = await opened(stack)
    await read_all(view)
    context = stack.engine().context
    columns = view._mailbox.columns
    context.cache.discard(BodyKey(context.account_id, columns.message_ids[1]))
    block = await view.block(view.uids, [Column.BODY])
    assert block is not None
    assert list(block.values(Column.BODY)) == [message(1)]
    assert await view.block(view.uids[1:], [Column.BODY]) is None
    block = await view.block([1, 3], [Column.BODY])
    assert block is not None
    assert len(block) == 1
    # What is cached is not what was told.
    columns.sizes[0] += 1
    assert await view.block(view.uids, [Column.BODY]) is None


class StoreByPlace:
    """Reads as it is told to, and notes where."""

    def __init__(self) -> None:
        self.waits = False
        self.places: list[str] = []

    async def read(self, body: object) -> tuple[list[list[tuple[int, bytes]]], bool]:
        self.places.append("loop")
        return [[(100, b"()")]], self.waits

    async def read_bulk(self, body: object) -> tuple[list[list[tuple[int, bytes]]], bool]:
        self.places.append("thread")
        return [[(100, b"()")]], self.waits


async def test_after_waiting_for_the_disk_the_next_block_is_read_in_a_thread() -> None:
    store = StoreByPlace()
    engine = cast(AccountEngine, SimpleNamespace(context=SimpleNamespace(store=store), bodies=None))
    reader = TextReader(cast(OpenMailbox, SimpleNamespace(id=7)), engine)
    for store.waits in (False, True, True, False, False):
        texts = await reader.read([1], [Column.UID, Column.ENVELOPE])
        assert texts is not None
        assert texts.values == {Column.ENVELOPE: [b"()"]}
    assert store.places == ["loop", "loop", "thread", "thread", "loop"]
    assert await reader.read([1, 2], [Column.ENVELOPE]) is None
