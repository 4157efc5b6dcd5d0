"""Folders as mailboxes."""

from __future__ import annotations

import pytest

from connectors.api.types import DRAFT, MailboxRef, Role
from connectors.graph.folders import Tree, WellKnown, build_tree
from connectors.graph.structs import ExtendedProperty, MailFolder

INBOX = MailFolder("inbox", "Posteingang", "root")
DRAFTS = MailFolder("drafts", "Entw\u00fcrfe", "root")
TRASH = MailFolder("trash", "Papierkorb", "root", child_folder_count=1)
ROOT = MailFolder("root", "Top of Information Store")
PLACES = {
    WellKnown.INBOX: INBOX,
    WellKnown.DRAFTS: DRAFTS,
    WellKnown.TRASH: TRASH,
    WellKnown.ROOT: ROOT,
    WellKnown.RECOVERABLE: MailFolder("recoverable"),
}


def tree_of(*folders: MailFolder) -> Tree:
    return build_tree([INBOX, DRAFTS, TRASH, *folders], PLACES)


def paths(tree: Tree) -> dict[str, tuple[str, ...]]:
    return {str(info.ref): info.path for info in tree.infos}


def test_inbox_is_inbox_in_every_language_and_the_others_keep_their_names() -> None:
    tree = tree_of()

    assert paths(tree) == {"inbox": ("INBOX",), "drafts": ("Entw\u00fcrfe",), "trash": ("Papierkorb",)}
    assert {info.ref: info.role for info in tree.infos} == {
        "inbox": Role.INBOX,
        "drafts": Role.DRAFTS,
        "trash": Role.TRASH,
    }


def test_it_is_known_where_a_path_is_not_that_of_outlook() -> None:
    calendar = ExtendedProperty("String 0x3613", "IPF.Appointment")
    tree = tree_of(
        MailFolder("a", "Work", "root"),
        MailFolder("b", "Work", "root"),
        MailFolder("c", "Calendar", "root", single_value_extended_properties=[calendar]),
        MailFolder("d", "Below", "c"),
        MailFolder("e", "Below", "inbox"),
        MailFolder("f", "Elsewhere", "out of reach"),
        MailFolder("g", "", "root"),
    )
    shown = {str(ref): folder.is_as_shown for ref, folder in tree.folders.items()}
    assert {ref for ref, is_as_shown in shown.items() if not is_as_shown} == {"b", "d", "g"}


def test_the_draft_flag_is_kept_in_drafts() -> None:
    storable = {info.ref: info.storable_flags for info in tree_of().infos}

    assert DRAFT in storable[MailboxRef("drafts")]
    assert DRAFT not in storable[MailboxRef("inbox")]
    assert {"\\Seen", "\\Answered", "\\Flagged", "$Forwarded"} <= storable[MailboxRef("inbox")]


def test_parents_come_before_children_and_names_may_hold_anything() -> None:
    tree = tree_of(MailFolder("b", "x/y", "a"), MailFolder("a", "In/Out", "inbox"))

    assert [info.path for info in tree.infos][:3] == [("INBOX",), ("INBOX", "In/Out"), ("INBOX", "In/Out", "x/y")]
    assert tree.is_below(MailboxRef("b"), MailboxRef("inbox"))
    assert not tree.is_below(MailboxRef("inbox"), MailboxRef("b"))
    assert [child.info.ref for child in tree.children(MailboxRef("inbox"))] == ["a"]


def test_folders_of_one_name_stay_apart_and_keep_their_numbers() -> None:
    folders = [MailFolder(ref, "Same", "root") for ref in ("z", "m", "a")]

    for order in (folders, folders[::-1]):
        found = paths(tree_of(*order))
        assert [found[ref] for ref in ("a", "m", "z")] == [("Same",), ("Same (2)",), ("Same (3)",)]


def test_names_that_differ_in_case_are_different_names() -> None:
    found = paths(tree_of(MailFolder("a", "foo", "root"), MailFolder("b", "Foo", "root")))

    assert (found["a"], found["b"]) == (("foo",), ("Foo",))


@pytest.mark.parametrize("name", ["INBOX", "inbox", "Inbox"])
def test_another_folder_called_inbox_is_not_taken_for_it(name: str) -> None:
    tree = tree_of(MailFolder("other", name, "root"), MailFolder("deep", name, "other"))

    assert paths(tree)["other"] == (f"{name} (2)",)
    assert paths(tree)["deep"] == (f"{name} (2)", name)


def test_outlooks_own_keep_their_names_before_others() -> None:
    assert paths(tree_of(MailFolder("0", "Papierkorb", "root")))["trash"] == ("Papierkorb",)


def test_the_root_is_no_mailbox_and_what_nobody_shows_is_none() -> None:
    tree = build_tree([INBOX, ROOT], PLACES)

    assert list(paths(tree)) == ["inbox"]
    assert tree.is_well_known(MailboxRef("recoverable"))


def test_inbox_is_there_though_its_parent_is_out_of_reach() -> None:
    tree = build_tree([], {WellKnown.INBOX: INBOX})

    assert paths(tree) == {"inbox": ("INBOX",)}


def test_a_folder_whose_parent_is_not_told_is_at_the_top() -> None:
    assert paths(tree_of(MailFolder("a", "Alone", "elsewhere")))["a"] == ("Alone",)


def test_folders_of_other_things_are_left_out_but_not_the_mail_below_them() -> None:
    calendar = MailFolder(
        "c", "Calendar", "root", single_value_extended_properties=[ExtendedProperty("String 0x3613", "IPF.Appointment")]
    )
    mail = MailFolder(
        "m", "Mail", "c", single_value_extended_properties=[ExtendedProperty("String 0x3613", "IPF.Note.Special")]
    )

    found = paths(tree_of(calendar, mail))

    assert "c" not in found
    assert found["m"] == ("Mail",)


def test_a_search_folder_can_only_be_read() -> None:
    search = MailFolder("s", "Unread", "root", odata_type="#microsoft.graph.mailSearchFolder")

    folder = tree_of(search).folders[MailboxRef("s")]

    assert folder.is_search
    assert folder.info.is_selectable
    assert folder.info.is_read_only
    assert not folder.info.allows_children


def test_a_folder_without_a_name_has_one() -> None:
    assert paths(tree_of(MailFolder("abcdefghijkl", None, "root")))["abcdefghijkl"] == ("(efghijkl)",)


def test_a_mailbox_id_is_given_where_the_id_can_be_one() -> None:
    long = MailFolder("AQMk-_0", "A", "root"), MailFolder("AQMk==", "B", "root")

    ids = {info.ref: info.mailbox_id for info in tree_of(*long).infos}

    assert ids[MailboxRef("AQMk-_0")] == "AQMk-_0"
    assert ids[MailboxRef("AQMk==")] is None
