"""Flags and expunging, where the server is not as one would wish."""

from __future__ import annotations

import pytest

from connectors.api.errors import Denied, OutcomeUnknown, Unavailable
from connectors.api.types import DELETED, SEEN, MessageRef
from connectors.imap.names import INBOX
from tests.connectors.imap.scripted import Peer, opened, scripted

NONE: frozenset[str] = frozenset()
ONE, TWO = MessageRef("1"), MessageRef("2")
BOTH = b"* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 2 FLAGS (x))\r\n"


async def test_flags_are_taken_from_the_answer_and_the_rest_asked_for() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(
            b"UID STORE 1:2 +FLAGS (\\Seen)", b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS (x))\r\n"
        )
        await peer.answer(b"UID FETCH 2 (UID FLAGS)", b"* 2 FETCH (UID 2 FLAGS (x \\Seen))\r\n")

    async with scripted(script) as server, opened(server) as connector:
        result = await connector.store_flags(INBOX, [ONE, TWO], frozenset({SEEN}), NONE)
        assert {ref: state and state.flags for ref, state in result.done.items()} == {
            ONE: frozenset({SEEN}),
            TWO: frozenset({SEEN, "x"}),
        }


async def test_what_is_not_there_is_found_out_by_the_store_itself() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 1:2 +FLAGS (\\Seen)", b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))\r\n")
        await peer.answer(b"UID FETCH 2 (UID FLAGS)")

    async with scripted(script) as server, opened(server) as connector:
        result = await connector.store_flags(INBOX, [ONE, TWO], frozenset({SEEN}), NONE)
        assert {ref: state and state.flags for ref, state in result.done.items()} == {ONE: frozenset({SEEN})}
        assert result.missing == {TWO}


async def test_a_refused_store_names_what_was_done_all_the_same() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 1:2 +FLAGS (\\Seen)", ending=b"NO [NOPERM] not both")
        await peer.answer(b"UID FETCH 1:2 ", BOTH.replace(b"()", b"(\\Seen)"))

    async with scripted(script) as server, opened(server) as connector:
        result = await connector.store_flags(INBOX, [ONE, TWO], frozenset({SEEN}), NONE)
        assert result.done.keys() == {ONE}
        assert isinstance(result.failed[TWO], Denied)


async def test_without_uid_expunge_others_marks_are_lifted_and_restored() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID FETCH 1 ", b"* 1 FETCH (UID 1 FLAGS ())\r\n")
        await peer.answer(b"UID SEARCH DELETED", b"* SEARCH 1 7 9\r\n")
        await peer.answer(b"UID STORE 7,9 -FLAGS.SILENT (\\Deleted)")
        await peer.answer(b"UID STORE 1 +FLAGS.SILENT (\\Deleted)")
        await peer.answer(b"EXPUNGE", b"* 1 EXPUNGE\r\n")
        await peer.answer(b"NOOP")
        await peer.answer(b"UID STORE 7,9 +FLAGS.SILENT (\\Deleted)")

    async with scripted(script) as server, opened(server) as connector:
        assert (await connector.expunge(INBOX, [ONE])).done == {ONE: None}


async def test_lifted_marks_are_restored_on_another_connection_if_this_one_is_lost() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID FETCH 1 ", b"* 1 FETCH (UID 1 FLAGS ())\r\n")
        await peer.answer(b"UID SEARCH DELETED", b"* SEARCH 7\r\n")
        await peer.answer(b"UID STORE 7 -FLAGS.SILENT (\\Deleted)")
        await peer.answer(b"UID STORE 1 +FLAGS.SILENT (\\Deleted)")
        await peer.expect(b"EXPUNGE")
        peer.cut()

    async def second(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 7 +FLAGS.SILENT (\\Deleted)")

    async with scripted(script, second) as server, opened(server, max_connections=1) as connector:
        with pytest.raises(OutcomeUnknown):
            await connector.expunge(INBOX, [ONE])


async def test_a_write_is_not_begun_on_a_connection_that_died_while_resting() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID FETCH 1 ")
        await peer.expect(b"NOOP")
        peer.cut()

    async def second(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 1 -FLAGS (\\Deleted)", b"* 1 FETCH (UID 1 FLAGS ())\r\n")

    async with scripted(first, second) as server, opened(server) as connector:
        assert await connector.states(INBOX, [ONE]) == []
        result = await connector.store_flags(INBOX, [ONE], NONE, frozenset({DELETED}))
        assert result.done.keys() == {ONE}


async def test_a_store_without_answer_has_an_unknown_outcome() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.expect(b"UID STORE")
        await peer.gone()

    async with scripted(script) as server, opened(server, timeout_s=0.2) as connector:
        with pytest.raises(OutcomeUnknown):
            await connector.store_flags(INBOX, [ONE], frozenset({SEEN}), NONE)


async def test_refs_of_another_connector_are_missing_and_cost_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()

    foreign = [MessageRef(ref) for ref in ("", "x", "0", "-1", "1:*", "99999999999", "4294967296", "¹")]
    async with scripted(script) as server, opened(server) as connector:
        assert (await connector.store_flags(INBOX, foreign, frozenset({SEEN}), NONE)).missing == set(foreign)
        assert (await connector.expunge(INBOX, foreign)).missing == set(foreign)
        assert (await connector.move(INBOX, foreign, INBOX)).missing == set(foreign)
        assert await connector.states(INBOX, foreign) == []


async def test_no_server_is_unavailable_and_nothing_was_done() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        peer.cut()

    async def refuse(peer: Peer) -> None:
        await peer.send(b"* BYE too busy\r\n")

    async with scripted(script, refuse) as server, opened(server) as connector:
        with pytest.raises(Unavailable):
            await connector.store_flags(INBOX, [ONE], frozenset({SEEN}), NONE)


async def test_flags_that_were_stored_and_cannot_be_read_have_an_unknown_outcome() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 1 +FLAGS (\\Seen)")
        await peer.expect(b"UID FETCH 1 (UID FLAGS)")
        peer.cut()

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(OutcomeUnknown):
            await connector.store_flags(INBOX, [ONE], frozenset({SEEN}), NONE)


async def test_flags_that_were_stored_in_part_have_an_unknown_outcome_if_the_rest_is_lost() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 1 +FLAGS (\\Seen)")
        await peer.answer(b"UID STORE 1 -FLAGS (\\Deleted)", ending=b"BAD User is authenticated but not connected.")
        await peer.gone()

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(OutcomeUnknown):
            await connector.store_flags(INBOX, [ONE], frozenset({SEEN}), frozenset({DELETED}))


async def test_a_store_that_is_refused_since_the_session_is_lost_did_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 1 +FLAGS (\\Seen)", ending=b"BAD User is authenticated but not connected.")
        await peer.gone()

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(Unavailable):
            await connector.store_flags(INBOX, [ONE], frozenset({SEEN}), NONE)


async def test_flags_that_were_stored_and_are_not_told_are_stored() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.select()
        await peer.answer(b"UID STORE 1:2 +FLAGS (\\Seen)", b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n")
        await peer.answer(b"UID FETCH 2 (UID FLAGS)", ending=b"NO Server Unavailable. 15")

    async with scripted(script) as server, opened(server) as connector:
        result = await connector.store_flags(INBOX, [ONE, TWO], frozenset({SEEN}), NONE)
        assert {ref: state and state.flags for ref, state in result.done.items()} == {ONE: frozenset({SEEN}), TWO: None}
        assert not result.missing
