"""Copying and moving, with whatever the server has for it."""

from __future__ import annotations

import pytest

from connectors.api.errors import ConnectorError, NotFound, OverQuota
from connectors.api.types import BatchResult, MailboxRef, MessageRef
from connectors.imap.names import INBOX
from tests.connectors.imap.scripted import Peer, opened, scripted

OTHER = MailboxRef("Other")
REFS = [MessageRef("1"), MessageRef("2"), MessageRef("3")]
PRESENT = b"* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE 10)\r\n* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 20)\r\n"


def uids(result: BatchResult) -> dict[str, int | None]:
    return {ref: None if state is None else state.uid for ref, state in result.done.items()}


async def begin(peer: Peer, capabilities: bytes) -> None:
    await peer.welcome(capabilities)
    await peer.select()
    await peer.answer(b"UID FETCH 1:3 ", PRESENT)


@pytest.mark.parametrize("untagged", [True, False])
async def test_copyuid_is_taken_from_wherever_it_stands(untagged: bool) -> None:
    code = b"[COPYUID 9 1:2 41:42]"

    async def script(peer: Peer) -> None:
        await begin(peer, b"UIDPLUS MOVE")
        before = b"* OK " + code + b" moved\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n"
        await peer.answer(b"UID MOVE 1:2 Other", before if untagged else b"", b"OK done" if untagged else b"OK " + code)

    async with scripted(script) as server, opened(server) as connector:
        result = await connector.move(INBOX, REFS, OTHER)
        assert uids(result) == {"1": 41, "2": 42}
        assert result.missing == {"3"}
        state = result.done[REFS[0]]
        assert state is not None
        assert (state.ref, state.flags, state.size) == ("41", frozenset({"\\Seen"}), 10)


@pytest.mark.parametrize("code", [b"", b"[COPYUID 9 1:2 41:43] ", b"[COPYUID 9 1:2 1:4294967295] ", b"[COPYUID x] "])
async def test_copies_whose_uids_are_not_told_reliably_are_done_without(code: bytes) -> None:
    async def script(peer: Peer) -> None:
        await begin(peer, b"UIDPLUS")
        await peer.answer(b"UID COPY 1:2 Other", ending=b"OK " + code + b"done")

    async with scripted(script) as server, opened(server) as connector:
        assert uids(await connector.copy(INBOX, REFS, OTHER)) == {"1": None, "2": None}


async def test_copies_in_a_mailbox_that_was_made_anew_have_no_uids_that_the_gateway_knows() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"UIDPLUS")
        await peer.answer(b"STATUS Other", b"* STATUS Other (MESSAGES 3 UIDNEXT 50 UIDVALIDITY 9)\r\n")
        await peer.select()
        await peer.answer(b"UID FETCH 1:3 ", PRESENT)
        await peer.answer(b"UID COPY 1:2 Other", ending=b"OK [COPYUID 10 1:2 1:2] done")

    async with scripted(script) as server, opened(server) as connector:
        await connector.position(OTHER)
        assert uids(await connector.copy(INBOX, REFS, OTHER)) == {"1": None, "2": None}


async def test_without_uidplus_copies_are_recognised_by_their_looks() -> None:
    item = b"BODY[HEADER.FIELDS (MESSAGE-ID DATE)]"

    def look(uid: int, size: int, message_id: bytes) -> bytes:
        return b"* 1 FETCH (UID %d RFC822.SIZE %d %b {%d}\r\n%b)\r\n" % (uid, size, item, len(message_id), message_id)

    async def script(peer: Peer) -> None:
        await begin(peer, b"")
        await peer.answer(b"STATUS Other", b"* STATUS Other (MESSAGES 5 UIDNEXT 40 UIDVALIDITY 9)\r\n")
        await peer.answer(b"UID FETCH 1:2 (UID RFC822.SIZE", look(1, 10, b"same") + look(2, 10, b"other"))
        await peer.answer(b"UID COPY 1:2 Other")
        await peer.select(b"Other", uidvalidity=9)
        await peer.answer(b"UID SEARCH UID 40:*", b"* SEARCH 40 41 42 39\r\n")
        # Someone else delivered 40 meanwhile, and the server stored the copies in the other order.
        await peer.answer(b"UID FETCH 40:42 ", look(40, 99, b"x") + look(41, 10, b"other") + look(42, 10, b"same"))

    async with scripted(script) as server, opened(server) as connector:
        assert uids(await connector.copy(INBOX, REFS, OTHER)) == {"1": 42, "2": 41}


async def test_without_move_messages_are_copied_and_then_expunged() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer, b"UIDPLUS")
        await peer.answer(b"UID COPY 1:2 Other", ending=b"OK [COPYUID 9 1:2 41:42] done")
        await peer.answer(b"UID STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        await peer.answer(b"UID EXPUNGE 1:2")

    async with scripted(script) as server, opened(server) as connector:
        assert uids(await connector.move(INBOX, REFS, OTHER)) == {"1": 41, "2": 42}


async def test_originals_that_cannot_be_removed_are_named_and_their_copies_stay() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer, b"UIDPLUS")
        await peer.answer(b"UID COPY 1:2 Other", ending=b"OK [COPYUID 9 1:2 41:42] done")
        await peer.answer(b"UID STORE 1:2", ending=b"NO [NOPERM] read only")

    async with scripted(script) as server, opened(server) as connector:
        result = await connector.move(INBOX, REFS, OTHER)
        assert result.failed.keys() == {"1", "2"}
        assert not result.done


async def test_a_move_done_in_part_is_told_in_part() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer, b"UIDPLUS MOVE")
        await peer.answer(b"UID MOVE", b"* OK [COPYUID 9 2 41] x\r\n* 2 EXPUNGE\r\n", b"NO [OVERQUOTA] full")

    async with scripted(script) as server, opened(server) as connector:
        result = await connector.move(INBOX, REFS, OTHER)
        assert uids(result) == {"2": 41}
        assert isinstance(result.failed[REFS[0]], OverQuota)


@pytest.mark.parametrize(("ending", "kind"), [(b"NO [TRYCREATE] none", NotFound), (b"NO [OVERQUOTA] full", OverQuota)])
async def test_a_refused_copy_is_an_error(ending: bytes, kind: type[ConnectorError]) -> None:
    async def script(peer: Peer) -> None:
        await begin(peer, b"UIDPLUS")
        await peer.answer(b"UID COPY", ending=ending)

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(kind):
            await connector.copy(INBOX, REFS, OTHER)
