"""`account add` for Gmail as a process of its own, with somebody at a browser here or on another machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.accounts.credentials import unseal_credentials
from gateway.app.storage import open_vault, opened_store
from gateway.config import load
from gateway.store.accounts import all_accounts
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.server import Endpoints, running_fake
from tests.gateway.cli.conftest import ROOT

PATIENCE_S = 60.0


@pytest.fixture
async def fake() -> FakeGmail:
    return FakeGmail()


@pytest.fixture
async def google(fake: FakeGmail) -> AsyncIterator[Endpoints]:
    async with running_fake(fake) as endpoints:
        yield endpoints


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/gateway.db"\n[cache]\ndirectory = "{tmp_path}/cache"\n'
        '[[listeners]]\nprotocol = "imap"\nbind = "127.0.0.1:0"\n'
    )
    return path


async def start(config: Path, *words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    arguments = ("-m", "gateway", *words, "--config", str(config))
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )


async def ended(process: asyncio.subprocess.Process, text: str = "") -> str:
    """Type the text and the end of the input, and return what was said until the process ended well."""
    out, _ = await process.communicate(text.encode())
    assert process.returncode == 0, out.decode()
    return out.decode()


async def address_shown(process: asyncio.subprocess.Process) -> str:
    """Return the address that is to be opened, once it is asked for."""
    assert process.stdout is not None
    said = []
    found = ""
    while line := (await process.stdout.readline()).decode():
        said.append(line)
        if "/o/oauth2/v2/auth?" in line:
            found = line.strip()
        if "paste it here" in line:
            return found
    raise AssertionError(f"ended without an address: {said}")


async def given(config: Path) -> dict[str, str]:
    async with opened_store(load(config)) as store:
        (account,) = await store.read(all_accounts)
    assert account.credentials is not None
    found = unseal_credentials(open_vault(load(config)), account.name, account.credentials)
    return {key: value.reveal() for key, value in found.values.items()}


@pytest.mark.parametrize("is_elsewhere", [False, True])
async def test_somebody_consents_and_the_account_has_what_it_needs(
    fake: FakeGmail, google: Endpoints, config: Path, tmp_path: Path, is_elsewhere: bool
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{fake.options.client_secret}\n")
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as browser:
        await ended(await start(config, "user", "add", "alice", "--password-stdin"), "x\n")
        settings = ("--set", f"token_uri={google.token_uri}", "--set", f"auth_uri={google.auth_uri}")
        client = ("--credential", f"client_id={fake.options.client_id}", "--credential", f"client_secret_file={secret}")
        account = ("account", "add", "mail", "--user", "alice", "--connector", "gmail")
        process = await start(config, *account, *settings, *client)
        consent = await browser.get(await address_shown(process))
        assert consent.status_code == 302
        redirected = consent.headers["Location"]
        if is_elsewhere:
            said = await ended(process, f"{redirected}\n")
        else:
            assert "Go on at the terminal" in (await browser.get(redirected)).text
            said = await ended(process)
    assert "Added account mail" in said
    values = await given(config)
    grant = fake.tokens.refreshed(values.pop("refresh_token"))
    assert grant is not None
    assert grant.user == fake.options.address
    assert values == {"client_id": fake.options.client_id, "client_secret": fake.options.client_secret}
