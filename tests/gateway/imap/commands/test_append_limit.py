"""APPENDLIMIT (RFC 7889) of a user with several accounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.memory.backend import MemoryBackend
from connectors.memory.connector import shared_spec
from connectors.memory.faults import Operation
from gateway.imap.settings import ImapSettings
from gateway.store import accounts
from gateway.store.database import Transaction
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving

SETTINGS = ImapSettings(append_limit=1000)


def outside(work: int | None, home: int | None) -> tuple[OutsideMemory, MemoryBackend]:
    """Return two backends that take messages of so many octets; the second is for `with_home`."""
    first, second = OutsideMemory(), MemoryBackend()
    first.backend.append_limit, second.append_limit = work, home
    first.spec = shared_spec({"scenario": first.backend, "home": second})
    return first, second


async def with_home(served: Served) -> LineClient:
    """Give the user a second account, and return a client that is logged in when both have been opened."""

    async def add(tx: Transaction) -> None:
        (work,) = await accounts.all_accounts(tx)
        await accounts.add_account(tx, work.user_id, "home", "memory", {"backend": "home"})

    await served.store.write(add)
    client = await served.log_in()
    await client.ask(b'w LIST "" *')
    return client


def literal(octets: int) -> bytes:
    return b"{%d+}\r\n%b" % (octets, b"x" * octets)


async def test_each_mailbox_tells_the_limit_of_its_account(tmp_path: Path) -> None:
    first, _ = outside(100, None)
    async with serving(tmp_path, first, SETTINGS) as served:
        client = await with_home(served)
        assert b" APPENDLIMIT " in (await client.ask(b"a1 CAPABILITY"))[0] + b" "
        told = await client.ask(b"a2 STATUS work/INBOX (APPENDLIMIT)")
        assert told[0] == b'* STATUS "work/INBOX" (APPENDLIMIT 100)'
        told = await client.ask(b'a3 LIST "" */INBOX RETURN (STATUS (APPENDLIMIT))')
        assert b'* STATUS "work/INBOX" (APPENDLIMIT 100)' in told
        assert b'* STATUS "home/INBOX" (APPENDLIMIT 1000)' in told


async def test_each_account_takes_what_it_can(tmp_path: Path) -> None:
    first, second = outside(100, None)
    async with serving(tmp_path, first, SETTINGS) as served:
        await (await with_home(served)).close()
        client = await served.log_in()
        assert (await client.ask(b"a1 APPEND home/INBOX " + literal(1000)))[-1].startswith(b"a1 OK ")
        assert (await client.ask(b"a2 APPEND home/INBOX " + literal(1001)))[-1].startswith(b"a2 NO [TOOBIG] ")
        assert (await client.ask(b"a3 APPEND work/INBOX " + literal(100)))[-1].startswith(b"a3 OK ")
        assert (await client.ask(b"a4 APPEND work/INBOX " + literal(101)))[-1].startswith(b"a4 NO [TOOBIG] ")
        assert first.backend.faults.calls[Operation.APPEND] == second.faults.calls[Operation.APPEND] == 1


@pytest.mark.parametrize(("limit", "told"), [(100, b"100"), (None, b"1000"), (2000, b"1000")])
async def test_limits_that_are_equal_are_one_number(tmp_path: Path, limit: int | None, told: bytes) -> None:
    first, _ = outside(limit, limit)
    async with serving(tmp_path, first, SETTINGS) as served:
        client = await with_home(served)
        assert b" APPENDLIMIT=%b " % told in (await client.ask(b"a1 CAPABILITY"))[0] + b" "
