from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.errors import OverQuota
from connectors.memory.faults import Operation
from gateway.imap.settings import ImapSettings
from tests.once import keep_each_once
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving

MESSAGE = "Subject: Grüße\r\n\r\ntext\r\n".encode()


async def test_utf8_is_taken_in_either_form_once_it_is_enabled(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        in_utf8 = b"APPEND INBOX UTF8 (~{%d+}\r\n%b)" % (len(MESSAGE), MESSAGE)
        assert (await client.ask(b"a " + in_utf8))[-1].startswith(b"a BAD ")
        await client.ask(b"b ENABLE UTF8=ACCEPT")
        assert (await client.ask(b"c " + in_utf8))[-1].startswith(b"c OK [APPENDUID ")
        told = await client.ask(b"d APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        assert told[-1].startswith(b"d OK [APPENDUID ")
        await client.ask(b"e SELECT INBOX")
        read = b"\r\n".join(await client.ask(b"f FETCH 1:* (BODY.PEEK[])"))
        assert read.count(MESSAGE) == 2
        found = await client.ask('g SEARCH SUBJECT "Grüße"'.encode())
        assert found[0] == b"* SEARCH 1 2"
        await client.close()


def literal(data: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(data), data)


def mail(number: int) -> bytes:
    return b"Subject: number %d\r\n\r\ntext of %d\r\n" % (number, number)


async def test_several_messages_are_stored_in_order_with_their_own_flags(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        told = await client.ask(
            b"a APPEND INBOX (\\Seen) "
            + literal(mail(1))
            + b' "07-Feb-1994 21:52:25 +0000" '
            + literal(mail(2))
            # Two that are the same are two.
            + b" (\\Flagged) "
            + literal(mail(1))
        )
        assert told[-1].startswith(b"a OK [APPENDUID ")
        assert told[-1].split(b"]")[0].split()[-1] == b"1:3"
        await client.ask(b"b SELECT INBOX")
        rows = await client.ask(b"c FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)")
        assert b"(FLAGS (\\Seen \\Recent) " in rows[0]
        assert b'INTERNALDATE " 7-Feb-1994 21:52:25 +0000"' in rows[1]
        assert b"(FLAGS (\\Flagged \\Recent) " in rows[2]
        await client.close()


@pytest.mark.parametrize("is_together", [True, False])
async def test_a_group_is_stored_whole_or_not_at_all(tmp_path: Path, is_together: bool) -> None:
    outside = OutsideMemory()
    outside.backend.appends_together = is_together
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        outside.backend.storage_limit = outside.backend.used_octets() + 2 * len(mail(1)) + 5
        told = await client.ask(b"a APPEND INBOX" + b"".join(b" " + literal(mail(number)) for number in (1, 2, 3)))
        assert told[-1].startswith(b"a NO [OVERQUOTA] ")
        calls = outside.backend.faults.calls
        assert (calls[Operation.APPEND_MANY], calls[Operation.APPEND]) == (1, 0 if is_together else 3)
        assert (await client.ask(b"b STATUS INBOX (MESSAGES)"))[0] == b'* STATUS "INBOX" (MESSAGES 0)'
        outside.backend.storage_limit = None
        told = await client.ask(b"c APPEND INBOX" + b"".join(b" " + literal(mail(number)) for number in (1, 2, 3)))
        assert told[-1].startswith(b"c OK [APPENDUID ")
        assert (await client.ask(b"d STATUS INBOX (MESSAGES)"))[0] == b'* STATUS "INBOX" (MESSAGES 3)'
        await client.close()


async def test_a_message_too_large_refuses_the_group_before_any_is_stored(tmp_path: Path) -> None:
    outside = OutsideMemory()
    async with serving(tmp_path, outside, ImapSettings(append_limit=100)) as served:
        client = await served.log_in()
        told = await client.ask(b"a APPEND INBOX " + literal(mail(1)) + b" " + literal(b"x" * 101))
        assert told[-1].startswith(b"a NO [TOOBIG] ")
        assert (await client.ask(b"b NOOP"))[-1].startswith(b"b OK ")
        assert outside.backend.faults.calls[Operation.APPEND] == 0
        await client.close()


async def test_parts_of_messages_that_are_there_are_joined_with_text(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        await client.ask(b"a CREATE Drafts")
        told = await client.ask(b"b APPEND Drafts " + literal(mail(7)))
        uidvalidity = told[-1].split()[3]
        parts = (
            b'URL "/Drafts;UIDVALIDITY=%b/;UID=1/;SECTION=HEADER" ' % uidvalidity
            + b"TEXT "
            + literal(b"before\r\n")
            + b' URL "/Drafts/;UID=1/;section=TEXT/;partial=5.2" '
            + b"TEXT "
            + literal(b"behind\r\n")
        )
        assert (await client.ask(b"c APPEND INBOX CATENATE (" + parts + b")"))[-1].startswith(b"c OK [APPENDUID ")
        await client.ask(b"d SELECT INBOX")
        read = b"\r\n".join(await client.ask(b"e FETCH 1 (BODY.PEEK[])"))
        assert b"Subject: number 7\r\n\r\nbefore\r\nofbehind\r\n" in read
        # Relative to the selected mailbox; the whole message.
        assert (await client.ask(b'f APPEND INBOX CATENATE (URL ";UID=1")'))[-1].startswith(b"f OK ")
        assert (await client.ask(b"g SEARCH BODY ofbehind"))[0] == b"* SEARCH 1 2"
        await client.close()


@pytest.mark.parametrize(
    "url",
    [
        b"/Drafts;UIDVALIDITY=1/;UID=1",
        b"/Drafts/;UID=9",
        b"/Nowhere/;UID=1",
        b"/Drafts",
        b"imap://elsewhere/Drafts/;UID=1",
        b"/Drafts/;UID=1/;SECTION=3",
        b"/Drafts/;UID=1/;SECTION=WHAT",
        b"/Dr%ffafts/;UID=1",
        b";UID=1",
    ],
)
async def test_a_url_that_names_nothing_is_named(tmp_path: Path, url: bytes) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        await client.ask(b"a CREATE Drafts")
        await client.ask(b"b APPEND Drafts " + literal(mail(7)))
        told = await client.ask(b"c APPEND INBOX CATENATE (TEXT " + literal(b"a") + b' URL "' + url + b'")')
        assert told[-1].startswith(b"c NO [BADURL " + url + b"] ")
        assert (await client.ask(b"d STATUS INBOX (MESSAGES)"))[0] == b'* STATUS "INBOX" (MESSAGES 0)'
        await client.close()


async def test_a_joined_message_may_not_be_larger_than_any(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), ImapSettings(append_limit=100)) as served:
        client = await served.log_in()
        parts = b" ".join(b"TEXT " + literal(b"x" * 60) for _ in range(2))
        assert (await client.ask(b"a APPEND INBOX CATENATE (" + parts + b")"))[-1].startswith(b"a NO [TOOBIG] ")
        assert (await client.ask(b"b APPEND INBOX CATENATE (TEXT {0+}\r\n)"))[-1].startswith(b"b NO ")
        await client.close()


async def test_a_message_takes_the_place_of_another(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client, other = await served.log_in(), await served.log_in()
        await client.ask(b"a APPEND INBOX " + literal(mail(1)) + b" " + literal(mail(2)))
        await client.ask(b"b SELECT INBOX")
        await other.ask(b"b SELECT INBOX")
        told = await client.ask(b"c REPLACE 1 INBOX (\\Seen) " + literal(mail(3)))
        assert told[0].startswith(b"* OK [APPENDUID ")
        assert b"* 1 EXPUNGE" in told[1:]
        assert told[-1].startswith(b"c OK ")
        assert b"* 1 EXPUNGE" in await other.ask(b"d NOOP")
        assert (await client.ask(b"e UID SEARCH ALL"))[0] == b"* SEARCH 2 3"
        # Into another mailbox.
        await client.ask(b"f CREATE Sent")
        told = await client.ask(b"g UID REPLACE 3 Sent " + literal(mail(4)))
        assert told[-1].startswith(b"g OK ")
        assert (await client.ask(b"h STATUS Sent (MESSAGES)"))[0] == b'* STATUS "Sent" (MESSAGES 1)'
        assert (await client.ask(b"i UID SEARCH ALL"))[0] == b"* SEARCH 2"
        await client.close()
        await other.close()


async def test_a_message_that_the_backend_has_only_once_is_not_lost_when_it_replaces_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_each_once(monkeypatch)
    outside = OutsideMemory()
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        await client.ask(b"a APPEND INBOX " + literal(mail(1)))
        await client.ask(b"b SELECT INBOX")
        told = await client.ask(b"c UID REPLACE 1 INBOX " + literal(mail(1)))
        assert told[-1].startswith(b"c OK ")
        assert (await client.ask(b"d UID SEARCH ALL"))[0] == b"* SEARCH 1"
        assert len(outside.backend.messages(("INBOX",))) == 1
        # In another mailbox it may have the same UID.
        await client.ask(b"e CREATE Sent")
        assert (await client.ask(b"f UID REPLACE 1 Sent " + literal(mail(1))))[-1].startswith(b"f OK ")
        assert (await client.ask(b"g UID SEARCH ALL"))[0] == b"* SEARCH"
        await client.close()


async def test_nothing_goes_if_the_new_message_cannot_be_stored(tmp_path: Path) -> None:
    outside = OutsideMemory()
    async with serving(tmp_path, outside) as served:
        client = await served.log_in()
        await client.ask(b"a APPEND INBOX " + literal(mail(1)))
        assert (await client.ask(b"b REPLACE 1 INBOX " + literal(mail(2))))[-1].startswith(b"b BAD ")
        await client.ask(b"c SELECT INBOX")
        outside.backend.faults.fail_next(Operation.APPEND, OverQuota("full"))
        assert (await client.ask(b"d REPLACE 1 INBOX " + literal(mail(2))))[-1].startswith(b"d NO [OVERQUOTA] ")
        assert (await client.ask(b"e REPLACE 1 Nowhere " + literal(mail(2))))[-1].startswith(b"e NO [TRYCREATE] ")
        assert (await client.ask(b"f UID REPLACE 9 INBOX " + literal(mail(2))))[-1].startswith(b"f NO [NONEXISTENT] ")
        assert (await client.ask(b"g REPLACE 9 INBOX " + literal(mail(2))))[-1].startswith(b"g BAD ")
        assert (await client.ask(b"h UID SEARCH ALL"))[0] == b"* SEARCH 1"
        await client.ask(b"i EXAMINE INBOX")
        assert (await client.ask(b"j REPLACE 1 INBOX " + literal(mail(2))))[-1].startswith(b"j NO [NOPERM] ")
        await client.close()
