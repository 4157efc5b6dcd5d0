from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from gateway.app.application import REPEAT_S, Application, StopRequest
from gateway.app.storage import opened_store
from gateway.auth.passwords import hash_password
from gateway.config import Config
from gateway.errors import OperatorError
from gateway.store.accounts import account_by_name, add_account, remove_account, set_settings
from gateway.store.users import add_user, user_by_login
from gateway.tls import write_self_signed
from tests.gateway.app.conftest import Configurations
from tests.scenarios.login_serving import Authority

HASH = hash_password("secret", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
ALICE = {"login": "alice", "password_hash": HASH}
WORK = {"name": "work", "user": "alice", "connector": "memory"}
PATIENCE_S = 20.0
ROOT = Path(__file__).resolve().parents[3]


class Client:
    """Speaks lines with the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def line(self) -> bytes:
        return await asyncio.wait_for(self._reader.readline(), PATIENCE_S)

    async def command(self, text: str) -> list[bytes]:
        """Send a command and return the lines of its answer, the tagged one last."""
        self._writer.write(f"a {text}\r\n".encode())
        lines = [await self.line()]
        while lines[-1] and not lines[-1].startswith(b"a "):
            lines.append(await self.line())
        return lines

    async def mailboxes(self) -> set[str]:
        lines = await self.command('LIST "" "*"')
        return {line.decode().rpartition('"/" ')[2].strip().strip('"') for line in lines[:-1]}


@asynccontextmanager
async def client(address: tuple[str, int], tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(*address, ssl=tls, server_hostname="localhost" if tls else None), PATIENCE_S
    )
    try:
        found = Client(reader, writer)
        assert (await found.line()).startswith(b"* OK ")
        yield found
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Application]:
    application = Application(config, "gateway.toml")
    await application.start()
    try:
        yield application
    finally:
        await application.stop()


async def logged_in(found: Client) -> None:
    assert (await found.command("LOGIN alice secret"))[-1].startswith(b"a OK ")


async def test_a_declared_user_reads_a_declared_account(configurations: Configurations) -> None:
    config = configurations.make(users=[ALICE], accounts=[WORK])
    async with running(config) as application, client(application.addresses[0]) as found:
        await logged_in(found)
        assert "INBOX" in await found.mailboxes()
        assert (await found.command("SELECT INBOX"))[-1].startswith(b"a OK ")
        assert (await found.command("LOGOUT"))[0].startswith(b"* BYE")


async def test_several_accounts_are_shown_under_their_names(configurations: Configurations) -> None:
    home = WORK | {"name": "home", "primary": True}
    config = configurations.make(users=[ALICE], accounts=[WORK, home])
    async with running(config) as application, client(application.addresses[0]) as found:
        await logged_in(found)
        assert {"INBOX", "work/INBOX"} <= await found.mailboxes()


async def test_stopping_says_goodbye(configurations: Configurations) -> None:
    config = configurations.make(users=[ALICE], accounts=[WORK])
    async with running(config) as application, client(application.addresses[0]) as found:
        await logged_in(found)
        stopping = asyncio.create_task(application.stop())
        assert (await found.line()).startswith(b"* BYE ")
        assert await found.line() == b""
        await stopping


async def test_mail_and_uids_are_kept_over_a_restart(configurations: Configurations, tmp_path: Path) -> None:
    account = WORK | {"connector": "maildir", "settings": {"path": str(tmp_path / "Maildir")}}
    config = configurations.make(users=[ALICE], accounts=[account])
    seen: list[list[bytes]] = []
    for _ in range(2):
        async with running(config) as application, client(application.addresses[0]) as found:
            await logged_in(found)
            if not seen:
                appended = await found.command("APPEND INBOX (\\Seen) {18+}\r\nSubject: x\r\n\r\nabc\r\n")
                assert appended[-1].startswith(b"a OK [APPENDUID "), appended
            seen.append(await found.command("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"))
    assert b"MESSAGES 1 " in seen[0][0]
    assert seen[0] == seen[1]


async def test_a_port_in_use_is_one_line_and_leaves_nothing_running(configurations: Configurations) -> None:
    async with running(configurations.make()) as application:
        bind = f"127.0.0.1:{application.addresses[0][1]}"
        again = configurations.make(
            store={"url": f"sqlite:///{configurations.folder}/other.db"},
            listeners=[{"protocol": "imap", "bind": "127.0.0.1:0"}, {"protocol": "imap", "bind": bind}],
        )
        second = Application(again, "gateway.toml")
        with pytest.raises(OperatorError) as caught:
            await second.start()
        port = bind.partition(":")[2]
        assert caught.value.operator_text == (
            f"gateway.toml: listeners[{bind}].bind: port {port} is in use by another program; "
            "stop that one or choose another port"
        )
        with pytest.raises(OSError, match=r"."):
            await asyncio.open_connection(*second.addresses[0])


async def test_an_unusable_cache_is_named(configurations: Configurations) -> None:
    (configurations.folder / "file").touch()
    config = configurations.make(cache={"directory": str(configurations.folder / "file")})
    with pytest.raises(OperatorError, match=r"gateway.toml: cache.directory: .*/file cannot be used: "):
        await Application(config, "gateway.toml").start()


@pytest.mark.parametrize("seal", [True, False])
async def test_cached_bodies_are_sealed_if_asked(configurations: Configurations, seal: bool) -> None:
    text = "This text is looked for in the cache."
    config = configurations.make(
        cache={"directory": str(configurations.folder / "cache"), "seal": seal}, users=[ALICE], accounts=[WORK]
    )
    message = f"Subject: x\r\n\r\n{text}\r\n"
    async with running(config) as application, client(application.addresses[0]) as found:
        await logged_in(found)
        await found.command(f"APPEND INBOX {{{len(message)}+}}\r\n{message}")
        await found.command("SELECT INBOX")
        lines = await found.command("FETCH 1 BODY.PEEK[]")
        assert any(text.encode() in line for line in lines)
    files = [path.read_bytes() for path in (configurations.folder / "cache").rglob("*") if path.is_file()]
    assert files
    assert any(text.encode() in data for data in files) is not seal


async def test_appended_octets_are_kept_beside_the_database_not_in_the_cache(
    configurations: Configurations,
) -> None:
    cache = configurations.folder / "cache"
    varying = WORK | {"settings": {"bodies_vary": True}}
    config = configurations.make(cache={"directory": str(cache)}, users=[ALICE], accounts=[varying])
    message = "Subject: x\r\n\r\nThere is no other copy of this.\r\n"
    async with running(config) as application, client(application.addresses[0]) as found:
        await logged_in(found)
        appended = await found.command(f"APPEND INBOX {{{len(message)}+}}\r\n{message}")
        assert appended[-1].startswith(b"a OK [APPENDUID "), appended
    kept = [path for path in (configurations.folder / "gateway.bodies").rglob("*") if path.is_file()]
    assert any(message.encode() in path.read_bytes() for path in kept)
    assert not (cache / "kept").exists()


# -- TLS and reloading -------------------------------------------------------------------------------------------------


def tls_sections(folder: Path) -> dict[str, Any]:
    write_self_signed(folder / "certificate.pem", folder / "key.pem")
    return {
        "listeners": [{"protocol": "imaps", "bind": "127.0.0.1:0"}],
        "tls": {"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")},
    }


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "certificate.pem")


async def test_reload_takes_up_a_new_certificate(configurations: Configurations) -> None:
    folder = configurations.folder
    async with running(configurations.make(**tls_sections(folder))) as application:
        async with client(application.addresses[0], trusting(folder)):
            pass
        write_self_signed(folder / "certificate.pem", folder / "key.pem")
        with pytest.raises(ssl.SSLError):
            async with client(application.addresses[0], trusting(folder)):
                pass
        await application.reload()
        async with client(application.addresses[0], trusting(folder)):
            pass


async def test_a_damaged_certificate_is_logged_and_the_old_one_stays(
    configurations: Configurations, caplog: pytest.LogCaptureFixture
) -> None:
    folder = configurations.folder
    async with running(configurations.make(**tls_sections(folder))) as application:
        context = trusting(folder)
        (folder / "certificate.pem").write_text("none", encoding="ascii")
        with caplog.at_level(logging.ERROR):
            await application.reload()
        assert "the old certificate stays in use" in caplog.text
        async with client(application.addresses[0], context):
            pass


async def test_reload_takes_up_and_drops_accounts(configurations: Configurations) -> None:
    config = configurations.make()
    async with running(config) as application, opened_store(config) as store:
        user = await store.write(lambda tx: add_user(tx, "alice", HASH))
        first = await store.write(lambda tx: add_account(tx, user.id, "first", "memory", {}))
        await application.reload()
        async with client(application.addresses[0]) as found:
            await logged_in(found)
            assert "INBOX" in await found.mailboxes()
        await store.write(lambda tx: add_account(tx, user.id, "second", "memory", {}))
        await application.reload()
        async with client(application.addresses[0]) as found:
            await logged_in(found)
            assert {"first/INBOX", "second/INBOX"} <= await found.mailboxes()
        await store.write(lambda tx: remove_account(tx, first.id))
        await application.reload()
        async with client(application.addresses[0]) as found:
            await logged_in(found)
            assert "INBOX" in await found.mailboxes()


async def test_reload_builds_a_changed_account_anew(
    configurations: Configurations, caplog: pytest.LogCaptureFixture
) -> None:
    config = configurations.make(users=[ALICE], accounts=[WORK])
    async with running(config) as application, opened_store(config) as store:
        user = await store.read(lambda tx: user_by_login(tx, "alice"))
        assert user is not None
        account = await store.read(lambda tx: account_by_name(tx, user.id, "work"))
        assert account is not None
        with caplog.at_level(logging.INFO):
            await application.reload()
            assert "set up anew" not in caplog.text
            await store.write(lambda tx: set_settings(tx, account.id, "memory", {"layout": "items"}, is_declared=True))
            await application.reload()
        assert "account work is set up anew" in caplog.text


async def test_an_account_that_cannot_be_used_does_not_keep_others_from_starting(
    configurations: Configurations, caplog: pytest.LogCaptureFixture
) -> None:
    config = configurations.make()
    async with opened_store(config) as store:
        user = await store.write(lambda tx: add_user(tx, "alice", HASH))
        await store.write(lambda tx: add_account(tx, user.id, "good", "memory", {}))
        await store.write(lambda tx: add_account(tx, user.id, "bad", "memory", {"nosuch": 1}))
        await store.write(lambda tx: add_account(tx, user.id, "gone", "nosuch", {}))
    async with running(config) as application, client(application.addresses[0]) as found:
        await logged_in(found)
        assert "good/INBOX" in await found.mailboxes()
    assert "bad.settings.nosuch: is not a setting of connector 'memory'" in caplog.text
    assert "there is no connector 'nosuch'" in caplog.text


class HeldLoop(asyncio.SelectorEventLoop):
    """A loop whose time is set by the test."""

    now_s = 100.0

    def time(self) -> float:
        return self.now_s


def test_only_a_later_second_signal_ends_the_process_at_once() -> None:
    loop, left = HeldLoop(), list[int]()
    request = StopRequest(loop, left.append)
    request.take(15)
    assert request.taken.is_set()
    request.take(15)
    loop.now_s += REPEAT_S
    request.take(2)
    assert left == []
    loop.now_s += 0.1
    request.take(2)
    assert left == [130]
    loop.close()


async def test_metrics_are_served_where_the_configuration_says(configurations: Configurations) -> None:
    application = Application(configurations.make(metrics={"bind": "127.0.0.1:0"}), "gateway.toml")
    await application.start()
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(*application.metrics_addresses[0]), PATIENCE_S)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        page = (await asyncio.wait_for(reader.read(), PATIENCE_S)).decode("ascii")
        writer.close()
    finally:
        await application.stop()
    for name in ("loop_delay_seconds_count", "loop_delay_worst_seconds", "connections", "accounts", "open_mailboxes"):
        assert f"\nimap_gateway_{name} " in page
    documented = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in re.findall(r"^# TYPE (\S+)", page, flags=re.MULTILINE):
        assert f"| `{name}` |" in documented


async def test_scram_is_offered_from_the_first_login_of_the_last_user_on(configurations: Configurations) -> None:
    config = configurations.make(users=[ALICE], accounts=[WORK])
    async with running(config) as application, client(application.addresses[0]) as found:
        assert b"AUTH=SCRAM" not in (await found.command("CAPABILITY"))[0]
        await logged_in(found)
    async with running(config) as application, client(application.addresses[0]) as found:
        assert b" AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN " in (await found.command("CAPABILITY"))[0]


async def test_a_provider_brings_logins_by_token(configurations: Configurations) -> None:
    provider = {"issuer": "https://id.example.org", "audience": "imap-gateway"}
    config = configurations.make(users=[ALICE], accounts=[WORK], oauth=provider)
    async with running(config) as application, client(application.addresses[0]) as found:
        assert b" AUTH=OAUTHBEARER AUTH=XOAUTH2 " in (await found.command("CAPABILITY"))[0]


async def test_certificates_of_clients_are_asked_for_where_the_configuration_says(
    configurations: Configurations, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    tls = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    tls["client_ca"] = str(tmp_path / "client-ca.pem")
    listeners = [{"protocol": "imaps", "bind": "127.0.0.1:0"}]
    config = configurations.make(users=[ALICE], accounts=[WORK], tls=tls, listeners=listeners)
    async with (
        running(config) as application,
        client(application.addresses[0], authority.client(name="alice")) as found,
    ):
        assert (await found.command("AUTHENTICATE EXTERNAL ="))[-1].startswith(b"a OK ")
