"""What the documentation must mention: every configuration key, command, option, connector setting and capability."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from connectors.api.spec import ConnectorSpec
from gateway.app.backends import available
from gateway.cli.main import build
from gateway.config import Config, load, section_models
from gateway.imap.capabilities import OFFER
from tests.extension_tests import EXTENSION_TESTS
from tools.capability_table import with_table
from tools.comparison import OURS, cells, count, with_comparison

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
EXTENSIONS = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "config" / "gateway.example.toml").read_text(encoding="utf-8")


def config_keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Yield every key that takes a value, dotted."""
    sections = {name: inner for name, inner, _ in section_models(model)}
    for name in model.model_fields:
        if name in sections:
            yield from config_keys(sections[name], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def commands(program: typer.Typer) -> Iterator[tuple[str, list[str]]]:
    """Yield each command's full name, and the options it has beside --help."""

    def walk(command: object, path: str) -> Iterator[tuple[str, list[str]]]:
        options = [name for parameter in command.params for name in parameter.opts if name.startswith("--")]  # type: ignore[attr-defined]
        yield path, options
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{path} {name}")

    yield from walk(typer.main.get_command(program), "imap-gateway")


def uncommented_example() -> str:
    """Return the example with each commented-out key and section in force."""
    return re.sub(r"^# (?=\[|[a-z_]+ = )", "", EXAMPLE, flags=re.MULTILINE)


KEYS = list(config_keys())
COMMANDS = list(commands(build()))


def test_the_lists_are_not_empty() -> None:
    assert len(KEYS) > 35
    assert "accounts.credentials" in KEYS
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("key", KEYS)
def test_every_configuration_key_is_documented(key: str) -> None:
    assert f"| `{key}` |" in CONFIGURATION


def test_no_key_is_documented_that_does_not_exist() -> None:
    documented = set(re.findall(r"^\| `([a-z]+\.[a-z_.]+)` \|", CONFIGURATION, flags=re.MULTILINE))
    assert documented <= set(KEYS)


@pytest.mark.parametrize(("command", "options"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_every_command_and_option_is_documented(command: str, options: list[str]) -> None:
    names = ("", " user", " app-password", " account", " store")
    groups = [f"imap-gateway{name}" for name in names]
    if command not in groups:
        assert re.search(rf"^\| `{command}( [A-Z]+)*` \|", CONFIGURATION, flags=re.MULTILINE), command
    for option in options:
        assert re.search(rf"^\| `{option}[` ]", CONFIGURATION, flags=re.MULTILINE), option


@pytest.mark.parametrize("spec", available(), ids=lambda spec: spec.name)
def test_every_connector_setting_is_documented(spec: ConnectorSpec) -> None:
    section = CONFIGURATION.partition(f"### `{spec.name}`")[2].partition("\n##")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert documented == [setting.key for setting in spec.settings]


@pytest.mark.parametrize("spec", available(), ids=lambda spec: spec.name)
def test_every_form_of_credentials_is_documented(spec: ConnectorSpec) -> None:
    section = CONFIGURATION.partition(f"### `{spec.name}`")[2].partition("\n##")[0]
    assert ("Credentials:" in section) == bool(spec.credentials)
    for form in spec.credentials:
        for field in form.fields:
            assert f"`{field.key}_file`" in section if field.is_secret else f"`{field.key}`" in section, field.key


def test_the_table_of_capabilities_is_what_the_code_declares() -> None:
    assert with_table(EXTENSIONS) == EXTENSIONS, "run `make docs`"
    assert len(re.findall(r"^\| `([^`]+)` \|", EXTENSIONS, flags=re.MULTILINE)) > 25


def test_the_comparison_is_what_the_code_declares() -> None:
    assert with_comparison(EXTENSIONS) == EXTENSIONS, "run `make docs`"


@pytest.mark.parametrize("letters", ["y", "yc"])
def test_nobody_offers_more(letters: str) -> None:
    rows = cells()
    counts = {column: count(rows.values(), column, letters) for column in next(iter(rows.values()))}
    assert max(counts, key=counts.__getitem__) == OURS, counts


def test_nothing_is_offered_without_a_test() -> None:
    assert {capability.name for capability in OFFER} == set(EXTENSION_TESTS)
    assert {name for name, row in cells().items() if row[OURS] != "-"} <= set(EXTENSION_TESTS)


@pytest.mark.parametrize("name", EXTENSION_TESTS)
def test_the_tests_of_a_capability_are_about_it(name: str) -> None:
    tested = EXTENSION_TESTS[name]
    assert tested.files
    for file in tested.files:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        is_transcript = file.endswith(".txt") and "\nC1" in text
        assert is_transcript or re.search(r"^ *(async )?def test_", text, re.MULTILINE), file
        assert re.search(tested.says, text), file


def test_the_example_loads_as_it_is() -> None:
    load(ROOT / "config" / "gateway.example.toml")


def test_the_example_names_every_key(tmp_path: Path) -> None:
    text = uncommented_example()
    # Alternatives of which only one may be given.
    for alternative in ("password_env = ", "password_hash = ", "key_env = "):
        assert alternative in text
        text = re.sub(rf"^{alternative}.*$", "", text, flags=re.MULTILINE)
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    load(path)
    document = tomllib.loads(uncommented_example())
    for key in KEYS:
        found: Any = document
        for name in key.split("."):
            found = found[0] if isinstance(found, list) else found
            assert name in found, key
            found = found[name]


@pytest.mark.parametrize(
    "page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_files_that_the_architecture_page_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:gateway|connectors|tests)/[^` ]+)`", text):
        if "<" not in path:
            assert (ROOT / path).exists(), path
