"""A real Dovecot over a Maildir, for comparison. Needs Debian's dovecot-imapd and root."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.gateway.message.grammar import Value, read_any

_LITERAL_AT_END = re.compile(rb"\{(\d+)\}\r\n\Z")
_CONFIGURATION = """
base_dir = {run}
state_dir = {run}
log_path = {home}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
mail_location = maildir:{home}/mail
default_vsz_limit = 512M
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={home}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


@dataclass
class Box:
    """A selected mailbox."""

    connection: _Connection

    def fetch(self, number: int, items: Sequence[bytes]) -> dict[bytes, Value]:
        """Return the answer for the items of one message. An item refused alone is the text of its NO."""
        asked = [re.sub(rb"^(BODY|BINARY)\[", rb"\1.PEEK[", item) for item in items if not item.startswith(b"BINARY")]
        answer = self._fetch(number, asked)
        assert isinstance(answer, dict), answer
        for item in items:
            if item.startswith(b"BINARY"):
                single = self._fetch(number, [item.replace(b"BINARY[", b"BINARY.PEEK[")])
                answer[item] = single[item] if isinstance(single, dict) else single
        return answer

    def _fetch(self, number: int, items: Sequence[bytes]) -> dict[bytes, Value] | bytes:
        if not items:
            return {}
        untagged, tagged = self.connection.command(b"FETCH %d (%b)" % (number, b" ".join(items)))
        if not tagged.startswith(b"OK"):
            return b" ".join(tagged.split(b" ")[:2])
        (line,) = untagged
        values = read_any(line.partition(b" FETCH ")[2].removesuffix(b"\r\n"))
        return dict(zip(values[::2], values[1::2], strict=True))


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file: BinaryIO = self.socket.makefile("rb")
        assert self.file.readline().startswith(b"* OK")
        self.command(b"LOGIN user password")

    def command(self, text: bytes) -> tuple[list[bytes], bytes]:
        """Return the untagged lines, with their literals, and the tagged line without its tag."""
        self.socket.sendall(b"a " + text + b"\r\n")
        untagged = []
        while not (line := self._line()).startswith(b"a "):
            untagged.append(line)
        return untagged, line[2:]

    def _line(self) -> bytes:
        line = b""
        while True:
            piece = self.file.readline()
            assert piece, "Dovecot closed the connection"
            line += piece
            literal = _LITERAL_AT_END.search(piece)
            if not literal:
                return line
            line += self.file.read(int(literal[1]))

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@dataclass
class Dovecot:
    """A running server; every mailbox made of it is new."""

    home: Path
    port: int
    made: list[str] = field(default_factory=list)

    @contextmanager
    def mailbox(self, contents: Sequence[bytes]) -> Iterator[Box]:
        """Put messages into a new mailbox, as files whose octets they are, and select it."""
        name = f"box{len(self.made)}"
        self.made.append(name)
        folder = self.home / "mail" / f".{name}"
        for sub in ("cur", "new", "tmp"):
            (folder / sub).mkdir(parents=True)
        for number, data in enumerate(contents):
            (folder / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,").write_bytes(data)
        subprocess.run(["chown", "-R", "mail:mail", self.home / "mail"], check=True)
        connection = _Connection(self.port)
        try:
            _, tagged = connection.command(f"SELECT {name}".encode())
            assert tagged.startswith(b"OK"), tagged
            yield Box(connection)
        finally:
            connection.close()


@contextmanager
def running_dovecot(home: Path) -> Iterator[Dovecot]:
    """Start a Dovecot with its data in `home`, and end it."""
    binary = shutil.which("dovecot") or "/usr/sbin/dovecot"
    if not os.path.exists(binary) or os.geteuid() != 0:
        pytest.skip("needs the package dovecot-imapd and root")
    # The path of a Unix socket holds 107 octets, which a test's own folder exceeds.
    run = Path(tempfile.mkdtemp(prefix="dc", dir="/tmp"))
    run.chmod(0o755)
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o755)
    (home / "mail").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = home / "dovecot.conf"
    configuration.write_text(_CONFIGURATION.format(run=run, home=home, port=port))
    process = subprocess.Popen([binary, "-F", "-c", configuration])
    try:
        _wait_until_it_answers(port, process, home / "dovecot.log")
        yield Dovecot(home, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        shutil.rmtree(run, ignore_errors=True)


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                if probe.recv(4).startswith(b"* OK"):
                    return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"Dovecot did not start: {log.read_text() if log.exists() else 'no log'}")
