"""The mailbox tree as different servers tell it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.api.errors import AlreadyExists, NotFound, OutcomeUnknown, Unsupported
from connectors.api.types import SYSTEM_FLAGS, BytesContent, MailboxRef, Role
from connectors.imap.names import INBOX
from tests.conformance.rig import mail
from tests.connectors.imap.rig import DovecotRig
from tests.connectors.imap.scripted import Peer, opened, scripted
from tests.servers.dovecot import Dovecot, running_dovecot

EXTENDED = b"LIST-EXTENDED LIST-STATUS SPECIAL-USE"
DELIMITER = b'LIST "" ""'
ROOT = b'* LIST (\\Noselect) "/" ""\r\n'


async def test_one_command_tells_all_where_the_server_can() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(EXTENDED)
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(
            b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY))',
            b'* LIST (\\HasNoChildren \\Subscribed \\Sent) "/" {4}\r\nSe"t\r\n'
            b'* STATUS "Se\\"t" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7)\r\n'
            b'* LIST (\\NonExistent \\HasChildren) "/" Gone\r\n'
            b'* LIST (\\HasNoChildren \\Noinferiors) "/" "Gone/&APw-"\r\n'
            b'* LIST (\\HasNoChildren) "/" inbox\r\n'
            b'* LIST (\\HasNoChildren) "/" R&D\r\n',
        )

    async with scripted(script) as server, opened(server) as connector:
        listed = await connector.list_mailboxes()
        assert [info.path for info in listed] == [("INBOX",), ("Gone",), ("Gone", "ü"), ("R&D",), ('Se"t',)]
        inbox, gone, child, _, sent = listed
        assert (inbox.ref, inbox.role) == (INBOX, Role.INBOX)
        assert not gone.is_selectable
        assert not child.allows_children
        assert (sent.role, sent.is_subscribed, sent.messages, sent.uidnext, sent.uidvalidity) == (
            Role.SENT,
            True,
            3,
            9,
            7,
        )


async def test_a_prefix_without_its_delimiter_and_a_name_without_letters_do_no_harm() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"NAMESPACE LIST-EXTENDED LIST-STATUS")
        await peer.answer(b"NAMESPACE", b'* NAMESPACE (("INBOX" ".")) NIL NIL\r\n')
        await peer.answer(
            b'LIST "" "*"',
            b'* LIST (\\Noselect) "." ""\r\n* LIST () "." INBOX\r\n* LIST () "." INBOX.Sent\r\n'
            b'* LIST () "." INBOX.Work.May\r\n* LIST () "." INBOXES\r\n',
        )

    async with scripted(script) as server, opened(server) as connector:
        listed = [info.path for info in await connector.list_mailboxes()]
        assert listed == [("INBOX",), ("INBOXES",), ("Sent",), ("Work", "May")]


async def test_an_old_server_is_asked_by_lsub_and_status() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"XLIST")
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(
            b'XLIST "" "*"',
            b'* XLIST (\\Inbox) "/" INBOX\r\n* XLIST (\\Spam) "/" Bin\r\n* XLIST (\\Noselect) "/" Top\r\n'
            b'* XLIST () "/" Locked\r\n',
        )
        await peer.answer(b'LSUB "" "*"', b'* LSUB () "/" Bin\r\n* LSUB (\\Noselect) "/" Top\r\n')
        await peer.answer(b"STATUS INBOX", b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\r\n")
        await peer.answer(b"STATUS Bin", b"* STATUS Bin (MESSAGES 4 UIDNEXT 5 UIDVALIDITY 6)\r\n")
        await peer.answer(b"STATUS Locked", ending=b"NO [NOPERM] no")

    async with scripted(script) as server, opened(server) as connector:
        listed = {info.path[0]: info for info in await connector.list_mailboxes()}
        assert {name: info.is_subscribed for name, info in listed.items()} == {
            "INBOX": False,
            "Bin": True,
            "Top": False,
            "Locked": False,
        }
        assert listed["Bin"].role is Role.JUNK
        assert (listed["Bin"].uidvalidity, listed["Locked"].uidvalidity) == (6, None)


async def test_subscribed_names_without_a_mailbox_are_those_that_the_server_calls_so() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(EXTENDED)
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(
            b'LIST (SUBSCRIBED) "" "*"',
            b'* LIST (\\Subscribed) "/" Here\r\n'
            b'* LIST (\\Subscribed \\NonExistent) "/" "Gone/&APw-"\r\n'
            b'* LIST (\\NonExistent \\HasChildren) "/" Gone\r\n'
            b'* LIST (\\NonExistent \\Subscribed) "/" Public\r\n',
        )

    async with scripted(script) as server, opened(server, exclude="Public") as connector:
        assert await connector.names_without_mailbox() == {("Gone", "ü"): "Gone/ü"}


async def test_subscribed_names_of_an_old_server_are_those_of_lsub() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(
            b'LSUB "" "*"', b'* LSUB () "." Here\r\n* LSUB () "." Gone.a\r\n* LSUB (\\Noselect) "." Gone\r\n'
        )

    async with scripted(script) as server, opened(server) as connector:
        assert await connector.names_without_mailbox() == {("Here",): "Here", ("Gone", "a"): "Gone.a"}


async def test_inbox_is_listed_even_if_the_server_forgets_it_and_excluded_ones_are_not() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(EXTENDED)
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(b"LIST ", b'* LIST () "/" "Public"\r\n* LIST () "/" "Public/a"\r\n* LIST () "/" x\r\n')

    async with scripted(script) as server, opened(server, exclude="Public") as connector:
        assert [info.path for info in await connector.list_mailboxes()] == [("INBOX",), ("x",)]


async def test_what_select_teaches_of_flags_is_in_the_next_list() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(EXTENDED)
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(b"LIST ", b'* LIST () "/" INBOX\r\n')
        # Once for the listing of messages, and again before the tree is read: see `Pool.renew`.
        for _ in range(2):
            await peer.answer(
                b"SELECT INBOX",
                b"* FLAGS (\\Seen \\Deleted work)\r\n* OK [PERMANENTFLAGS (\\Seen work)] x\r\n* 0 EXISTS\r\n"
                b"* OK [UIDVALIDITY 1] x\r\n",
                b"OK [READ-ONLY] x",
            )
        await peer.answer(b"LIST ", b'* LIST () "/" INBOX\r\n')

    async with scripted(script) as server, opened(server) as connector:
        (before,) = await connector.list_mailboxes()
        assert (before.storable_flags, before.any_keyword, before.is_read_only) == (SYSTEM_FLAGS, True, False)
        assert [page async for page in connector.listing(INBOX)] == []
        (after,) = await connector.list_mailboxes()
        assert (after.storable_flags, after.any_keyword, after.is_read_only) == (
            frozenset({"\\Seen", "work"}),
            False,
            True,
        )


async def test_refusals_without_a_reason_are_looked_into() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(b"CREATE Work", ending=b"NO sorry")
        await peer.answer(b'LIST "" Work', b'* LIST () "/" Work\r\n')
        await peer.answer(b"DELETE Work", ending=b"NO sorry")
        await peer.answer(b'LIST "" Work')
        await peer.answer(b"RENAME Work Play", ending=b"NO sorry")
        await peer.answer(b'LIST "" Work', b'* LIST () "/" Work\r\n')
        await peer.answer(b'LIST "" Play', b'* LIST () "/" Play\r\n')
        await peer.answer(b"SUBSCRIBE Work", ending=b"NO sorry")
        await peer.answer(b'LIST "" Work')

    work = MailboxRef("Work")
    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(AlreadyExists):
            await connector.create_mailbox(("Work",), None)
        with pytest.raises(NotFound):
            await connector.delete_mailbox(work)
        with pytest.raises(AlreadyExists):
            await connector.rename_mailbox(work, ("Play",))
        with pytest.raises(NotFound):
            await connector.subscribe(work, True)


async def test_a_name_that_only_has_others_below_it_is_renamed() -> None:
    """It has no counters; RFC 9051 section 6.3.6 renames `foo (\\Noselect)` in its example."""

    async def script(peer: Peer) -> None:
        await peer.welcome(b"")
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(b"RENAME foo zowie")
        await peer.answer(b'LIST "" zowie', b'* LIST (\\Noselect \\HasChildren) "/" zowie\r\n')

    async with scripted(script) as server, opened(server) as connector:
        renamed = await connector.rename_mailbox(MailboxRef("foo"), ("zowie",))
        assert (renamed.ref, renamed.is_selectable, renamed.uidvalidity) == ("zowie", False, None)


async def test_a_role_is_given_where_the_server_keeps_roles() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"CREATE-SPECIAL-USE")
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(b"CREATE Old (USE (\\Archive))")
        await peer.answer(b'LIST "" Old', b'* LIST (\\Archive) "/" Old\r\n')
        await peer.answer(b"STATUS Old", b"* STATUS Old (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 3)\r\n")

    async with scripted(script) as server, opened(server) as connector:
        created = await connector.create_mailbox(("Old",), Role.ARCHIVE)
        assert (created.role, created.uidvalidity) == (Role.ARCHIVE, 3)
        with pytest.raises(Unsupported):
            await connector.create_mailbox(("Other",), Role.INBOX)


# -- at a real server with a prefix ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def courier_like() -> Iterator[Dovecot]:
    with running_dovecot(separator=".", prefix="INBOX.") as server:
        yield server


async def test_a_personal_prefix_is_kept_out_of_paths(courier_like: Dovecot) -> None:
    rig = DovecotRig(courier_like, separator=".", prefix="INBOX.")
    connector: Any = rig.connector()
    await connector.open()
    created = await connector.create_mailbox(("Work", "Größe"), None)
    assert created.ref == "INBOX.Work.Größe"
    state = await connector.append(created.ref, BytesContent(mail(1)), frozenset(), None)
    moved = await connector.rename_mailbox(created.ref, ("Play",))
    assert moved.path == ("Play",)
    assert [s.ref for page in [p async for p in connector.listing(moved.ref)] for s in page] == [state.ref]
    paths = [info.path for info in await connector.list_mailboxes()]
    assert paths[0] == ("INBOX",)
    assert {("Play",), ("Sent",)} <= set(paths)
    assert all(path[0] != "INBOX" for path in paths[1:])
    await connector.close()


@pytest.mark.parametrize("ending", [b"", b"NO Server Unavailable. 15", b"NO [LIMIT] slower", b"NO what?"])
async def test_what_was_renamed_and_cannot_be_looked_at_has_an_unknown_outcome(ending: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(b"RENAME Old New")
        tag = await peer.expect(b'LIST "" New')
        if ending:
            await peer.send(tag + b" " + ending + b"\r\n")
            await peer.gone()
        else:
            peer.cut()

    async with scripted(script) as server, opened(server) as connector:
        # `Unavailable` would say that nothing was done, and the gateway would not follow the mailbox to its new name.
        with pytest.raises(OutcomeUnknown):
            await connector.rename_mailbox(MailboxRef("Old"), ("New",))


async def test_what_was_created_and_cannot_be_looked_at_has_an_unknown_outcome() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(DELIMITER, ROOT)
        await peer.answer(b"CREATE New")
        await peer.expect(b'LIST "" New')
        peer.cut()

    async with scripted(script) as server, opened(server) as connector:
        with pytest.raises(OutcomeUnknown):
            await connector.create_mailbox(("New",), None)
