"""`imap-gateway demo`: a gateway over generated mail, to try clients on."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gateway import logs
from gateway.app.application import serve_until_stopped
from gateway.auth.passwords import hash_password
from gateway.cli.sample_mail import generate, write_maildir
from gateway.config import Config
from gateway.errors import OperatorError
from gateway.tls import write_self_signed

LOGIN = "demo"
PASSWORD = "demo"  # noqa: S105  printed on purpose
TLS_OFFSET = 850
"""From the plain port to the TLS one: 1143 and 1993, as 143 and 993."""

_PortOption = Annotated[
    int,
    typer.Option(min=1, max=65535 - TLS_OFFSET, help=f"The plain port; the TLS one is {TLS_OFFSET} higher."),
]
_DirectoryOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep mail and state here for the next time; otherwise they are thrown away."),
]


def demo(port: _PortOption = 1143, directory: _DirectoryOption = None) -> None:
    """Serve generated mail, to try clients on.

    Some hundred messages on 127.0.0.1, login demo, password demo, until Ctrl-C.
    """
    logs.configure("warning", "console")
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imap-gateway-demo-")))
        directory = directory.absolute()
        try:
            _prepare(directory, port)
        except OSError as exc:
            raise OperatorError(f"{directory} cannot be used: {exc.strerror or exc}", key="--directory") from exc
        serve_until_stopped(
            configuration(directory, port), "demo", on_ready=lambda: typer.echo(instructions(directory, port))
        )
    typer.echo("Stopped.")


def configuration(directory: Path, port: int) -> Config:
    """Return the configuration of the demo in `directory`."""
    return Config.model_validate(
        {
            "store": {"url": f"sqlite:///{directory}/gateway.db"},
            "cache": {"directory": directory / "cache"},
            "listeners": [
                {"protocol": "imap", "bind": f"127.0.0.1:{port}"},
                {"protocol": "imaps", "bind": f"127.0.0.1:{port + TLS_OFFSET}"},
            ],
            "tls": {"certificate": directory / "certificate.pem", "key": directory / "key.pem"},
            "users": [{"login": LOGIN, "password_hash": hash_password(PASSWORD)}],
            "accounts": [
                {
                    "name": "Demo",
                    "user": LOGIN,
                    "connector": "maildir",
                    "settings": {"path": str(directory / "Maildir")},
                }
            ],
        }
    )


def _prepare(directory: Path, port: int) -> None:
    """Write mail, certificate and mbsync's configuration, as far as they are not there from the last time."""
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "certificate.pem").exists():
        write_self_signed(directory / "certificate.pem", directory / "key.pem")
    if not (directory / "Maildir").exists():
        # Moved to its place when it is complete, so that an interrupted run leaves no half of it.
        with tempfile.TemporaryDirectory(dir=directory) as workplace:
            messages = list(generate())
            with typer.progressbar(length=len(messages), label="Writing mail") as bar:
                write_maildir(Path(workplace) / "Maildir", messages, lambda _: bar.update(1))
            (Path(workplace) / "Maildir").rename(directory / "Maildir")
    (directory / "mbsync").mkdir(exist_ok=True)
    (directory / "mbsyncrc").write_text(mbsync_configuration(directory, port), encoding="utf-8")


def mbsync_configuration(directory: Path, port: int) -> str:
    """Return a configuration that copies the demo's mail into `directory`/mbsync."""
    return f"""\
IMAPStore gateway
Host 127.0.0.1
Port {port}
User {LOGIN}
Pass {PASSWORD}
SSLType None
AuthMechs LOGIN

MaildirStore copy
Path {directory}/mbsync/
Inbox {directory}/mbsync/INBOX
SubFolders Verbatim

Channel demo
Far :gateway:
Near :copy:
Patterns *
Create Near
SyncState *
"""


def instructions(directory: Path, port: int) -> str:
    """Return what to try, ready for the terminal."""
    secure = port + TLS_OFFSET
    return f"""\
Serving on 127.0.0.1, login {LOGIN}, password {PASSWORD}:
  port {port}  IMAP, with STARTTLS
  port {secure}  IMAP over TLS; the certificate is {directory}/certificate.pem, signed by itself

Try, in another terminal:
  curl     curl -u {LOGIN}:{PASSWORD} imap://127.0.0.1:{port}/INBOX -X 'FETCH 1:3 ENVELOPE'
  curl     curl -u {LOGIN}:{PASSWORD} --cacert {directory}/certificate.pem imaps://127.0.0.1:{secure}/
  mbsync   mbsync -c {directory}/mbsyncrc demo     (copies the mail to {directory}/mbsync)
  mutt     mutt -f imap://{LOGIN}:{PASSWORD}@127.0.0.1:{port}/INBOX
  Thunderbird, or any other: server 127.0.0.1, port {port}, no encryption, normal password

Ctrl-C stops."""
