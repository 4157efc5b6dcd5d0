"""What every connector must do when it reads."""

from __future__ import annotations

import asyncio
import email
import email.policy
from contextlib import aclosing

import pytest

from connectors.api.abilities import TextQuery
from connectors.api.connector import Connector
from connectors.api.errors import NotFound, Unsupported
from connectors.api.types import SEEN, MailboxRef, MessageRef, Outline
from tests.conformance.base import Suite, require, require_batch_fetch, require_search, require_stored_octets
from tests.conformance.rig import DATE, INBOX, Ability, Probe, Rig, chosen, find_mailbox, mail, message_id, octets


class ReadingSuite(Suite):
    """Listing, states, outlines and whole messages."""

    async def test_inbox_is_listed_once(self, connector: Connector) -> None:
        info = await find_mailbox(connector, INBOX)
        assert info.is_selectable
        assert not info.is_read_only

    async def test_uids_come_with_uidvalidity_and_uidnext(self, connector: Connector) -> None:
        info = await find_mailbox(connector, INBOX)
        assert (info.uidvalidity is not None) == connector.capabilities.has_uids
        assert (info.uidnext is not None) == connector.capabilities.has_uids

    async def test_an_empty_mailbox_lists_nothing(self, inbox: Probe) -> None:
        assert await inbox.listing() == []

    async def test_listing_is_complete_and_oldest_first(self, rig: Rig, inbox: Probe) -> None:
        for number in range(30):
            await rig.deliver(INBOX, mail(number))
        refs = await inbox.refs()
        assert len(set(refs)) == 30
        await inbox.assert_are(refs, [mail(number) for number in range(30)])

    async def test_listing_has_ascending_uids_where_the_backend_has_uids(self, rig: Rig, inbox: Probe) -> None:
        for number in range(5):
            await rig.deliver(INBOX, mail(number))
        uids = [state.uid for state in await inbox.listing()]
        if inbox.connector.capabilities.has_uids:
            known = [uid for uid in uids if uid is not None]
            assert len(known) == 5
            assert known == sorted(set(known))
        else:
            assert uids == [None] * 5

    async def test_membership_is_told_where_a_message_can_be_in_several_mailboxes(self, rig: Rig, inbox: Probe) -> None:
        await rig.deliver(INBOX, mail(1))
        (listed,) = await inbox.listing()
        state = await inbox.state(listed.ref)
        told = frozenset({inbox.ref}) if inbox.connector.capabilities.many_mailboxes else None
        assert await chosen(inbox.connector, state.mailboxes) == told
        # A listing tells what is cheapest: of the mailbox that is asked for if nothing else.
        assert await chosen(inbox.connector, listed.mailboxes) in (told, None)

    async def test_states_tell_flags_date_and_size(self, inbox: Probe) -> None:
        appended = await inbox.append(mail(1), frozenset({SEEN}), DATE)
        state = await inbox.state(appended.ref)
        assert state.flags == frozenset({SEEN})
        assert state.internal_date == DATE
        assert state.internal_date.tzinfo is not None
        inbox.assert_size(state, mail(1))
        assert not state.content_changed

    async def test_states_leave_out_what_is_gone(self, rig: Rig, inbox: Probe) -> None:
        kept = await inbox.append(mail(1))
        gone = await inbox.append(mail(2))
        await rig.remove(INBOX, message_id(2))
        states = await inbox.connector.states(inbox.ref, [gone.ref, kept.ref])
        assert [state.ref for state in states] == [kept.ref]

    async def test_states_of_nothing_are_nothing(self, inbox: Probe) -> None:
        assert list(await inbox.connector.states(inbox.ref, [])) == []

    async def test_outlines_give_the_header_block(self, rig: Rig, inbox: Probe) -> None:
        messages = [mail(number, subject=subject) for number, subject in enumerate(["", "x" * 70, "Grüße"])]
        for message in messages:
            await rig.deliver(INBOX, message)
        refs = await inbox.refs()
        outlines = {outline.ref: outline for outline in await self._outlines(inbox, refs)}
        assert outlines.keys() == set(refs)
        for ref, message in zip(refs, messages, strict=True):
            outline, block = outlines[ref], message[: message.index(b"\r\n\r\n") + 4]
            if outline.header_is_exact:
                assert outline.header == block
                assert outline.size in (None, len(message))
            else:
                assert outline.header.endswith(b"\r\n\r\n")
                assert outline.body_structure is None
                assert _values(outline.header) == _values(block)

    async def test_outlines_leave_out_what_is_gone(self, rig: Rig, inbox: Probe) -> None:
        kept = await inbox.append(mail(1))
        gone = await inbox.append(mail(2))
        await rig.remove(INBOX, message_id(2))
        assert [outline.ref for outline in await self._outlines(inbox, [gone.ref, kept.ref])] == [kept.ref]

    @staticmethod
    async def _outlines(inbox: Probe, refs: list[MessageRef]) -> list[Outline]:
        try:
            return [outline async for outline in inbox.connector.outlines(inbox.ref, refs)]
        except Unsupported:
            pytest.skip("lacks the ability: outlines cheaper than whole messages")

    async def test_fetch_gives_8_bit_octets_untouched(self, inbox: Probe) -> None:
        require_stored_octets(inbox.connector)
        message = mail(1, bytes(range(1, 10)) + bytes(range(128, 256)) + b"\r\n\r\n..\r\n.\r\n")
        state = await inbox.append(message)
        await inbox.assert_is(state.ref, message)

    async def test_fetch_gives_nul_octets_untouched(self, rig: Rig, inbox: Probe) -> None:
        require(rig, Ability.NUL_OCTETS)
        require_stored_octets(inbox.connector)
        message = mail(1, b"before\0after\0\0\r\n\0")
        state = await inbox.append(message)
        await inbox.assert_is(state.ref, message)

    async def test_fetched_content_can_be_read_twice(self, inbox: Probe) -> None:
        state = await inbox.append(mail(1))
        content = await inbox.connector.fetch(inbox.ref, state.ref)
        first = await octets(content)
        assert await octets(content) == first
        assert inbox.gist(first) == inbox.gist(mail(1))

    async def test_five_megabytes_arrive_in_bounded_pieces(self, inbox: Probe) -> None:
        line = b"0123456789abcdef" * 4 + b"\r\n"
        message = mail(1, line * (5_000_000 // len(line)))
        state = await inbox.append(message)
        inbox.assert_size(state, message)
        await inbox.assert_is(state.ref, message)

    async def test_fetch_of_a_gone_message_is_not_found(self, rig: Rig, inbox: Probe) -> None:
        state = await inbox.append(mail(1))
        await rig.remove(INBOX, message_id(1))
        with pytest.raises(NotFound):
            await inbox.read(state.ref)

    async def test_an_unknown_mailbox_is_not_found(self, connector: Connector) -> None:
        nowhere = Probe(connector, MailboxRef("no-such-mailbox"))
        with pytest.raises(NotFound):
            await nowhere.listing()
        if nowhere.scope is not None:
            with pytest.raises(NotFound):
                await nowhere.position()

    async def test_concurrent_reads_do_not_mix(self, rig: Rig, inbox: Probe) -> None:
        for number in range(12):
            await rig.deliver(INBOX, mail(number, b"%d\r\n" % number * 500))
        refs = await inbox.refs()
        messages, listed = await asyncio.gather(asyncio.gather(*map(inbox.read, refs)), inbox.refs())
        assert list(map(inbox.gist, messages)) == [
            inbox.gist(mail(number, b"%d\r\n" % number * 500)) for number in range(12)
        ]
        assert listed == refs

    async def test_fetch_many_gives_all_messages_octet_for_octet(self, rig: Rig, inbox: Probe) -> None:
        bodies = [b"", b"small\r\n", b"..\r\n.\r\n)\r\n* 1 FETCH (\r\n"]
        if not inbox.connector.capabilities.bodies_vary:
            bodies.append(bytes(range(1, 10)) + bytes(range(128, 256)))
        bodies += [b"%d\r\n" % number * 60_000 for number in range(2)] + [b"last\r\n"]
        messages = [mail(number, body) for number, body in enumerate(bodies)]
        for message in messages:
            await rig.deliver(INBOX, message)
        refs = await inbox.refs()
        found = await self._fetch_many(inbox, refs)
        assert sorted(ref for ref, _ in found) == sorted(refs)
        assert dict(found) == {ref: inbox.gist(message) for ref, message in zip(refs, messages, strict=True)}

    async def test_fetch_many_takes_as_many_as_the_connector_says(self, rig: Rig, inbox: Probe) -> None:
        count = min(inbox.connector.capabilities.outline_limit, 60)
        for number in range(count):
            await rig.deliver(INBOX, mail(number))
        refs = await inbox.refs()
        assert dict(await self._fetch_many(inbox, refs)) == {
            ref: inbox.gist(mail(number)) for number, ref in enumerate(refs)
        }

    async def test_fetch_many_leaves_out_what_is_gone(self, rig: Rig, inbox: Probe) -> None:
        states = [await inbox.append(mail(number)) for number in range(4)]
        for number in (0, 2):
            await rig.remove(INBOX, message_id(number))
        found = await self._fetch_many(inbox, [state.ref for state in states])
        assert dict(found) == {states[number].ref: inbox.gist(mail(number)) for number in (1, 3)}
        assert await self._fetch_many(inbox, [states[0].ref]) == []

    async def test_fetch_many_of_nothing_is_nothing(self, inbox: Probe) -> None:
        assert await self._fetch_many(inbox, []) == []

    async def test_fetch_many_in_an_unknown_mailbox_is_not_found(self, connector: Connector) -> None:
        with pytest.raises(NotFound):
            await self._fetch_many(Probe(connector, MailboxRef("no-such-mailbox")), [MessageRef("1")])

    async def test_fetch_many_may_be_left_early(self, rig: Rig, inbox: Probe) -> None:
        batch = require_batch_fetch(inbox.connector)
        messages = [mail(number, b"%d\r\n" % number * 50_000) for number in range(3)]
        for message in messages:
            await rig.deliver(INBOX, message)
        refs = await inbox.refs()
        # More often than a connector can have connections.
        for _ in range(10):
            async with aclosing(batch.fetch_many(inbox.ref, refs)) as contents:
                ref, content = await anext(contents)
                assert inbox.gist(await octets(content)) == inbox.gist(messages[refs.index(ref)])
        await inbox.assert_are(refs, messages)

    async def test_fetch_many_may_be_cancelled(self, rig: Rig, inbox: Probe) -> None:
        batch = require_batch_fetch(inbox.connector)
        messages = [mail(number, b"%d\r\n" % number * 50_000) for number in range(3)]
        for message in messages:
            await rig.deliver(INBOX, message)
        refs = await inbox.refs()
        for turns in range(10):
            contents = batch.fetch_many(inbox.ref, refs)
            reading = asyncio.ensure_future(anext(contents))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            await contents.aclose()
        found = await self._fetch_many(inbox, refs)
        assert dict(found) == {ref: inbox.gist(message) for ref, message in zip(refs, messages, strict=True)}

    @staticmethod
    async def _fetch_many(inbox: Probe, refs: list[MessageRef]) -> list[tuple[MessageRef, object]]:
        batch = require_batch_fetch(inbox.connector)
        return [(ref, inbox.gist(await octets(content))) async for ref, content in batch.fetch_many(inbox.ref, refs)]

    async def test_text_is_found_in_bodies_and_headers(self, rig: Rig, inbox: Probe) -> None:
        search = require_search(inbox.connector)
        require(rig, Ability.SEARCH_AT_ONCE)
        pear = await inbox.append(mail(1, b"A ripe pear.\r\n", subject="Fruit"))
        plum = await inbox.append(mail(2, "Eine süße Pflaume.\r\n".encode(), subject="pear"))
        both = frozenset({pear.ref, plum.ref})
        assert await search.search_text(inbox.ref, TextQuery(("pear",))) == both
        assert await search.search_text(inbox.ref, TextQuery(("pear",), body_only=True)) == {pear.ref}
        assert await search.search_text(inbox.ref, TextQuery(("süße",))) == {plum.ref}
        assert await search.search_text(inbox.ref, TextQuery(("quince",))) == frozenset()


def _values(block: bytes) -> dict[str, str]:
    """Return what ENVELOPE and searches take from a header, decoded."""
    message = email.message_from_bytes(block, policy=email.policy.default)
    return {name: str(message[name]) for name in ("From", "To", "Subject", "Date", "Message-ID")}
