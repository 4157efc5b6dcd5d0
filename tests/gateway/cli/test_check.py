from __future__ import annotations

from tests.gateway.cli.conftest import CommandLine


def test_a_right_configuration_is_said_to_be_so(command_line: CommandLine) -> None:
    outcome = command_line.with_config("check")
    assert (outcome.status, outcome.out) == (0, [f"{command_line.config}: no problem found"])
    assert not (command_line.folder / "gateway.db").exists()


def test_what_only_a_look_at_the_machine_tells_is_found(command_line: CommandLine) -> None:
    command_line.write(
        '[tls]\ncertificate = "/nowhere/certificate.pem"\nkey = "/nowhere/key.pem"\n'
        '[[users]]\nlogin = "alice"\npassword_file = "/nowhere/alice"\n'
        '[[accounts]]\nname = "work"\nuser = "alice"\nconnector = "maildir"\nsettings = { pth = "/x" }\n'
    )
    outcome = command_line.with_config("check")
    assert outcome.status == 1
    place = f"imap-gateway: {command_line.config}"
    assert outcome.err == [
        f"{place}: tls.certificate: cannot read /nowhere/certificate.pem: No such file or directory",
        f"{place}: users[alice].password_file: /nowhere/alice cannot be read: No such file or directory",
        f"{place}: accounts[work].settings.pth: is not a setting of connector 'maildir'; "
        "it has: path, create, layout, fsync",
    ]


def test_a_missing_file_is_one_line(command_line: CommandLine) -> None:
    outcome = command_line.run("check", "--config", "/nowhere/gateway.toml")
    assert outcome.status == 1
    assert len(outcome.err) == 1
    assert outcome.err[0].startswith("imap-gateway: /nowhere/gateway.toml: there is no such file; name")
