"""States, headers and whole messages."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from connectors.api.errors import Denied, NotFound, Unavailable
from connectors.api.types import MailboxRef, MessageRef
from connectors.jmap.header import MAX_OCTETS
from tests.conformance.rig import mail, octets
from tests.connectors.jmap.rig import BEGIN, staged
from tests.fakes.jmap.options import FakeOptions, Quirk


async def test_states_are_of_the_mailbox_asked() -> None:
    async with staged(FakeOptions(max_objects_in_get=3)) as stage:
        here, there = stage.fill(7), stage.fill(2, "Sent")
        found = await stage.connector.states(stage.ref(), [*here, *there, MessageRef("none"), here[0]])
        assert [state.ref for state in found] == here
        assert stage.api_requests() == 1


# -- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quirk", [Quirk.GET_STOPS_SHORT, Quirk.LIMITS_COUNT_TOGETHER])
async def test_states_are_complete_where_a_server_gives_fewer_than_it_says(quirk: Quirk) -> None:
    async with staged(FakeOptions(max_objects_in_get=20, quirks=frozenset({quirk}))) as stage:
        refs = [*stage.fill(50), MessageRef("gone")]
        states = await stage.connector.states(stage.ref(), refs)
        assert [state.ref for state in states] == refs[:50]


async def test_many_long_ids_are_asked_for_in_several_requests() -> None:
    async with staged(FakeOptions(max_size_request=20_000)) as stage:
        (ref,) = stage.fill(1)
        wanted = [MessageRef(f"{number:0>250}") for number in range(200)]
        assert [state.ref for state in await stage.connector.states(stage.ref(), [*wanted, ref])] == [ref]


async def test_doubtful_headers_are_cut_from_their_messages() -> None:
    odd = b"Subject: Gr\xfc\xdfe\r\nX: a\rb\r\n\r\n" + b"body\r\n" * 100
    async with staged() as stage:
        good = stage.fake.deliver("INBOX", mail(1), received_at=BEGIN)
        bad = stage.fake.deliver("INBOX", odd, received_at=BEGIN)
        refs = [MessageRef(bad), MessageRef(good), MessageRef("none")]
        found = {outline.ref: outline async for outline in stage.connector.outlines(stage.ref(), refs)}
        assert {ref: outline.header for ref, outline in found.items()} == {
            good: mail(1)[: mail(1).index(b"\r\n\r\n") + 4],
            bad: odd[: odd.index(b"\r\n\r\n") + 4],
        }
        assert (found[MessageRef(bad)].size, found[MessageRef(bad)].internal_date) == (len(odd), BEGIN)
        assert dict(stage.fake.stats.requests) == {"api": 1, "download": 1}


async def test_a_doubtful_header_that_cannot_be_had_hides_no_other() -> None:
    async with staged() as stage:
        bad = MessageRef(stage.fake.deliver("INBOX", b"no header\r\n\r\n"))
        (good,) = stage.fill(1)
        stage.fake.fail_next("download", "status", times=None, status=403)
        assert [outline.ref async for outline in stage.connector.outlines(stage.ref(), [bad, good])] == [good]
        stage.fake.clear_faults()
        stage.fake.fail_next("download", "status", times=None, status=404)
        assert [outline.ref async for outline in stage.connector.outlines(stage.ref(), [bad, good])] == [good]


async def test_a_header_without_end_is_left_to_whoever_reads_the_message() -> None:
    async with staged() as stage:
        endless = MessageRef(stage.fake.deliver("INBOX", b"no header\r\n" * (MAX_OCTETS // 4)))
        (good,) = stage.fill(1)
        assert [outline.ref async for outline in stage.connector.outlines(stage.ref(), [endless, good])] == [good]


async def test_headers_of_nothing_are_nothing() -> None:
    async with staged() as stage:
        assert [outline async for outline in stage.connector.outlines(stage.ref(), [])] == []
        assert stage.api_requests() == 0


# -- whole messages ---------------------------------------------------------------------------------------------------


async def test_a_message_is_read_only_where_it_is() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1, "Sent")
        assert await octets(await stage.connector.fetch(stage.ref("Sent"), ref)) == mail(0)
        with pytest.raises(NotFound):
            await stage.connector.fetch(stage.ref(), ref)


async def test_a_message_that_ends_while_it_is_read_is_not_found() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        content = await stage.connector.fetch(stage.ref(), ref)
        stage.fake.fail_next("download", "status", status=404)
        with pytest.raises(NotFound):
            await octets(content)


async def test_a_download_cut_short_is_no_message() -> None:
    async with staged() as stage:
        ref = MessageRef(stage.fake.deliver("INBOX", mail(1, b"x" * 5000)))
        content = await stage.connector.fetch(stage.ref(), ref)
        stage.fake.fail_next("download", "cut-body", times=None, octets=100)
        with pytest.raises(Unavailable):
            await octets(content)


async def test_many_messages_are_found_by_one_request() -> None:
    async with staged() as stage:
        refs = stage.fill(20)
        found = {ref: await octets(content) async for ref, content in stage.connector.fetch_many(stage.ref(), refs)}
        assert found == {ref: mail(number) for number, ref in enumerate(refs)}
        assert dict(stage.fake.stats.requests) == {"api": 1, "download": 20}


async def test_one_message_that_cannot_be_had_hides_no_other() -> None:
    async with staged() as stage:
        refs = stage.fill(5)
        stage.fake.fail_next("download", "status", skip=2, status=403)
        found: list[MessageRef] = []

        async def read() -> None:
            async for ref, _ in stage.connector.fetch_many(stage.ref(), refs):
                found.append(ref)

        with pytest.raises(Denied):
            await read()
        assert len(found) == 4


async def test_large_messages_are_not_read_before_their_turn() -> None:
    async with staged() as stage:
        large = [
            MessageRef(stage.fake.deliver("INBOX", mail(number, b"x" * 300_000), received_at=BEGIN))
            for number in range(3)
        ]
        async with aclosing(stage.connector.fetch_many(stage.ref(), large)) as contents:
            ref, content = await anext(contents)
            assert stage.fake.stats.requests["download"] == 0
            assert await octets(content) == mail(large.index(ref), b"x" * 300_000)
        assert stage.fake.stats.requests["download"] == 1


async def test_fetch_many_asks_about_a_mailbox_not_seen_yet() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        with pytest.raises(NotFound):
            _ = [item async for item in stage.connector.fetch_many(MailboxRef("nowhere"), [ref])]
