"""The folders of a Maildir, their subscriptions and roles."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from connectors.api.errors import AlreadyExists, Denied, NotFound, Unavailable, Unsupported
from connectors.api.types import SYSTEM_FLAGS, MailboxRef, Role
from connectors.maildir import tree as tree_module
from connectors.maildir.disk import Disk
from connectors.maildir.names import Layout
from connectors.maildir.tree import Tree

INBOX = MailboxRef("INBOX")


def make_tree(root: Path, layout: Layout = Layout.MAILDIRPP) -> Tree:
    tree = Tree(str(root), layout, Disk(is_synced=False))
    tree.open(is_created=True)
    return tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "Maildir"


@pytest.fixture
def tree(root: Path) -> Tree:
    return make_tree(root)


@pytest.fixture
def fs(root: Path) -> Tree:
    return make_tree(root, Layout.FS)


def roles(tree: Tree) -> dict[tuple[str, ...], Role]:
    return {info.path: info.role for info in tree.mailboxes() if info.role is not None}


def subscribed(tree: Tree) -> set[str]:
    return {"/".join(info.path) for info in tree.mailboxes() if info.is_subscribed}


def test_a_maildir_is_created_only_if_told_so(root: Path) -> None:
    tree = Tree(str(root), Layout.MAILDIRPP, Disk())
    with pytest.raises(Unavailable, match="Maildir"):
        tree.open(is_created=False)
    assert not root.exists()
    tree.open(is_created=True)
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"]
    tree.open(is_created=False)


def test_a_folder_is_marked_as_one(tree: Tree, root: Path) -> None:
    info = tree.create(("Work", "2024"), None)
    assert info.ref == ".Work.2024"
    assert sorted(os.listdir(root / ".Work.2024")) == ["cur", "maildirfolder", "new", "tmp"]


def test_keywords_are_told_while_there_are_letters(tree: Tree, root: Path) -> None:
    (root / "dovecot-keywords").write_text("".join(f"{n} k{n}\n" for n in range(26)))
    info = tree.info(("INBOX",))
    assert info.storable_flags == SYSTEM_FLAGS | {f"k{n}" for n in range(26)}
    assert not info.any_keyword
    (root / "dovecot-keywords").write_text("0 Foo\n")
    assert tree.info(("INBOX",)).any_keyword


def test_what_is_no_folder_is_not_listed(tree: Tree, root: Path) -> None:
    (root / ".hidden-file").touch()
    (root / ".no-maildir").mkdir()
    (root / "plain").mkdir()
    (root / ".a..b" / "cur").mkdir(parents=True)
    assert [info.path for info in tree.mailboxes()] == [("INBOX",)]


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize(
    "ref", ["..", "../x", ".a/../../x", "/etc", "x/../../etc", "", ".", ".a\0b", "cur", "hex:2e2e"]
)
def test_a_ref_never_leads_out_of_the_maildir(root: Path, layout: Layout, ref: str) -> None:
    tree = make_tree(root, layout)
    (root.parent / "x" / "cur").mkdir(parents=True)
    with pytest.raises((NotFound, Denied)):
        tree.delete(MailboxRef(ref))
    if ref:
        with pytest.raises(NotFound):
            tree.folder(MailboxRef(ref))
    assert (root.parent / "x" / "cur").exists()
    assert (root / "cur").exists()


def test_a_folder_whose_name_is_not_utf8_can_be_used(tree: Tree, root: Path) -> None:
    os.makedirs(root / ".caf\udce9" / "cur")
    info = next(info for info in tree.mailboxes() if info.path != ("INBOX",))
    assert info.path == ("caf\\xe9",)
    info.ref.encode()
    assert tree.folder(info.ref).refs() == []
    tree.rename(info.ref, ("café",))
    assert (root / ".caf&AOk-").is_dir()


# -- layout fs --------------------------------------------------------------------------------------------------------


def test_a_directory_above_a_mailbox_is_not_selectable(fs: Tree, root: Path) -> None:
    fs.create(("Work", "2024"), None)
    assert [(info.path, info.is_selectable) for info in fs.mailboxes()] == [
        (("INBOX",), True),
        (("Work",), False),
        (("Work", "2024"), True),
    ]
    with pytest.raises(NotFound):
        fs.folder(MailboxRef("Work"))
    assert fs.create(("Work",), None).is_selectable
    with pytest.raises(AlreadyExists):
        fs.create(("Work",), None)


def test_the_last_mailbox_takes_empty_directories_with_it(fs: Tree, root: Path) -> None:
    info = fs.create(("A", "B", "C"), None)
    fs.delete(info.ref)
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"]


def test_a_circle_of_symbolic_links_ends(fs: Tree, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "DEEPEST", 3)
    fs.create(("A",), None)
    (root / "A" / "again").symlink_to(root / "A")
    assert len(fs.mailboxes()) == 4


def test_messages_of_a_deleted_parent_go_and_its_children_stay(fs: Tree, root: Path) -> None:
    parent = fs.create(("A",), None)
    fs.create(("A", "B"), None)
    (root / "A" / "cur" / "1.a.host:2,").touch()
    fs.delete(parent.ref)
    assert sorted(os.listdir(root / "A")) == ["B"]


# -- renaming and deleting --------------------------------------------------------------------------------------------


def test_renaming_does_not_touch_names_that_only_begin_alike(tree: Tree) -> None:
    old = tree.create(("Work",), None)
    tree.create(("Work", "a"), None)
    tree.create(("Workshop",), None)
    tree.rename(old.ref, ("Job",))
    assert {info.path for info in tree.mailboxes()} == {("INBOX",), ("Job",), ("Job", "a"), ("Workshop",)}


def test_what_cannot_be_renamed_stays(tree: Tree) -> None:
    work = tree.create(("Work",), None)
    tree.create(("Job", "a"), None)
    tree.create(("Work", "a"), None)
    with pytest.raises(Unsupported):
        tree.rename(INBOX, ("Old",))
    with pytest.raises(Unsupported):
        tree.rename(work.ref, ("Work", "below"))
    with pytest.raises(AlreadyExists):
        tree.rename(work.ref, ("INBOX",))
    with pytest.raises(AlreadyExists):
        tree.rename(work.ref, ("Job",))  # its child would meet Job/a
    assert tree.info(("Work",)).ref == work.ref


def test_a_deletion_cut_short_is_ended_by_the_next_open(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tree.create(("Work",), None)
    (root / ".Work" / "cur" / "1.a.host:2,").touch()
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    tree.delete(info.ref)
    monkeypatch.undo()
    assert [info.path for info in tree.mailboxes()] == [("INBOX",)]
    assert len([name for name in os.listdir(root) if name.startswith("..")]) == 1
    tree.open(is_created=False)
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"]


def test_inbox_is_never_deleted(tree: Tree) -> None:
    with pytest.raises(Denied):
        tree.delete(INBOX)


# -- roles ------------------------------------------------------------------------------------------------------------


def test_usual_names_have_roles_once(tree: Tree) -> None:
    for name in ("Drafts", "Sent Items", "Sent", "Deleted Items", "spam", "Archive", "Other"):
        tree.create((name,), None)
    tree.create(("Other", "Trash"), None)
    assert roles(tree) == {
        ("INBOX",): Role.INBOX,
        ("Drafts",): Role.DRAFTS,
        ("Sent",): Role.SENT,
        ("Deleted Items",): Role.TRASH,
        ("spam",): Role.JUNK,
        ("Archive",): Role.ARCHIVE,
    }


def test_a_role_given_goes_before_a_name_and_along_with_a_rename(tree: Tree, root: Path) -> None:
    bin_ = tree.create(("Papierkorb",), Role.TRASH)
    tree.create(("Trash",), None)
    assert roles(tree) == {("INBOX",): Role.INBOX, ("Papierkorb",): Role.TRASH}
    renamed = tree.rename(bin_.ref, ("Müll",))
    assert renamed.role is Role.TRASH
    assert roles(make_tree(root)) == roles(tree)
    tree.delete(renamed.ref)
    assert roles(tree) == {("INBOX",): Role.INBOX, ("Trash",): Role.TRASH}


def test_a_role_is_given_once(tree: Tree) -> None:
    tree.create(("A",), Role.SENT)
    with pytest.raises(Unsupported):
        tree.create(("B",), Role.SENT)
    with pytest.raises(Unsupported):
        tree.create(("C",), Role.INBOX)
    assert {info.path for info in tree.mailboxes()} == {("INBOX",), ("A",)}


def test_nonsense_in_the_file_of_roles_is_skipped(tree: Tree, root: Path) -> None:
    tree.create(("A",), None)
    (root / "imap-gateway-roles").write_text("nonsense\nking\t.A\nsent\nsent\t.A\nsent\t.B\n")
    assert roles(tree) == {("INBOX",): Role.INBOX, ("A",): Role.SENT}


# -- subscriptions ----------------------------------------------------------------------------------------------------


def test_everything_is_subscribed_until_somebody_chooses(tree: Tree, root: Path) -> None:
    work = tree.create(("Work",), None)
    tree.create(("Größe", "x"), None)
    assert subscribed(tree) == {"INBOX", "Work", "Größe/x"}
    tree.subscribe(work.ref, is_subscribed=True)
    assert not (root / "subscriptions").exists() or subscribed(tree) == {"INBOX", "Work", "Größe/x"}
    tree.subscribe(work.ref, is_subscribed=False)
    assert subscribed(tree) == {"INBOX", "Größe/x"}
    assert (root / "subscriptions").read_text() == "V\t2\n\nGr&APYA3w-e\tx\nINBOX\n"
    tree.create(("New",), None)
    assert "New" not in subscribed(tree)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (Layout.MAILDIRPP, "Work.Sub\nGone\n"),
        (Layout.MAILDIRPP, "V\t2\n\nWork\tSub\nGone\n"),
        (Layout.FS, "Work/Sub\nGone\n"),
        (Layout.FS, "V\t2\n\nWork\tSub\nGone\n"),
    ],
)
def test_both_formats_of_dovecot_are_read_and_names_without_mailbox_kept(root: Path, layout: Layout, text: str) -> None:
    tree = make_tree(root, layout)
    tree.create(("Work", "Sub"), None)
    (root / "subscriptions").write_text(text)
    assert subscribed(tree) == {"Work/Sub"}
    tree.subscribe(INBOX, is_subscribed=True)
    assert subscribed(tree) == {"INBOX", "Work/Sub"}
    assert "Gone" in (root / "subscriptions").read_text()


def test_subscriptions_go_along_with_a_rename_and_the_old_names_stay(tree: Tree) -> None:
    work = tree.create(("Work",), None)
    tree.create(("Work", "a"), None)
    tree.subscribe(INBOX, is_subscribed=False)
    tree.rename(work.ref, ("Job",))
    assert subscribed(tree) == {"Job", "Job/a"}
    assert set(tree.subscribed_without_mailbox() or ()) == {("Work",), ("Work", "a")}
    tree.create(("Work",), None)
    assert subscribed(tree) == {"Work", "Job", "Job/a"}


@pytest.mark.parametrize("layout", Layout)
def test_a_name_without_its_mailbox_stays_subscribed_until_it_is_unsubscribed_from(root: Path, layout: Layout) -> None:
    tree = make_tree(root, layout)
    assert tree.subscribed_without_mailbox() is None
    tree.create(("Größe",), None)
    doomed = tree.create(("Größe", "a.b"), None)
    tree.subscribe(doomed.ref, is_subscribed=True)
    assert tree.subscribed_without_mailbox() == {}
    tree.delete(doomed.ref)
    assert tree.subscribed_without_mailbox() == {("Größe", "a.b"): doomed.ref}
    with pytest.raises(NotFound):
        tree.subscribe(doomed.ref, is_subscribed=True)
    tree.subscribe(doomed.ref, is_subscribed=False)
    assert tree.subscribed_without_mailbox() == {}
    with pytest.raises(NotFound):
        tree.subscribe(doomed.ref, is_subscribed=False)


@pytest.mark.parametrize("layout", Layout)
def test_subscribed_names_that_lead_nowhere_are_not_told(root: Path, layout: Layout) -> None:
    tree = make_tree(root, layout)
    (root / "subscriptions").write_text("INBOX\n../x\n/etc\na//b\n\nGone\n")
    assert set(tree.subscribed_without_mailbox() or ()) >= {("Gone",)}
    for path, ref in (tree.subscribed_without_mailbox() or {}).items():
        assert ".." not in path
        tree.subscribe(ref, is_subscribed=False)
    assert tree.subscribed_without_mailbox() == {}


def test_a_mailbox_that_is_not_there_cannot_be_subscribed(tree: Tree) -> None:
    with pytest.raises(NotFound):
        tree.subscribe(MailboxRef(".Nowhere"), is_subscribed=True)
