"""Searching by Outlook's own search."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from connectors.api.abilities import TextQuery
from connectors.api.errors import NotFound, Unsupported
from connectors.api.types import MailboxRef
from connectors.graph import searching
from connectors.graph.mail import Mail
from connectors.graph.searching import MOST_FOUND, search_text
from tests.connectors.graph.writing_rig import Rig, mail
from tests.fakes.graph.fake import FakeGraph

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)


async def found(rig: Rig, *terms: str, body_only: bool = False, name: str = "inbox") -> set[str]:
    return set(await search_text(rig.mail, rig.ref(name), TextQuery(terms, body_only)))


async def test_a_term_is_looked_for_in_subject_addresses_and_body(fake: FakeGraph, rig: Rig) -> None:
    first, second = fake.deliver(mail(1)), fake.deliver(mail(2, b"Cc: carol@example.org\r\n"))
    fake.deliver(mail(1), "archive")

    assert await found(rig, "Body 1") == {first}
    assert await found(rig, "carol@example.org") == {second}
    assert await found(rig, "Message") == {first, second}
    assert await found(rig, "Alex", "Body 2") == {second}
    assert await found(rig, "absent") == set()


async def test_body_only_leaves_headers_out(fake: FakeGraph, rig: Rig) -> None:
    message = fake.deliver(mail(1))

    assert await found(rig, "Message", body_only=True) == set()
    assert await found(rig, "Body", body_only=True) == {message}


async def test_operators_mean_nothing_in_a_term(fake: FakeGraph, rig: Rig) -> None:
    message = fake.deliver(mail(1).replace(b"Body 1.", b'He said "Body OR from:x" AND (no) more\\.'))

    assert await found(rig, 'said "Body OR from:x" AND (no) more\\') == {message}
    assert await found(rig, "OR AND") == set()


@pytest.mark.parametrize("term", ["", '"', "!?", "\\", "( )"])
async def test_a_term_without_a_word_cannot_be_looked_for(rig: Rig, term: str) -> None:
    with pytest.raises(Unsupported):
        await found(rig, term)


async def test_a_folder_that_is_gone_is_not_found(rig: Rig) -> None:
    with pytest.raises(NotFound):
        await search_text(rig.mail, MailboxRef("gone"), TextQuery(("x",)))


async def test_more_than_a_search_gives_is_found_in_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    days = {f"m{number}": f"20{number % 20:02}-0{number % 9 + 1}-1{number % 10}" for number in range(2500)}
    asked: list[str] = []

    async def search(mail: Mail, mailbox: MailboxRef, kql: str) -> tuple[set[str], bool]:
        asked.append(kql)
        spans = re.findall(r"received:(\S+)\.\.(\S+)", kql)
        hits = [ref for ref, day in days.items() if all(first <= day <= last for first, last in spans)]
        return set(hits[:MOST_FOUND]), len(hits) < MOST_FOUND

    monkeypatch.setattr(searching, "_search", search)

    assert await found(rig, "word", body_only=True) == set(days)
    assert len(asked) < 30


async def test_two_thousand_messages_with_a_word_are_all_found(fake: FakeGraph, rig: Rig) -> None:
    refs = {
        fake.deliver(mail(number), received=BEGIN + timedelta(hours=7 * number)) for number in range(2 * MOST_FOUND)
    }

    assert await found(rig, "Body", body_only=True) == refs
