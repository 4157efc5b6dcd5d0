"""The file of subscriptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.maildir import subscriptions
from connectors.maildir.names import Layout


@pytest.mark.parametrize("layout", Layout)
def test_names_come_back(tmp_path: Path, layout: Layout) -> None:
    names = {layout.separator.join(parts) for parts in [("INBOX",), ("a", "b"), ("tab\t", "x\ry"), ("\1", "\x011t")]}
    (tmp_path / "s").write_bytes(subscriptions.render(names, layout))
    assert subscriptions.read(str(tmp_path / "s"), layout) == frozenset(names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", set()),
        ("A.b\nINBOX\n", {"A.b", "INBOX"}),
        ("V\t2\n\nA\tb\nINBOX\n", {"A.b", "INBOX"}),
        ("V\t2\n\n", set()),
        ("V\t2\n\nA\x01tb", {"A\tb"}),
    ],
)
def test_both_formats_are_read(tmp_path: Path, text: str, names: set[str]) -> None:
    (tmp_path / "s").write_text(text)
    assert subscriptions.read(str(tmp_path / "s"), Layout.MAILDIRPP) == frozenset(names)


def test_no_file_is_no_choice(tmp_path: Path) -> None:
    assert subscriptions.read(str(tmp_path / "s"), Layout.FS) is None
