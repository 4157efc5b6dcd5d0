"""`imap-gateway demo` as a newcomer meets it: the commands it prints work as they stand."""

from __future__ import annotations

import imaplib
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients.mbsync import as_sent
from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import RawClient
from tests.e2e.raw_values import Status
from tests.e2e.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
TLS_OFFSET = 850
PATIENCE_S = 60


@dataclass
class Demo:
    """A running demo, and what it has printed."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    printed: str

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.port, "demo", "demo")

    def command(self, name: str, containing: str = "") -> list[str]:
        """Return the command to try that it printed for a client, in words."""
        lines = re.findall(rf"(?m)^ +{name} +({name} .*?)(?: {{2,}}\(.*)?$", self.printed)
        (line,) = [line for line in lines if containing in line]
        return shlex.split(line)


@pytest.fixture(scope="module")
def demo(is_direct: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    directory = tmp_path_factory.mktemp("demo")
    running = start(directory)
    yield running
    running.process.terminate()
    running.process.wait(PATIENCE_S)


def start(directory: Path) -> Demo:
    """Start a demo and wait until it has said what to try."""
    port = two_free_ports()
    log = directory / "printed"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "demo", "--port", str(port), "--directory", str(directory / "state")],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )

    def has_said_it() -> bool:
        assert process.poll() is None, log.read_text()
        return "Ctrl-C stops." in log.read_text()

    try:
        eventually(has_said_it, within_s=PATIENCE_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Demo(process, port, directory / "state", log.read_text())


def two_free_ports() -> int:
    """Return a port that is free together with the TLS one above it."""
    while True:
        with socket.socket() as plain, socket.socket() as secure:
            plain.bind(("127.0.0.1", 0))
            port: int = plain.getsockname()[1]
            try:
                secure.bind(("127.0.0.1", port + TLS_OFFSET))
            except (OSError, OverflowError):
                continue
            return port


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_fetches_three_envelopes(demo: Demo) -> None:
    command = demo.command("curl", "ENVELOPE")
    assert f"imap://127.0.0.1:{demo.port}/INBOX" in command
    assert "FETCH 1:3 ENVELOPE" in command
    lines = run([*command, "--silent", "--show-error"]).splitlines()
    assert [line.partition(" (")[0] for line in lines] == [f"* {number} FETCH" for number in (1, 2, 3)]
    assert all(
        line.removeprefix(f"* {number} FETCH ").startswith('(ENVELOPE ("') for number, line in enumerate(lines, 1)
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_lists_the_mailboxes_over_tls_by_the_printed_certificate(demo: Demo) -> None:
    command = demo.command("curl", "imaps://")
    # A name with characters beyond ASCII is in modified UTF-7, and one beyond atoms in quotes.
    listed = run([*command, "--silent", "--show-error"])
    assert listed.startswith("* LIST (")
    assert "INBOX" in listed
    without = [word for word in command if word != "--cacert" and not word.endswith(".pem")]
    refused = subprocess.run([*without, "--silent"], capture_output=True, check=False, timeout=PATIENCE_S)
    assert refused.returncode == 60, "the certificate is signed by itself"


@pytest.mark.skipif(shutil.which("mbsync") is None, reason="mbsync (Debian package isync) is not installed")
def test_mbsync_copies_every_mailbox_and_then_nothing(demo: Demo) -> None:
    run(demo.command("mbsync"))
    copy = demo.directory / "mbsync"
    before = tree(copy)
    with RawClient.logged_in(demo.endpoint) as client:
        for name, listed in client.mailboxes().items():
            if "\\NOSELECT" in {attribute.upper() for attribute in listed.attributes}:
                continue
            client.select(name, "EXAMINE")
            rows = client.fetch("1:*", "(BODY.PEEK[])") if client.search() else {}
            wanted = [body for row in rows.values() if isinstance(body := row["BODY[]"], bytes)]
            assert len(wanted) == len(rows)
            files = [path for folder in ("cur", "new") for path in (copy / name).glob(f"{folder}/*")]
            assert sorted(as_sent(path.read_bytes()) for path in files) == sorted(wanted), name
    assert len(before) > 100
    run(demo.command("mbsync"))
    assert tree(copy) == before


def tree(folder: Path) -> dict[str, int]:
    """Return the message files below a folder and when each was last changed, in nanoseconds."""
    paths = [path for sub in ("cur", "new") for path in folder.rglob(f"{sub}/*")]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in paths}


def test_imaplib_reads_and_writes_in_the_clear_with_starttls_and_with_tls(demo: Demo) -> None:
    context = ssl.create_default_context(cafile=demo.directory / "certificate.pem")
    upgraded = imaplib.IMAP4("127.0.0.1", demo.port, timeout=PATIENCE_S)
    upgraded.starttls(context)
    connections = (
        imaplib.IMAP4("127.0.0.1", demo.port, timeout=PATIENCE_S),
        upgraded,
        imaplib.IMAP4_SSL("127.0.0.1", demo.port + TLS_OFFSET, ssl_context=context, timeout=PATIENCE_S),
    )
    for number, imap in enumerate(connections):
        imap.login("demo", "demo")
        name = f"Tried-{number}"
        assert imap.create(name)[0] == "OK"
        content = b"Subject: tried\r\n\r\nText.\r\n"
        assert imap.append(name, "(\\Flagged)", "", content)[0] == "OK"
        assert imap.select(name) == ("OK", [b"1"])
        (body, _) = imap.fetch("1", "(FLAGS BODY.PEEK[])")[1]
        assert isinstance(body, tuple)
        assert b"\\Flagged" in body[0]
        assert body[1] == content
        imap.close()
        assert imap.delete(name)[0] == "OK"
        imap.logout()


def test_sigterm_ends_it_with_bye_and_status_0(is_direct: bool, tmp_path: Path) -> None:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    running = start(tmp_path)
    try:
        with RawClient.logged_in(running.endpoint) as idler, RawClient(running.endpoint) as stranger:
            idler.select("INBOX")
            tag = idler.idle()
            stranger.greeting()
            running.process.send_signal(signal.SIGTERM)
            for client, ended in ((idler, [(tag, "OK")]), (stranger, [])):
                said = [(item.tag, item.kind) for item in client.read_to_end() if isinstance(item, Status)]
                assert said == [("*", "BYE"), *ended]
        assert running.process.wait(PATIENCE_S) == 0
    finally:
        running.process.kill()
        running.process.wait()
    assert "Traceback" not in (tmp_path / "printed").read_text()
