"""Ways to log in, taken by clients that know them: mbsync by SCRAM, curl by certificate and by token."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.imap.listener import Protocol
from gateway.tls import ServerTls, write_self_signed
from tests.gateway.auth.provider import Provider
from tests.scenarios.login_serving import Authority, with_certificates, with_keys, with_tokens
from tests.scenarios.serving import LOGIN, PASSWORD

PATIENCE_S = 30.0
SASL = "/usr/lib/*/sasl2/libscram.so", "/usr/lib/sasl2/libscram.so"


async def run(*words: str) -> tuple[int, str]:
    """Run a program; return its status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode("utf-8", "replace")


has_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
has_scram = pytest.mark.skipif(
    shutil.which("mbsync") is None or not any(Path("/").glob(pattern[1:]) for pattern in SASL),
    reason="mbsync (Debian packages isync and libsasl2-modules) is not installed",
)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    yield provider
    await provider.client.aclose()


@has_scram
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_mbsync_logs_in_by_scram(tmp_path: Path, mechanism: str, password: str) -> None:
    write_self_signed(tmp_path / "cert.pem", tmp_path / "key.pem")
    tls = ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "mail").mkdir()
    async with with_keys(tmp_path, tls, Protocol.IMAPS) as served:
        config = [
            "IMAPStore far",
            "Host localhost",
            f"Port {served.port}",
            f"User {LOGIN}",
            f"Pass {password}",
            "SSLType IMAPS",
            f"CertificateFile {tmp_path}/cert.pem",
            f"AuthMechs {mechanism}",
            "",
            "MaildirStore near",
            f"Path {tmp_path}/mail/",
            f"Inbox {tmp_path}/mail/INBOX",
            "",
            "Channel all",
            "Far :far:",
            "Near :near:",
            "Create Near",
            "SyncState *",
            "",
        ]
        (tmp_path / "mbsyncrc").write_text("\n".join(config), encoding="utf-8")
        status, said = await run("mbsync", "-V", "-c", str(tmp_path / "mbsyncrc"), "all")
    assert (status == 0) == (password == PASSWORD), said
    assert f"SASL mechanism {mechanism}..." in said


@has_curl
async def test_curl_logs_in_by_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.write_client(tmp_path / "client.pem", LOGIN)
    async with with_certificates(tmp_path, authority, Protocol.IMAPS) as served:
        trust = ("--cacert", str(tmp_path / "cert.pem"), "--cert", str(tmp_path / "client.pem"))
        where = f"imaps://localhost:{served.port}/"
        status, said = await run("curl", "-s", *trust, "--login-options", "AUTH=EXTERNAL", "-u", f"{LOGIN}:", where)
    assert status == 0, said
    assert "INBOX" in said


@has_curl
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("is_good", [True, False])
async def test_curl_logs_in_by_a_token(tmp_path: Path, provider: Provider, mechanism: str, is_good: bool) -> None:
    token = provider.token() if is_good else provider.token(exp=1.0)
    async with with_tokens(tmp_path, provider) as served:
        options = ("--login-options", f"AUTH={mechanism}", "--oauth2-bearer", token, "-u", f"{LOGIN}:")
        status, said = await run("curl", "-sv", *options, f"imap://127.0.0.1:{served.port}/")
    assert (status == 0) is is_good, said
    assert ("NO [AUTHENTICATIONFAILED]" in said) is not is_good
