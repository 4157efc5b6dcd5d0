"""Labels as mailboxes."""

from __future__ import annotations

import pytest

from connectors.api.types import DRAFT, FLAGGED, SEEN, Role
from connectors.gmail.labels import Tree, build_tree, flags_of, user_path
from connectors.gmail.settings import GmailSettings
from connectors.gmail.structs import Label

SYSTEM = [
    Label(name, name, "system")
    for name in ("CHAT", "SENT", "INBOX", "IMPORTANT", "TRASH", "DRAFT", "SPAM", "CATEGORY_SOCIAL", "STARRED", "UNREAD")
]


def tree_of(*names: str, settings: GmailSettings | None = None) -> Tree:
    users = [Label(f"Label_{number}", name) for number, name in enumerate(names, 1)]
    return build_tree([*SYSTEM, *users], settings or GmailSettings())


def paths(tree: Tree) -> list[str]:
    return ["/".join(info.path) for info in tree.infos]


def test_system_labels_have_names_and_special_uses() -> None:
    found = {"/".join(info.path): (info.ref, info.role, info.is_selectable) for info in tree_of().infos}
    assert found == {
        "INBOX": ("INBOX", Role.INBOX, True),
        "[Gmail]": ("/[Gmail]", None, False),
        "[Gmail]/All Mail": ("ALL", Role.ALL, True),
        "[Gmail]/Drafts": ("DRAFT", Role.DRAFTS, True),
        "[Gmail]/Important": ("IMPORTANT", Role.IMPORTANT, True),
        "[Gmail]/Sent Mail": ("SENT", Role.SENT, True),
        "[Gmail]/Spam": ("SPAM", Role.JUNK, True),
        "[Gmail]/Starred": ("STARRED", Role.FLAGGED, True),
        "[Gmail]/Trash": ("TRASH", Role.TRASH, True),
    }


def test_the_prefix_can_be_chosen() -> None:
    listed = paths(tree_of(settings=GmailSettings(prefix=("Mail", "Google"))))
    assert {"Mail", "Mail/Google", "Mail/Google/All Mail"} <= set(listed)
    assert not any(path.startswith("[Gmail]") for path in listed)


def test_categories_are_hidden_unless_wanted() -> None:
    assert "[Gmail]/Social" not in paths(tree_of())
    assert "[Gmail]/Social" in paths(tree_of(settings=GmailSettings(categories=True)))


def test_missing_parents_are_there_and_cannot_be_selected() -> None:
    tree = tree_of("Work/2024/May", "Work/2024", "Home")
    found = {"/".join(info.path): info.is_selectable for info in tree.infos}
    assert (found["Work"], found["Work/2024"], found["Work/2024/May"], found["Home"]) == (False, True, True, True)
    listed = paths(tree)
    assert listed.index("Work") < listed.index("Work/2024") < listed.index("Work/2024/May")
    assert "/Work" not in tree.shown


def test_a_hidden_label_is_not_subscribed() -> None:
    labels = [Label("Label_1", "Hidden", label_list_visibility="labelHide"), Label("Label_2", "Shown")]
    tree = build_tree([*SYSTEM, *labels], GmailSettings())
    found = {str(info.ref): info.is_subscribed for info in tree.infos}
    assert (found["Label_1"], found["Label_2"]) == (False, True)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Work", ("Work",)),
        ("Work/May", ("Work", "May")),
        ("Inbox/May", ("INBOX", "May")),
        ("a//b", ("a//b",)),
        ("/a", ("/a",)),
        ("a/", ("a/",)),
    ],
)
def test_the_name_of_a_label_is_a_path(name: str, path: tuple[str, ...]) -> None:
    assert user_path(name) == path


def test_two_labels_never_share_a_path() -> None:
    tree = tree_of("Google/Trash", "Inbox/x", "INBOX/x", settings=GmailSettings(prefix=("Google",)))
    listed = paths(tree)
    assert len(set(listed)) == len(listed)
    assert {"Google/Trash", "Google/Trash (2)", "INBOX/x", "INBOX/x (2)"} <= set(listed)


def test_a_label_that_gmail_does_not_list_is_no_mailbox() -> None:
    tree = build_tree([label for label in SYSTEM if label.id != "IMPORTANT"], GmailSettings())
    assert "[Gmail]/Important" not in paths(tree)
    assert tree.holders(frozenset({"IMPORTANT", "YELLOW_STAR", "Label_99"})) == {"ALL"}


@pytest.mark.parametrize(
    ("labels", "mailboxes"),
    [
        ([], ["ALL"]),
        (["INBOX", "UNREAD", "Label_1"], ["ALL", "INBOX", "Label_1"]),
        (["STARRED", "IMPORTANT", "CATEGORY_SOCIAL"], ["ALL", "IMPORTANT", "STARRED"]),
        (["STARRED", "CHAT"], ["STARRED"]),
        (["CHAT"], []),
        (["TRASH", "CHAT"], ["TRASH"]),
        (["DRAFT"], ["ALL", "DRAFT"]),
        (["TRASH", "INBOX", "Label_1"], ["TRASH"]),
        (["SPAM", "STARRED"], ["SPAM"]),
        (["SPAM", "TRASH"], ["TRASH"]),
    ],
)
def test_a_message_is_where_its_labels_say(labels: list[str], mailboxes: list[str]) -> None:
    assert sorted(tree_of("Work").holders(frozenset(labels))) == mailboxes


@pytest.mark.parametrize(
    ("labels", "flags"),
    [
        ([], {SEEN}),
        (["UNREAD"], set()),
        (["UNREAD", "STARRED"], {FLAGGED}),
        (["DRAFT", "INBOX"], {SEEN, DRAFT}),
    ],
)
def test_flags_follow_from_labels(labels: list[str], flags: set[str]) -> None:
    assert flags_of(frozenset(labels)) == flags


def test_flags_that_gmail_has_not_are_said_not_to_be_stored() -> None:
    infos = {str(info.ref): info for info in tree_of("Work").infos}
    assert not any(info.any_keyword for info in infos.values())
    assert all(infos[ref].storable_flags == {SEEN, FLAGGED} for ref in ("INBOX", "SENT", "Label_1"))
    # There are drafts among what is here, which nobody can make anything else.
    assert all(infos[ref].storable_flags == {SEEN, FLAGGED, DRAFT} for ref in ("ALL", "TRASH", "SPAM", "STARRED"))
    assert infos["DRAFT"].storable_flags == {SEEN, DRAFT}


def test_the_digest_tells_what_is_to_be_listed_anew() -> None:
    digest = tree_of("Work").digest
    assert tree_of("Work").digest == digest
    hidden = build_tree([*SYSTEM, Label("Label_1", "Work", label_list_visibility="labelHide")], GmailSettings())
    assert len({digest, tree_of("Play").digest, tree_of().digest, hidden.digest}) == 4
