"""Drafts: an id that stays, and a message that does not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.api.errors import OutcomeUnknown
from connectors.api.types import DRAFT, SEEN, BytesContent, MailboxRef, MessageRef
from connectors.gmail.oauth import MODIFY_SCOPE
from tests.conformance.rig import mail
from tests.connectors.gmail.stage import Stage, staged, told
from tests.fakes.gmail.options import MAIL_SCOPE


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        yield made


async def test_a_message_saved_in_drafts_is_a_draft(stage: Stage) -> None:
    state = await stage.append("DRAFT", mail(1), frozenset({SEEN, DRAFT}))
    assert told(state) == (["ALL", "DRAFT"], [DRAFT, SEEN])
    assert stage.has(state.ref) == {"DRAFT"}
    assert len(stage.fake.mailbox.drafts) == 1
    assert stage.calls("drafts.create") == 1
    assert await stage.probe("DRAFT").read(state.ref) == mail(1)


async def test_what_a_draft_lacks_is_added_so_its_size_is_not_claimed(stage: Stage) -> None:
    state = await stage.append("DRAFT", b"Subject: to do\r\n\r\n")
    assert state.size is None
    assert (await stage.probe("DRAFT").read(state.ref)).endswith(b"Subject: to do\r\n\r\n")


async def test_a_draft_whose_message_is_not_told_has_to_be_looked_for(stage: Stage) -> None:
    stage.rig.transport = _Silent(stage.rig.transport)
    connector = stage.rig.connector()
    await connector.open()
    with pytest.raises(OutcomeUnknown):
        await connector.append(MailboxRef("DRAFT"), BytesContent(mail(1)), frozenset(), None)
    await connector.close()


class _Silent(httpx.AsyncBaseTransport):
    """Takes from replies to drafts.create what they say of the message."""

    def __init__(self, inner: httpx.AsyncBaseTransport | None) -> None:
        assert inner is not None
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if not request.url.path.endswith("/drafts"):
            return response
        await response.aread()
        return httpx.Response(response.status_code, json={"id": response.json()["id"]})


async def test_an_edited_draft_is_another_message(stage: Stage) -> None:
    draft = stage.fake.new_draft(mail(1))
    replica = stage.probe("DRAFT").replica()
    await replica.begin()
    (old,) = replica.flags
    new = MessageRef(stage.fake.new_draft_revision(draft, mail(2)))
    await replica.catch_up()
    assert replica.flags == {new: {SEEN, DRAFT}}
    assert new != old


async def test_a_client_edits_by_saving_anew_and_expunging_the_old(stage: Stage) -> None:
    old = await stage.append("DRAFT", mail(1))
    new = await stage.append("DRAFT", mail(1, b"More text.\r\n"))
    result = await stage.connector.expunge(MailboxRef("DRAFT"), [old.ref])
    assert result.done == {old.ref: None}
    assert await stage.probe("DRAFT").refs() == [new.ref]
    assert len(stage.fake.mailbox.drafts) == 1


class _Editing(httpx.AsyncBaseTransport):
    """Lets somebody change a draft after the first call of `method`, before the client has the answer."""

    def __init__(self, stage: Stage, draft: str, path: str) -> None:
        assert stage.rig.transport is not None
        self._inner = stage.rig.transport
        self._stage, self._draft, self._path = stage, draft, path
        self.new: MessageRef | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if self.new is None and request.url.path.endswith(self._path):
            self.new = MessageRef(self._stage.fake.new_draft_revision(self._draft, mail(2)))
        return response


@pytest.mark.parametrize(
    ("scope", "after"), [(MAIL_SCOPE, "/drafts"), (MODIFY_SCOPE, "/drafts"), (MODIFY_SCOPE, "/batch")]
)
async def test_what_is_saved_while_a_draft_is_being_discarded_stays(scope: str, after: str) -> None:
    """With the lesser scope there is an instant left: between the last look, after the refusal, and the deleting."""
    async with staged(scopes=[scope]) as stage:
        draft = stage.fake.new_draft(mail(1))
        (old,) = await stage.probe("DRAFT").refs()
        other = MessageRef(stage.fake.new_draft_revision(stage.fake.new_draft(mail(3)), mail(4)))
        stage.rig.transport = editing = _Editing(stage, draft, after)
        connector = stage.rig.connector()
        await connector.open()
        result = await connector.expunge(MailboxRef("DRAFT"), [old, other])
        assert set(result.done) == {other}
        assert result.missing == {old}
        assert editing.new is not None
        assert await stage.probe("DRAFT").refs() == [editing.new]
        await connector.close()


async def test_discarding_costs_no_more_than_a_look_and_the_deleting(stage: Stage) -> None:
    refs = [(await stage.append("DRAFT", mail(number))).ref for number in range(5)]
    stage.clear()
    await stage.connector.expunge(MailboxRef("DRAFT"), refs[:4])
    assert stage.units == 5 + 4 * 10


async def test_without_the_right_to_delete_for_good_drafts_are_discarded_all_the_same() -> None:
    async with staged(scopes=[MODIFY_SCOPE]) as stage:
        refs = [(await stage.append("DRAFT", mail(number))).ref for number in range(4)]
        for some in (refs[:1], refs[1:]):
            result = await stage.connector.expunge(MailboxRef("DRAFT"), some)
            assert set(result.done) == set(some)
        assert not stage.fake.mailbox.messages
        # That it is not allowed is found out once.
        assert stage.fake.stats.calls["gmail.users.messages.delete"] <= 1


async def test_a_sent_draft_leaves_drafts_and_is_in_sent_mail(stage: Stage) -> None:
    state = await stage.append("DRAFT", mail(1))
    drafts, sent = stage.probe("DRAFT").replica(), stage.probe("SENT").replica()
    await drafts.begin()
    await sent.begin()
    stage.fake.delete(state.ref)
    ref = stage.deliver(2, "SENT")
    await drafts.catch_up()
    await sent.catch_up()
    assert drafts.flags == {}
    assert sent.flags == {ref: {SEEN}}


async def test_drafts_are_found_however_many_there_are(stage: Stage) -> None:
    for number in range(510):
        stage.fake.new_draft(mail(number))
    refs = await stage.probe("DRAFT").refs()
    result = await stage.connector.expunge(MailboxRef("DRAFT"), [refs[0], refs[-1]])
    assert result.done.keys() == {refs[0], refs[-1]}
    assert stage.calls("drafts.list") == 2
