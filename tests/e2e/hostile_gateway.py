"""A gateway for clients that mean harm: short time-outs, low limits, TLS too, and a look at what it has open."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from gateway.tls import write_self_signed
from tests.e2e.gateway_process import GatewayProcess, MaildirAccount
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message
from tests.e2e.waiting import equals, eventually
from tests.servers.ports import free_port

LOGIN, VICTIM = "mallory", "alice"
PASSWORD = "secret"
ATTACKER = "127.0.0.66"
"""Where attacks come from, so that limits by address do not meet those who behave."""
PER_ADDRESS = 60
PER_USER = 20
TIMEOUT_S = 2
MESSAGES = 3

_MEGABYTE = 1 << 20
_LIMITS = f"""
[imap]
login_grace_s = {TIMEOUT_S}
send_timeout_s = {TIMEOUT_S}
tls_handshake_timeout_s = {TIMEOUT_S}
[limits]
connections_per_address = {PER_ADDRESS}
connections_per_user = {PER_USER}
[[listeners]]
protocol = "imaps"
bind = "127.0.0.1:{{port}}"
[tls]
certificate = "{{directory}}/cert.pem"
key = "{{directory}}/key.pem"
"""


class HostileGateway(GatewayProcess):
    """Serves Maildirs of two users: one who attacks, and one, with `MESSAGES` messages, who is to notice nothing."""

    def __init__(self, directory: Path, messages: int = MESSAGES) -> None:
        self.tls_port = free_port()
        directory.mkdir()
        write_self_signed(directory / "cert.pem", directory / "key.pem")
        fill(directory / "attacker", messages)
        fill(directory / "victim", MESSAGES)
        super().__init__(
            directory,
            [
                MaildirAccount(LOGIN, PASSWORD, directory / "attacker"),
                MaildirAccount(VICTIM, PASSWORD, directory / "victim"),
            ],
            # What is read in the background takes memory too, which would hide what an attack takes.
            prefetch="none",
        )

    def _rendered(self) -> str:
        return super()._rendered() + _LIMITS.format(port=self.tls_port, directory=self.directory)

    # -- what it has open ----------------------------------------------------------------------------------------------

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory(self) -> float:
        """Return how much of its memory is in use, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024 / _MEGABYTE

    def settle(self, messages: int) -> None:
        """Wait until the attacker's mail is known."""
        with RawClient.logged_in(self.endpoint(LOGIN), timeout_s=600) as client:
            eventually(lambda: client.status("INBOX", "MESSAGES"), equals({"MESSAGES": messages}), within_s=600)

    # -- connections ---------------------------------------------------------------------------------------------------

    def attack(self, *, tls: bool = False, window: int | None = None) -> socket.socket:
        """Return a connection from the attacker's address that takes in no more than about `window` octets unread."""
        sock = socket.socket()
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.bind((ATTACKER, 0))
        sock.settimeout(30)
        sock.connect(("127.0.0.1", self.tls_port if tls else self.port))
        return sock

    def intrude(self, *, window: int | None = None) -> socket.socket:
        """Return a connection of the attacker's that is logged in, with INBOX selected."""
        sock = self.attack(window=window)
        sock.sendall(f'l LOGIN {LOGIN} "{PASSWORD}"\r\ns SELECT INBOX\r\n'.encode())
        read_to(sock, b"\r\ns ")
        return sock

    def trusting(self) -> ssl.SSLContext:
        """Return a context for clients that trust its certificate."""
        return ssl.create_default_context(cafile=str(self.directory / "cert.pem"))

    def victim(self) -> Victim:
        """Return a client that is logged in with its mailbox selected."""
        client = Victim.logged_in(self.endpoint(VICTIM))
        client.select("INBOX")
        return client


class Victim(RawClient):
    """A client that behaves, and wants to be served whatever others do."""

    def is_served(self) -> bool:
        """Read something and be told the truth."""
        rows = self.fetch("1:*", "(FLAGS RFC822.SIZE BODY.PEEK[])")
        return [row["BODY[]"] for row in rows.values()] == [message(number) for number in range(MESSAGES)]


def fill(path: Path, count: int) -> None:
    """Make a Maildir with messages."""
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    for number in range(count):
        (path / "cur" / f"17{number:08}.M{number}.host:2,").write_bytes(message(number))


def read_to(sock: socket.socket, ending: bytes) -> bytes:
    """Read up to something, which must come."""
    data = b""
    while ending not in data:
        piece = sock.recv(65_536)
        assert piece, f"ended before {ending!r}: {data[-300:]!r}"
        data += piece
    return data


def is_over(sock: socket.socket) -> bool:
    """Read to the end of the connection; False if it does not come in half a minute."""
    try:
        while sock.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
