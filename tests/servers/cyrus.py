"""A real Cyrus on loopback, for tests: IMAP and JMAP over one store, any number of users, each with an empty account.

`cyrus` is a fixture for the whole test process; `fresh_user` makes a user nobody used before, so that tests running
side by side do not meet. Where Cyrus is not installed, tests that ask for it are skipped.

Debian's package cyrus-imapd conflicts with dovecot-imapd: `make servers` unpacks it below `.venv` (see
`tools/cyrus-imapd.sh`), and what else there is of Cyrus comes from the packages installed.
"""

from __future__ import annotations

import contextlib
import grp
import http.client
import imaplib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from tests.servers.ports import free_port

PASSWORD = "password"
USUAL_MAILBOXES = ("Archive", "Drafts", "Junk", "Sent", "Trash")
"""Made for each user beside INBOX, with the special use of the same name and subscribed."""

START_S = 20.0
_STOP_S = 10.0
_ATTEMPTS = 3
_ROOM_OCTETS = 2 << 30
_INSTALLED = Path("/usr/lib/cyrus/bin")
_UNPACKED = Path(__file__).parents[2] / ".venv" / "cyrus-imapd" / "usr" / "lib" / "cyrus" / "bin"

# `altnamespace` and `unixhierarchysep` make mailboxes `Archive/2024` and not `INBOX.Archive.2024`, as Dovecot has them.
# Limits of JMAP are the least that RFC 8620 section 2 suggests, so that what is written for larger ones shows.
# `jmap_max_size_upload` is in KiB.
_IMAPD_CONF = """
configdirectory: {root}/conf
proc_path: {root}/run/proc
mboxname_lockpath: {root}/run/lock
idlesocket: {root}/run/idle
defaultpartition: default
partition-default: {root}/spool
sievedir: {root}/sieve
servername: localhost
cyrus_user: {user}
cyrus_group: {group}
umask: 077
altnamespace: yes
unixhierarchysep: yes
virtdomains: off
reject8bit: no
munge8bit: no
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN LOGIN
sasl_sasldb_path: {root}/sasldb2
failedloginpause: 0
maxlogins_per_user: 200
autocreate_quota: 0
specialusealways: yes
conversations: yes
conversations_db: twoskip
skiplist_unsafe: yes
search_engine: xapian
search_index_headers: yes
defaultsearchtier: t1
t1searchpartition-default: {root}/search
expunge_mode: delayed
delete_mode: delayed
httpmodules: jmap
httpallowcompress: no
jmap_max_objects_in_get: 500
jmap_max_objects_in_set: 500
jmap_max_calls_in_request: 16
jmap_max_concurrent_requests: 4
jmap_max_size_upload: 51200
jmap_max_size_request: 10240
"""

_CYRUS_CONF = """
START {{
  recover cmd="{installed}/ctl_cyrusdb -C {root}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{root}/bin/imapd -C {root}/imapd.conf -U 30" listen="127.0.0.1:{imap_port}" prefork=1 maxchild=200
  http cmd="{installed}/httpd -C {root}/imapd.conf -U 30" listen="127.0.0.1:{http_port}" prefork=1 maxchild=200
}}
EVENTS {{
  checkpoint cmd="{installed}/ctl_cyrusdb -C {root}/imapd.conf -c" period=60
}}
DAEMON {{
  idled cmd="{root}/bin/idled -C {root}/imapd.conf"
}}
"""

# Runs the server, and ends it and removes its files when the pipe on standard input ends: then the tests were killed.
# What comes after the folder is the command.
_KEEPER = """
root=$1; shift
exec 3<&0
trap : TERM
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill -TERM "$server"; sleep 1; rm -rf "$root"; kill -KILL 0; } &
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
"""


@dataclass
class Cyrus:
    """A running server. It may be stopped and started again, on the same ports and with the same mail."""

    host: str
    imap_port: int
    http_port: int
    root: Path
    password: str = PASSWORD
    _process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def jmap_url(self) -> str:
        """Where the JMAP session document is; the authentication is HTTP's Basic."""
        return f"http://{self.host}:{self.http_port}/jmap/"

    def fresh_user(self, mailboxes: Sequence[str] = USUAL_MAILBOXES) -> str:
        """Make a user with an empty account of INBOX and these mailboxes, and return its name."""
        user = f"user{next(self._numbers)}"
        self.set_password(user, self.password)
        with self.client(user) as client:
            for name in mailboxes:
                use = f"(USE (\\{name}))" if name in USUAL_MAILBOXES else ""
                _done(client._simple_command("CREATE", f'"{name}"', *([use] if use else [])))
                _done(client.subscribe(f'"{name}"'))
            _done(client.subscribe("INBOX"))
        return user

    def set_password(self, user: str, password: str) -> None:
        """Make the user, or change its password."""
        program = shutil.which("saslpasswd2", path=_search_path())
        assert program is not None, "saslpasswd2 comes with sasl2-bin"
        database = self.root / "sasldb2"
        command = [program, "-p", "-c", "-f", str(database), "-u", "localhost", user]
        subprocess.run(command, input=password.encode(), check=True, capture_output=True, timeout=20)
        if os.geteuid() == 0:
            os.chown(database, _cyrus().pw_uid, _cyrus().pw_gid)

    def client(self, user: str) -> imaplib.IMAP4:
        """Return another client, logged in by IMAP; for what happens from outside."""
        client = imaplib.IMAP4(self.host, self.imap_port, timeout=20)
        try:
            client.login(user, self.password)
        except imaplib.IMAP4.error:
            client.shutdown()
            raise
        return client

    def deliver(
        self, user: str, mailbox: str, data: bytes, flags: Sequence[str] = (), date: datetime | None = None
    ) -> None:
        """Append a message by IMAP; the mailbox is named as on the wire."""
        with self.client(user) as client:
            moment = imaplib.Time2Internaldate(date) if date else ""
            _done(client.append(f'"{mailbox}"', f"({' '.join(flags)})", moment, data))

    def index(self, user: str) -> None:
        """Let what the user has be found by its text: Cyrus finds nothing that it has not indexed."""
        command = [str(self.root / "bin" / "squatter"), "-C", str(self.root / "imapd.conf"), "-u", user]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def stop(self) -> None:
        """End the server and every session; returns when nothing listens on its ports any more."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def start(self) -> None:
        """Start the server; returns when both doors answer.

        Raises:
            RuntimeError: they do not.
        """
        program = _INSTALLED / "master"
        files = ["-C", str(self.root / "imapd.conf"), "-M", str(self.root / "cyrus.conf")]
        command = [str(program), *files, "-p", str(self.root / "run" / "master.pid")]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "sh", str(self.root), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A group of its own, so that its sessions can be ended with it.
            start_new_session=True,
        )
        if not _answers_in_time(self._process, self):
            self.stop()
            raise RuntimeError("Cyrus did not start; its reasons are in the system's log")


@pytest.fixture(scope="session")
def cyrus() -> Iterator[Cyrus]:
    with running_cyrus() as server:
        yield server


@contextlib.contextmanager
def running_cyrus() -> Iterator[Cyrus]:
    """Start a server of its own and stop it at the end; skip the test if Cyrus is not installed."""
    reason = missing_part()
    if reason is not None:
        pytest.skip(reason)
    root = Path(tempfile.mkdtemp(prefix="cy-", dir=_place()))
    try:
        server = _started(root)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _place() -> str:
    """Return where its files go: into memory if there is room, for Cyrus has each message written to the disk at once.

    The path of a Unix socket holds 107 octets, so it is a short one.
    """
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_OCTETS
    return str(memory) if has_room else "/tmp"


def missing_part() -> str | None:
    """Say what keeps Cyrus from running here; None if nothing does."""
    if not (_INSTALLED / "master").exists():
        return "Cyrus is not installed (Debian packages cyrus-common, cyrus-caldav, sasl2-bin)"
    if not (_INSTALLED / "httpd").exists():
        return "Cyrus has no JMAP here (Debian package cyrus-caldav is not installed)"
    if shutil.which("saslpasswd2", path=_search_path()) is None:
        return "saslpasswd2 is not installed (Debian package sasl2-bin)"
    if _programs() is None:
        return "Cyrus has no imapd here (Debian package cyrus-imapd, which `make servers` unpacks below .venv)"
    return None


def _programs() -> Path | None:
    return next((folder for folder in (_INSTALLED, _UNPACKED) if (folder / "imapd").exists()), None)


def _search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def _cyrus() -> pwd.struct_passwd:
    """Return who owns the mail: Debian's user for it, or whoever runs the tests, if not root."""
    return pwd.getpwnam("cyrus") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _started(root: Path) -> Cyrus:
    for attempt in range(_ATTEMPTS):
        server = _prepare(root)
        try:
            server.start()
        except RuntimeError:
            # Another program may have taken a port meanwhile.
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            break
    return server


def _prepare(root: Path) -> Cyrus:
    imap_port, http_port = free_port(), free_port()
    server = Cyrus("127.0.0.1", imap_port, http_port, root)
    owner = _cyrus()
    for name in ("conf", "conf/socket", "spool", "search", "sieve", "run", "run/proc", "run/lock", "bin"):
        (root / name).mkdir(exist_ok=True)
    programs = _programs()
    assert programs is not None
    for name in ("imapd", "idled", "squatter"):
        # The checkout may be where nobody but its owner comes.
        shutil.copy(programs / name, root / "bin" / name)
    values = {
        "root": root,
        "installed": _INSTALLED,
        "user": owner.pw_name,
        "group": grp.getgrgid(owner.pw_gid).gr_name,
        "imap_port": imap_port,
        "http_port": http_port,
    }
    (root / "imapd.conf").write_text(_IMAPD_CONF.format(**values))
    (root / "cyrus.conf").write_text(_CYRUS_CONF.format(**values))
    server.set_password("nobody", PASSWORD)
    if os.geteuid() == 0:
        for path in (root, *root.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    return server


def _answers_in_time(process: subprocess.Popen[bytes], server: Cyrus) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if _greets(server) and _speaks_jmap(server):
            return True
        time.sleep(0.05)
    return False


def _greets(server: Cyrus) -> bool:
    try:
        with socket.create_connection((server.host, server.imap_port), timeout=5.0) as probe:
            return probe.recv(4).startswith(b"* OK")
    except OSError:
        return False


def _speaks_jmap(server: Cyrus) -> bool:
    # Whoever is refused the session document has been understood.
    connection = http.client.HTTPConnection(server.host, server.http_port, timeout=5.0)
    try:
        login = b64encode(b"nobody:wrong").decode()
        connection.request("GET", "/jmap/", headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status == 401
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and every process it started, which are one group; the files stay."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _done(reply: tuple[str, object]) -> None:
    kind, data = reply
    if kind != "OK":
        raise RuntimeError(f"Cyrus refused: {data!r}")
