"""A real Dovecot on loopback, for tests: any user may log in, with the password `password`, and has an empty account.

`dovecot` is a fixture for the whole test process; `fresh_user` names a user nobody used before, so that tests running
side by side do not meet. Where Dovecot is not installed, tests that ask for it are skipped.
"""

from __future__ import annotations

import contextlib
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from tests.servers.ports import free_port

PASSWORD = "password"
START_S = 20.0
_ATTEMPTS = 3

_CONFIG = """
base_dir = {run}
state_dir = {root}/state
instance_name = {name}
log_path = {root}/dovecot.log
listen = 127.0.0.1
protocols = imap
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
login_trusted_networks = 127.0.0.0/8
ssl = yes
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
first_valid_uid = 1
mail_location = {storage}
mail_fsync = {fsync}
mail_max_userip_connections = 200
mailbox_list_index = yes
mail_plugins = quota
default_vsz_limit = 512M
{users}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
  mailbox Drafts {{
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Trash {{
    special_use = \\Trash
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
protocol imap {{
  mail_plugins = quota imap_quota
  imap_idle_notify_interval = 5 secs
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=1G
}}
"""

# Not started by root, Dovecot can use neither its own users nor chroot.
_UNPRIVILEGED = """
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
"""


@dataclass
class Dovecot:
    """A running server; `ca_file` holds the certificate that vouches for it."""

    host: str
    port: int
    tls_port: int
    ca_file: Path
    log: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh_user(self) -> str:
        """Return the name of a user with an empty account."""
        return f"user{next(self._numbers)}"

    def invalidate_uids(self, user: str, mailbox: str) -> None:
        """Give a mailbox another UIDVALIDITY."""
        doveadm = shutil.which("doveadm")
        assert doveadm is not None, "doveadm comes with Dovecot"
        config = self.log.with_name("dovecot.conf")
        value = str(int(time.time()) + 1000 + next(self._numbers))
        command = [doveadm, "-c", str(config), "mailbox", "update", "--uid-validity", value, "-u", user, mailbox]
        subprocess.run(command, check=True, capture_output=True, timeout=20)

    def client(self, user: str) -> imaplib.IMAP4:
        """Return another client, logged in; for what happens from outside."""
        client = imaplib.IMAP4(self.host, self.port, timeout=20)
        client.login(user, PASSWORD)
        return client


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot() as server:
        yield server


@contextlib.contextmanager
def running_dovecot(
    separator: str = "/",
    prefix: str = "",
    storage: str = "sdbox:~/mail",
    fsync: str = "never",
    mechanisms: str = "plain login",
    extras: str = "",
) -> Iterator[Dovecot]:
    """Start a server of its own and stop it at the end; skip the test if Dovecot is not installed.

    `storage` is its `mail_location`, `fsync` its `mail_fsync`; the home of a user is the folder `mail/NAME` beside the
    log. `mechanisms` are those of SASL; for `xoauth2` the password is what is taken for a token.
    `extras` is put behind the configuration.
    """
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("Dovecot is not installed (Debian package dovecot-imapd)")
    # The path of a Unix socket holds 107 octets, so these directories stand at the top of /tmp.
    root = Path(tempfile.mkdtemp(prefix="dc-", dir="/tmp"))
    try:
        for attempt in range(_ATTEMPTS):
            process, server = _start(program, root, separator, prefix, storage, fsync, mechanisms, extras)
            if _wait_for_greeting(process, server):
                break
            _stop(process)
            if attempt == _ATTEMPTS - 1:
                log = server.log.read_text()[-2000:] if server.log.exists() else "no log"
                raise RuntimeError(f"Dovecot did not start: {log}")
        try:
            yield server
        finally:
            _stop(process)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _start(
    program: str, root: Path, separator: str, prefix: str, storage: str, fsync: str, mechanisms: str, extras: str
) -> tuple[subprocess.Popen[bytes], Dovecot]:
    port, tls_port = free_port(), free_port()
    server = Dovecot("127.0.0.1", port, tls_port, root / "ca.pem", root / "dovecot.log")
    for directory in (root, root / "run", root / "state", root / "mail"):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)
    _write_certificates(root)
    uid, gid, users = _users()
    os.chown(root / "mail", uid, gid)
    config = root / "dovecot.conf"
    config.write_text(
        _CONFIG.format(
            run=root / "run",
            root=root,
            name=root.name,
            users=users,
            password=PASSWORD,
            uid=uid,
            gid=gid,
            separator=separator,
            prefix=prefix,
            storage=storage,
            fsync=fsync,
            mechanisms=mechanisms,
            port=port,
            tls_port=tls_port,
        )
        + extras
    )
    process = subprocess.Popen([program, "-c", str(config), "-F"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, server


def _users() -> tuple[int, int, str]:
    """Return who owns the mail, and what the configuration says of users."""
    if os.geteuid() == 0:
        mail = pwd.getpwnam("mail")
        return mail.pw_uid, mail.pw_gid, ""
    me = pwd.getpwuid(os.geteuid())
    return me.pw_uid, me.pw_gid, _UNPRIVILEGED.format(user=me.pw_name, group=me.pw_gid)


def _write_certificates(root: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(root / "key.pem"))
    with contextlib.suppress(FileNotFoundError):
        (root / "cert.pem").unlink()
    for block in certificate.cert_chain_pems:
        block.write_to_path(str(root / "cert.pem"), append=True)


def _wait_for_greeting(process: subprocess.Popen[bytes], server: Dovecot) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((server.host, server.port), timeout=1.0) as probe:
                if probe.recv(4).startswith(b"* OK"):
                    return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
