"""Reading messages whole, one by one and in batches, and their states."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.api.errors import ConnectorError, NotFound, Unavailable, Unsupported
from connectors.api.types import MailboxRef, MessageRef
from tests.conformance.rig import mail, octets
from tests.connectors.gmail.stage import Stage, staged
from tests.fakes.gmail.options import FakeOptions, Quirks

INBOX = MailboxRef("INBOX")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(FakeOptions(quirks=Quirks(lie_about_sizes=True))) as made:
        yield made


async def test_a_hundred_messages_are_read_by_a_hundred_gets_in_few_requests(stage: Stage) -> None:
    refs = stage.fill(100, "INBOX")
    stage.clear()
    found = {ref: await octets(content) async for ref, content in stage.connector.fetch_many(INBOX, refs)}
    assert found == {ref: mail(number) for number, ref in enumerate(refs)}
    assert stage.calls("messages.get") == 100
    assert stage.fake.stats.requests == 2


async def test_one_message_that_cannot_be_read_does_not_hide_the_others(stage: Stage) -> None:
    refs = stage.fill(5, "INBOX")
    stage.fake.fail_next("gmail.users.messages.get", status=403, reason="forbidden")
    contents = stage.connector.fetch_many(INBOX, refs)
    found = {(await anext(contents))[0] for _ in range(4)}
    with pytest.raises(ConnectorError):
        await anext(contents)
    assert found < set(refs)


async def test_sizes_are_exact_or_not_told(stage: Stage) -> None:
    (ref,) = stage.fill(1, "INBOX")
    state = await stage.probe().state(ref)
    assert state.size is None
    await stage.probe().read(ref)
    state = await stage.probe().state(ref)
    assert (state.size, state.size_is_exact) == (len(mail(0)), True)


async def test_states_are_of_messages_in_the_mailbox(stage: Stage) -> None:
    work = stage.fake.new_label("Work")
    here, there = stage.deliver(1, "INBOX", work), stage.deliver(2, work)
    assert [state.ref for state in await stage.connector.states(INBOX, [there, here, here])] == [here]
    assert {state.ref for state in await stage.connector.states(MailboxRef(work), [there, here])} == {here, there}


@pytest.mark.parametrize("ref", ["junk", "0", "ffffffffffffffff", "a/b?c"])
async def test_what_cannot_be_an_id_is_no_message(stage: Stage, ref: str) -> None:
    assert await stage.connector.states(INBOX, [MessageRef(ref)]) == []
    with pytest.raises(NotFound):
        await stage.connector.fetch(INBOX, MessageRef(ref))
    assert [found async for found in stage.connector.fetch_many(INBOX, [MessageRef(ref)])] == []


async def test_headers_cost_as_much_as_messages(stage: Stage) -> None:
    with pytest.raises(Unsupported):
        stage.connector.outlines(INBOX, [])


async def test_a_failure_is_not_an_absence(stage: Stage) -> None:
    (ref,) = stage.fill(1, "INBOX")
    stage.fake.fail_next("gmail.users.messages.get", times=20, status=503)
    with pytest.raises(Unavailable):
        await stage.connector.states(INBOX, [ref])
    with pytest.raises(Unavailable):
        await stage.connector.fetch(INBOX, ref)
