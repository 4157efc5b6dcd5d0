"""A connection to an IMAP server: what is said, what is waited for, and what is no answer."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import pytest

from connectors.graph import imap_connection
from connectors.graph.imap_connection import ImapConnection, Letter, Lost
from tests.connectors.graph.imap_script import (
    ASKED,
    CAPABILITIES,
    GREETING,
    LOGIN,
    LOGOUT,
    STORED,
    ScriptedImap,
    scripted_imap,
    token,
)

LETTER = Letter(b'"INBOX"', frozenset({"\\Seen", "\\Flagged"}), datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), b"Hello")
WITHOUT_LITERAL_PLUS = tuple(step.replace(" LITERAL+", "") for step in LOGIN)


async def connected(server: ScriptedImap, timeout_s: float = 5.0) -> ImapConnection:
    return await ImapConnection.connect("localhost", server.port, server.context, timeout_s)


async def test_a_message_is_stored_without_asking_where_that_may_be() -> None:
    async with scripted_imap((*LOGIN, *STORED, *LOGOUT)) as server:
        connection = await connected(server)
        assert (await connection.authenticate(token())).word == "OK"
        status = await connection.append(LETTER)
        assert (status.word, status.appended_uid) == ("OK", 42)
        await connection.close()
    assert server.literals == [b"Hello"]
    assert server.lines[3] == r'G4 APPEND "INBOX" (\Flagged \Seen) " 6-May-2024 07:08:09 +0000" {5+}'


async def test_a_message_waits_to_be_asked_for() -> None:
    script = (*WITHOUT_LITERAL_PLUS, r"C: TAG APPEND .* \{5\}", "S: + Ready.", "C{5}", "C: ", "S: TAG OK done")
    async with scripted_imap(script) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        assert (await connection.append(LETTER)).appended_uid is None
        connection.drop()
    assert server.literals == [b"Hello"]


async def test_a_message_that_is_refused_beforehand_is_not_sent() -> None:
    script = (
        *WITHOUT_LITERAL_PLUS,
        r"C: TAG APPEND .* \{5\}",
        "S: TAG NO [OVERQUOTA] full",
        "C: TAG NOOP",
        "S: TAG OK",
    )
    async with scripted_imap(script) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        status = await connection.append(LETTER)
        assert (status.word, status.code) == ("NO", "OVERQUOTA")
        assert (await connection.run(b"NOOP")).status.word == "OK"
        connection.drop()
    assert server.literals == []


async def test_the_token_waits_to_be_asked_for_without_sasl_ir() -> None:
    asked = tuple(step.replace(" SASL-IR", "") for step in ASKED)
    script = (
        *GREETING,
        *asked,
        "C: TAG AUTHENTICATE XOAUTH2",
        "S: +",
        "C: [A-Za-z0-9+/=]+",
        f"S: TAG OK [CAPABILITY {CAPABILITIES}] done",
    )
    async with scripted_imap(script) as server:
        connection = await connected(server)
        assert (await connection.authenticate(token())).word == "OK"
        assert "SASL-IR" in connection.capabilities
        connection.drop()


async def test_a_refused_token_is_answered_with_an_empty_line() -> None:
    challenge = "S: + eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0="
    script = (*GREETING, *ASKED, "C: TAG AUTHENTICATE XOAUTH2 .+", challenge, "C: ", "S: TAG NO AUTHENTICATE failed.")
    async with scripted_imap(script) as server:
        connection = await connected(server)
        status = await connection.authenticate(token())
        assert status.shown == "NO AUTHENTICATE failed. (the token is refused)"
        connection.drop()


async def test_what_comes_beside_an_answer_is_passed_over() -> None:
    noise = ("S: * 3 EXISTS", "S: * OK still here {12}", "S: * FLAGS (\\Seen)")
    script = (*LOGIN, STORED[0], "C{5}", "C: ", *noise, STORED[-1])
    async with scripted_imap(script) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        assert (await connection.append(LETTER)).appended_uid == 42
        connection.drop()


async def test_a_name_that_is_a_literal_is_read() -> None:
    script = (*LOGIN, 'C: TAG LIST "" ""', 'S: * LIST (\\Noselect) "/" {3}', 'S: a"b', "S: TAG OK done")
    async with scripted_imap(script) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        answer = await connection.run(b'LIST "" ""')
        assert answer.untagged[0].rest == rb'(\Noselect) "/" "a\"b"'
        connection.drop()


@pytest.mark.parametrize(
    "greeting",
    ["* BYE Connection refused", "* PREAUTH welcome", "HTTP/1.1 400 Bad Request", "+ go", "* CAPABILITY IMAP4rev1"],
)
async def test_only_a_server_that_wants_a_login_is_talked_to(greeting: str) -> None:
    async with scripted_imap((f"S: {greeting}",)) as server:
        with pytest.raises(Lost, match=r"greets with|sends"):
            await connected(server)


@pytest.mark.parametrize(
    "line",
    ["WRONG OK done", "TAG FETCH", "TAG PREAUTH hm", "* \x01", "nonsense", "+ go on", "* 5"],
)
async def test_what_is_no_answer_ends_the_connection(line: str) -> None:
    async with scripted_imap((*LOGIN, STORED[0], "C{5}", "C: ", f"S: {line}")) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        with pytest.raises(Lost) as caught:
            await connection.append(LETTER)
        assert caught.value.is_sent
        assert connection.is_closed


@pytest.mark.parametrize(("steps", "is_sent"), [(("END",), False), (("C{5}", "C: ", "END"), True)])
async def test_it_is_known_whether_a_message_had_gone_out(steps: tuple[str, ...], is_sent: bool) -> None:
    asked = () if is_sent else ("S: * BYE Connection closed. 14",)
    ready = LOGIN if is_sent else WITHOUT_LITERAL_PLUS
    async with scripted_imap((*ready, "C: TAG APPEND .*", *asked, *steps)) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        with pytest.raises(Lost, match="has ended the connection" if is_sent else "Connection closed. 14") as caught:
            await connection.append(LETTER)
        assert caught.value.is_sent is is_sent


async def test_silence_ends_the_connection() -> None:
    async with scripted_imap((*LOGIN, "C: TAG NOOP")) as server:
        connection = await connected(server, timeout_s=0.3)
        await connection.authenticate(token())
        with pytest.raises(Lost, match="nothing came"):
            await connection.run(b"NOOP")
        assert connection.is_closed


async def test_a_line_without_end_ends_the_connection() -> None:
    async with scripted_imap((*LOGIN, "C: TAG NOOP", "S: * OK " + "x" * 200_000)) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        with pytest.raises(Lost, match="without end"):
            await connection.run(b"NOOP")


async def test_lines_without_end_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_connection, "MAX_LINES", 20)
    async with scripted_imap((*LOGIN, "C: TAG NOOP", *["S: * 1 EXISTS"] * 20)) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        with pytest.raises(Lost, match="more than 20 lines"):
            await connection.run(b"NOOP")


async def test_a_server_whose_certificate_is_not_trusted_is_not_talked_to() -> None:
    async with scripted_imap() as server:
        with pytest.raises(Lost, match="CERTIFICATE_VERIFY_FAILED"):
            await ImapConnection.connect("localhost", server.port, ssl.create_default_context(), 5.0)


async def test_a_server_that_is_not_there_is_lost() -> None:
    async with scripted_imap() as server:
        port = server.port
    with pytest.raises(Lost, match="connecting to"):
        await ImapConnection.connect("localhost", port, server.context, 5.0)


async def test_who_gives_up_waiting_ends_the_connection() -> None:
    async with scripted_imap((*LOGIN, "C: TAG NOOP")) as server:
        connection = await connected(server)
        await connection.authenticate(token())
        waiting = asyncio.create_task(connection.run(b"NOOP"))
        await asyncio.wait_for(server.is_played.wait(), 5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert connection.is_closed
