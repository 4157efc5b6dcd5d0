"""Search by Gmail's words and by its own language."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.api.abilities import TextQuery
from connectors.api.errors import NotFound
from connectors.api.types import MailboxRef, MessageRef
from connectors.gmail.searching import MAX_READ
from tests.conformance.rig import mail
from tests.connectors.gmail.stage import Stage, staged


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        yield made


def deliver(stage: Stage, number: int, body: str, subject: str, *labels: str) -> MessageRef:
    return MessageRef(stage.fake.deliver(mail(number, body.encode() + b"\r\n", subject), labels))


async def text(stage: Stage, mailbox: str, *terms: str, body_only: bool = False) -> frozenset[MessageRef]:
    return await stage.connector.search_text(MailboxRef(mailbox), TextQuery(terms, body_only))


async def native(stage: Stage, mailbox: str, query: str) -> frozenset[MessageRef]:
    return await stage.connector.search_native(MailboxRef(mailbox), query)


async def test_text_is_searched_in_one_mailbox(stage: Stage) -> None:
    here = deliver(stage, 1, "a ripe pear", "Fruit", "INBOX")
    archived = deliver(stage, 2, "a green pear", "Fruit")
    thrown = deliver(stage, 3, "a rotten pear", "Fruit", "TRASH")
    assert await text(stage, "INBOX", "pear") == {here}
    assert await text(stage, "ALL", "pear") == {here, archived}
    assert await text(stage, "TRASH", "pear") == {thrown}
    assert await text(stage, "INBOX", "ripe", "pear") == {here}
    assert await text(stage, "INBOX", "green", "pear") == frozenset()


async def test_a_term_is_a_phrase_in_which_nothing_is_an_operator(stage: Stage) -> None:
    plain = deliver(stage, 1, "from me to you", "x", "INBOX")
    turned = deliver(stage, 2, "to you from me", "x", "INBOX")
    assert await text(stage, "INBOX", "me to you") == {plain}
    assert await text(stage, "INBOX", "-from") == {plain, turned}
    assert await text(stage, "INBOX", "is:unread") == frozenset()
    assert await text(stage, "INBOX", 'say "me') == frozenset()


async def test_the_header_does_not_count_where_the_body_is_asked_for(stage: Stage) -> None:
    body = deliver(stage, 1, "a ripe pear", "Fruit", "INBOX")
    both = deliver(stage, 2, "a ripe pear", "pear", "INBOX")
    header = deliver(stage, 3, "fruit", "pear", "INBOX")
    assert await text(stage, "INBOX", "pear") == {body, both, header}
    assert await text(stage, "INBOX", "pear", body_only=True) == {body, both}
    assert stage.calls("messages.get") == 2


async def test_of_very_many_only_a_few_are_read(stage: Stage) -> None:
    for number in range(MAX_READ + 5):
        deliver(stage, number, "fruit", "pear", "INBOX")
    assert len(await text(stage, "INBOX", "pear", body_only=True)) == 5
    assert stage.calls("messages.get") == MAX_READ


async def test_gmail_s_own_language_is_passed_on(stage: Stage) -> None:
    unread = deliver(stage, 1, "one", "x", "INBOX", "UNREAD")
    starred = deliver(stage, 2, "two", "y", "INBOX", "STARRED")
    thrown = deliver(stage, 3, "three", "y", "TRASH", "STARRED")
    assert await native(stage, "INBOX", "is:unread") == {unread}
    assert await native(stage, "INBOX", "{subject:x is:starred}") == {unread, starred}
    assert await native(stage, "ALL", "is:starred") == {starred}
    assert await native(stage, "ALL", "in:anywhere is:starred") == {starred}
    assert await native(stage, "TRASH", "is:starred") == {thrown}
    assert await native(stage, "INBOX", "  ") == {unread, starred}


async def test_an_unknown_mailbox_is_not_found(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await native(stage, "Label_9", "x")
    label = stage.fake.new_label("Work")
    assert await native(stage, label, "x") == frozenset()
    stage.fake.delete_label(label)
    with pytest.raises(NotFound):
        await native(stage, label, "x")
