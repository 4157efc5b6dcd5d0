"""Reading and writing in one folder, while other programs do too."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.api.errors import NotFound, OutcomeUnknown, OverQuota
from connectors.api.types import DELETED, FLAGGED, SEEN, BytesContent, MessageRef
from connectors.maildir import folder as folder_module
from connectors.maildir.disk import Disk
from connectors.maildir.folder import TMP_LIFETIME_S, Folder
from tests.connectors.maildir.folders import bytes_of, make_folder, names, put

NONE: frozenset[str] = frozenset()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one"


@pytest.fixture
def folder(path: Path) -> Folder:
    return make_folder(path)


@pytest.fixture
def other(tmp_path: Path) -> Folder:
    return make_folder(tmp_path / "other")


def behind_our_back(monkeypatch: pytest.MonkeyPatch, function: str, act: Callable[[], object]) -> None:
    """Let another program act just before the next call of an `os` function."""
    original = getattr(os, function)

    def interrupted(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(os, function, original)
        act()
        return original(*args, **kwargs)

    monkeypatch.setattr(os, function, interrupted)


# -- order -----------------------------------------------------------------------------------------------------------


def test_messages_delivered_together_are_told_in_the_order_of_delivery(folder: Folder, path: Path) -> None:
    cursor = folder.cursor()
    moments = [7, 3, 9, 1, 8, 2, 6, 4, 5]
    for moment in moments:
        put(path, f"cur/170000000{moment}.M{moment}P1.host:2,", b"a\n\nb\n")
    told = [state.ref for state in folder.changes(cursor).changed]
    assert told == [f"170000000{moment}.M{moment}P1.host" for moment in sorted(moments)]


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stored", "size", "is_exact"),
    [
        ("1.a.host,S=8,W=11", b"a\nb\nc\n\r\n", 11, True),
        ("1.a.host,S=8,W=11,V", b"a\nb\nc\n\r\n", 8, True),
        ("1.a.host,S=8", b"a\nb\nc\n\r\n", 8, False),
        ("1.a.host,S=7,W=9", b"a\nb\nc\n\r\n", 8, False),
        ("1.a.host", b"a\nb\nc\n\r\n", 8, False),
    ],
)
def test_sizes_are_exact_or_said_not_to_be(
    folder: Folder, path: Path, name: str, stored: bytes, size: int, is_exact: bool
) -> None:
    put(path, f"cur/{name}:2,", stored)
    (state,) = folder.states(folder.refs())
    assert (state.size, state.size_is_exact) == (size, is_exact)
    opened = folder.open(state.ref)
    (read,) = folder.states([state.ref])
    assert (read.size, read.size_is_exact) == (opened.size, True)


def test_an_outline_of_a_small_message_tells_its_size(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,")
    (outline,) = folder.outlines(folder.refs())
    assert (outline.header, outline.size) == (b"Subject: x\r\n\r\n", 20)
    assert folder.states(folder.refs())[0].size_is_exact


# -- writing, while others do too -------------------------------------------------------------------------------------


def test_flags_are_stored_though_another_program_changes_them_meanwhile(
    folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(path, "cur/1.a.host:2,")
    folder.scan()
    behind_our_back(monkeypatch, "rename", lambda: file.rename(path / "cur/1.a.host:2,F"))
    result = folder.store_flags([MessageRef("1.a.host")], frozenset({SEEN}), NONE)
    state = result.done[MessageRef("1.a.host")]
    assert state is not None
    assert state.flags == frozenset({SEEN, FLAGGED})
    assert names(path) == ["1.a.host:2,FS"]


def test_a_message_is_expunged_though_its_flags_change_meanwhile(
    folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(path, "cur/1.a.host:2,")
    folder.scan()
    behind_our_back(monkeypatch, "unlink", lambda: file.rename(path / "cur/1.a.host:2,F"))
    assert folder.expunge([MessageRef("1.a.host")]).done.keys() == {"1.a.host"}
    assert names(path) == []


def test_a_message_is_read_though_its_flags_change_meanwhile(
    folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(path, "cur/1.a.host:2,")
    folder.scan()
    behind_our_back(monkeypatch, "open", lambda: file.rename(path / "cur/1.a.host:2,F"))
    assert bytes_of(folder, MessageRef("1.a.host")) == b"Subject: x\r\n\r\nbody\r\n"


def test_a_message_removed_meanwhile_is_missing(folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(path, "cur/1.a.host:2,")
    folder.scan()
    behind_our_back(monkeypatch, "rename", file.unlink)
    result = folder.store_flags([MessageRef("1.a.host")], frozenset({SEEN}), NONE)
    assert result.missing == {"1.a.host"}
    with pytest.raises(NotFound):
        folder.open(MessageRef("1.a.host"))


def test_storing_the_flags_it_has_finds_out_that_a_message_is_gone(folder: Folder, path: Path) -> None:
    file = put(path, "cur/1.a.host:2,S")
    folder.scan()
    file.unlink()
    assert folder.store_flags([MessageRef("1.a.host")], frozenset({SEEN}), NONE).missing == {"1.a.host"}


def test_flags_that_are_not_ours_stay(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,PSXz,more")
    folder.store_flags(folder.refs(), frozenset({DELETED}), frozenset({SEEN}))
    assert names(path) == ["1.a.host:2,PTXz,more"]


def test_one_message_that_fails_leaves_the_others_done(
    folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(path, f"cur/{number}.a.host:2,")
    refs = folder.refs()
    rename = os.rename

    def refuse(source: str, target: str) -> None:
        if "/1.a.host" in source:
            raise OSError(errno.ENOSPC, "No space left on device", source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    result = folder.store_flags(refs, frozenset({SEEN}), NONE)
    assert set(result.done) == {"0.a.host", "2.a.host"}
    assert {ref: type(error) for ref, error in result.failed.items()} == {"1.a.host": OverQuota}


def test_a_directory_that_cannot_be_synced_leaves_the_outcome_unknown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(path)
    folder._disk = Disk(is_synced=True)
    put(path, "cur/1.a.host:2,")
    refs = folder.refs()

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutcomeUnknown):
        folder.expunge(refs)


# -- copy and move ----------------------------------------------------------------------------------------------------


def test_a_copy_is_a_hard_link_under_a_name_of_its_own(folder: Folder, other: Folder, path: Path) -> None:
    file = put(path, "cur/1.a.host,S=17,W=20:2,S")
    result = folder.copy_to(folder.refs(), other)
    (copy,) = other.refs()
    assert copy != "1.a.host,S=17,W=20"
    assert copy.endswith(",S=17,W=20")
    assert file.stat().st_nlink == 2
    state = result.done[MessageRef("1.a.host,S=17,W=20")]
    assert state is not None
    assert (state.ref, state.flags, state.size) == (copy, frozenset({SEEN}), 20)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_where_links_cannot_be_had_the_octets_are_copied(
    folder: Folder, other: Folder, path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    file = put(path, "cur/1.a.host:2,S", b"x" * 3_000_000)
    os.utime(file, (1_000_000_000, 1_000_000_000))

    def refuse(source: str, target: str) -> None:
        raise OSError(code, os.strerror(code), source)

    monkeypatch.setattr(os, "link", refuse)
    folder.copy_to(folder.refs(), other)
    (copy,) = Path(other.path, "cur").iterdir()
    assert copy.read_bytes() == b"x" * 3_000_000
    assert copy.stat().st_mtime == 1_000_000_000
    assert os.listdir(Path(other.path, "tmp")) == []


def test_a_move_keeps_the_base_name(folder: Folder, other: Folder, path: Path) -> None:
    file = put(path, "cur/1.a.host:2,FS")
    inode = file.stat().st_ino
    result = folder.move_to(folder.refs(), other)
    assert other.refs() == ["1.a.host"]
    assert result.done.keys() == {"1.a.host"}
    assert Path(other.path, "cur/1.a.host:2,FS").stat().st_ino == inode
    assert names(path) == []


def test_a_uid_that_mbsync_puts_into_a_name_leaves_the_message_what_it_is(folder: Folder, path: Path) -> None:
    file = put(path, "cur/1.a.host,S=17,W=20:2,S")
    (ref,) = folder.refs()
    cursor = folder.cursor()
    file.rename(path / "cur/1.a.host,S=17,W=20,U=5:2,S")

    found = folder.changes(cursor)
    assert (found.removed, [state.ref for state in found.changed]) == ([], [ref])
    assert folder.refs() == [ref]
    assert bytes_of(folder, ref) == b"Subject: x\r\n\r\nbody\r\n"
    folder.store_flags([ref], frozenset({FLAGGED}), frozenset())
    assert names(path) == ["1.a.host,S=17,W=20,U=5:2,FS"]


def test_a_move_leaves_the_uid_of_mbsync_behind(folder: Folder, other: Folder, path: Path) -> None:
    """mbsync does not sync a folder in which two messages have one UID ("duplicate UID")."""
    put(path, "cur/1.a.host,U=5:2,S")
    put(Path(other.path), "cur/2.a.host,U=5:2,S")
    folder.move_to(folder.refs(), other)
    assert names(Path(other.path)) == ["1.a.host:2,S", "2.a.host,U=5:2,S"]
    assert sorted(other.refs()) == ["1.a.host", "2.a.host"]


def test_two_messages_whose_names_differ_by_a_uid_of_mbsync_are_two(folder: Folder, other: Folder, path: Path) -> None:
    put(path, "cur/1.a.host,U=5:2,", b"one\n")
    put(path, "cur/1.a.host:2,", b"two\n")
    assert sorted(bytes_of(folder, ref) for ref in folder.refs()) == [b"one\r\n", b"two\r\n"]
    put(Path(other.path), "cur/1.a.host,U=9:2,", b"three\n")
    folder.move_to(folder.refs(), other)
    assert sorted(bytes_of(other, ref) for ref in other.refs()) == [b"one\r\n", b"three\r\n", b"two\r\n"]


def test_a_move_to_another_file_system_copies_first(
    folder: Folder, other: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(path, "cur/1.a.host:2,S", b"x" * 100)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    refs = folder.refs()
    rename = os.rename

    def across(source: str, target: str) -> None:
        if Path(source).parent.parent != Path(target).parent.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link", source)
        rename(source, target)

    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link", source)

    monkeypatch.setattr(os, "rename", across)
    monkeypatch.setattr(os, "link", refuse)
    assert folder.move_to(refs, other).done.keys() == {"1.a.host"}
    moved = Path(other.path, "cur/1.a.host:2,S")
    assert moved.read_bytes() == b"x" * 100
    assert moved.stat().st_mtime == 1_000_000_000
    assert names(path) == []


def test_what_is_no_file_is_no_message(folder: Folder, path: Path) -> None:
    (path / "cur" / "1.directory:2,").mkdir()
    put(path, "cur/2.a.host:2,")
    assert folder.refs() == ["2.a.host"]


def test_a_move_never_replaces_a_message(folder: Folder, other: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,", b"mine\n")
    put(Path(other.path), "cur/1.a.host:2,", b"theirs\n")
    folder.move_to(folder.refs(), other)
    assert sorted(bytes_of(other, ref) for ref in other.refs()) == [b"mine\r\n", b"theirs\r\n"]


def test_a_move_into_the_same_folder_gives_a_new_message(folder: Folder, path: Path) -> None:
    put(path, "cur/1.a.host:2,S")
    folder.move_to(folder.refs(), folder)
    (ref,) = folder.refs()
    assert ref != "1.a.host"
    assert folder.states([ref])[0].flags == frozenset({SEEN})


def test_keywords_get_the_letters_of_the_folder_they_go_to(folder: Folder, other: Folder, path: Path) -> None:
    put(path, "dovecot-keywords", b"0 Foo\n1 Bar\n")
    put(Path(other.path), "dovecot-keywords", b"0 Bar\n")
    put(path, "cur/1.a.host:2,Sab")
    put(path, "cur/2.a.host:2,a")
    refs = folder.refs()
    folder.copy_to(refs[:1], other)
    folder.move_to(refs[1:], other)
    assert sorted(name.partition(":")[2] for name in names(Path(other.path))) == ["2,Sab", "2,b"]
    assert Path(other.path, "dovecot-keywords").read_text() == "0 Bar\n1 Foo\n"


def test_a_message_renamed_as_soon_as_it_arrives_is_not_taken_for_lost(
    folder: Folder, other: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, "cur/1.a.host:2,")
    refs = folder.refs()
    arrived = Path(other.path, "cur")
    enter = other._scanner.enter

    def mark_seen_first(name: str, size: int | None = None) -> MessageRef:
        monkeypatch.setattr(other._scanner, "enter", enter)
        (arrived / name).rename(arrived / "1.a.host:2,S")
        return enter(name, size)

    monkeypatch.setattr(other._scanner, "enter", mark_seen_first)
    state = folder.move_to(refs, other).done[refs[0]]
    assert state is not None
    assert (state.ref, state.flags) == ("1.a.host", frozenset({SEEN}))


def test_a_message_that_is_renamed_for_ever_is_given_up(
    folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, "cur/1.a.host:2,")
    folder.scan()
    monkeypatch.setattr(folder_module, "ATTEMPTS", 3)

    def never_there(source: str, target: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", source)

    monkeypatch.setattr(os, "rename", never_there)
    result = folder.store_flags([MessageRef("1.a.host")], frozenset({SEEN}), NONE)
    assert result.failed.keys() == {"1.a.host"}


def test_a_folder_that_went_away_is_not_found(folder: Folder, path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError):
        folder.refs()
    with pytest.raises(FileNotFoundError):
        folder.create_temporary()
    with pytest.raises(FileNotFoundError):
        folder.expunge([MessageRef("1.a.host")])


def test_old_files_in_tmp_are_swept_away(folder: Folder, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, "tmp/1.a.host")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + TMP_LIFETIME_S + 60)
    folder.sweep()
    assert os.listdir(path / "tmp") == []


def test_a_delivery_under_way_is_left_alone_whatever_date_its_message_has(folder: Folder, path: Path) -> None:
    os.utime(put(path, "tmp/1.a.host"), (1, 1))
    folder.sweep()
    assert os.listdir(path / "tmp") == ["1.a.host"]


def test_many_are_opened_as_they_are_now(folder: Folder, path: Path) -> None:
    for name, data in (("1.a", b"one\n"), ("2.b", b"two\r\n"), ("3.c", b"three\n")):
        (path / "cur" / f"{name}:2,").write_bytes(data)
    refs = folder.refs()
    # By other programs: one gets a flag, one goes, and one is overwritten, which nobody may do.
    (path / "cur" / "1.a:2,").rename(path / "cur" / "1.a:2,S")
    (path / "cur" / "2.b:2,").unlink()
    (path / "cur" / "3.c:2,").write_bytes(b"longer\n")
    found = folder.open_many(refs)
    assert [ref for ref, _ in found] == [refs[0], refs[2]]
    assert [content for _, content in found] == [BytesContent(b"one\r\n"), BytesContent(b"longer\r\n")]


@pytest.mark.parametrize(
    ("name", "is_verbatim"),
    [
        ("1.a,S=5,W=5:2,", True),
        ("1.a,W=5,S=5:2,S", True),
        ("1.a,S=005,W=005:2,", True),
        ("1.a,S=5,W=6,V:2,", True),
        ("1.a,S=5,V:2,", True),
        ("1.a,S=5,W=6:2,", False),
        ("1.a,S=5,W=50:2,", False),
        ("1.a,S=6,W=5:2,", False),
        ("1.a,W=5:2,", False),
        ("1.a,S=5:2,V", False),
        ("1.a,V:2,", False),
        ("1.a", False),
    ],
)
def test_a_file_is_served_as_it_lies_if_its_name_says_so(
    folder: Folder, path: Path, name: str, is_verbatim: bool
) -> None:
    (path / "cur" / name).write_bytes(b"a\nbc\n")
    ((_, found),) = folder.open_many(folder.refs())
    assert found == BytesContent(b"a\nbc\n" if is_verbatim else b"a\r\nbc\r\n")


def test_a_missing_tmp_is_made(folder: Folder, path: Path) -> None:
    (path / "tmp").rmdir()
    temporary = folder.create_temporary()
    temporary.finish(None)
    assert os.listdir(path / "tmp") == [temporary.unique]
