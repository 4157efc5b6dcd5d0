"""Labels are told of messages whose mailboxes nobody has opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.wire.commands import StoreAction
from gateway.wire.gmail import Label, SystemLabel
from gateway.wire.search import HasLabel
from tests.conformance.rig import mail
from tests.fakes.gmail.options import FakeOptions
from tests.gateway.sync.test_gmail import Line, gmail_line

LABELS = {"INBOX", "Label_1", "STARRED"}


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """An account with one message in INBOX that has two more labels."""
    async with gmail_line(tmp_path, FakeOptions()) as line:
        line.fake.new_label("Work")
        line.fake.new_label("Home")
        line.fake.deliver(mail(1), LABELS)
        yield line


async def labels(view: View) -> list[Label]:
    (labels,) = [list(row.labels) async for block in view.fetch(view.uids, Needs(labels=True)) for row in block]
    return labels


def held(line: Line) -> set[str]:
    (message,) = line.fake.mailbox.messages.values()
    return set(message.labels)


async def test_they_are_fetched(line: Line) -> None:
    view = await line.user.open("INBOX", is_read_only=False)
    assert await labels(view) == [SystemLabel.STARRED, "Work"]
    line.fake.stats.clear()
    assert await labels(view) == [SystemLabel.STARRED, "Work"]
    assert not line.fake.stats.requests


async def test_they_are_searched_for_in_one_mailbox_only(line: Line) -> None:
    view = await line.user.open("INBOX", is_read_only=False)
    line.fake.stats.clear()
    assert await view.search(HasLabel("Work")) == [1]
    # Ids, and those of them that are unread or starred.
    assert line.fake.stats.calls["gmail.users.messages.list"] == 3


async def test_one_is_removed(line: Line) -> None:
    view = await line.user.open("INBOX", is_read_only=False)
    await view.store_labels(view.uids, StoreAction.REMOVE, ["Work"])
    assert held(line) == LABELS - {"Label_1"}


async def test_all_are_replaced(line: Line) -> None:
    view = await line.user.open("INBOX", is_read_only=False)
    await view.store_labels(view.uids, StoreAction.REPLACE, ["Home"])
    assert held(line) == {"INBOX", "Label_2"}


async def test_what_cannot_be_listed_is_not_passed_off_as_none(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await line.user.open("INBOX", is_read_only=False)
    monkeypatch.setattr("gateway.mailbox.label_listing.LISTING_WAIT_S", 0.0)
    with pytest.raises(MailError) as caught:
        await labels(view)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
