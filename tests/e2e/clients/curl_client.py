"""curl: one process and one connection for each command."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from tempfile import NamedTemporaryFile
from urllib.parse import quote

from tests.e2e.clients.mail_client import MailClient, without_recent
from tests.e2e.clients.names import listed, quoted
from tests.e2e.endpoint import Endpoint

_FLAGS = re.compile(rb"\* \d+ FETCH \((?=[^\r\n]*UID (\d+))[^\r\n]*FLAGS \(([^)]*)\)")


class CurlError(AssertionError):
    """curl ended with a status other than 0."""


class CurlClient(MailClient):
    """Drives the curl on the path."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def close(self) -> None:
        """Nothing is open between two commands."""

    def mailboxes(self) -> set[str]:
        return {listed(line.removeprefix(b"* LIST ")) for line in self.curl("/").splitlines()}

    def create(self, name: str) -> None:
        self.curl("/", "-X", f"CREATE {quoted(name)}")

    def rename(self, name: str, new_name: str) -> None:
        self.curl("/", "-X", f"RENAME {quoted(name)} {quoted(new_name)}")

    def remove(self, name: str) -> None:
        self.curl("/", "-X", f"DELETE {quoted(name)}")

    def messages(self, mailbox: str) -> dict[int, bytes]:
        return {uid: self.message(mailbox, uid) for uid in self.search(mailbox, "ALL")}

    def message(self, mailbox: str, uid: int, *, section: str = "", is_partial: bool = False) -> bytes:
        """Read a message or a section of it; `is_partial` asks for its first 100 octets only."""
        tail = (f";SECTION={section}" if section else "") + (";PARTIAL=0.100" if is_partial else "")
        return self.curl(f"{_path(mailbox)};UID={uid}{tail}")

    def flags(self, mailbox: str) -> dict[int, frozenset[str]]:
        lines = self.curl(_path(mailbox), "-X", "UID FETCH 1:* (UID FLAGS)")
        return {int(found[1]): without_recent(found[2].decode().split()) for found in _FLAGS.finditer(lines)}

    def search(self, mailbox: str, criteria: str) -> list[int]:
        answer = self.curl(_path(mailbox), "-X", f"UID SEARCH {criteria}")
        return [int(uid) for line in answer.splitlines() for uid in line.removeprefix(b"* SEARCH").split()]

    def search_subject(self, mailbox: str, text: str) -> list[int]:
        return self.search(mailbox, f'SUBJECT "{text}"')

    def append(self, mailbox: str, content: bytes, flags: Sequence[str] = ()) -> None:
        """APPEND; curl 7.88 always appends as \\Seen, so the flags are set after it."""
        before = set(self.search(mailbox, "ALL"))
        with NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self.curl(_path(mailbox), "-T", file.name)
        (uid,) = set(self.search(mailbox, "ALL")) - before
        self.curl(_path(mailbox), "-X", f"UID STORE {uid} FLAGS ({' '.join(flags)})")

    def add_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self.curl(_path(mailbox), "-X", f"UID STORE {uid} +FLAGS ({' '.join(flags)})")

    def remove_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self.curl(_path(mailbox), "-X", f"UID STORE {uid} -FLAGS ({' '.join(flags)})")

    def copy(self, mailbox: str, uid: int, destination: str) -> None:
        self.curl(_path(mailbox), "-X", f"UID COPY {uid} {quoted(destination)}")

    def move(self, mailbox: str, uid: int, destination: str) -> None:
        self.curl(_path(mailbox), "-X", f"UID MOVE {uid} {quoted(destination)}")

    def delete(self, mailbox: str, uid: int) -> None:
        self.add_flags(mailbox, uid, "\\Deleted")
        self.curl(_path(mailbox), "-X", "EXPUNGE")

    def curl(self, path: str, *arguments: str) -> bytes:
        """Run curl on a path of the server and return what it printed.

        Raises:
            CurlError: the server refused, or the transfer failed.
        """
        endpoint = self._endpoint
        # The password is read from standard input, so that it is on no command line.
        command = ["curl", "--silent", "--show-error", "--max-time", "30", "--config", "-", *arguments]
        command.append(f"imap://{endpoint.host}:{endpoint.port}{path}")
        login = f'user = "{endpoint.login}:{endpoint.password}"\n'.encode()
        done = subprocess.run(command, input=login, capture_output=True, check=False)
        if done.returncode:
            raise CurlError(f"status {done.returncode} of {arguments}: {done.stderr.decode(errors='replace')}")
        return done.stdout


def _path(mailbox: str) -> str:
    return "/" + quote(quoted(mailbox)[1:-1], safe="")
