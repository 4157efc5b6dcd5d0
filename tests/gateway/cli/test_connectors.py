from __future__ import annotations

from gateway.app.backends import available
from tests.gateway.cli.conftest import CommandLine


def test_every_connector_is_listed_with_its_settings(command_line: CommandLine) -> None:
    outcome = command_line.run("connectors")
    assert outcome.status == 0
    for spec in available():
        assert any(line.startswith(f"{spec.name}: {spec.title}") for line in outcome.out)
        for setting in spec.settings:
            assert any(line.startswith(f"  {setting.key} ") for line in outcome.out)


def test_required_and_default_values_are_told(command_line: CommandLine) -> None:
    text = "\n".join(command_line.run("connectors").out)
    assert "directory of the Maildir; ~ is the home directory (required)" in text
    assert "(one of maildir++, fs; default maildir++)" in text
    assert "(default true)" in text


def test_the_forms_of_credentials_are_told(command_line: CommandLine) -> None:
    out = command_line.run("connectors").out
    start = next(number for number, line in enumerate(out) if line.startswith("jmap: "))
    section = out[start : out.index("", start)]
    at = section.index("  credentials, form password: a user name and a password")
    assert [line.split("  ")[2] for line in section[at + 1 : at + 3]] == ["username", "password_file, password_env"]
    assert any(line.startswith("  or credentials, form token: ") for line in section)
    assert any(line.startswith("    username ") and line.endswith("(optional)") for line in section)


def test_what_a_login_finds_out_is_said(command_line: CommandLine) -> None:
    (line,) = (line for line in command_line.run("connectors").out if "refresh_token_file" in line)
    assert line.endswith(" (account add finds it out)")
