"""Names of folders on disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.errors import Unsupported
from connectors.maildir.names import Layout, Path, decode_mutf7, encode_mutf7

ON_DISK: list[tuple[Layout, Path, str]] = [
    (Layout.MAILDIRPP, ("INBOX",), ""),
    (Layout.MAILDIRPP, ("Work",), ".Work"),
    (Layout.MAILDIRPP, ("Work", "2024"), ".Work.2024"),
    (Layout.MAILDIRPP, ("INBOX", "Sub"), ".INBOX.Sub"),
    (Layout.MAILDIRPP, ("Größe",), ".Gr&APYA3w-e"),
    (Layout.MAILDIRPP, ("R&D",), ".R&-D"),
    (Layout.MAILDIRPP, ("~peter", "mail", "台北", "日本語"), ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"),
    (Layout.MAILDIRPP, ("a.b",), ".a\\2eb"),
    (Layout.MAILDIRPP, ("a/b\\c",), ".a\\2fb\\5cc"),
    (Layout.MAILDIRPP, ("cur",), ".cur"),
    (Layout.FS, ("Work", "2024"), "Work/2024"),
    (Layout.FS, ("a.b",), "a.b"),
    (Layout.FS, (".hidden",), "\\2ehidden"),
    (Layout.FS, ("..", "~x"), "\\2e./\\7ex"),
    (Layout.FS, ("a/b",), "a\\2fb"),
    (Layout.FS, ("cur", "new"), "\\63ur/\\6eew"),
    (Layout.FS, ("dovecot-uidlist",), "\\64ovecot-uidlist"),
]


@pytest.mark.parametrize(("layout", "path", "directory"), ON_DISK)
def test_a_name_has_one_directory_and_back(layout: Layout, path: Path, directory: str) -> None:
    assert layout.directory(path) == directory
    assert layout.path(directory) == path


@pytest.mark.parametrize("layout", Layout)
@given(path=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1), min_size=1))
def test_every_name_comes_back(layout: Layout, path: list[str]) -> None:
    try:
        directory = layout.directory(tuple(path))
    except Unsupported:
        assert len(encode_mutf7("".join(path))) * 4 > 255 - len(path)
        return
    assert layout.path(directory) == tuple(path)
    assert directory.isascii()
    assert not any(part in ("", ".", "..", "cur", "new", "tmp") for part in directory.split("/") if directory)


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("path", [(), ("",), ("a", ""), ("a\nb",), ("a\0",), ("x" * 256,)])
def test_a_name_that_cannot_be_is_refused(layout: Layout, path: Path) -> None:
    with pytest.raises(Unsupported):
        layout.directory(path)


@pytest.mark.parametrize(
    ("layout", "directory"),
    [
        (Layout.MAILDIRPP, "cur"),
        (Layout.MAILDIRPP, "..removed-1"),
        (Layout.MAILDIRPP, ".a..b"),
        (Layout.MAILDIRPP, ".INBOX"),
        (Layout.MAILDIRPP, ".a/../b"),
        (Layout.FS, "a/cur"),
        (Layout.FS, ".hidden"),
        (Layout.FS, "a//b"),
        (Layout.FS, "INBOX"),
    ],
)
def test_what_is_no_mailbox_has_no_name(layout: Layout, directory: str) -> None:
    assert layout.path(directory) is None


@pytest.mark.parametrize("name", ["&", "&x", "&!!!!-", "&AA-", "&2D0-", "a&b"])
def test_broken_modified_utf7_is_shown_as_it_is(name: str) -> None:
    assert decode_mutf7(name) == name


def test_octets_that_are_not_utf8_have_a_printable_name() -> None:
    path = Layout.MAILDIRPP.path(".a\udcffb")
    assert path == ("a\\xffb",)
