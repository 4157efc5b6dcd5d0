"""Faults that other servers have had, and that cost users their mail or clients their patience: none of them is here.

Four more are looked for beside the code that would have them: what was sent ahead of TLS (test_listener.py), removals
that are forgotten (gateway/mailbox/test_view.py), octets that vary at the backend (octets_that_vary.txt), and ids of
several accounts that collide (gateway/mailbox/test_object_ids.py).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.outside_gmail import outside_gmail
from tests.scenarios.samples import date_of, sample
from tests.scenarios.serving import LOGIN, PASSWORD, Served, serving

_LOGIN = f"{LOGIN} {PASSWORD}".encode()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, OutsideMemory()) as served:
        yield served


@asynccontextmanager
async def with_settings(tmp_path: Path, **changes: object) -> AsyncIterator[Served]:
    async with serving(tmp_path, OutsideMemory(), replace(ImapSettings(), **changes)) as served:  # type: ignore[arg-type]
        yield served


async def stored(client: LineClient, *messages: bytes, mailbox: bytes = b"INBOX") -> None:
    """Append messages."""
    for message in messages:
        answer = await client.ask(b"put APPEND %b {%d+}\r\n%b" % (mailbox, len(message), message))
        assert answer[-1].startswith(b"put OK "), answer


async def filled(served: Served, count: int, *, select: bytes = b"SELECT INBOX") -> LineClient:
    """Return a client in INBOX, with messages that have the UIDs from 1 to `count` and are no longer recent."""
    client = await served.log_in()
    await stored(client, *(sample(str(number)) for number in range(1, count + 1)))
    await client.ask(b"in1 SELECT INBOX")
    await client.ask(b"in2 " + select)
    return client


async def removed(client: LineClient, uids: bytes) -> None:
    """Remove messages of the mailbox that is selected, by UID."""
    assert (await client.ask(b"rm1 UID STORE %b +FLAGS.SILENT (\\Deleted)" % uids))[-1].startswith(b"rm1 OK ")
    assert (await client.ask(b"rm2 UID EXPUNGE " + uids))[-1].startswith(b"rm2 OK ")


def found(lines: list[bytes], pattern: bytes) -> list[bytes]:
    """Return what the group of the pattern is in each line that has it."""
    return [match[1] for line in lines if (match := re.search(pattern, line))]


# -- 1: pipelining ----------------------------------------------------------------------------------------------------


async def test_commands_in_the_segment_of_done_are_answered(served: Served) -> None:
    client = await filled(served, 2)
    client.write(b"a1 IDLE\r\n")
    await client.expect(b"+ ")
    client.write(b"DONE\r\na2 UID FETCH 1:* (FLAGS)\r\na3 NOOP\r\n")
    lines = await client.lines_to(b"a3 ")
    assert [line.split()[0] for line in lines] == [b"a1", b"*", b"*", b"a2", b"a3"]


async def test_store_and_expunge_in_one_segment_are_done_in_order(served: Served) -> None:
    client = await filled(served, 3)
    client.write(
        b"a1 STORE 1 +FLAGS.SILENT (\\Deleted)\r\na2 EXPUNGE\r\na3 STORE 1 +FLAGS.SILENT (\\Deleted)\r\na4 EXPUNGE\r\n"
        b"a5 UID SEARCH ALL\r\n"
    )
    lines = await client.lines_to(b"a5 ")
    assert found(lines, rb"^\* (\d+) EXPUNGE$") == [b"1", b"1"]
    assert b"* SEARCH 3" in lines


# -- 2, 3: what has vanished ------------------------------------------------------------------------------------------


async def test_what_vanished_above_the_highest_message_is_told(served: Served) -> None:
    client = await filled(served, 5)
    await client.ask(b"a0 ENABLE QRESYNC")
    (start,) = found(await client.ask(b"a1 SELECT INBOX"), rb"\[HIGHESTMODSEQ (\d+)\]")
    await removed(client, b"2,4:5")
    lines = await client.ask(b"a2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE %b VANISHED)" % start)
    assert found(lines, rb"^\* VANISHED \(EARLIER\) (.*)$") == [b"2,4:5"]


async def test_vanished_comes_before_any_fetch_and_is_never_empty(served: Served) -> None:
    client = await filled(served, 4)
    await client.ask(b"a0 ENABLE QRESYNC")
    opened = await client.ask(b"a1 SELECT INBOX")
    (start,), (validity,) = (found(opened, rb"\[%b (\d+)\]" % name) for name in (b"HIGHESTMODSEQ", b"UIDVALIDITY"))
    # Nothing has: no VANISHED at all.
    nothing = await client.ask(b"a2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE %b VANISHED)" % start)
    assert [line[:3] for line in nothing] == [b"a2 "]
    await client.ask(b"a3 STORE 4 +FLAGS.SILENT (\\Seen)")
    flagged_only = await client.ask(b"a4 UID FETCH 1:* (FLAGS) (CHANGEDSINCE %b VANISHED)" % start)
    assert not found(flagged_only, rb"(VANISHED)")
    await removed(client, b"1")
    for command in (
        b"a5 UID FETCH 1:* (FLAGS) (CHANGEDSINCE %b VANISHED)" % start,
        b"a6 SELECT INBOX (QRESYNC (%b %b))" % (validity, start),
    ):
        told = found(await client.ask(command), rb"^\* (?:\d+ )?(VANISHED|FETCH)\b")
        assert told == [b"VANISHED", b"FETCH"]


async def test_a_removal_raises_the_highest_modseq_and_is_found_by_it(served: Served) -> None:
    client = await filled(served, 3)
    await client.ask(b"a0 ENABLE QRESYNC")
    (start,) = found(await client.ask(b"a1 SELECT INBOX"), rb"\[HIGHESTMODSEQ (\d+)\]")
    await removed(client, b"1")
    (after_removal,) = found(await client.ask(b"a2 SELECT INBOX"), rb"\[HIGHESTMODSEQ (\d+)\]")
    await client.ask(b"a3 UID STORE 2 +FLAGS.SILENT (\\Seen)")
    (after_flag,) = found(await client.ask(b"a4 SELECT INBOX"), rb"\[HIGHESTMODSEQ (\d+)\]")
    assert int(start) < int(after_removal) < int(after_flag)
    since_flag = await client.ask(b"a5 UID FETCH 1:* (FLAGS) (CHANGEDSINCE %b VANISHED)" % after_removal)
    assert not found(since_flag, rb"(VANISHED)")
    assert found(since_flag, rb"FETCH \(UID (\d+)") == [b"2"]


# -- 4: lists of parameters -------------------------------------------------------------------------------------------


async def test_select_takes_condstore_and_qresync_in_one_list(served: Served) -> None:
    client = await filled(served, 2)
    assert found(await client.ask(b"a1 ENABLE QRESYNC"), rb"^\* ENABLED .*(QRESYNC)") == [b"QRESYNC"]
    opened = await client.ask(b"a2 SELECT INBOX (CONDSTORE)")
    (start,), (validity,) = (found(opened, rb"\[%b (\d+)\]" % name) for name in (b"HIGHESTMODSEQ", b"UIDVALIDITY"))
    await removed(client, b"1")
    for parameters in (b"CONDSTORE QRESYNC (%b %b)", b"QRESYNC (%b %b) CONDSTORE"):
        lines = await client.ask(b"a3 SELECT INBOX (" + parameters % (validity, start) + b")")
        assert b"* VANISHED (EARLIER) 1" in lines
        assert lines[-1].startswith(b"a3 OK ")


# -- 5: when to tell of removals --------------------------------------------------------------------------------------


async def test_removals_are_told_neither_between_commands_nor_in_answer_to_fetch_store_and_search(
    served: Served,
) -> None:
    client, other = await filled(served, 3), await served.log_in()
    await other.ask(b"b1 SELECT INBOX")
    await removed(other, b"1")
    # Had anything been sent meanwhile, it would come first.
    for command in (b"FETCH 2 (UID)", b"STORE 2 +FLAGS.SILENT (\\Seen)", b"SEARCH UID 2"):
        lines = await client.ask(b"a1 " + command)
        assert not found(lines, rb"(EXPUNGE)")
        assert lines[-1].startswith(b"a1 OK ")
        # Its numbers go on meaning what they meant.
        assert found(await client.ask(b"a2 FETCH 2 (UID)"), rb"UID (\d+)") == [b"2"]
    assert b"* 1 EXPUNGE" in await client.ask(b"a3 NOOP")
    assert found(await client.ask(b"a4 FETCH 1 (UID)"), rb"UID (\d+)") == [b"2"]


async def test_no_fetch_is_told_for_a_number_before_its_exists(served: Served) -> None:
    client, other = await filled(served, 1), await served.log_in()
    await stored(other, sample("2"))
    await other.ask(b"b1 SELECT INBOX")
    await other.ask(b"b2 STORE 2 +FLAGS.SILENT (\\Flagged)")
    lines = await client.ask(b"a1 NOOP")
    told = [line for line in lines if b" EXISTS" in line or line.startswith(b"* 2 FETCH")]
    assert told[0] == b"* 2 EXISTS"


# -- 6: the second revision -------------------------------------------------------------------------------------------


async def test_what_is_not_advertised_cannot_be_enabled(tmp_path: Path) -> None:
    async with with_settings(tmp_path, switches=Switches(disabled=frozenset({"IMAP4REV2"}))) as served:
        client = await filled(served, 1)
        assert b"IMAP4rev2" not in (await client.ask(b"a1 CAPABILITY"))[0]
        assert (await client.ask(b"a2 ENABLE IMAP4rev2"))[0] == b"* ENABLED"
        assert (await client.ask(b"a3 SEARCH ALL"))[0] == b"* SEARCH 1"


async def test_a_search_of_the_second_revision_has_all_of_what_it_found(served: Served) -> None:
    client = await filled(served, 3)
    assert (await client.ask(b"a1 SEARCH ALL"))[0] == b"* SEARCH 1 2 3"
    assert (await client.ask(b"a2 ENABLE IMAP4rev2"))[0] == b"* ENABLED IMAP4rev2"
    assert (await client.ask(b"a3 SEARCH ALL"))[0] == b'* ESEARCH (TAG "a3") ALL 1:3'
    assert (await client.ask(b"a4 SEARCH DELETED"))[0] == b'* ESEARCH (TAG "a4")'


# -- 7: COPYUID -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [b"COPY", b"MOVE"])
async def test_copyuid_has_the_uidvalidity_of_the_destination_and_pairs_up(served: Served, verb: bytes) -> None:
    client = await filled(served, 4)
    await removed(client, b"2")
    lines = await client.ask(b"a1 UID %b 4,1:3 Archive" % verb)
    (copied,) = [re.search(rb"\[COPYUID (\d+) (\S+) (\S+)\]", line) for line in lines if b"COPYUID" in line]
    assert copied is not None
    (validity,) = found(await client.ask(b"a2 STATUS Archive (UIDVALIDITY)"), rb"UIDVALIDITY (\d+)")
    assert copied[1] == validity != b"0"
    assert (copied[2], copied[3]) == (b"1,3:4", b"1:3")
    await client.ask(b"a3 SELECT Archive")
    subjects = [line for line in await client.ask(b"a4 FETCH 1:3 (ENVELOPE)") if line.startswith(b"* ")]
    assert [found([line], rb'"Number (\d)"') for line in subjects] == [[b"1"], [b"3"], [b"4"]]


async def test_copying_what_is_there_already_is_no_error(tmp_path: Path) -> None:
    async with outside_gmail() as outside, serving(tmp_path, outside) as served:
        outside.deliver(("INBOX",), sample("1"), frozenset(), date_of(1))
        await served.settle_mailbox(("INBOX",))
        client = await served.log_in()
        await client.ask(b"a0 CREATE Work")
        await client.ask(b"a1 SELECT INBOX")
        answers = [(await client.ask(b"a2 UID COPY 1:* Work"))[-1] for _ in range(2)]
        assert all(answer.startswith(b"a2 OK [COPYUID ") for answer in answers), answers
        assert (await client.ask(b"a3 STATUS Work (MESSAGES)"))[0] == b'* STATUS "Work" (MESSAGES 1)'
        assert (await client.ask(b"a4 UID MOVE 1:* Work"))[-1].startswith(b"a4 OK")
        assert (await client.ask(b"a5 STATUS Work (MESSAGES)"))[0] == b'* STATUS "Work" (MESSAGES 1)'


# -- 8: octets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: lf\nX:  two  blanks\t\n\nbare\nline ends\n",
        b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\nREVG\r\n\r\n",
        b"Subject: no end of line\r\n\r\nlast",
        b"subject:folded\r\n\tanew\r\nBcc: kept@example.org\r\n\r\n",
    ],
)
async def test_the_size_is_that_of_the_octets_and_these_are_as_they_were_given(served: Served, message: bytes) -> None:
    client = await served.log_in()
    await stored(client, message)
    await client.ask(b"a1 SELECT INBOX")
    (size,) = found(await client.ask(b"a2 FETCH 1 (RFC822.SIZE)"), rb"RFC822\.SIZE (\d+)")
    assert int(size) == len(message)
    client.write(b"a3 FETCH 1 (BODY.PEEK[])\r\n")
    await client.expect(b"* 1 FETCH (BODY[] {%d}" % len(message))
    assert await client.reader.readexactly(len(message)) == message
    await client.lines_to(b"a3 OK ")


# -- 9, 10, 11: what clients ask for ----------------------------------------------------------------------------------


async def test_uidonly_is_neither_offered_nor_enabled_unasked(served: Served) -> None:
    client = await filled(served, 1)
    assert b"UIDONLY" not in (await client.ask(b"a1 CAPABILITY"))[0]
    assert (await client.ask(b"a2 ENABLE UIDONLY"))[0] == b"* ENABLED"
    assert (await client.ask(b"a3 FETCH 1 (FLAGS)"))[0] == b"* 1 FETCH (FLAGS ())"


async def test_returning_special_uses_lists_all_and_selecting_them_only_those(served: Served) -> None:
    client = await served.log_in()
    every = await client.ask(b'a1 LIST "" "*" RETURN (SPECIAL-USE)')
    assert {b"INBOX", b"Sent", b"Trash"} <= set(found(every, rb'"([^"]+)"$'))
    special = found(await client.ask(b'a2 LIST (SPECIAL-USE) "" "*"'), rb'"([^"]+)"$')
    assert b"INBOX" not in special
    assert {b"Sent", b"Trash"} <= set(special)


@pytest.mark.parametrize(
    "name", [b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT", b"BODY[]", b"BODY[TEXT]", b"BODY[HEADER]"]
)
async def test_items_are_answered_under_the_name_they_were_asked_for(served: Served, name: bytes) -> None:
    client = await filled(served, 1)
    assert (await client.ask(b"a1 FETCH 1 " + name))[0].startswith(b"* 1 FETCH (" + name + b" {")


# -- 12: UTF-8 --------------------------------------------------------------------------------------------------------


async def test_utf8_is_quoted_only_to_those_who_enabled_it(served: Served) -> None:
    message = (
        "From: Jörg <joerg@example.org>\r\nSubject: Grüße\r\nMIME-Version: 1.0\r\n"
        'Content-Type: text/plain; name="Köln.txt"\r\n\r\nx\r\n'
    ).encode()
    client, modern = await served.log_in(), await served.log_in()
    await stored(client, message)
    await client.ask(b"a0 CREATE Entw&APw-rfe")
    await modern.ask(b"b0 ENABLE UTF8=ACCEPT")
    for one in (client, modern):
        await one.ask(b"c1 SELECT INBOX")
        said = b"\r\n".join(await one.ask(b"c2 FETCH 1 (ENVELOPE BODYSTRUCTURE)") + await one.ask(b'c3 LIST "" Entw*'))
        # Octets of a literal may be any (RFC 9051 section 9, `CHAR8`); those between quotes may not.
        quoted = re.findall(rb'"((?:[^"\\\r\n]|\\.)*)"', said)
        assert any(octet > 127 for text in quoted for octet in text) == (one is modern)


# -- 13, 14: sets and numbers -----------------------------------------------------------------------------------------


async def test_a_range_of_uids_past_the_end_has_the_last_message_and_unknown_ones_are_no_error(served: Served) -> None:
    client, other = await filled(served, 2), await served.log_in()
    assert found(await client.ask(b"a1 UID FETCH 900:* (FLAGS)"), rb"FETCH \(UID (\d+)") == [b"2"]
    for command in (b"FETCH 900 (FLAGS)", b"STORE 900 +FLAGS (\\Seen)", b"COPY 900 Archive", b"MOVE 900 Archive"):
        lines = await client.ask(b"a2 UID " + command)
        assert len(lines) == 1
        assert lines[0].startswith(b"a2 OK ")
    # What another connection has moved in is the last one as soon as it has been told.
    await stored(other, sample("3"), mailbox=b"Archive")
    await other.ask(b"b1 SELECT Archive")
    assert (await other.ask(b"b2 UID MOVE 1 INBOX"))[-1].startswith(b"b2 OK ")
    assert b"* 3 EXISTS" in await client.ask(b"a3 NOOP")
    assert found(await client.ask(b"a4 UID FETCH 3:* (FLAGS)"), rb"FETCH \(UID (\d+)") == [b"3"]


async def test_changedsince_0_is_taken(served: Served) -> None:
    client = await filled(served, 2)
    for command in (b"a1 FETCH 1:2 (UID) (CHANGEDSINCE 0)", b"a2 UID FETCH 1:* (UID) (CHANGEDSINCE 0)"):
        assert found(await client.ask(command), rb"UID (\d+) MODSEQ") == [b"1", b"2"]


# -- 15: ENVELOPE and BODYSTRUCTURE -----------------------------------------------------------------------------------


async def test_empty_address_lists_are_nil_quotes_are_escaped_and_an_encoding_is_always_told(served: Served) -> None:
    client = await served.log_in()
    await stored(client, b'From: a@example.org\r\nTo:\r\nCc: ,\r\nMessage-ID: <"a b"@example.org>\r\n\r\nx\r\n')
    await client.ask(b"a1 SELECT INBOX")
    (envelope,) = found(await client.ask(b"a2 FETCH 1 (ENVELOPE)"), rb"ENVELOPE \((.*)\)\)$")
    assert b"()" not in envelope
    assert envelope.endswith(rb'NIL NIL NIL NIL "<\"a b\"@example.org>"')
    (structure,) = found(await client.ask(b"a3 FETCH 1 (BODYSTRUCTURE)"), rb"BODYSTRUCTURE (\(.*\))\)$")
    assert re.match(rb'\("text" "plain" \([^)]*\) NIL NIL "7bit" 3 1 ', structure), structure


# -- 16, 17, 18: before login and the line ----------------------------------------------------------------------------


async def test_capabilities_after_login_stand_in_the_tagged_answer_and_nowhere_else(served: Served) -> None:
    for login in (b"a1 LOGIN " + _LOGIN, b"a1 AUTHENTICATE PLAIN AGFsZXgAc2VjcmV0"):
        client = await served.connect()
        await client.expect(b"* OK ")
        (answer,) = await client.ask(login)
        assert answer.startswith(b"a1 OK [CAPABILITY IMAP4rev1 ")
        assert b"AUTH=" not in answer


async def test_sasl_ir_works_where_it_is_advertised(served: Served) -> None:
    client = await served.connect()
    assert b" SASL-IR " in await client.expect(b"* OK ")
    assert (await client.ask(b"a1 AUTHENTICATE PLAIN AGFsZXgAc2VjcmV0"))[-1].startswith(b"a1 OK ")
    # `=` is an answer that is there and empty (RFC 4959 section 3).
    other = await served.connect()
    await other.expect(b"* OK ")
    assert re.match(rb"a1 (NO|BAD) ", (await other.ask(b"a1 AUTHENTICATE PLAIN ="))[-1])


@pytest.mark.parametrize("octets", [8192, 32_000])
async def test_long_lines_are_commands_too(served: Served, octets: int) -> None:
    client = await filled(served, 2)
    uids = b",".join([b"1:2"] * (octets // 4))
    assert found(await client.ask(b"a1 UID FETCH %b (UID)" % uids), rb"UID (\d+)") == [b"1", b"2"]


# -- 19: labels -------------------------------------------------------------------------------------------------------


async def test_a_message_with_two_labels_has_a_uid_in_each_and_leaves_one_without_being_deleted(tmp_path: Path) -> None:
    async with outside_gmail() as outside, serving(tmp_path, outside) as served:
        outside.deliver(("INBOX",), sample("1"), frozenset(), date_of(1))
        await served.settle_mailbox(("INBOX",))
        client, other = await served.log_in(), await served.log_in()
        await client.ask(b"a0 CREATE Work")
        await client.ask(b"a1 SELECT INBOX")
        assert (await client.ask(b"a2 UID COPY 1:* Work"))[-1].startswith(b"a2 OK ")
        await other.ask(b"b1 SELECT Work")
        (here,), (there,) = [
            found(await one.ask(b"c1 FETCH 1 (EMAILID)"), rb"EMAILID \(([^)]+)\)") for one in (client, other)
        ]
        assert here == there
        # Flags are shared.
        await client.ask(b"a3 STORE 1 +FLAGS.SILENT (\\Flagged)")
        assert found(await other.ask(b"b2 NOOP"), rb"FLAGS \(([^)]*)\)")[0].split() == [b"\\Flagged", b"\\Recent"]
        # \Deleted is not, and what is expunged here stays there.
        await client.ask(b"a4 STORE 1 +FLAGS.SILENT (\\Deleted)")
        assert b"* 1 EXPUNGE" in await client.ask(b"a5 EXPUNGE")
        assert (await other.ask(b"b3 NOOP"))[0].startswith(b"b3 OK ")
        assert found(await other.ask(b"b4 FETCH 1 (EMAILID FLAGS)"), rb"EMAILID \(([^)]+)\)") == [there]
