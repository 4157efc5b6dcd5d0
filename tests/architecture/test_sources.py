"""Rules of the source tree that the import contracts cannot state."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for name in ("gateway", "connectors") for path in (ROOT / name).rglob("*.py"))
IO_MODULES = {"asyncio", "http", "multiprocessing", "select", "selectors", "socket", "ssl", "subprocess", "threading"}
MOST_LINES = 500


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def in_package(package: str) -> list[Path]:
    found = [path for path in SOURCES if path.is_relative_to(ROOT / package)]
    assert found
    return found


@pytest.mark.parametrize(
    ("package", "own"),
    [("gateway/wire", ("gateway.wire",)), ("connectors/api", ("connectors.api",))],
)
def test_standard_library_only(package: str, own: tuple[str, ...]) -> None:
    for path in in_package(package):
        foreign = {
            name
            for name in imported(path)
            if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith(own)
        }
        assert foreign == set(), name_of(path)


@pytest.mark.parametrize("package", ["gateway/wire", "gateway/message", "connectors/api"])
def test_no_input_or_output(package: str) -> None:
    for path in in_package(package):
        assert {name.partition(".")[0] for name in imported(path)} & IO_MODULES == set(), name_of(path)


def test_modules_stay_small() -> None:
    long = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


def test_library_code_does_not_print() -> None:
    printing = {
        name_of(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == set()


def test_waits_are_bounded_by_asyncio_timeout() -> None:
    """Before Python 3.12 `asyncio.wait_for` loses a cancellation that comes together with what it waits for."""
    waiting = {
        name_of(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "wait_for" and ast.unparse(node.value) == "asyncio"
    }
    assert waiting == set()


def test_every_module_says_what_it_is() -> None:
    silent = {
        name_of(path)
        for path in SOURCES
        if (text := path.read_text(encoding="utf-8")) and ast.get_docstring(ast.parse(text)) is None
    }
    assert silent == set()


def test_tests_mirror_the_sources() -> None:
    """A test file stands where its subject does: gateway/wire/reader.py, tests/gateway/wire/test_reader.py.

    One that is about a whole package stands in the package's folder and says in its docstring what it is about.
    """
    astray = []
    for path in [*(ROOT / "tests" / "gateway").rglob("test_*.py"), *(ROOT / "tests" / "connectors").rglob("test_*.py")]:
        folder = ROOT / path.parent.relative_to(ROOT / "tests")
        subject = path.stem.removeprefix("test_")
        has_subject = (folder / f"{subject}.py").exists() or (folder / subject).is_dir()
        tells_subject = folder.is_dir() and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is not None
        if not has_subject and not tells_subject:
            astray.append(name_of(path))
    assert astray == []


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts}
    assert {name_of(folder) for folder in folders if not (folder / "__init__.py").exists()} == set()
