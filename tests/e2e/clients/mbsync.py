"""mbsync (isync): keeps a local Maildir and a server the same."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from tests.e2e.endpoint import Endpoint

_SUMMARY = re.compile(r"F: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+\s+N: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+")

# What mbsync says on a good run: the first sight of a Maildir, and a login without TLS.
_EXPECTED = ("Maildir notice: no UIDVALIDITY", "*** IMAP Warning *** Password is being sent")


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one run did at each end: messages added, flags changed, messages trashed."""

    far: tuple[int, int, int]
    near: tuple[int, int, int]


NOTHING = Transfer((0, 0, 0), (0, 0, 0))


class Mbsync:
    """A configuration that syncs every mailbox both ways, new, flagged, deleted, created and removed.

    With `trash`, what is deleted goes to the mailbox of that name: at the far end if it was deleted there, and so on.
    """

    def __init__(self, endpoint: Endpoint, directory: Path, *, trash: str | None = None) -> None:
        self.local = directory / "mail"
        self._config = directory / "mbsyncrc"
        self._password = directory / "password"
        self.local.mkdir(parents=True)
        self._password.write_text(endpoint.password + "\n")
        kept = [f"Trash {trash}"] if trash else []
        self._config.write_text(
            "\n".join(
                [
                    "IMAPStore far",
                    f"Host {endpoint.host}",
                    f"Port {endpoint.port}",
                    f"User {endpoint.login}",
                    f'PassCmd "cat {self._password}"',
                    "SSLType None",
                    "AuthMechs LOGIN",
                    *kept,
                    "",
                    "MaildirStore near",
                    f"Path {self.local}/",
                    f"Inbox {self.local}/INBOX",
                    "SubFolders Verbatim",
                    *kept,
                    "",
                    "Channel all",
                    "Far :far:",
                    "Near :near:",
                    "Patterns *",
                    "Create Both",
                    "Remove Both",
                    "Expunge Both",
                    "CopyArrivalDate yes",
                    "SyncState *",
                    "",
                ]
            )
        )

    def run(self) -> Transfer:
        """Sync once.

        Raises:
            AssertionError: mbsync reported an error or warning.
        """
        status, progress, messages = self._run()
        complaints = [line for line in messages.splitlines() if not line.startswith(_EXPECTED)]
        assert (status, complaints) == (0, []), messages
        found = _SUMMARY.findall(progress)
        assert found, f"no summary in {progress!r}"
        counts = [int(number) for number in found[-1]]
        return Transfer((counts[0], counts[1], counts[2]), (counts[3], counts[4], counts[5]))

    def _run(self) -> tuple[int, str, str]:
        """Return exit status, standard output and standard error; the counts are shown on a terminal only."""
        terminal, stdout = pty.openpty()
        with open(terminal, "rb", buffering=0) as progress, TemporaryFile("w+") as messages:
            process = subprocess.Popen(
                ["mbsync", "--config", str(self._config), "--all"],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=messages,
            )
            os.close(stdout)
            shown = b""
            # Reading a terminal whose other end is closed is an error on Linux.
            with suppress(OSError):
                while block := progress.read(1 << 16):
                    shown += block
            status = process.wait(60)
            messages.seek(0)
            return status, shown.decode(), messages.read()

    def files(self, mailbox: str) -> list[Path]:
        """Return the message files of a local mailbox, in the order of their arrival there."""
        folder = self.local / mailbox
        return sorted((*folder.glob("cur/*"), *folder.glob("new/*")), key=lambda path: path.name)

    def contents(self, mailbox: str) -> list[bytes]:
        """Return the messages of a local mailbox, CRLF line ends, sorted, without the header mbsync adds."""
        return sorted(as_sent(path.read_bytes()) for path in self.files(mailbox))

    def tree(self) -> dict[str, int]:
        """Return every message file below the local root and when its content last changed, in nanoseconds."""
        paths = [path for folder in ("cur", "new") for path in self.local.rglob(f"{folder}/*")]
        return {str(path.relative_to(self.local)): path.stat().st_mtime_ns for path in paths}

    def deliver(self, mailbox: str, name: str, content: bytes, flags: str = "") -> None:
        """Put a message into the local mailbox; `flags` are Maildir's letters."""
        path = self.local / mailbox / "cur" / f"{name}:2,{flags}"
        path.write_bytes(content.replace(b"\r\n", b"\n"))

    def set_flags(self, path: Path, flags: str) -> None:
        """Give a local message these flags, Maildir's letters in alphabetical order."""
        base = path.name.partition(":2,")[0]
        path.rename(path.parent.with_name("cur") / f"{base}:2,{flags}")


def as_sent(data: bytes) -> bytes:
    """Return a local message file as the message was at the server: CRLF, and no X-TUID, which mbsync adds."""
    return re.sub(rb"(?m)^X-TUID: [^\n]*\n", b"", data).replace(b"\n", b"\r\n")
