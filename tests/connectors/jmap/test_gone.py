"""Messages that came and went between two looks at the changes, which a server need not name then."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta

import pytest

from connectors.api.errors import CursorExpired
from connectors.api.types import BytesContent, Cursor, MessageRef
from connectors.jmap import gone
from tests.conformance.rig import mail
from tests.connectors.jmap.rig import BEGIN, Stage, staged
from tests.fakes.jmap.faults import FaultKind
from tests.fakes.jmap.options import FakeOptions, Quirk


async def told_gone(stage: Stage, cursor: Cursor) -> set[MessageRef]:
    return {ref async for page in stage.connector.changes(None, cursor) for ref in page.removed}


async def test_an_appended_message_that_others_destroy_at_once_is_told_to_be_gone() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        made = await stage.connector.append(stage.ref(), BytesContent(mail(100)), frozenset(), None)
        stage.fake.remove(made.ref)
        assert await told_gone(stage, cursor) == {made.ref}


async def test_it_is_told_until_that_was_taken_over_and_then_asked_for_no_more() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        made = await stage.connector.append(stage.ref(), BytesContent(mail(100)), frozenset(), None)
        stage.fake.remove(made.ref)
        assert await told_gone(stage, cursor) == {made.ref}
        (page,) = [page async for page in stage.connector.changes(None, cursor)]
        assert page.removed == (made.ref,)
        assert page.cursor is not None
        stage.fake.stats.methods.clear()
        stage.fill(1)
        assert await told_gone(stage, page.cursor) == set()
        assert stage.fake.stats.methods == {"Mailbox/changes": 1, "Mailbox/get": 1, "Email/changes": 1, "Email/get": 2}


async def test_what_was_told_but_not_taken_over_is_told_to_be_gone() -> None:
    """Whoever was writing to a message leaves out what is told of it, and comes with the old cursor again."""
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        (ref,) = stage.fill(1)
        assert await told_gone(stage, cursor) == set()
        stage.fake.remove(ref)
        assert await told_gone(stage, cursor) == {ref}
        assert await told_gone(stage, cursor) == {ref}


async def test_an_appended_message_that_stays_is_not_told_to_be_gone() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        made = await stage.connector.append(stage.ref(), BytesContent(mail(100)), frozenset(), None)
        (page,) = [page async for page in stage.connector.changes(None, cursor)]
        assert ([state.ref for state in page.changed], page.removed) == ([made.ref], ())


async def test_a_message_that_a_server_had_already_may_be_gone_as_well() -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.FORBID_DUPLICATES}))) as stage:
        cursor = await stage.connector.position(None)
        ref = stage.fake.deliver("Archive", mail(100))
        made = await stage.connector.append(stage.ref(), BytesContent(mail(100)), frozenset(), None)
        assert made.ref == ref
        stage.fake.remove(ref)
        assert await told_gone(stage, cursor) == {ref}


async def test_a_copy_made_by_import_that_others_destroy_at_once_is_told_to_be_gone() -> None:
    async with staged(FakeOptions(max_mailboxes_per_email=1)) as stage:
        (ref,) = stage.fill(1)
        cursor = await stage.connector.position(None)
        archive = stage.ref("Archive")
        (copied,) = (await stage.connector.copy(stage.ref(), [ref], archive)).done.values()
        assert copied is not None
        stage.fake.remove(copied.ref)
        assert await told_gone(stage, cursor) == {copied.ref}


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_listed_message_that_came_after_the_position_and_went_is_told_to_be_gone(is_whole: bool) -> None:
    async with staged(FakeOptions(query_clamp=4, changes_clamp=1)) as stage:
        stage.fill(10)
        cursor = await stage.connector.position(None)
        pages = stage.connector.list_account() if is_whole else stage.connector.listing(stage.ref())
        async with aclosing(pages):  # type: ignore[type-var]
            await anext(pages)
            late = BEGIN + timedelta(days=1)
            brief = {MessageRef(stage.fake.deliver("INBOX", mail(number), received_at=late)) for number in (20, 21)}
            listed = {state.ref async for page in pages for state in page}
        assert listed.issuperset(brief)
        for ref in brief:
            stage.fake.remove(ref)
        assert await told_gone(stage, cursor) == brief


async def test_a_listing_while_nothing_happens_costs_the_changes_nothing() -> None:
    async with staged() as stage:
        stage.fill(10)
        cursor = await stage.connector.position(None)
        assert [page async for page in stage.connector.list_account()]
        stage.fake.stats.methods.clear()
        assert await told_gone(stage, cursor) == set()
        assert stage.fake.stats.methods["Email/changes"] == 1


async def test_a_state_of_a_listing_that_is_too_old_asks_for_another_listing() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        stage.fill(1)
        assert [page async for page in stage.connector.list_account()]
        stage.fill(1)
        stage.fake.fail_next("Email/changes", FaultKind.METHOD_ERROR, error="cannotCalculateChanges", skip=1)
        with pytest.raises(CursorExpired):
            await told_gone(stage, cursor)


async def test_a_server_that_comes_to_no_end_asks_for_another_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gone, "_MAX_REPLIES", 3)
    async with staged(FakeOptions(changes_clamp=1)) as stage:
        cursor = await stage.connector.position(None)
        stage.fill(1)
        assert [page async for page in stage.connector.list_account()]
        stage.fill(10)
        with pytest.raises(CursorExpired):
            await told_gone(stage, cursor)


async def test_states_of_a_listing_that_lead_to_each_other_are_asked_for_once() -> None:
    async with staged(FakeOptions(changes_clamp=1, query_clamp=2)) as stage:
        stage.fill(4)
        cursor = await stage.connector.position(None)
        async for _ in stage.connector.list_account():
            stage.fake.deliver("Archive", mail(stage.clock.now().second), received_at=BEGIN)
            if len(stage.fake.emails_in("Archive")) == 5:
                break
        stage.fake.stats.methods.clear()
        assert await told_gone(stage, cursor) == set()
        # Five changes after the cursor, and at most five after the first of the states.
        assert stage.fake.stats.methods["Email/changes"] <= 10


async def test_a_server_whose_changes_lead_nowhere_asks_for_another_listing() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        stage.fill(1)
        assert [page async for page in stage.connector.list_account()]
        stage.fill(1)
        stage.fake.configure(quirks=frozenset({Quirk.ENDLESS_CHANGES}))
        with pytest.raises(CursorExpired):
            await told_gone(stage, cursor)
