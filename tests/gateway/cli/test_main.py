from __future__ import annotations

import os
import sys

import pytest

import gateway
from gateway.cli.main import run
from tests.gateway.cli.conftest import CommandLine


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("nosuch",), "imap-gateway: No such command 'nosuch'; see imap-gateway --help"),
        (("user",), "imap-gateway: Missing command; see imap-gateway user --help"),
        (("user", "add"), "imap-gateway: Missing argument 'LOGIN'; see imap-gateway user add --help"),
        (("demo", "--port", "70000"), "see imap-gateway demo --help"),
        (("serve", "--nosuch"), "imap-gateway: No such option: --nosuch"),
    ],
)
def test_wrong_usage_is_one_line_with_what_to_do(command_line: CommandLine, words: tuple[str, ...], line: str) -> None:
    outcome = command_line.run(*words)
    assert outcome.status == 2
    assert len(outcome.err) == 1
    assert line in outcome.err[0]


def test_words_that_are_no_text_are_one_line(command_line: CommandLine) -> None:
    outcome = command_line.with_config("user", "add", os.fsdecode(b"al\xffce"), "--password-stdin", stdin="x\n")
    assert outcome.status == 2
    assert outcome.err == [r"imap-gateway: 'al\xffce' is not UTF-8 text; see imap-gateway --help"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("user", "add", "alice"), "--password-stdin: there is no terminal to ask at"),
        (("user", "add", "alice", "--password-stdin"), "--password-stdin: is empty"),
    ],
)
def test_without_a_standard_input_there_is_nobody_to_ask(
    command_line: CommandLine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    line: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run([*words, "--config", str(command_line.config)]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"imap-gateway: {line}")


def test_output_that_cannot_be_written_is_one_line(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status = run(["check", "--config", str(command_line.config)])
    assert status == 1
    assert capsys.readouterr().err.splitlines() == ["imap-gateway: cannot write: No space left on device"]


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_help_lists_the_commands(command_line: CommandLine, words: tuple[str, ...]) -> None:
    outcome = command_line.run(*words)
    assert outcome.status == 0
    text = "\n".join(outcome.out)
    for command in ("serve", "check", "demo", "connectors", "user", "account"):
        assert f"\n  {command} " in text


def test_every_option_is_explained(command_line: CommandLine) -> None:
    for words in (("serve",), ("account", "add"), ("user", "passwd"), ("demo",)):
        outcome = command_line.run(*words, "--help")
        assert outcome.status == 0
        options = "\n".join(outcome.out).partition("Options:")[2].splitlines()
        assert len(options) > 1
        for line, following in zip(options, [*options[1:], ""], strict=True):
            if line.strip().startswith("-"):
                name, _, explanation = line.strip().partition("  ")
                assert explanation.strip() or following.startswith("     "), name


def test_the_version_is_told(command_line: CommandLine) -> None:
    outcome = command_line.run("--version")
    assert (outcome.status, outcome.out) == (0, [f"imap-gateway {gateway.__version__}"])


def test_each_problem_of_a_configuration_is_one_line(command_line: CommandLine) -> None:
    command_line.write('[logs]\nlevel = "info"\n[sync]\nprefetch = "all"\n')
    outcome = command_line.with_config("serve")
    assert outcome.status == 1
    assert outcome.err == [
        f"imap-gateway: {command_line.config}: sync.prefetch: must be 'none', 'headers' or 'bodies'",
        f"imap-gateway: {command_line.config}: logs: is not a key of the configuration; did you mean log?",
    ]


def test_the_configuration_can_be_named_in_the_environment(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAP_GATEWAY_CONFIG", str(command_line.config))
    assert command_line.run("check").status == 0
