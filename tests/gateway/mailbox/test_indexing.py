from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.mailbox.fetch import Needs
from gateway.store import accounts
from gateway.store.search_index import SearchIndex
from gateway.store.search_rows import Level
from gateway.store.search_schema import account_tags
from tests.stack import INBOX, PATIENT_S, Stack, message, running_stack


async def indexed(stack: Stack) -> list[int]:
    """Read the only message and wait until it is in the index; return its id."""
    view = await stack.open()
    async for block in view.fetch(list(view.uids), Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body:
                pass
    mailbox = await stack.service.open_mailbox(view.mailbox_id)
    ids = list(mailbox.columns.message_ids)
    index = stack.engine().context.search
    assert index is not None
    async with asyncio.timeout(PATIENT_S):
        while set(index.levels_of(ids)) != {Level.WHOLE}:  # noqa: ASYNC110 - nobody else waits for it
            await asyncio.sleep(0)
    return ids


async def test_what_is_in_the_index_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running_stack(tmp_path, has_search_index=True) as stack:
        (await stack.add_account("work")).deliver(INBOX, message(1))
        ids = await indexed(stack)
        backends = stack.backends
    async with running_stack(tmp_path, backends, has_search_index=True) as stack:
        index = stack.engine().context.search
        assert index is not None
        await index.load()
        assert set(index.levels_of(ids)) == {Level.WHOLE}


async def test_the_index_of_a_removed_account_is_dropped_at_the_next_start(tmp_path: Path) -> None:
    async with running_stack(tmp_path, has_search_index=True) as stack:
        (await stack.add_account("work")).deliver(INBOX, message(1))
        await indexed(stack)
        account_id = stack.engine().context.account_id
    async with running_stack(tmp_path) as stack:
        await stack.service.forget_account(account_id)
        await stack.store.write(lambda tx: accounts.remove_account(tx, account_id))
    async with running_stack(tmp_path, has_search_index=True):
        pass
    index = await SearchIndex.open(tmp_path / "gateway.search")
    assert await index.read(account_tags) == {}
    await index.close()


async def test_an_account_that_is_set_up_anew_goes_on_with_its_index(tmp_path: Path) -> None:
    async with running_stack(tmp_path, has_search_index=True) as stack:
        (await stack.add_account("work")).deliver(INBOX, message(1))
        ids = await indexed(stack)
        await stack.service.forget_account(stack.engine().context.account_id)
        view = await stack.open()
        assert len(view.uids) == 1
        index = stack.engine().context.search
        assert index is not None
        await index.load()
        assert set(index.levels_of(ids)) == {Level.WHOLE}
