"""The disk of the store is full: what is known goes on, nothing is acknowledged on credit, and it mends by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.client_scenarios import contents, flags
from tests.e2e.endpoint import Stage
from tests.e2e.gateway_process import Account, GatewayFailed, GatewayProcess
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.sound_store import assert_sound
from tests.e2e.stage_pool import StagePool
from tests.e2e.waiting import eventually

DISK_OCTETS = 24 << 20
RECOVERY_S = 30.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS}", "none", str(path)], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def account(stages: StagePool) -> Account:
    account = stages.accounts(1)[0]
    with RawClient.logged_in(account.backend) as back:
        back.ok('CREATE "Box"')
        back.append_many("INBOX", mixed(20))
        back.append_many("Box", mixed(5, first=100))
    return account


@pytest.fixture
def gateway(disk: Path, tmp_path: Path, account: Account, is_direct: bool) -> Iterator[GatewayProcess]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    gateway = GatewayProcess(disk / "gateway", [account])
    # What it says must not be lost with the rest.
    gateway._log = tmp_path / "gateway.log"
    gateway.start()
    yield gateway
    gateway.stop()
    assert_sound(gateway.directory)


@pytest.fixture
def stage(gateway: GatewayProcess, account: Account) -> Stage:
    stage = account.stage(gateway.endpoint(account.login))
    settled(stage, "INBOX", "Box")
    with RawClient.logged_in(stage.front) as front:
        # Into the cache.
        contents(front, "INBOX")
    return stage


@contextmanager
def full(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


WRITES = (
    r"UID STORE 1 +FLAGS (\Flagged)",
    r"UID STORE 1 +FLAGS ($Local)",
    'UID COPY 1 "Box"',
    'UID MOVE 1 "Box"',
    'CREATE "New"',
    'RENAME "Box" "New"',
    'DELETE "Box"',
    "APPEND INBOX {}",
)


def test_reading_goes_on_and_writes_are_refused_until_there_is_room(
    stage: Stage, gateway: GatewayProcess, disk: Path
) -> None:
    items = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
    with RawClient.logged_in(stage.back) as back, RawClient.logged_in(stage.front) as early, ExitStack() as late:
        before, box = (contents(back, "INBOX"), flags(back, "INBOX")), contents(back, "Box")
        early.select("INBOX")
        listing = early.fetch("1:*", items)
        with full(disk):
            for front in (early, late.enter_context(RawClient.logged_in(stage.front))):
                assert (contents(front, "INBOX"), flags(front, "INBOX")) == before
                assert front.fetch("1:*", items) == listing
                assert front.search("SUBJECT number")
                # Of these nobody has read more than the headers before.
                assert contents(front, "Box") == box
                front.select("INBOX")
                for command in WRITES:
                    reply = front.command(command, *([message(99)] if "{}" in command else []))
                    assert (reply.status.kind, reply.status.code) == ("NO", "UNAVAILABLE"), command
                assert front.ok("NOOP").is_ok
            assert (contents(back, "INBOX"), flags(back, "INBOX")) == before
            assert set(back.mailboxes()) == {"INBOX", "Box", "Sent"}
            assert contents(back, "Box") == box
            back.append("INBOX", message(200))
            # A text that is marked as read on the way is served all the same.
            early.select("INBOX")
            early.command("UID FETCH 1 BODY[TEXT]")
        settled(stage, "INBOX", "Box", within_s=RECOVERY_S)
        assert message(200) in contents(early, "INBOX").values()
        eventually(lambda: early.command(r"UID STORE 2 +FLAGS (\Flagged)").is_ok, within_s=RECOVERY_S)
        assert early.append("INBOX", message(201))
        assert contents(early, "INBOX") == contents(back, "INBOX")
        assert flags(early, "INBOX") == flags(back, "INBOX")
    assert "is full" in gateway.log


def test_a_gateway_does_not_start_on_a_disk_that_cannot_be_written(
    gateway: GatewayProcess, stage: Stage, disk: Path
) -> None:
    gateway.stop()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        said = len(gateway.log)
        with pytest.raises(GatewayFailed, match="ended with status 1 at the start"):
            gateway.start()
        lines = [line for line in gateway.log[said:].splitlines() if line.startswith("imap-gateway: ")]
        assert lines[0].endswith(f": store.url: {gateway.directory}/gateway.db cannot be read and written by this user")
        assert "Traceback" not in gateway.log
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    gateway.start()
    settled(stage, "INBOX", "Box")
