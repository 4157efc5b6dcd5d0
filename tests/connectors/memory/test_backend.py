"""The memory backend in its layouts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.api.errors import (
    AlreadyExists,
    CursorExpired,
    Denied,
    NotFound,
    OverQuota,
    Rejected,
    TooLarge,
    Unsupported,
)
from connectors.api.types import DELETED, SEEN, Role
from connectors.memory.backend import INBOX, Layout, MemoryBackend

SENT = ("Sent",)
MAIL = b"Subject: x\r\n\r\nbody\r\n"


def test_the_usual_mailboxes_are_there() -> None:
    tree = MemoryBackend().tree()
    assert [(box.path, box.role) for box in tree] == [
        (INBOX, Role.INBOX),
        (("Archive",), Role.ARCHIVE),
        (("Drafts",), Role.DRAFTS),
        (("Junk",), Role.JUNK),
        (("Sent",), Role.SENT),
        (("Trash",), Role.TRASH),
    ]


def test_only_folders_have_uids() -> None:
    with pytest.raises(ValueError, match="UIDs"):
        MemoryBackend(Layout.LABELS, has_uids=True)


def test_the_clock_gives_the_date() -> None:
    now = datetime(2020, 1, 2, tzinfo=UTC)
    backend = MemoryBackend(clock=lambda: now)
    backend.deliver(INBOX, MAIL)
    assert backend.messages(INBOX)[0].internal_date == now


@pytest.mark.parametrize("layout", Layout)
def test_the_id_of_a_moved_message_depends_on_the_layout(layout: Layout) -> None:
    backend = MemoryBackend(layout)
    ref = backend.deliver(INBOX, MAIL)
    moved = backend.move(backend.mailbox(INBOX), ref, backend.mailbox(SENT))
    assert (moved == ref) == (layout is not Layout.FOLDERS)
    assert backend.messages(INBOX) == []
    assert len(backend.messages(SENT)) == 1


@pytest.mark.parametrize("layout", Layout)
def test_moving_to_where_it_is_makes_a_new_message_in_folders_only(layout: Layout) -> None:
    backend = MemoryBackend(layout)
    ref = backend.deliver(INBOX, MAIL)
    box = backend.mailbox(INBOX)
    assert (backend.move(box, ref, box) == ref) == (layout is not Layout.FOLDERS)
    assert len(backend.messages(INBOX)) == 1


def test_a_labelled_message_is_one_and_ends_with_its_last_label() -> None:
    backend = MemoryBackend(Layout.LABELS)
    ref = backend.deliver(INBOX, MAIL)
    assert backend.copy(backend.mailbox(INBOX), ref, backend.mailbox(SENT)) == ref
    assert backend.used_octets() == len(MAIL)
    backend.set_flags(SENT, ref, frozenset({SEEN}))
    assert backend.messages(INBOX)[0].flags == {SEEN}
    backend.remove(INBOX, ref)
    assert backend.used_octets() == len(MAIL)
    backend.delete_mailbox(SENT)
    assert backend.used_octets() == 0


def test_uids_are_never_used_again() -> None:
    backend = MemoryBackend(has_uids=True)
    assert [backend.deliver(INBOX, MAIL) for _ in range(3)] == ["1", "2", "3"]
    backend.remove(INBOX, next(iter(backend.mailbox(INBOX).messages)))
    assert backend.deliver(INBOX, MAIL) == "4"
    assert backend.mailbox(INBOX).uidnext == 5


def test_invalidation_gives_new_uids_under_a_larger_uidvalidity() -> None:
    backend = MemoryBackend(has_uids=True)
    for _ in range(2):
        backend.deliver(INBOX, MAIL)
    before = backend.mailbox(INBOX).uidvalidity
    cursor = backend.journal.position(backend.mailbox(INBOX))
    backend.invalidate_uidvalidity(INBOX)
    box = backend.mailbox(INBOX)
    assert box.uidvalidity > before
    assert list(box.messages) == ["3", "4"]
    with pytest.raises(CursorExpired):
        list(backend.journal.entries_after(cursor, box))


def test_a_mailbox_made_again_has_a_larger_uidvalidity() -> None:
    backend = MemoryBackend(has_uids=True)
    first = backend.create_mailbox(("A",)).uidvalidity
    backend.delete_mailbox(("A",))
    assert backend.create_mailbox(("A",)).uidvalidity > first


def test_refs_are_names_only_where_there_are_uids() -> None:
    for has_uids in (True, False):
        backend = MemoryBackend(has_uids=has_uids)
        child = backend.create_mailbox(("A", "B"))
        parent = backend.mailbox(("A",))
        refs = parent.ref, child.ref
        message = backend.deliver(("A", "B"), MAIL)
        backend.rename_mailbox(("A",), ("C",))
        assert (backend.mailbox(("C",)).ref, backend.mailbox(("C", "B")).ref) == (("C", "C/B") if has_uids else refs)
        backend.set_flags(("C", "B"), message, frozenset({SEEN}))
        assert backend.messages(("C", "B"))[0].flags == {SEEN}


def test_limits_are_kept() -> None:
    backend = MemoryBackend(append_limit=100, storage_limit=150)
    with pytest.raises(TooLarge):
        backend.deliver(INBOX, b"x" * 101)
    backend.deliver(INBOX, b"x" * 100)
    with pytest.raises(OverQuota):
        backend.deliver(INBOX, b"x" * 51)
    backend.deliver(INBOX, b"x" * 50)
    assert backend.used_octets() == 150


def test_flags_that_are_not_stored_are_refused() -> None:
    labels = MemoryBackend(Layout.LABELS)
    for flag in (DELETED, "Keyword"):
        with pytest.raises(Rejected):
            labels.deliver(INBOX, MAIL, frozenset({flag}))
    with pytest.raises(Rejected):
        MemoryBackend().deliver(INBOX, MAIL, frozenset({"\\Odd"}))


def test_content_is_replaced_under_a_ref_but_not_under_a_uid() -> None:
    backend = MemoryBackend()
    ref = backend.deliver(INBOX, MAIL)
    backend.replace(INBOX, ref, b"new")
    assert backend.messages(INBOX)[0].data == b"new"
    with_uids = MemoryBackend(has_uids=True)
    with pytest.raises(Unsupported):
        with_uids.replace(INBOX, with_uids.deliver(INBOX, MAIL), b"new")


def test_what_cannot_be_done_to_the_tree_is_refused() -> None:
    backend = MemoryBackend()
    with pytest.raises(AlreadyExists):
        backend.create_mailbox(SENT)
    with pytest.raises(Unsupported):
        backend.create_mailbox(("More",), Role.SENT)
    with pytest.raises(Unsupported):
        backend.create_mailbox(("A", ""))
    with pytest.raises(Unsupported):
        backend.rename_mailbox(INBOX, ("Old",))
    with pytest.raises(Unsupported):
        backend.rename_mailbox(SENT, ("Sent", "Old"))
    with pytest.raises(Denied):
        backend.delete_mailbox(INBOX)
    with pytest.raises(NotFound):
        backend.mailbox(("Nowhere",))
    with pytest.raises(NotFound):
        backend.remove(INBOX, "m0")  # type: ignore[arg-type]
