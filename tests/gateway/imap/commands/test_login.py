"""Logins that are held up, and logins for which there is no room."""

from __future__ import annotations

from pathlib import Path

from gateway.auth.throttle import Throttle, ThrottleLimits
from gateway.auth.users import UserDirectory
from gateway.clock import SystemClock
from gateway.imap.settings import ImapSettings
from gateway.store.database import Store
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, cheap_hasher, serving

RIGHT = f"LOGIN {LOGIN} {PASSWORD}".encode()


async def test_a_guesser_is_held_up_without_a_word_on_the_password(tmp_path: Path) -> None:
    def strict(store: Store) -> UserDirectory:
        limits = ThrottleLimits(address_free=2, login_free=2, first_wait_s=0.01, max_wait_s=300)
        clock = SystemClock()
        return UserDirectory(store, clock=clock, throttle=Throttle(clock, limits), hasher=cheap_hasher())

    settings = ImapSettings(login_failures_per_connection=100)
    async with serving(tmp_path, OutsideMemory(), settings, make_users=strict) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        answers = []
        for number in range(6):
            lines = await client.ask(b"a%d LOGIN %b wrong%d" % (number, LOGIN.encode(), number))
            answers.append(lines[-1].partition(b" ")[2][:12])
        assert answers[0].startswith(b"NO [AUTHENTI")
        assert b"NO [UNAVAILA" in answers


async def test_a_second_session_above_the_limit_leaves_the_first_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), ImapSettings(connections_per_user=1)) as served:
        first = await served.log_in()
        second = await served.connect()
        await second.expect(b"* OK ")
        assert (await second.ask(b"a " + RIGHT))[-1].startswith(b"a NO [UNAVAILABLE] ")
        assert (await first.ask(b"b LOGOUT"))[-1].startswith(b"b OK ")
        assert await first.at_end()
        # The same connection may try again.
        assert (await second.ask(b"c " + RIGHT))[-1].startswith(b"c OK ")


async def test_a_password_in_any_octets_is_a_wrong_password_and_no_error(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        client.write(b"a LOGIN alex {4+}\r\n\xff\xfe\x80\x01\r\n")
        assert (await client.line()).startswith(b"a NO [AUTHENTICATIONFAILED] ")
