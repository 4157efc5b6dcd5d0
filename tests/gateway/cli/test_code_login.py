"""`account add` for Microsoft Graph as a process of its own, and somebody who enters a code or opens a browser."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.accounts.credentials import unseal_credentials
from gateway.app.storage import open_vault, opened_store
from gateway.config import load
from gateway.store.accounts import all_accounts
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.fakes.graph.server import running_graph
from tests.gateway.cli.conftest import ROOT

PATIENCE_S = 60.0


@pytest.fixture
async def fake() -> AsyncIterator[FakeGraph]:
    async with running_graph(GraphOptions(device_interval_s=1)) as fake:
        yield fake
        assert fake.violations == []


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


async def adding(fake: FakeGraph, config: Path, way: str) -> asyncio.subprocess.Process:
    """Begin to add an account, and choose how to log in."""
    await ended(await start(config, "user", "add", "alice", "--password-stdin"), "x\n")
    settings = ("--set", f"api_root={fake.api_root}", "--set", f"authority={fake.origin}")
    account = ("account", "add", "mail", "--user", "alice", "--connector", "graph")
    process = await start(config, *account, *settings, "--credential", f"client_id={fake.options.client_id}")
    assert process.stdin is not None
    process.stdin.write(f"{way}\n".encode())
    await process.stdin.drain()
    return process


async def shown(process: asyncio.subprocess.Process, pattern: str, until: str) -> str:
    """Return what the process shows that matches the pattern, once it has come to `until`."""
    assert process.stdout is not None
    said, found = "", ""
    while line := (await process.stdout.readline()).decode():
        said += line
        match = re.search(pattern, line)
        found = match[1] if match is not None else found
        if until in line:
            return found
    raise AssertionError(f"it ended: {said}")


async def kept(config: Path) -> dict[str, str]:
    async with opened_store(load(config)) as store:
        (account,) = await store.read(all_accounts)
    assert account.credentials is not None
    found = unseal_credentials(open_vault(load(config)), account.name, account.credentials)
    return {key: value.reveal() for key, value in found.values.items()}


async def test_a_code_is_entered_and_the_account_works(fake: FakeGraph, config: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        process = await adding(fake, config, "")
        fake.oauth.approve(await shown(process, r"enter the code (\w+)", "enter the code"))
        assert "Added account mail" in await ended(process)
        values = await kept(config)
        assert values["client_id"] == fake.options.client_id
        assert "RefreshToken" in json.loads(values["token_cache"])
        assert "mailboxes" in await ended(await start(config, "account", "test", "mail", "--user", "alice"))


async def test_somebody_consents_in_a_browser(fake: FakeGraph, config: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as browser:
        process = await adding(fake, config, "browser")
        consent = await browser.get(await shown(process, r"(http\S+/authorize\?\S+)", "paste it here"))
        assert consent.status_code == 302
        assert "Go on at the terminal" in (await browser.get(consent.headers["Location"])).text
        assert "Added account mail" in await ended(process)
        assert "token_cache" in await kept(config)
