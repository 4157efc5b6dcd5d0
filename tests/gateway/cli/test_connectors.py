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
