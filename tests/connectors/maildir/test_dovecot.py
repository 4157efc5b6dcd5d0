"""One Maildir, used by this connector and by a real Dovecot."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.api.credentials import FixedCredential
from connectors.api.types import FLAGGED, SEEN, Role
from connectors.maildir import SPEC
from connectors.maildir.connector import MaildirConnector
from tests.conformance.rig import Probe, find_mailbox, mail, paths

pytestmark = pytest.mark.skipif(shutil.which("doveadm") is None, reason="lacks the ability: Dovecot is installed")

NOBODY = 65534
CONFIGURATION = """
base_dir = {base}/run
log_path = {base}/log
mail_location = maildir:{base}/Maildir{layout}
mail_home = {base}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
ssl = no
protocols =
stats_writer_socket_path =
namespace inbox {{
  inbox = yes
}}
"""


class Dovecot:
    """Dovecot without its daemons: each command opens the Maildir as an IMAP session would."""

    def __init__(self, base: Path, layout: str) -> None:
        self.base = base
        # Dovecot does not serve root; where the tests run as root, it runs as nobody and owns the Maildir.
        self.is_root = os.geteuid() == 0
        uid, gid = (NOBODY, NOBODY) if self.is_root else (os.getuid(), os.getgid())
        self.configuration = base / "dovecot.conf"
        self.configuration.write_text(
            CONFIGURATION.format(base=base, uid=uid, gid=gid, layout=":LAYOUT=fs" if layout == "fs" else "")
        )

    def run(self, *arguments: str, data: bytes | None = None) -> str:
        if self.is_root:
            for path in (self.base, *self.base.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        done = subprocess.run(
            ["doveadm", "-c", str(self.configuration), "-f", "tab", *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=30,
            env={**os.environ, "HOME": str(self.base), "USER": "nobody" if self.is_root else getpass.getuser()},
        )
        assert done.returncode == 0, done.stderr.decode()
        assert not done.stderr, done.stderr.decode()
        return done.stdout.decode()

    def fetch(self, mailbox: str, fields: str) -> list[list[str]]:
        return [line.split("\t") for line in self.run("fetch", fields, "mailbox", mailbox, "all").splitlines()[1:]]

    def flags(self, mailbox: str) -> list[set[str]]:
        return [set(row[0].split()) - {"\\Recent"} for row in self.fetch(mailbox, "flags")]

    def mailboxes(self) -> set[str]:
        return set(self.run("mailbox", "list").splitlines()) - {"mailbox"}

    def log(self) -> str:
        log = self.base / "log"
        return log.read_text() if log.exists() else ""


@pytest.fixture(params=["maildir++", "fs"])
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dovecot(layout: str) -> Iterator[Dovecot]:
    # Not below pytest's own directory, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="maildir-") as base:
        os.chmod(base, 0o755)
        dovecot = Dovecot(Path(base), layout)
        yield dovecot
        assert dovecot.log() == ""


@pytest.fixture
async def connector(dovecot: Dovecot, layout: str) -> AsyncIterator[MaildirConnector]:
    settings = {"path": str(dovecot.base / "Maildir"), "layout": layout, "fsync": False}
    connector = SPEC.build(settings, FixedCredential(None))
    assert isinstance(connector, MaildirConnector)
    await connector.open()
    yield connector
    await connector.close()


@pytest.fixture
async def inbox(connector: MaildirConnector) -> Probe:
    return Probe(connector, (await find_mailbox(connector, ("INBOX",))).ref)


async def test_what_dovecot_stores_is_served_as_dovecot_serves_it(dovecot: Dovecot, inbox: Probe) -> None:
    dovecot.run("save", "-m", "INBOX", data=mail(1))
    (state,) = await inbox.listing()
    ((size,),) = dovecot.fetch("INBOX", "size.virtual")
    assert (state.size, state.size_is_exact) == (int(size), True)
    assert await inbox.read(state.ref) == mail(1)


async def test_what_is_appended_is_served_by_dovecot(dovecot: Dovecot, inbox: Probe) -> None:
    state = await inbox.append(mail(1), frozenset({SEEN}))
    assert dovecot.fetch("INBOX", "size.virtual size.physical") == [[str(state.size), str(state.size)]]
    assert dovecot.flags("INBOX") == [{SEEN}]
    assert "Some text." in dovecot.run("fetch", "text", "all")


async def test_bare_lf_that_is_kept_does_not_trouble_dovecot(dovecot: Dovecot, inbox: Probe) -> None:
    data = b"Subject: x\n\nbody\nbody\r\n"
    state = await inbox.append(data)
    assert dovecot.fetch("INBOX", "size.virtual") == [[str(len(data) + 3)]]
    dovecot.run("fetch", "text", "all")
    assert await inbox.refs() == [state.ref]
    assert await inbox.read(state.ref) == data


async def test_keywords_mean_the_same_to_both(dovecot: Dovecot, inbox: Probe) -> None:
    dovecot.run("save", "-m", "INBOX", data=mail(1))
    dovecot.run("flags", "add", "\\Flagged Theirs $Forwarded", "all")
    (state,) = await inbox.listing()
    assert state.flags == frozenset({FLAGGED, "Theirs", "$Forwarded"})
    await inbox.connector.store_flags(inbox.ref, [state.ref], frozenset({"Ours", SEEN}), frozenset({"$Forwarded"}))
    assert dovecot.flags("INBOX") == [{FLAGGED, SEEN, "Theirs", "Ours"}]
    dovecot.run("flags", "add", "Third", "all")
    assert await inbox.flags(state.ref) == frozenset({FLAGGED, SEEN, "Theirs", "Ours", "Third"})
    appended = await inbox.append(mail(2), frozenset({"Third", "Fourth"}))
    assert dovecot.flags("INBOX")[1] == {"Third", "Fourth"}
    dovecot.run("flags", "remove", "Fourth", "all")
    assert await inbox.flags(appended.ref) == frozenset({"Third"})


async def test_dovecot_keeps_its_uids_while_flags_change(dovecot: Dovecot, inbox: Probe) -> None:
    states = [await inbox.append(mail(number)) for number in range(3)]
    before = dovecot.fetch("INBOX", "uid")
    await inbox.connector.store_flags(inbox.ref, [state.ref for state in states], frozenset({"Foo"}), frozenset())
    await inbox.connector.expunge(inbox.ref, [states[1].ref])
    assert dovecot.fetch("INBOX", "uid") == [before[0], before[2]]


async def test_an_expunge_by_dovecot_is_a_change(dovecot: Dovecot, inbox: Probe) -> None:
    for number in range(3):
        await inbox.append(mail(number))
    replica = inbox.replica()
    await replica.begin()
    dovecot.run("expunge", "mailbox", "INBOX", "header", "Message-ID", "m1@conformance.example")
    await replica.catch_up()
    await replica.check()
    assert len(replica.flags) == 2


async def test_folders_have_the_same_names(dovecot: Dovecot, connector: MaildirConnector, layout: str) -> None:
    separator = "/" if layout == "fs" else "."
    dovecot.run("mailbox", "create", f"Theirs{separator}Größe & Co", "日本語")
    await connector.create_mailbox(("Ours", "Größe & Co"), None)
    await connector.create_mailbox(("Ours",), Role.ARCHIVE)
    listed = set(paths(await connector.list_mailboxes()))
    assert {("Theirs", "Größe & Co"), ("日本語",), ("Ours",), ("Ours", "Größe & Co")} <= listed
    names = {f"Theirs{separator}Größe & Co", "日本語", "Ours", f"Ours{separator}Größe & Co", "INBOX"}
    assert names <= dovecot.mailboxes()
    await connector.delete_mailbox((await find_mailbox(connector, ("日本語",))).ref)
    assert "日本語" not in dovecot.mailboxes()


async def test_subscriptions_are_shared(dovecot: Dovecot, connector: MaildirConnector, layout: str) -> None:
    separator = "/" if layout == "fs" else "."
    theirs, ours = f"A{separator}Größe", f"B{separator}b"
    dovecot.run("mailbox", "create", theirs, ours)
    dovecot.run("mailbox", "subscribe", theirs)
    subscribed = {info.path for info in await connector.list_mailboxes() if info.is_subscribed}
    assert subscribed == {("A", "Größe")}
    await connector.subscribe((await find_mailbox(connector, ("B", "b"))).ref, is_subscribed=True)
    await connector.subscribe((await find_mailbox(connector, ("INBOX",))).ref, is_subscribed=True)
    assert set(dovecot.run("mailbox", "list", "-s").splitlines()) - {"mailbox"} == {theirs, ours, "INBOX"}
