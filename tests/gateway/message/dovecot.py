"""What a real Dovecot says of message files, for comparison."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.gateway.message.grammar import Value, read_any
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot

_LITERAL_AT_END = re.compile(rb"\{(\d+)\}\r\n\Z")
_USER = "reader"


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
        self.command(f"LOGIN {_USER} {PASSWORD}".encode())

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
class MaildirServer:
    """A running Dovecot that serves files as they are; every mailbox made of it is new."""

    server: Dovecot
    made: int = 0

    @contextmanager
    def mailbox(self, contents: Sequence[bytes]) -> Iterator[Box]:
        """Put messages into a new mailbox, as files whose octets they are, and select it."""
        name = f"box{self.made}"
        self.made += 1
        home = self.server.log.parent / "mail" / _USER
        folder = home / "Maildir" / f".{name}"
        for sub in ("cur", "new", "tmp"):
            (folder / sub).mkdir(parents=True)
        for number, data in enumerate(contents):
            (folder / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,").write_bytes(data)
        _give_to_owner(home)
        connection = _Connection(self.server.port)
        try:
            _, tagged = connection.command(f"SELECT {name}".encode())
            assert tagged.startswith(b"OK"), tagged
            yield Box(connection)
        finally:
            connection.close()


def _give_to_owner(home: Path) -> None:
    """Let the files belong to whom the folder above belongs to, which is who Dovecot reads them as."""
    owner = home.parent.stat()
    for path in (home, *home.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def running_maildir_server() -> Iterator[MaildirServer]:
    """Start a Dovecot over Maildirs, and end it; skip the test where Dovecot is not installed."""
    with running_dovecot(storage="maildir:~/Maildir") as server:
        yield MaildirServer(server)
