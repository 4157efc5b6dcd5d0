"""The mail a stand-in starts with."""

from __future__ import annotations

from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.fakes.gmail.seeds import message_id
from tests.manual_clock import ManualClock


def _made() -> FakeGmail:
    return FakeGmail(FakeOptions(messages=500, labels=6), clock=ManualClock())


async def test_the_same_number_gives_the_same_mail() -> None:
    first, second = (_made().mailbox for _ in range(2))
    assert list(first.messages) == list(second.messages)
    for one, other in zip(first.messages.values(), second.messages.values(), strict=True):
        assert (one.labels, one.date_ms, one.content().raw) == (other.labels, other.date_ms, other.content().raw)


async def test_ids_rise_with_the_dates_and_each_message_is_its_own() -> None:
    messages = list(_made().mailbox.messages.values())
    assert [each.key for each in messages] == sorted(each.key for each in messages)
    assert len({each.content().raw for each in messages}) == 500
    assert all(each.id == f"{each.number:016x}" for each in messages)


async def test_the_mail_is_mixed() -> None:
    mailbox = _made().mailbox
    for label in mailbox.labels:
        if label.id not in {"CHAT", "DRAFT", "CATEGORY_PROMOTIONS", "CATEGORY_FORUMS"}:
            assert mailbox.index.count(label.id), label.name
    assert any(not each.labels for each in mailbox.messages.values())
    assert any(each.content().attachments() for each in mailbox.messages.values())


async def test_message_ids_are_those_in_the_mail() -> None:
    mailbox = _made().mailbox
    for number, message in enumerate(list(mailbox.messages.values())[:20]):
        assert message.content().message_id == message_id(number)
        assert mailbox.with_message_id(message_id(number)) == [message]
