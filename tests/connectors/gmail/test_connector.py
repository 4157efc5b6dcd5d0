"""The connector as a whole: what it says of itself, what it costs at rest, and trouble on the way."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.credentials import FixedCredential
from connectors.api.errors import AuthExpired, RateLimited, Unavailable
from connectors.api.types import SEEN, MailboxRef
from connectors.gmail import SPEC
from connectors.gmail.connector import GmailConnector, make_connector
from tests.connectors.gmail.stage import in_process, over_sockets, staged
from tests.fakes.gmail.options import FakeOptions, Quirks

INBOX = MailboxRef("INBOX")


def test_it_is_built_from_its_description() -> None:
    connector = SPEC.build({"poll_interval_s": 15, "expunge": "trash"}, FixedCredential(None))
    assert isinstance(connector, GmailConnector)
    assert connector.capabilities.poll_interval_s == 15.0
    assert make_connector(SPEC.check({}), FixedCredential(None)).capabilities.gmail_ids


async def test_opening_costs_one_unit_and_finds_out_about_the_login() -> None:
    async with in_process() as rig:
        connector = rig.connector()
        await connector.open()
        assert rig.fake.stats.total_units == 1
        await connector.close()
        rig.fake.revoke_token()
        with pytest.raises(AuthExpired):
            await connector.open()
        with pytest.raises(Unavailable):
            await connector.list_mailboxes()
        await connector.close()


async def test_an_idle_hour_costs_less_than_two_hundred_units() -> None:
    async with staged(FakeOptions(messages=50, labels=3)) as stage:
        cursor = await stage.connector.position(None)
        stage.clear()
        for _ in range(int(3600 / stage.connector.capabilities.poll_interval_s)):
            assert [page async for page in stage.connector.changes(None, cursor)] == []
        assert stage.units == 180


async def test_a_mailbox_of_a_hundred_thousand_is_listed_within_its_budget() -> None:
    async with staged(FakeOptions(messages=100_000, labels=30)) as stage:
        await stage.connector.position(None)
        found = {}
        for ref in ("INBOX", "ALL"):
            states = [state async for page in stage.connector.listing(MailboxRef(ref)) for state in page]
            found[ref] = (len(states), sum(SEEN not in (state.flags or ()) for state in states))
        messages = stage.fake.mailbox.messages.values()
        inbox = [m for m in messages if "INBOX" in m.labels]
        kept = [m for m in messages if not m.labels & {"SPAM", "TRASH"}]
        assert found == {
            "INBOX": (len(inbox), sum("UNREAD" in m.labels for m in inbox)),
            "ALL": (len(kept), sum("UNREAD" in m.labels for m in kept)),
        }
        assert not stage.calls("messages.get")
        assert stage.units <= 1_500


async def test_a_minute_of_throttling_is_waited_out_or_told() -> None:
    async with staged() as stage:
        refs = stage.fill(3, "INBOX")
        stage.fake.throttle(20)
        assert await stage.probe().refs() == refs
        stage.fake.throttle(3_000)
        with pytest.raises(RateLimited):
            await stage.connector.list_mailboxes()


@pytest.mark.parametrize("method", ["messages.list", "labels.list", "history.list"])
async def test_failures_of_google_s_are_borne(method: str) -> None:
    async with staged() as stage:
        refs = stage.fill(3, "INBOX")
        stage.fake.fail_next(f"gmail.users.{method}", times=2, status=503)
        replica = stage.probe().replica()
        await replica.begin()
        await stage.connector.list_mailboxes()
        await replica.catch_up()
        assert set(replica.flags) == set(refs)


async def test_a_message_in_three_mailboxes_is_seen_in_all() -> None:
    async with staged(FakeOptions(quirks=Quirks(absent_label_ids=True, unknown_labels=True))) as stage:
        work, play = stage.fake.new_label("Work"), stage.fake.new_label("Play")
        ref = stage.deliver(1, "INBOX", work, play, "UNREAD")
        replicas = [stage.probe(name).replica() for name in ("INBOX", work, play, "ALL")]
        for replica in replicas:
            await replica.begin()
        await stage.connector.store_flags(MailboxRef(work), [ref], frozenset({SEEN}), frozenset())
        for replica in replicas:
            await replica.catch_up()
            assert replica.flags == {ref: {SEEN}}


async def test_without_a_subscription_a_watch_waits_until_it_is_closed() -> None:
    async with staged() as stage:
        events = stage.connector.watch()
        waiting = asyncio.ensure_future(anext(events, None))
        await asyncio.sleep(0)
        assert not waiting.done()
        await stage.connector.close()
        assert await waiting is None


async def test_push_costs_a_hundred_units_a_day() -> None:
    async with over_sockets(FakeOptions(notifications_per_s=0)) as rig:
        connector = rig.connector()
        await connector.open()
        events = connector.watch()
        await anext(events)
        rig.fake.deliver(b"Subject: x\r\n\r\n")
        await anext(events)
        assert rig.fake.stats.units["gmail.users.watch"] == 100
        await events.aclose()  # type: ignore[attr-defined]
        await connector.close()
