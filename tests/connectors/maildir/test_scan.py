"""Keeping up with what other programs do to a folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.api.types import FLAGGED, SEEN, MessageRef
from connectors.maildir.disk import Disk
from connectors.maildir.filename import UniqueNames
from connectors.maildir.folder import Folder
from tests.connectors.maildir.folders import bytes_of, make_folder, names, put

NONE: frozenset[str] = frozenset()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one"


@pytest.fixture
def folder(path: Path) -> Folder:
    return make_folder(path)


def test_new_mail_moves_to_cur_on_first_sight(folder: Folder, path: Path) -> None:
    put(path, "new/1.a.host")
    put(path, "new/2.b.host:2,S")
    put(path, "new/.hidden")
    assert folder.refs() == ["1.a.host", "2.b.host"]
    assert names(path) == ["1.a.host:2,", "2.b.host:2,S"]
    assert os.listdir(path / "new") == [".hidden"]


def test_a_folder_that_goes_while_it_is_looked_at_is_not_made_again(
    folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.scandir

    def scandir(directory: str) -> Iterator[os.DirEntry[str]]:
        if directory == str(path / "new"):
            monkeypatch.undo()
            shutil.rmtree(path)
        return plain(directory)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(FileNotFoundError):
        folder.refs()
    assert not path.exists()


def test_new_mail_never_replaces_what_is_in_cur(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,", b"old\n")
    put(path, "new/1.a.host", b"new\n")
    refs = folder.refs()
    assert len(refs) == 2
    assert sorted(bytes_of(folder, ref) for ref in refs) == [b"new\r\n", b"old\r\n"]


def test_a_quiet_folder_is_not_read_again(folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, "cur/1.a.host:2,")
    for part in ("cur", "new"):
        os.utime(path / part, (1_000_000_000, 1_000_000_000))
    folder.scan()
    monkeypatch.setattr(os, "scandir", lambda _: pytest.fail("the folder was read again"))
    assert folder.refs() == ["1.a.host"]


def test_a_folder_changed_a_moment_ago_is_read_again(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,")
    now = time.time()
    os.utime(path / "cur", (now, now))
    folder.scan()
    put(path, "cur/2.b.host:2,")
    os.utime(path / "cur", (now, now))
    assert folder.refs() == ["1.a.host", "2.b.host"]


def test_a_file_that_a_directory_read_misses_is_not_taken_for_gone(
    folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, "cur/1.a.host:2,")
    cursor = folder.cursor()
    answers = iter([{}, folder._scanner.list_names()])
    monkeypatch.setattr(folder._scanner, "list_names", lambda: next(answers))
    folder.scan(is_forced=True)
    monkeypatch.undo()
    assert folder.changes(cursor).removed == []
    assert folder.refs() == ["1.a.host"]


def test_two_messages_of_one_base_name_are_parted(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,", b"one\n")
    put(path, "cur/1.a.host:2,S", b"two\n")
    refs = folder.refs()
    assert len(refs) == 2
    assert sorted(bytes_of(folder, ref) for ref in refs) == [b"one\r\n", b"two\r\n"]
    assert folder.refs() == refs


def test_one_file_under_two_names_is_one_message_and_is_left_alone(folder: Folder, path: Path) -> None:
    file = put(path, "cur/1.a.host:2,")
    os.link(file, path / "cur" / "1.a.host:2,S")
    assert folder.refs() == ["1.a.host"]
    assert names(path) == ["1.a.host:2,", "1.a.host:2,S"]


def test_a_name_that_is_not_utf8_is_a_message_like_others(folder: Folder, path: Path) -> None:
    put(path, "cur/1.\udcff.host:2,")
    (ref,) = folder.refs()
    ref.encode()
    folder.store_flags([ref], frozenset({SEEN}), NONE)
    assert names(path) == ["1.\udcff.host:2,S"]
    assert bytes_of(folder, ref) == b"Subject: x\r\n\r\nbody\r\n"


def test_changes_name_just_what_changed(folder: Folder, path: Path) -> None:
    for number in range(5):
        put(path, f"cur/{number}.a.host:2,")
    cursor = folder.cursor()
    (path / "cur/1.a.host:2,").rename(path / "cur/1.a.host:2,F")
    (path / "cur/2.a.host:2,").unlink()
    put(path, "new/9.a.host")
    found = folder.changes(cursor)
    assert {state.ref: state.flags for state in found.changed} == {
        "1.a.host": frozenset({FLAGGED}),
        "9.a.host": frozenset(),
    }
    assert found.removed == ["2.a.host"]
    assert found.present is None
    assert folder.changes(found.cursor).changed == []


def test_another_process_sees_by_the_cursor_whether_anything_changed(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,")
    cursor = folder.cursor()
    quiet = Folder(str(path), Disk(), UniqueNames()).changes(cursor)
    assert (quiet.changed, quiet.removed, quiet.present) == ([], [], None)
    put(path, "cur/2.a.host:2,")
    busy = Folder(str(path), Disk(), UniqueNames()).changes(cursor)
    assert busy.present == frozenset({"1.a.host", "2.a.host"})
    assert len(busy.changed) == 2


def test_a_keyword_that_gets_a_name_changes_the_messages_that_carry_it(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,a")
    put(path, "cur/2.a.host:2,S")
    cursor = folder.cursor()
    put(path, "dovecot-keywords", b"0 Foo\n")
    (state,) = folder.changes(cursor).changed
    assert (state.ref, state.flags) == ("1.a.host", frozenset({"Foo"}))


def test_messages_that_are_not_there_cost_one_look(folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    list_names = folder._scanner.list_names
    monkeypatch.setattr(folder._scanner, "list_names", lambda: looks.append(1) or list_names())  # type: ignore[func-returns-value]
    refs = [MessageRef(f"{number}.a.host") for number in range(20)]
    assert folder.expunge(refs).missing == set(refs)
    assert len(looks) == 1
