"""`serve` as a process of its own, as systemd sees it."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.gateway.cli.conftest import PATIENCE_S, CommandLine, Start, lines_until


def port_of(lines: list[str]) -> int:
    listening = next(line for line in lines if '"listening"' in line)
    return int(listening.partition('"port": ')[2].partition(",")[0].rstrip("}\n"))


def greeting(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    assert connection.recv(5) == b"* OK "
    return connection


def everything(connection: socket.socket) -> bytes:
    data = b""
    while block := connection.recv(4096):
        data += block
    return data


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_goodbye_and_status_0(
    command_line: CommandLine, start: Start, number: signal.Signals
) -> None:
    command_line.write('[log]\nformat = "json"\n')
    process = start("serve", "--config", str(command_line.config))
    with greeting(port_of(lines_until(process, '"ready"'))) as connection:
        process.send_signal(number)
        assert b"\r\n* BYE " in everything(connection)
    lines_until(process, '"stopped"')
    assert process.wait(PATIENCE_S) == 0


def test_sighup_reloads_and_serving_goes_on(command_line: CommandLine, start: Start) -> None:
    command_line.write('[log]\nformat = "json"\n')
    process = start("serve", "--config", str(command_line.config))
    port = port_of(lines_until(process, '"ready"'))
    process.send_signal(signal.SIGHUP)
    lines_until(process, '"reloaded"')
    greeting(port).close()
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def test_what_keeps_it_from_starting_is_one_line_and_status_1(command_line: CommandLine, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command_line.write(f'[[listeners]]\nprotocol = "imap"\nbind = "127.0.0.1:{port}"\n')
        process = start("serve", "--config", str(command_line.config))
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    (error,) = [line for line in output.splitlines() if line.startswith("imap-gateway: ")]
    assert f"listeners[127.0.0.1:{port}].bind: port {port} is in use by another program" in error
    assert "Traceback" not in output
