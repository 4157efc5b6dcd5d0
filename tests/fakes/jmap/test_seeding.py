from __future__ import annotations

import email
import email.policy

import pytest

from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.seeding import POOL, seed


def seeded(count: int, mailboxes: int = 8, options: FakeOptions | None = None) -> FakeJmap:
    fake = FakeJmap(options)
    seed(fake, count, mailboxes)
    return fake


def test_the_same_seed_gives_the_same_mail() -> None:
    first, second = seeded(300), seeded(300)
    assert [each.blob_id for each in first.emails_in("INBOX")] == [each.blob_id for each in second.emails_in("INBOX")]


def test_mail_is_spread_over_mailboxes_and_keywords() -> None:
    fake = seeded(1000, mailboxes=20)
    account = fake.account()
    counts = [len(mailbox.emails) for mailbox in account.mailboxes.values()]
    assert sum(count > 0 for count in counts) == 20
    assert len(fake.emails_in("INBOX")) > 350
    assert any(len(each.mailbox_ids) > 1 for each in account.emails.values())
    assert {"$seen", "$flagged"} < {keyword for each in account.emails.values() for keyword in each.keywords}
    assert len(account.threads) < 1000


def test_the_counts_are_those_of_the_messages() -> None:
    account = seeded(500).account()
    for mailbox in account.mailboxes.values():
        inside = [each for each in account.emails.values() if mailbox.id in each.mailbox_ids]
        assert len(mailbox.emails) == len(inside)
        assert mailbox.unread == sum(each.is_unread for each in inside)
        assert set(mailbox.threads) == {each.thread_id for each in inside}
    assert account.octets == sum(each.size for each in account.emails.values())


def test_messages_beyond_the_pool_have_ids_and_dates_of_their_own() -> None:
    account = seeded(POOL + 10).account()
    emails = sorted(account.emails.values(), key=lambda each: each.order)
    first, again = emails[0], emails[POOL]
    assert first.content.body is again.content.body
    assert first.blob_id != again.blob_id
    parsed = email.message_from_bytes(again.content.data, policy=email.policy.default)
    assert parsed["Message-ID"] != (first.content.field("message-id") or b"").decode().strip()
    assert parsed["Date"].datetime == again.received_at
    assert len(again.content.data) == again.size


def test_the_start_is_no_news() -> None:
    account = seeded(10).account()
    assert (account.state("Email"), account.state("Thread")) == ("e0", "t0")


def test_one_mailbox_each_where_no_more_are_allowed() -> None:
    fake = seeded(300, options=FakeOptions(max_mailboxes_per_email=1))
    assert {len(each.mailbox_ids) for each in fake.account().emails.values()} == {1}


@pytest.mark.parametrize(("count", "mailboxes"), [(-1, 8), (1, 0)])
def test_counts_out_of_range_are_refused(count: int, mailboxes: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        seeded(count, mailboxes)
