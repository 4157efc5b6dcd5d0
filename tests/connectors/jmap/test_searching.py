"""What the server searches and counts."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from connectors.api.abilities import QuotaInfo, TextQuery
from connectors.api.errors import Unsupported
from connectors.jmap.searching import quota_roots
from connectors.jmap.structs import Quota
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


def test_quotas_of_one_name_are_one_root_unless_they_limit_the_same() -> None:
    # RFC 9425 section 5.1, its second quota filled in, and others beside them.
    common = {"scope": "account", "name": "bob@example.com", "types": ["Mail", "Calendar", "Contact"]}
    told: list[dict[str, object]] = [
        {"id": "2a06", "resourceType": "count", "used": 1056, "warnLimit": 1600, "hardLimit": 2000, **common},
        {"id": "3b06", "resourceType": "octets", "used": 700, "softLimit": None, "hardLimit": 900, **common},
        {"id": "4c06", "resourceType": "octets", "used": 5, "hardLimit": 10, **common, "types": ["Email"]},
        {"id": "5d06", "resourceType": "octets", "used": 5, "hardLimit": 10, **common, "types": ["Calendar"]},
        {"id": "6e06", "resourceType": "octets", "used": 9999, "hardLimit": 10, **common, "scope": "domain"},
        {"id": "7f06", "resourceType": "octets", "used": 1, "hardLimit": 2, "scope": "account", "types": ["Mail"]},
    ]
    assert quota_roots(msgspec.convert(told, list[Quota])) == [
        QuotaInfo("bob@example.com", 700, 900, 1056, 2000),
        QuotaInfo("4c06", 5, 10),
        QuotaInfo("7f06", 1, 2),
    ]


async def test_without_quota_there_is_none() -> None:
    async with staged() as stage:
        found: list[QuotaInfo] = list(await stage.connector.quota())
        assert found == []
        assert stage.api_requests() == 0
