from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from gateway.imap.connection import Connection
from gateway.imap.conversation import converse
from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Exemption, Switches
from gateway.mailbox.listings import Listing
from gateway.mailbox.namespace import Tree
from gateway.mailbox.user_mail import UserMail
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, Served, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, OutsideMemory()) as running:
        yield running


async def connected(served: Served, settings: ImapSettings, address: str = "127.0.0.1") -> LineClient:
    """Return a client of the same services under other settings, who seems to come from `address`."""
    loop = asyncio.get_running_loop()
    services = replace(served.services, settings=settings)

    async def serve(connection: Connection) -> None:
        connection.address = address
        await converse(connection, services)

    server = await loop.create_server(lambda: Connection(loop, settings, serve, is_tls=False), "127.0.0.1", 0)
    client = await LineClient.connect(server.sockets[0].getsockname()[1])
    # The connection outlives the socket it came by.
    server.close()
    return client


async def logged_in(served: Served, settings: ImapSettings) -> LineClient:
    client = await connected(served, settings)
    await client.expect(b"* OK ")
    assert (await client.ask(f"login LOGIN {LOGIN} {PASSWORD}".encode()))[-1].startswith(b"login OK ")
    return client


async def test_no_password_is_taken_where_others_can_read_along(served: Served) -> None:
    client = await connected(served, ImapSettings(), "192.0.2.1")
    greeting = await client.expect(b"* OK ")
    assert b" LOGINDISABLED " in greeting
    assert b"AUTH=" not in greeting
    right = f"LOGIN {LOGIN} {PASSWORD}".encode()
    assert (await client.ask(b"a " + right))[-1].startswith(b"a NO [PRIVACYREQUIRED] ")
    assert (await client.ask(b"b AUTHENTICATE PLAIN"))[-1].startswith(b"b NO [PRIVACYREQUIRED] ")
    await client.close()


async def test_the_operator_can_allow_passwords_in_the_clear(served: Served) -> None:
    client = await connected(served, ImapSettings(allow_plaintext_login=True), "192.0.2.1")
    assert b" AUTH=PLAIN " in await client.expect(b"* OK ")
    assert (await client.ask(f"a LOGIN {LOGIN} {PASSWORD}".encode()))[-1].startswith(b"a OK ")
    await client.close()


async def test_too_many_wrong_passwords_end_the_connection(served: Served) -> None:
    client = await connected(served, ImapSettings(login_failures_per_connection=2))
    await client.expect(b"* OK ")
    assert (await client.ask(b"a LOGIN alex wrong"))[-1].startswith(b"a NO [AUTHENTICATIONFAILED] ")
    client.write(b"b LOGIN nobody wrong\r\n")
    await client.expect(b"* BYE ")
    await client.expect(b"b NO [AUTHENTICATIONFAILED] ")
    assert await client.at_end()
    await client.close()


async def test_an_existing_login_is_not_told_from_a_missing_one(served: Served) -> None:
    client = await connected(served, ImapSettings())
    await client.expect(b"* OK ")
    (existing,) = await client.ask(b"a LOGIN alex wrong")
    (missing,) = await client.ask(b"a LOGIN nobody wrong")
    assert existing == missing
    await client.close()


async def test_another_protocol_is_hung_up_on(served: Served) -> None:
    client = await connected(served, ImapSettings(bad_commands_before_login=3))
    await client.expect(b"* OK ")
    client.write(b"GET / HTTP/1.1\r\nHost: mail.example.org\r\nAccept: text/html\r\n")
    await client.lines_to(b"* BYE ")
    assert await client.at_end()
    await client.close()


async def test_bad_commands_are_forgiven_by_a_good_one(served: Served) -> None:
    client = await logged_in(served, ImapSettings(bad_commands_after_login=3))
    for _ in range(5):
        assert (await client.ask(b"a FROB"))[-1].startswith(b"a BAD ")
        assert (await client.ask(b"b FETCH 1 FLAGS"))[-1].startswith(b"b BAD ")
        assert (await client.ask(b"c NOOP"))[-1].startswith(b"c OK ")
    await client.close()


async def test_who_does_not_log_in_is_asked_to_leave(served: Served) -> None:
    client = await connected(served, ImapSettings(login_grace_s=0.01))
    await client.expect(b"* OK ")
    await client.expect(b"* BYE ")
    assert await client.at_end()
    await client.close()


async def test_who_is_silent_for_too_long_is_asked_to_leave(served: Served) -> None:
    client = await logged_in(served, ImapSettings(autologout_s=0.01))
    await client.expect(b"* BYE ")
    assert await client.at_end()
    await client.close()


async def test_a_stranger_who_never_stops_talking_is_sent_away_in_time_all_the_same(served: Served) -> None:
    client = await connected(served, ImapSettings(login_grace_s=0.2, bad_commands_before_login=10**9))
    await client.expect(b"* OK ")

    async def talk() -> None:
        while True:
            client.write(b"a AUTHENTICATE PLAIN\r\n")
            await asyncio.sleep(0.05)
            client.write(b"*\r\n" + b"a NOOP\r\n" * 10)

    talking = asyncio.create_task(talk())
    try:
        async with asyncio.timeout(10):
            await client.lines_to(b"* BYE ")
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        await client.close()


async def test_a_stranger_who_takes_no_answers_is_dropped_when_the_time_for_the_login_is_over(served: Served) -> None:
    client = await connected(served, ImapSettings(login_grace_s=0.2, output_high_water=1))
    transport = cast(asyncio.Transport, client.writer.transport)
    transport.pause_reading()

    async def ask_for_ever() -> None:
        while True:
            client.write(b"a CAPABILITY\r\n" * 10_000)
            await client.writer.drain()

    async with asyncio.timeout(10):
        with pytest.raises(ConnectionError):
            await ask_for_ever()
    await client.close()


async def test_the_time_for_the_login_ends_with_the_login(served: Served) -> None:
    client = await logged_in(served, ImapSettings(login_grace_s=0.2))
    client.write(b"a IDLE\r\n")
    await client.expect(b"+ ")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await client.reader.readline()
    client.write(b"DONE\r\n")
    await client.lines_to(b"a OK ")
    await client.close()


async def test_a_message_that_comes_slowly_is_waited_for_as_long_as_it_comes(served: Served) -> None:
    client = await logged_in(served, ImapSettings(autologout_s=0.3))
    data = b"Subject: slow\r\n\r\n" + b"x" * 60
    client.write(b"a APPEND INBOX {%d+}\r\n" % len(data))
    for place in range(0, len(data), 10):
        client.write(data[place : place + 10])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.reader.readline()
    client.write(b"\r\n")
    await client.expect(b"a OK ")
    client.write(b"b APPEND INBOX {100+}\r\nand no more")
    await client.expect(b"* BYE ")
    assert await client.at_end()
    await client.close()


async def test_idle_gives_signs_of_life_and_outlasts_the_autologout(served: Served) -> None:
    client = await logged_in(served, ImapSettings(idle_heartbeat_s=0.01, autologout_s=5))
    client.write(b"a IDLE\r\n")
    await client.expect(b"+ ")
    for _ in range(3):
        await client.expect(b"* OK Still here")
    client.write(b"DONE\r\n")
    assert (await client.lines_to(b"a "))[-1].startswith(b"a OK ")
    await client.close()


async def test_a_command_that_takes_long_gives_signs_of_life(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()

    async def slow(_: UserMail) -> Listing:
        await gate.wait()
        return Listing(Tree([]))

    monkeypatch.setattr(UserMail, "mailboxes", slow)
    client = await logged_in(served, ImapSettings(progress_interval_s=0.01))
    client.write(b'a LIST "" "*"\r\n')
    await client.expect(b'* OK [INPROGRESS ("a" NIL NIL)] ')
    await client.expect(b'* OK [INPROGRESS ("a" NIL NIL)] ')
    gate.set()
    assert (await client.lines_to(b"a "))[-1].startswith(b"a OK ")
    await client.close()


async def test_a_bug_is_answered_logged_and_survived(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: UserMail) -> Listing:
        raise ZeroDivisionError("somebody's secret")

    monkeypatch.setattr(UserMail, "mailboxes", broken)
    client = await logged_in(served, ImapSettings())
    (line,) = await client.ask(b'a LIST "" "*"')
    assert line.startswith(b"a NO [SERVERBUG] ")
    assert b"secret" not in line
    assert "ZeroDivisionError" in caplog.text
    assert (await client.ask(b"b NOOP"))[-1].startswith(b"b OK ")
    await client.close()


async def test_an_alert_is_told_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UserMail, "status_alert", lambda _: "Please log in to work again.")
    client = await connected(served, ImapSettings())
    await client.expect(b"* OK ")
    told = await client.ask(f"a LOGIN {LOGIN} {PASSWORD}".encode())
    assert told[0] == b"* OK [ALERT] Please log in to work again."
    assert len(await client.ask(b"b NOOP")) == 1
    monkeypatch.setattr(UserMail, "status_alert", lambda _: None)
    assert len(await client.ask(b"c NOOP")) == 1
    monkeypatch.setattr(UserMail, "status_alert", lambda _: "Please log in to home again.")
    assert (await client.ask(b"d NOOP"))[0] == b"* OK [ALERT] Please log in to home again."
    await client.close()


async def test_a_capability_switched_off_is_gone_and_refused(served: Served) -> None:
    client = await logged_in(served, ImapSettings(switches=Switches(disabled=frozenset({"QRESYNC"}))))
    told = await client.ask(b"a CAPABILITY")
    assert b"QRESYNC" not in told[0].split()
    assert await client.ask(b"b ENABLE QRESYNC CONDSTORE") == [b"* ENABLED CONDSTORE", b"b OK Enabled"]
    await client.close()


async def test_commands_of_a_capability_switched_off_are_refused(served: Served) -> None:
    client = await logged_in(served, ImapSettings(switches=Switches(disabled=frozenset({"IDLE", "MOVE"}))))
    (told,) = await client.ask(b"a IDLE")
    assert told == b"a BAD IDLE needs IDLE, which is not offered"
    await client.ask(b"b SELECT INBOX")
    assert await client.ask(b"c UID MOVE 1 INBOX") == [b"c BAD UID MOVE needs MOVE, which is not offered"]
    assert (await client.ask(b"d UID COPY 999 INBOX"))[-1].startswith(b"d OK ")
    await client.close()


async def test_a_client_is_exempted_by_the_name_it_gives(served: Served) -> None:
    switches = Switches(exemptions=(Exemption(frozenset({"IDLE"}), client="out*"),))
    client = await logged_in(served, ImapSettings(switches=switches))
    assert b"IDLE" in (await client.ask(b"a CAPABILITY"))[0].split()
    await client.ask(b'b ID ("name" "Thunderbird")')
    assert b"IDLE" in (await client.ask(b"c CAPABILITY"))[0].split()
    await client.ask(b'd ID ("name" "Outlook-iOS")')
    assert b"IDLE" not in (await client.ask(b"e CAPABILITY"))[0].split()
    await client.close()


async def test_an_account_is_exempted_by_its_name(served: Served) -> None:
    switches = Switches(exemptions=(Exemption(frozenset({"IDLE"}), account="work", login=LOGIN),))
    client = await logged_in(served, ImapSettings(switches=switches))
    assert b"IDLE" not in (await client.ask(b"a CAPABILITY"))[0].split()
    await client.close()


async def test_a_client_that_hangs_up_gives_back_its_session(served: Served) -> None:
    client = await served.log_in()
    assert (await client.ask(b"a SELECT INBOX"))[-1].startswith(b"a OK ")
    (connection,) = served.door._connections
    await client.close()
    assert connection.task is not None
    async with asyncio.timeout(10):
        await connection.task
    assert served.door.connections == 0
    assert served.services.limits.connections == 0
