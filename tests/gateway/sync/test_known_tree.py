from __future__ import annotations

import asyncio

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent
from connectors.memory.faults import Operation
from gateway.sync.known_tree import KnownTree
from tests.stack import PATIENT_S, Stack, eventually, message


async def test_mailboxes_made_and_deleted_outside_come_and_go(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    user = await stack.user()
    backend.create_mailbox(("Projects", "2026"))
    stack.engine().demand.request_tree()
    await stack.engine().wait_until_read(1, 5)
    names = [entry.name for entry in await user.mailboxes()]
    assert {"Projects", "Projects/2026"} <= set(names)
    view = await stack.open("Projects/2026")
    backend.delete_mailbox(("Projects", "2026"))
    stack.engine().demand.request_tree()
    assert await eventually(view, lambda: view.is_defunct, bool)


async def test_a_listing_of_the_tree_from_before_a_creation_does_not_undo_it(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    user = await stack.user()
    await user.mailboxes()
    gate = backend.faults.hold(Operation.LIST_MAILBOXES, is_after=True)
    stack.engine().demand.request_tree()
    await gate.reached()
    creating = asyncio.create_task(user.create("Projects"))
    await asyncio.sleep(0)
    backend.faults.release(Operation.LIST_MAILBOXES, is_after=True)
    await creating
    before = await user.status("Projects")
    stack.engine().demand.request_tree()
    await user.append("Projects", BytesContent(message(1)), (), None)
    assert (await user.status("Projects")).mailbox_id == before.mailbox_id


async def test_a_wait_for_a_tree_that_cannot_be_listed_ends_with_the_reason(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders")
    await stack.engine().wait_for_tree(PATIENT_S)
    tree = KnownTree(stack.engine().context)
    waiting = asyncio.create_task(tree.wait(PATIENT_S))
    backend.faults.fail_next(Operation.LIST_MAILBOXES, errors.Unavailable("down"))
    with pytest.raises(errors.Unavailable) as down:
        await tree.refresh()
    tree.failed(down.value)
    with pytest.raises(errors.Unavailable, match="down"):
        await waiting
    assert not tree.is_known


async def test_whoever_waits_for_a_tree_has_it_when_it_is_listed(stack: Stack) -> None:
    await stack.add_account(layout="folders")
    await stack.engine().wait_for_tree(PATIENT_S)
    tree = KnownTree(stack.engine().context)
    waiting = asyncio.create_task(tree.wait(PATIENT_S))
    assert await tree.refresh()
    await waiting
    assert tree.is_known
