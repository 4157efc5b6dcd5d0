"""Subscribed names are followed through whatever happens to their mailboxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.api.types import MailboxRef
from gateway.store import subscribed_names
from gateway.store.mailboxes import MailboxRow
from gateway.store.subscribed_names import Names
from gateway.sync.subscribed_names import NamePlan, Told, plan_names
from tests.fakes.jmap.server import running_fake
from tests.gateway.mailbox.test_namespace import ROW
from tests.gateway.sync.over_jmap import jmap_stack
from tests.stack import Stack

A, B, C = ("A",), ("B",), ("C",)


def row(number: int, path: tuple[str, ...], *, is_subscribed: bool = True) -> MailboxRow:
    return replace(ROW, id=number, ref=f"r{number}", path=path, is_subscribed=is_subscribed)


def plan(
    before: Sequence[MailboxRow],
    after: Sequence[MailboxRow],
    known: Names | None = None,
    told: Told = None,
    *,
    keeps: bool = True,
) -> NamePlan:
    return plan_names(before, after, known or {}, told, keeps_subscriptions=keeps)


@pytest.mark.parametrize("keeps", [False, True])
def test_names_of_mailboxes_that_are_gone_or_renamed_stay(keeps: bool) -> None:
    before = [row(1, A), row(2, B), row(3, C, is_subscribed=False)]
    assert plan(before, before, keeps=keeps) == NamePlan({})
    assert plan(before, [before[1]], keeps=keeps) == NamePlan({A: None})
    assert plan(before, [before[0], row(2, ("New",)), before[2]], keeps=keeps) == NamePlan({B: None})
    assert plan(before, [], {("Older",): None}, keeps=keeps) == NamePlan({A: None, B: None, ("Older",): None})


@pytest.mark.parametrize("keeps", [False, True])
def test_who_unsubscribes_at_the_backend_ends_it(keeps: bool) -> None:
    assert plan([row(1, A)], [row(1, A, is_subscribed=False)], keeps=keeps) == NamePlan({})


def test_a_name_that_has_a_mailbox_again_is_subscribed_through_that() -> None:
    subscribed, unaware = row(9, A), row(9, A, is_subscribed=False)
    for keeps in (False, True):
        assert plan([], [subscribed], {A: None}, keeps=keeps) == NamePlan({})
    assert plan([], [unaware], {A: None}, keeps=False) == NamePlan({}, (unaware,))
    # The backend was not told: the name goes on saying it.
    assert plan([], [unaware], {A: None}) == NamePlan({A: None})
    assert plan([unaware], [unaware], {A: None}) == NamePlan({A: None})
    assert plan([unaware], [], {A: None}) == NamePlan({A: None})


def test_two_mailboxes_that_change_names_leave_both_names_subscribed() -> None:
    before = [row(1, A), row(2, B, is_subscribed=False)]
    after = [row(1, B), row(2, A, is_subscribed=False)]
    assert plan(before, after, keeps=False) == NamePlan({}, (after[1],))
    assert plan(before, after) == NamePlan({A: None})


def test_a_backend_that_keeps_such_names_is_believed() -> None:
    told: Told = {A: MailboxRef("a"), B: MailboxRef("b")}
    # That it tells of a mailbox, as LSUB does, means nothing.
    assert plan([row(1, A), row(2, B)], [row(2, B)], told=told) == NamePlan({A: "a"})
    # Who renamed it there may have unsubscribed from the old name as well.
    assert plan([row(1, A)], [row(1, C)], told={}) == NamePlan({})
    assert plan([], [], {A: "a"}, told={}) == NamePlan({})
    # Unsubscribed from there, and made anew.
    assert plan([], [row(9, A, is_subscribed=False)], {A: "a"}, told={}) == NamePlan({})
    assert plan([], [], {A: "a"}) == NamePlan({A: "a"})


def test_a_name_that_only_we_keep_stays_whatever_the_backend_tells() -> None:
    assert plan([], [], {C: None}, told={A: MailboxRef("a")}) == NamePlan({A: "a", C: None})
    assert plan([], [], {A: None}, told={A: MailboxRef("a")}) == NamePlan({A: "a"})


# -- with a store and a backend ----------------------------------------------------------------------------------------


@pytest.fixture
def counted(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The accounts of which a change of the tree was told."""
    told: list[int] = []
    publish = stack.service.bus.publish_tree

    def note(account_id: int) -> None:
        told.append(account_id)
        publish(account_id)

    monkeypatch.setattr(stack.service.bus, "publish_tree", note)
    return told


async def names_in_store(stack: Stack) -> dict[tuple[str, ...], str | None]:
    account_id = stack.engine().context.account_id
    return await stack.store.read(lambda tx: subscribed_names.names_of(tx, account_id))


@pytest.mark.parametrize("settings", [{"layout": "folders"}, {"layout": "labels"}, {"layout": "folders", "uids": True}])
async def test_delete_and_rename_leave_names_behind_and_create_takes_them_back(
    stack: Stack, settings: dict[str, Any]
) -> None:
    backend = await stack.add_account(**settings)
    user = await stack.user()
    await user.create("One")
    await user.create("Two")
    await user.delete("One")
    await user.rename("Two", "Three")
    assert await names_in_store(stack) == {("One",): None, ("Two",): None}
    await user.create("One")
    await user.subscribe("Three", False)
    await user.rename("Three", "Two")
    assert await names_in_store(stack) == {}
    entries = {entry.name: entry for entry in await user.mailboxes()}
    assert entries["One"].is_subscribed
    assert entries["Two"].is_subscribed
    assert backend.mailbox(("Two",)).is_subscribed
    assert await stack.check() == []


async def test_every_change_of_such_a_name_is_told_on_the_bus(stack: Stack, counted: list[int]) -> None:
    await stack.add_account(layout="folders")
    user = await stack.user()
    await user.create("One")
    for act in (user.delete("One"), user.subscribe("One", False)):
        counted.clear()
        await act
        assert stack.engine().context.account_id in counted
    counted.clear()
    await user.subscribe("One", False)
    assert counted == []


async def test_a_label_that_was_made_by_mistake_leaves_no_name(stack: Stack) -> None:
    await stack.add_account(layout="labels")
    await stack.user()
    engine = stack.engine()
    made = await engine.create_mailbox(("Mistake",), None)
    await engine.delete_mailbox(made, keeps_name=False)
    assert await names_in_store(stack) == {}


async def test_a_mailbox_that_comes_back_unsubscribed_is_subscribed_here_until_somebody_ends_it(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    user = await stack.user()
    await user.create("One")
    await user.delete("One")
    backend.create_mailbox(("One",))
    backend.subscribe(("One",), False)
    stack.engine().demand.request_tree()
    assert await stack.engine().wait_until_read(1, 5)
    assert {entry.name: entry.is_subscribed for entry in await user.mailboxes()}["One"]
    await user.subscribe("One", False)
    assert not {entry.name: entry.is_subscribed for entry in await user.mailboxes()}["One"]
    assert await names_in_store(stack) == {}


async def test_unsubscribing_from_the_old_name_leaves_a_mailbox_that_kept_its_ref_alone(tmp_path: Path) -> None:
    async with running_fake() as fake, jmap_stack(tmp_path, fake) as stack:
        fake.create_mailbox("Box")
        user = await stack.user()
        await user.create("Old")
        await user.subscribe("Old", True)
        await user.rename("Old", "New")
        entries = {entry.name: entry for entry in await user.mailboxes()}
        assert (entries["Old"].is_subscribed, entries["Old"].exists) == (True, False)
        assert entries["New"].is_subscribed
        await user.subscribe("Old", False)
        entries = {entry.name: entry for entry in await user.mailboxes()}
        assert "Old" not in entries
        assert entries["New"].is_subscribed
