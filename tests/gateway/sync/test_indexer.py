from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential
from connectors.api.spec import SettingValue
from connectors.maildir.connector import build
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.store import messages
from gateway.store.accounts import AccountRow
from gateway.store.search_index import AccountIndex, SearchIndex
from gateway.store.search_rows import Level, Part
from gateway.sync import indexer as module
from gateway.sync.indexer import Indexer
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, PATIENT_S, Stack, message, running_stack

COUNT = 60


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[AccountIndex]:
    file = await SearchIndex.open(tmp_path / "x.search")
    yield file.account(1, "tag")
    await file.close()


def indexer_of(stack: Stack, index: AccountIndex, *, is_eager: bool = True) -> Indexer:
    engine = stack.engine()
    return Indexer(engine.context, engine.bodies, index, is_eager=is_eager)


async def filled(stack: Stack, *, is_read: bool = True) -> tuple[MemoryBackend, View]:
    backend = await stack.add_account("work", layout="folders")
    for number in range(1, COUNT + 1):
        backend.deliver(INBOX, message(number))
    view = await stack.open()
    if is_read:
        await read_bodies(view, list(view.uids))
    return backend, view


async def read_bodies(view: View, uids: list[int]) -> None:
    async for block in view.fetch(uids, Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body:
                pass


async def ids_of(stack: Stack, uids: list[int]) -> list[int]:
    mailbox = await stack.service.open_mailbox((await stack.open()).mailbox_id)
    return [entry.message_id for uid in uids if (entry := mailbox.find(uid)) is not None]


async def test_what_is_at_hand_comes_into_the_index_and_nothing_is_fetched_for_it(
    stack: Stack, index: AccountIndex
) -> None:
    backend, view = await filled(stack, is_read=False)
    await read_bodies(view, [1, 2])
    async for _ in view.fetch([3], Needs(envelope=True)):
        pass
    before = dict(backend.faults.calls)
    await indexer_of(stack, index).fill()
    assert list(index.levels_of(await ids_of(stack, [1, 2, 3, 4]))) == [2, 2, 1, 0]
    assert backend.faults.calls[Operation.FETCH] == before.get(Operation.FETCH, 0)
    assert backend.faults.calls[Operation.FETCH_MANY] == before.get(Operation.FETCH_MANY, 0)


async def test_messages_that_lie_here_come_into_the_index_without_being_cached(
    tmp_path: Path, index: AccountIndex
) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    for number in range(1, COUNT + 1):
        (tmp_path / "mail" / "cur" / f"{number}.M1P1.host:2,").write_bytes(message(number))

    def connect(row: AccountRow) -> Connector:
        settings: dict[str, SettingValue] = {"layout": "maildir++", "fsync": False, "create": False}
        return build({**settings, "path": str(row.settings["path"])}, FixedCredential(None))

    async with running_stack(tmp_path, make_connector=connect) as stack:
        await stack.start_account("work", "alex", "maildir", {"path": str(tmp_path / "mail")})
        await stack.open()
        await indexer_of(stack, index).fill()
        ids = await ids_of(stack, list(range(1, COUNT + 1)))
        assert set(index.levels_of(ids)) == {Level.WHOLE}
        assert len(await index.with_text(Part.BODY, ["number 17."], ids)) == 1


async def test_unless_eager_only_what_is_news_comes_into_the_index(stack: Stack, index: AccountIndex) -> None:
    await filled(stack)
    indexer = indexer_of(stack, index, is_eager=False)
    ids = await ids_of(stack, [1, 2])
    indexer.learned(ids[:1])
    await indexer.fill()
    assert list(index.levels_of(ids)) == [Level.WHOLE, Level.NOTHING]


async def test_after_very_many_news_the_mailboxes_are_gone_through(
    stack: Stack, index: AccountIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 10)
    _, view = await filled(stack, is_read=False)
    indexer = indexer_of(stack, index)
    await indexer.fill()
    await read_bodies(view, list(view.uids))
    ids = await ids_of(stack, list(view.uids))
    indexer.learned(ids)
    await indexer.fill()
    assert set(index.levels_of(ids)) == {Level.WHOLE}


async def test_messages_that_come_later_are_added(stack: Stack, index: AccountIndex) -> None:
    backend, view = await filled(stack)
    indexer = indexer_of(stack, index)
    await indexer.fill()
    backend.deliver(INBOX, message(COUNT + 1))
    assert await stack.engine().wait_until_read(view.mailbox_id, 10)
    view = await stack.open()
    await read_bodies(view, [COUNT + 1])
    await indexer.fill()
    assert list(index.levels_of(await ids_of(stack, [COUNT + 1]))) == [Level.WHOLE]


async def test_what_is_gone_from_the_store_is_swept_from_the_index(stack: Stack, index: AccountIndex) -> None:
    _, view = await filled(stack)
    indexer = indexer_of(stack, index)
    await indexer.fill()
    ids = await ids_of(stack, [1, 2])
    await view.store([1], StoreAction.ADD, ["\\Deleted"])
    await view.expunge()
    await stack.store.write(lambda tx: messages.delete_messages(tx, ids[:1]))
    await indexer.sweep()
    assert list(index.levels_of(ids)) == [Level.NOTHING, Level.WHOLE]


async def test_a_step_takes_few_octets_and_the_rest_comes_later(
    stack: Stack, index: AccountIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP_OCTETS", 1)
    _, view = await filled(stack)
    await indexer_of(stack, index).fill()
    assert set(index.levels_of(await ids_of(stack, list(view.uids)))) == {Level.WHOLE}


async def test_a_body_with_too_much_text_is_left_out(
    stack: Stack, index: AccountIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHARACTERS", 10)
    await filled(stack)
    indexer = indexer_of(stack, index)
    for _ in range(2):
        await indexer.fill()
    assert set(index.levels_of(await ids_of(stack, [1, 2]))) == {Level.HEADER}


async def test_an_index_made_anew_is_filled_anew(stack: Stack, tmp_path: Path) -> None:
    _, view = await filled(stack)
    file = await SearchIndex.open(tmp_path / "y.search")
    index = file.account(1, "tag")
    indexer = indexer_of(stack, index)
    await indexer.fill()
    ids = await ids_of(stack, list(view.uids))
    await file.start_anew()
    assert set(index.levels_of(ids)) == {Level.NOTHING}
    await indexer.fill()
    assert set(index.levels_of(ids)) == {Level.WHOLE}
    await file.close()


async def test_the_background_fills_the_index_by_itself(tmp_path: Path) -> None:
    async with running_stack(tmp_path, has_search_index=True) as stack:
        _, view = await filled(stack)
        ids = await ids_of(stack, list(view.uids))
        index = stack.engine().context.search
        assert index is not None
        async with asyncio.timeout(PATIENT_S):
            while set(index.levels_of(ids)) != {Level.WHOLE}:  # noqa: ASYNC110 - nobody else waits for it
                await asyncio.sleep(0)
