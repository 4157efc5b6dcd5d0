"""The connector as the gateway has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.api.abilities import BatchFetch, MailboxAdmin, Push, TextQuery, TextSearch
from connectors.api.capabilities import Scope
from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.errors import AuthExpired, Unavailable
from connectors.api.priority import Priority, prioritised
from connectors.api.types import BytesContent, MailboxRef, Role
from connectors.graph import SPEC
from connectors.graph.connector import GraphConnector, make_connector
from connectors.graph.settings import parse_settings
from tests.connectors.graph.writing_rig import ROOT, InProcess, mail
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.fake import FakeGraph

NONE: frozenset[str] = frozenset()


@pytest.fixture
async def connector(fake: FakeGraph, clock: JumpingClock) -> AsyncIterator[GraphConnector]:
    source = FixedCredential(BearerCredential("", Secret(fake.access_token())))
    settings = parse_settings(SPEC.check({"api_root": ROOT}))
    connector = GraphConnector(settings, source, clock=clock, transport=InProcess(fake))
    yield connector
    await connector.close()


async def inbox_of(connector: GraphConnector) -> MailboxRef:
    return next(info.ref for info in await connector.list_mailboxes() if info.role is Role.INBOX)


def test_what_it_can_do_is_known_before_it_is_open() -> None:
    connector = make_connector(SPEC.check({}), FixedCredential(BearerCredential("", Secret("t"))))

    capabilities = connector.capabilities
    assert (capabilities.ref_scope, capabilities.cursor_scope) == (Scope.ACCOUNT, Scope.MAILBOX)
    assert not capabilities.many_mailboxes
    assert not capabilities.has_deleted_flag
    assert not capabilities.has_uids
    assert capabilities.bodies_vary
    assert (capabilities.batch_limit, capabilities.outline_limit) == (1000, 100)
    assert all(isinstance(connector, ability) for ability in (MailboxAdmin, Push, BatchFetch, TextSearch))


async def test_nothing_works_before_it_is_open(connector: GraphConnector) -> None:
    with pytest.raises(Unavailable):
        await connector.list_mailboxes()
    with pytest.raises(Unavailable):
        await connector.position(MailboxRef("x"))
    await connector.close()
    await connector.close()


async def test_opening_makes_sure_that_the_mailbox_is_in_reach(fake: FakeGraph, connector: GraphConnector) -> None:
    fake.expire_access_tokens()

    with pytest.raises(AuthExpired):
        await connector.open()
    with pytest.raises(Unavailable):
        await connector.list_mailboxes()


async def test_it_can_be_opened_again(connector: GraphConnector) -> None:
    for _ in range(2):
        await connector.open()
        assert await inbox_of(connector)
        await connector.close()
    await connector.open()
    await connector.open()
    assert await inbox_of(connector)


async def test_a_message_goes_all_the_way(connector: GraphConnector) -> None:
    await connector.open()
    inbox = await inbox_of(connector)
    made = await connector.create_mailbox(("Lists",), None)
    cursor = await connector.position(inbox)
    assert [page async for page in connector.listing(inbox)] == []

    state = await connector.append(inbox, BytesContent(mail(1)), frozenset({"\\Seen"}), None)
    [page] = [page async for page in connector.changes(inbox, cursor)]
    assert [each.ref for each in page.changed] == [state.ref]
    stored = await connector.store_flags(inbox, [state.ref], frozenset({"\\Flagged", "Blue"}), NONE)
    assert (told := stored.done[state.ref]) is not None
    assert told.flags == frozenset({"\\Seen", "\\Flagged", "Blue"})
    assert await connector.search_text(inbox, TextQuery(("Body 1",))) == frozenset({state.ref})
    contents = [(ref, content.size) async for ref, content in connector.fetch_many(inbox, [state.ref])]
    assert contents[0][1] == (await connector.fetch(inbox, state.ref)).size
    assert [outline.ref async for outline in connector.outlines(inbox, [state.ref])] == [state.ref]
    copied = await connector.copy(inbox, [state.ref], made.ref)
    moved = await connector.move(inbox, [state.ref], made.ref)
    assert len({each.ref for each in (*copied.done.values(), *moved.done.values()) if each is not None}) == 2
    assert await connector.states(inbox, [state.ref]) == []
    gone = await connector.expunge(made.ref, [state.ref])
    assert state.ref in gone.done
    await connector.rename_mailbox(made.ref, ("Post",))
    await connector.delete_mailbox(made.ref)
    assert ("Post",) not in {info.path for info in await connector.list_mailboxes()}


async def test_watching_ends_when_it_is_closed_and_yields_nothing(connector: GraphConnector) -> None:
    await connector.open()

    async def watch() -> list[object]:
        return [event async for event in connector.watch()]

    task = asyncio.create_task(watch())
    await asyncio.sleep(0)
    assert not task.done()
    await connector.close()
    assert await task == []


async def test_mailboxes_that_somebody_has_open_are_looked_at_at_each_poll(
    fake: FakeGraph, connector: GraphConnector, clock: JumpingClock
) -> None:
    for number in range(70):
        fake.create_folder(f"Folder {number}")
    await connector.open()
    await connector.list_mailboxes()
    watched, other = (MailboxRef(fake.folder_id(f"Folder {number}")) for number in (1, 2))
    cursors = {ref: await connector.position(ref) for ref in (watched, other)}
    await connector.set_interest(frozenset({watched}))
    await clock.sleep(120.0)

    async def looks_at(ref: MailboxRef) -> bool:
        fake.stats.clear()
        with prioritised(Priority.BACKGROUND):
            assert [page async for page in connector.changes(ref, cursors[ref])] == []
        return fake.stats.requests["messages.delta"] == 1

    assert await looks_at(watched)
    assert await looks_at(other)
    assert await looks_at(watched)
    assert not await looks_at(other)
