"""Fills an account with messages made from a seed, fast enough for a hundred thousand of them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from tests.corpus.generate import messages
from tests.fakes.jmap.content import Content
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.records import Email

POOL = 2000
START = datetime(2015, 1, 5, 8, 0, tzinfo=UTC)
END = datetime(2025, 6, 30, tzinfo=UTC)
SHARED_OUT = (("INBOX", 45), ("Archive", 25), ("Sent", 12), ("Trash", 4), ("Junk", 3), ("Drafts", 1))
OTHERS_SHARE = 10
TWICE_SHARE = 0.08
MESSAGE_ID = re.compile(rb"(<[0-9a-f]+\.[0-9]+)@")
DATE = re.compile(rb"^Date: .*$", re.MULTILINE)
SYSTEM = {"\\Seen": "$seen", "\\Answered": "$answered", "\\Flagged": "$flagged", "\\Draft": "$draft"}


@dataclass(frozen=True, slots=True)
class _Template:
    content: Content
    keywords: frozenset[str]

    def copy(self, generation: int, moment: datetime) -> Content:
        """Return the message with ids and date of its own; replies still name the messages they answer."""
        if not generation:
            return self.content
        header = MESSAGE_ID.sub(rb"\1.%d@" % generation, self.content.header)
        date = f"Date: {moment:%a, %d %b %Y %H:%M:%S +0000}\r".encode()
        return Content(DATE.sub(date, header, count=1), self.content.body)


def seed(fake: FakeJmap, count: int, mailboxes: int = 8, number: int = 1, user: str | None = None) -> None:
    """Put `count` messages, oldest first, into about `mailboxes` mailboxes; the same `number` gives the same mail.

    INBOX gets nearly half; one in twelve is in a second mailbox where the options allow it. Nothing is journalled: it
    is the state that the server starts with.

    Raises:
        ValueError: a count is out of range.
    """
    if count < 0 or mailboxes < 1:
        raise ValueError("messages must be at least 0, mailboxes at least 1")
    account = fake.account(user)
    chance = random.Random(number)
    paths, weights = _places(fake, mailboxes, user)
    ids = [fake.mailbox(path, user).id for path in paths]
    limit = fake.options.max_mailboxes_per_email
    second_share = TWICE_SHARE if len(ids) > 1 and limit != 1 else 0.0
    bounds = list(accumulate(weights))

    def emails() -> Iterator[Email]:
        moments = _moments(count, chance)
        for template, generation, moment in zip(_templates(count, number), _generations(count), moments, strict=True):
            where = set(chance.choices(ids, cum_weights=bounds))
            if chance.random() < second_share:
                where.add(chance.choice(ids))
            content = template.copy(generation, moment)
            yield account.new_email(content, content.blob_id(), where, template.keywords, moment, fake.options.quirks)

    account.load(list(emails()))


def _places(fake: FakeJmap, mailboxes: int, user: str | None) -> tuple[list[str], list[float]]:
    """Return the paths to fill and their shares, making the mailboxes that are not there."""
    paths = [path for path, _ in SHARED_OUT[:mailboxes]]
    weights = [float(share) for _, share in SHARED_OUT[:mailboxes]]
    others = mailboxes - len(SHARED_OUT)
    for place in range(max(others, 0)):
        path = "Lists/project" if place == 0 else f"Projects/{2000 + place // 10}/number {place}"
        if fake.account(user).child(None, path) is None:
            fake.create_mailbox(path, user=user)
        paths.append(path)
        weights.append(OTHERS_SHARE / others)
    return paths, weights


def _templates(count: int, number: int) -> Iterator[_Template]:
    pool = [
        _Template(
            Content.of(message.data),
            frozenset(SYSTEM.get(flag, flag.lower()) for flag in message.flags if flag != "\\Deleted"),
        )
        for message in messages(min(count, POOL), number)
    ]
    for place in range(count):
        yield pool[place % len(pool)]


def _generations(count: int) -> Iterator[int]:
    return (place // POOL for place in range(count))


def _moments(count: int, chance: random.Random) -> Iterator[datetime]:
    """Yield rising times over ten years; now and then two messages arrive in the same second."""
    step = (END - START).total_seconds() / max(count, 1)
    moment = START
    for _ in range(count):
        if chance.random() > 0.02:
            moment += timedelta(seconds=max(1, round(step * chance.uniform(0.2, 1.8))))
        yield moment
