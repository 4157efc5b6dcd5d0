"""JMAPACCESS (RFC 9698), where the operator asks for it."""

from __future__ import annotations

from pathlib import Path

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches
from gateway.store import accounts
from gateway.store.database import Transaction
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.outside_jmap import outside_jmap
from tests.scenarios.serving import serving

SETTINGS = ImapSettings(switches=Switches(added=frozenset({"JMAPACCESS"})))


async def test_the_user_of_a_jmap_account_is_told_where_it_is(tmp_path: Path) -> None:
    async with outside_jmap() as outside, serving(tmp_path, outside, SETTINGS) as served:
        client = await served.log_in()
        await client.ask(b'a1 LIST "" *')
        assert b" JMAPACCESS" in (await client.ask(b"a2 CAPABILITY"))[0]
        told = await client.ask(b"a3 GETJMAPACCESS")
        assert told[0].startswith(b'* JMAPACCESS "' + outside.fake.url.encode())
        assert told[1].startswith(b"a3 OK ")


async def test_it_is_not_offered_unasked(tmp_path: Path) -> None:
    async with outside_jmap() as outside, serving(tmp_path, outside) as served:
        client = await served.log_in()
        await client.ask(b'a1 LIST "" *')
        assert b"JMAPACCESS" not in (await client.ask(b"a2 CAPABILITY"))[0]
        assert (await client.ask(b"a3 GETJMAPACCESS"))[-1].startswith(b"a3 BAD ")


async def test_nor_where_there_is_other_mail_besides(tmp_path: Path) -> None:
    async with outside_jmap() as outside, serving(tmp_path, outside, SETTINGS) as served:

        async def add(tx: Transaction) -> None:
            (work,) = await accounts.all_accounts(tx)
            await accounts.add_account(tx, work.user_id, "home", outside.connector_name, dict(outside.settings))

        await served.store.write(add)
        client = await served.log_in()
        await client.ask(b'a1 LIST "" *')
        assert b"JMAPACCESS" not in (await client.ask(b"a2 CAPABILITY"))[0]
        assert (await client.ask(b"a3 GETJMAPACCESS"))[-1].startswith(b"a3 BAD ")


async def test_nor_to_users_of_other_backends(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), SETTINGS) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        assert (await client.ask(b"a1 GETJMAPACCESS"))[-1].startswith(b"a1 BAD ")
        client = await served.log_in()
        await client.ask(b'a2 LIST "" *')
        assert b"JMAPACCESS" not in (await client.ask(b"a3 CAPABILITY"))[0]
        assert (await client.ask(b"a4 GETJMAPACCESS"))[-1].startswith(b"a4 BAD ")
