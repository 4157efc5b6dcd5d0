"""What the connector costs, in requests, and what it says of itself."""

from __future__ import annotations

import math

import pytest

from connectors.api.credentials import FixedCredential
from connectors.api.errors import AuthExpired, ConnectorError, OutcomeUnknown, Unavailable, Unsupported
from connectors.api.types import FLAGGED, SEEN, BytesContent, MessageRef
from connectors.jmap.connector import make_connector
from tests.conformance.rig import mail
from tests.connectors.jmap.rig import FakeRig, staged
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.seeding import seed
from tests.fakes.jmap.server import running_fake

NONE: frozenset[str] = frozenset()


# -- cost -------------------------------------------------------------------------------------------------------------


async def test_the_first_listing_costs_a_request_per_full_reply_and_a_few_more() -> None:
    count = 10_000
    async with running_fake() as fake:
        seed(fake, count)
        connector = FakeRig(fake).connector(push="off")
        await connector.open()
        await connector.list_mailboxes()
        await connector.position(None)
        refs = [state.ref async for page in connector.list_account() for state in page]
        assert len(set(refs)) == len(refs) == count
        assert sum(fake.stats.requests.values()) <= count / fake.options.max_objects_in_get + 10
        await connector.close()


async def test_a_poll_without_news_is_one_request() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        stage.fake.stats.reset()
        assert [page async for page in stage.connector.changes(None, cursor)] == []
        assert sum(stage.fake.stats.requests.values()) == 1


async def test_a_poll_with_usual_news_is_one_request() -> None:
    async with staged() as stage:
        refs = stage.fill(20)
        cursor = await stage.connector.position(None)
        stage.fill(20, "Sent")
        stage.fake.set_keywords(refs[0], ["$seen"])
        stage.fake.remove(refs[1])
        stage.fake.stats.reset()
        (page,) = [page async for page in stage.connector.changes(None, cursor)]
        assert (len(page.changed), page.removed) == (21, (refs[1],))
        assert not page.mailboxes_changed
        assert sum(stage.fake.stats.requests.values()) == 1


@pytest.mark.parametrize("limit", [500, 50, 16])
async def test_changing_a_thousand_messages_costs_few_requests(limit: int) -> None:
    options = FakeOptions(max_objects_in_get=limit, max_objects_in_set=limit)
    async with staged(options) as stage:
        refs, inbox, other = stage.fill(1000), stage.ref(), stage.ref("Archive")
        connector = stage.connector
        most = math.ceil(1000 / limit)
        batches = [
            refs[at : at + connector.capabilities.batch_limit]
            for at in range(0, 1000, connector.capabilities.batch_limit)
        ]
        for batch in batches:
            stored = await connector.store_flags(inbox, batch, frozenset({SEEN}), NONE)
            assert all(state is not None and state.flags == frozenset({SEEN}) for state in stored.done.values())
        assert stage.api_requests() <= most
        stage.fake.stats.reset()
        for batch in batches:
            assert (await connector.copy(inbox, batch, other)).done.keys() == set(batch)
        assert stage.api_requests() <= most
        stage.fake.stats.reset()
        for batch in batches:
            assert (await connector.expunge(inbox, batch)).done.keys() == set(batch)
        assert stage.api_requests() <= most
        stage.fake.stats.reset()
        for batch in batches:
            assert (await connector.move(other, batch, inbox)).done.keys() == set(batch)
        assert stage.api_requests() <= most
        assert len(stage.fake.emails_in("INBOX")) == 1000


async def test_destroying_costs_two_looks_more() -> None:
    async with staged() as stage:
        refs = stage.fill(1000, "Trash")
        result = await stage.connector.expunge(stage.ref("Trash"), refs)
        assert result.done.keys() == set(refs)
        assert stage.fake.account().emails == {}
        assert stage.api_requests() == 4


async def test_headers_of_many_messages_are_one_request() -> None:
    async with staged() as stage:
        refs = stage.fill(200)
        outlines = [outline async for outline in stage.connector.outlines(stage.ref(), refs)]
        assert len(outlines) == 200
        assert sum(stage.fake.stats.requests.values()) == 1


async def test_an_append_is_an_upload_and_a_request() -> None:
    async with staged() as stage:
        await stage.connector.append(stage.ref(), BytesContent(mail(1)), frozenset({SEEN}), None)
        assert dict(stage.fake.stats.requests) == {"upload": 1, "api": 1}


# -- limits -----------------------------------------------------------------------------------------------------------


async def test_batches_follow_the_servers_limits() -> None:
    options = FakeOptions(max_objects_in_get=30, max_objects_in_set=20, max_calls_in_request=8, max_size_upload=1000)
    async with staged(options, poll_interval_s=7.0) as stage:
        capabilities = stage.connector.capabilities
        assert (capabilities.batch_limit, capabilities.outline_limit) == (80, 30)
        assert (capabilities.append_limit, capabilities.poll_interval_s) == (1000, 7.0)
        assert capabilities.many_mailboxes
        assert capabilities.reports_tree
        assert not capabilities.has_deleted_flag


async def test_a_small_request_limit_makes_batches_small() -> None:
    async with staged(FakeOptions(max_size_request=20_000)) as stage:
        refs = stage.fill(100)
        batch = refs[: stage.connector.capabilities.batch_limit]
        assert 1 <= len(batch) < 100
        result = await stage.connector.store_flags(
            stage.ref(), batch, frozenset({SEEN, FLAGGED}), frozenset({"x" * 200})
        )
        assert result.done.keys() == set(batch)


async def test_one_mailbox_per_message_is_no_many_mailboxes() -> None:
    async with staged(FakeOptions(max_mailboxes_per_email=1)) as stage:
        assert not stage.connector.capabilities.many_mailboxes


async def test_a_server_that_takes_too_few_calls_is_told_of() -> None:
    async with running_fake(FakeOptions(max_calls_in_request=3)) as fake:
        connector = FakeRig(fake).connector()
        with pytest.raises(Unsupported):
            await connector.open()
        await connector.close()


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_a_closed_connector_says_so() -> None:
    async with staged() as stage:
        await stage.connector.close()
        with pytest.raises(Unavailable):
            await stage.connector.list_mailboxes()
        await stage.connector.open()
        assert await stage.connector.list_mailboxes()


async def test_refused_credentials_are_told() -> None:
    async with running_fake() as fake:
        fake.change_credentials("alice", password="another")
        rig = FakeRig(fake)
        fake.change_credentials("alice", password="yet another")
        connector = rig.connector()
        with pytest.raises(AuthExpired):
            await connector.open()
        await connector.close()


@pytest.mark.parametrize("kind", ["cut-after", "broken-json"])
async def test_a_lost_answer_to_a_write_leaves_the_outcome_open(kind: str) -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        inbox, other = stage.ref(), stage.ref("Sent")
        connector, fail_next = stage.connector, stage.fake.fail_next
        fail_next("Email/set", kind)
        with pytest.raises(OutcomeUnknown):
            await connector.store_flags(inbox, [ref], frozenset({SEEN}), NONE)
        fail_next("Email/import", kind)
        with pytest.raises(OutcomeUnknown):
            await connector.append(inbox, BytesContent(mail(9)), NONE, None)
        fail_next("Email/set", kind)
        with pytest.raises(OutcomeUnknown):
            await connector.copy(inbox, [ref], other)
        fail_next("Email/set", kind)
        with pytest.raises(OutcomeUnknown):
            await connector.move(inbox, [ref], other)
        fail_next("Email/set", kind)
        with pytest.raises(OutcomeUnknown):
            await connector.expunge(other, [ref])
        assert stage.fake.email(ref).keywords == {"$seen"}
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Trash")}


@pytest.mark.parametrize("error", ["serverUnavailable", "serverFail", "somethingNew"])
async def test_a_failing_server_has_done_nothing(error: str) -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        stage.fake.fail_next("Email/set", "method-error", error=error)
        with pytest.raises(Unavailable):
            await stage.connector.store_flags(stage.ref(), [ref], frozenset({SEEN}), NONE)


async def test_reads_raise_only_errors_of_the_contract() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        cursor = await stage.connector.position(None)
        probe = stage.probe()
        for method in ("Email/get", "Email/changes", "Email/query"):
            stage.fake.fail_next(method, "method-error", times=None, error="serverFail")
        with pytest.raises(ConnectorError):
            await probe.listing()
        with pytest.raises(ConnectorError):
            await probe.state(ref)
        with pytest.raises(ConnectorError):
            await stage.connector.fetch(probe.ref, MessageRef(ref))
        with pytest.raises(ConnectorError):
            _ = [page async for page in stage.connector.changes(None, cursor)]
        stage.fake.clear_faults()
        assert await probe.refs() == [ref]


def test_the_factory_takes_checked_settings() -> None:
    connector = make_connector({"url": "https://jmap.example.com", "poll_interval_s": 9.0}, FixedCredential(None))
    assert connector.capabilities.poll_interval_s == 9.0
