"""The mailbox under any sequence of changes: listings and history always agree with what is there."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.gmail.client import mail
from tests.fakes.gmail.errors import ApiError
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.history import Change
from tests.fakes.gmail.mailbox import Mailbox, parse_id
from tests.fakes.gmail.options import FakeOptions, Quirks, SystemClock

LABELS = ["INBOX", "UNREAD", "STARRED", "TRASH", "SPAM", "SENT"]
label_sets = st.frozensets(st.sampled_from(LABELS), max_size=3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), label_sets, label_sets),
        st.tuples(st.just("relabel"), label_sets, label_sets),
        st.tuples(st.just("draft"), label_sets, label_sets),
        st.tuples(st.just("revise"), label_sets, label_sets),
        st.tuples(st.just("delete"), label_sets, label_sets),
    ),
    max_size=30,
)


@dataclass
class Follower:
    """What a client knows that reads nothing but the history."""

    labels: dict[str, set[str]] = field(default_factory=dict)

    def read(self, mailbox: Mailbox, start: int) -> None:
        for record in mailbox.history.after(start):
            for change, labels in record.changes:
                match change:
                    case Change.ADDED:
                        self.labels[record.message] = set(record.labels)
                    case Change.DELETED:
                        del self.labels[record.message]
                    case Change.LABELS_ADDED:
                        self.labels[record.message] |= set(labels)
                    case Change.LABELS_REMOVED:
                        self.labels[record.message] -= set(labels)


def _apply(mailbox: Mailbox, action: str, first: frozenset[str], second: frozenset[str], number: int) -> None:
    known = list(mailbox.messages.values())
    if action == "add" or not known:
        mailbox.add(mail(str(number), message_id=f"{number}@x"), first)
    elif action == "draft":
        mailbox.add_draft(mail("draft"), None)
    elif action == "revise" and mailbox.drafts:
        mailbox.revise_draft(next(iter(mailbox.drafts)), mail("again"), None)
    elif action == "delete":
        mailbox.delete(known[number % len(known)])
    else:
        mailbox.relabel(known[number % len(known)], first, second)


@settings(deadline=None, max_examples=60)
@given(steps, st.booleans(), st.booleans())
def test_history_and_listings_tell_the_same(
    done: list[tuple[str, frozenset[str], frozenset[str]]], joined: bool, exclusive: bool
) -> None:
    quirks = Quirks(joined_history_records=joined, exclusive_places=exclusive)
    mailbox = Mailbox("user@example.com", FakeOptions(quirks=quirks), SystemClock())
    start = mailbox.history.current
    follower = Follower()
    for number, (action, first, second) in enumerate(done):
        _apply(mailbox, action, first, second, number)
    follower.read(mailbox, start)
    assert follower.labels == {message.id: set(message.labels) for message in mailbox.messages.values()}
    for label in [*LABELS, "DRAFT"]:
        expected = {message.key for message in mailbox.messages.values() if label in message.labels}
        listed = list(mailbox.index.newest_first(label, None))
        assert listed == sorted(expected, reverse=True)
    assert mailbox.index.count(None) == len(mailbox.messages)
    assert set(mailbox.drafts.values()) <= set(mailbox.messages)
    assert mailbox.threads_total == len({message.thread for message in mailbox.messages.values()})
    newest = max((message.history for message in mailbox.messages.values()), default=0)
    assert newest <= mailbox.history.current


def test_an_equal_state_leaves_no_record() -> None:
    mailbox = Mailbox("user@example.com", FakeOptions(), SystemClock())
    message = mailbox.add(mail(), frozenset({"INBOX"}))
    before = mailbox.history.current
    mailbox.relabel(message, frozenset({"INBOX"}), frozenset({"STARRED"}))
    assert mailbox.history.current == before


def test_a_deleted_message_id_may_come_again() -> None:
    mailbox = Mailbox("user@example.com", FakeOptions(), SystemClock())
    for _ in range(2):
        message = mailbox.add(mail(message_id="a@b"), frozenset())
        assert mailbox.with_message_id("<a@b>") == [message]
        mailbox.delete(message)
    assert mailbox.with_message_id("<a@b>") == []


def test_ids_rise_and_read_as_hexadecimal() -> None:
    mailbox = Mailbox("user@example.com", FakeOptions(), SystemClock())
    ids = [mailbox.add(mail(), frozenset()).id for _ in range(50)]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {16}
    assert [parse_id(each) for each in ids] == list(mailbox.messages)


async def test_a_thread_that_is_gone_is_not_found() -> None:
    fake = FakeGmail()
    message = fake.deliver(mail())
    fake.delete(message)
    with pytest.raises(ApiError) as caught:
        fake.mailbox.thread(message)
    assert caught.value.code == 404
