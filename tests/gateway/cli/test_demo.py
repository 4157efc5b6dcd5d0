from __future__ import annotations

import imaplib
import socket
import ssl
from pathlib import Path

from gateway.cli import demo
from tests.gateway.cli.conftest import PATIENCE_S, CommandLine, Start, lines_until


def free_port(tries: range = range(21000, 25000, 7)) -> int:
    """Return a port that is free together with the TLS one that belongs to it."""
    for port in tries:
        try:
            with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + demo.TLS_OFFSET)):
                return port
        except OSError:
            continue
    raise AssertionError("no two ports are free")


def test_the_demo_serves_its_mail_in_the_clear_and_with_tls(start: Start, tmp_path: Path) -> None:
    port = free_port()
    process = start("demo", "--port", str(port), "--directory", str(tmp_path))
    said = "".join(lines_until(process, "Ctrl-C stops"))
    assert f"imap://127.0.0.1:{port}/INBOX -X 'FETCH 1:3 ENVELOPE'" in said
    context = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    plain = imaplib.IMAP4("127.0.0.1", port, timeout=PATIENCE_S)
    secure = imaplib.IMAP4_SSL("localhost", port + demo.TLS_OFFSET, ssl_context=context, timeout=PATIENCE_S)
    for connection in (plain, secure):
        assert connection.login("demo", "demo")[0] == "OK"
        status, counts = connection.select("INBOX")
        assert status == "OK"
        assert counts[0] is not None
        assert int(counts[0]) > 100
        status, data = connection.fetch("1:3", "(ENVELOPE)")
        assert status == "OK"
        assert len(data) == 3
        connection.logout()
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    rest = process.stdout.read() if process.stdout else ""
    assert rest == "Stopped.\n"


def test_mbsync_s_configuration_names_port_and_folders(tmp_path: Path) -> None:
    text = demo.mbsync_configuration(tmp_path, 2143)
    assert "Port 2143\n" in text
    assert f"Inbox {tmp_path}/mbsync/INBOX\n" in text


def test_a_port_without_room_for_the_tls_one_is_refused(command_line: CommandLine) -> None:
    outcome = command_line.run("demo", "--port", "65000")
    assert outcome.status == 2
    assert len(outcome.err) == 1


def test_a_directory_that_cannot_be_used_is_one_line(command_line: CommandLine) -> None:
    outcome = command_line.run("demo", "--directory", str(command_line.config))
    assert outcome.status == 1
    assert outcome.err == [f"imap-gateway: --directory: {command_line.config} cannot be used: File exists"]


def test_without_a_directory_nothing_is_left_behind(start: Start, tmp_path: Path) -> None:
    process = start("demo", "--port", str(free_port(range(25000, 29000, 7))))
    said = "".join(lines_until(process, "Ctrl-C stops"))
    folder = Path(said.partition("the certificate is ")[2].partition("/certificate.pem")[0])
    assert folder.is_dir()
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert not folder.exists()
