"""What the server searches and counts."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.abilities import QuotaInfo, TextQuery
from connectors.api.errors import Unsupported
from tests.conformance.rig import mail
from tests.connectors.jmap.rig import staged
from tests.fakes.jmap.options import FakeOptions


async def test_all_terms_must_match_in_the_mailbox_asked() -> None:
    async with staged(FakeOptions(query_clamp=2)) as stage:
        both = {stage.fake.deliver("INBOX", mail(number, b"ripe pear\r\n")) for number in range(7)}
        stage.fake.deliver("INBOX", mail(8, b"green pear\r\n"))
        stage.fake.deliver("Sent", mail(9, b"ripe pear\r\n"))
        assert await stage.connector.search_text(stage.ref(), TextQuery(("ripe", "pear"))) == both


async def test_what_moves_up_between_two_pages_is_found() -> None:
    async with staged(FakeOptions(query_clamp=2)) as stage:
        refs = stage.fill(6)
        gate = stage.fake.hold("Email/query")
        searching = asyncio.ensure_future(stage.connector.search_text(stage.ref(), TextQuery(("some",))))
        await gate.arrived()
        again = stage.fake.hold("Email/query")
        gate.release()
        await again.arrived()
        stage.fake.remove(refs[0])
        again.release()
        assert set(refs[1:]) <= await searching


async def test_a_server_that_cannot_search_says_so() -> None:
    async with staged() as stage:
        stage.fake.fail_next("Email/query", "method-error", error="unsupportedFilter")
        with pytest.raises(Unsupported):
            await stage.connector.search_text(stage.ref(), TextQuery(("x",)))


async def test_quota_is_told_where_it_is_kept() -> None:
    async with staged(FakeOptions(quota_octets=10_000, quota_messages=5)) as stage:
        stage.fill(1)
        storage, count = sorted(await stage.connector.quota(), key=lambda info: info.used_octets, reverse=True)
        assert (storage.used_octets, storage.limit_octets) == (len(mail(0)), 10_000)
        assert (count.used_messages, count.limit_messages) == (1, 5)


async def test_without_quota_there_is_none() -> None:
    async with staged() as stage:
        found: list[QuotaInfo] = list(await stage.connector.quota())
        assert found == []
        assert stage.api_requests() == 0
