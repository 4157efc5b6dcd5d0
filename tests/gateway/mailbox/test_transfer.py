"""COPY and MOVE: what the copy has in common with its original."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.memory.faults import Operation
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.wire.search import EmailIdIs
from tests.manual_clock import ManualClock
from tests.stack import INBOX, LAYOUTS, Stack, message, running_stack, until_held


async def email_ids(view: View) -> dict[int, str | None]:
    """Return EMAILID by UID."""
    return {
        row.uid: row.email_id async for block in view.fetch(list(view.uids), Needs(object_ids=True)) for row in block
    }


async def save_dates(view: View) -> list[int]:
    """Return SAVEDATE by UID."""
    return [row.save_date async for block in view.fetch(list(view.uids), Needs()) for row in block]


@pytest.mark.parametrize("is_move", [False, True])
@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_copy_has_the_email_id_of_its_original(stack: Stack, settings: dict[str, Any], is_move: bool) -> None:
    backend = await stack.add_account(**settings)
    for number in range(3):
        backend.deliver(INBOX, message(number))
    view, archive = await stack.open(), await stack.open("Archive")
    before = await email_ids(view)
    assert len(set(before.values())) == 3
    outcome = await view.copy([1, 3], "Archive", is_move=is_move)
    await until_held(archive, 2)
    after = await email_ids(archive)
    assert [(before[source], after[copy]) for source, copy in outcome.pairs] == [(before[1],) * 2, (before[3],) * 2]
    for source, copy in outcome.pairs:
        assert await archive.search(EmailIdIs(before[source] or "")) == [copy]


@pytest.mark.parametrize("is_move", [False, True])
@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_copy_has_a_save_date_of_its_own(tmp_path: Path, settings: dict[str, Any], is_move: bool) -> None:
    clock = ManualClock()
    start = int(clock.now().timestamp())
    async with running_stack(tmp_path, clock=clock) as stack:
        backend = await stack.add_account(**settings)
        backend.deliver(INBOX, message(1))
        backend.deliver(INBOX, message(2))
        view, archive = await stack.open(), await stack.open("Archive")
        clock.advance(3600)
        await view.copy([1], "Archive", is_move=is_move)
        await until_held(archive, 1)
        assert await save_dates(archive) == [start + 3600]
        # RFC 8514 section 3: the original keeps its own.
        view.catch_up(allow_expunge=True)
        assert await save_dates(view) == [start] * len(view.uids)


async def test_a_copy_that_only_a_reading_finds_has_the_email_id_of_its_original(stack: Stack) -> None:
    backend = await stack.add_account(layout="folders", uids=True)
    backend.deliver(INBOX, message(1))
    view, archive = await stack.open(), await stack.open("Archive")
    before = await email_ids(view)
    gate = backend.faults.hold(Operation.COPY)
    copying = asyncio.create_task(view.copy([1], "Archive", is_move=False))
    await gate.reached()
    # It comes first, so that the copy does not follow on what is known.
    backend.deliver(("Archive",), message(2))
    backend.faults.release(Operation.COPY)
    outcome = await copying
    await until_held(archive, 2)
    assert outcome.pairs == [(1, 2)]
    assert (await email_ids(archive))[2] == before[1]


@pytest.mark.parametrize("is_move", [False, True])
async def test_a_copy_in_another_account_has_it_too(stack: Stack, is_move: bool) -> None:
    work = await stack.add_account("Work", layout="folders")
    await stack.add_account("Home", layout="labels")
    work.deliver(INBOX, message(1))
    view, archive = await stack.open("Work/INBOX"), await stack.open("Home/Archive")
    before = await email_ids(view)
    await view.copy([1], "Home/Archive", is_move=is_move)
    await until_held(archive, 1)
    assert await email_ids(archive) == before


async def test_the_ids_are_the_same_after_a_restart(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        backend = await stack.add_account(layout="items")
        backend.deliver(INBOX, message(1))
        view = await stack.open()
        before = (await email_ids(view), view.object_id)
    async with running_stack(tmp_path, stack.backends) as stack:
        view = await stack.open()
        assert (await email_ids(view), view.object_id) == before
