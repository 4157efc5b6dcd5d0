"""Fills a mailbox with messages made from a seed, fast enough for a hundred thousand of them."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from tests.corpus.generate import messages
from tests.fakes.graph import mapi
from tests.fakes.graph.content import Content, Envelope
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.records import NOT_FLAGGED, Folder, Message, to_ms

if TYPE_CHECKING:
    from tests.fakes.graph.fake import FakeGraph

POOL: Final = 2000
START: Final = datetime(2015, 1, 5, 8, 0, tzinfo=UTC)
END: Final = datetime(2025, 6, 30, tzinfo=UTC)
SHARED_OUT: Final = (
    ("inbox", 45), ("archive", 25), ("sentitems", 12), ("deleteditems", 4), ("junkemail", 3), ("drafts", 1),
)  # fmt: skip
OTHERS_SHARE: Final = 10
_FLAGGED: Final[dict[str, Any]] = {"flagStatus": "flagged"}
_MESSAGE_ID: Final = re.compile(rb"(<[0-9a-f]+\.[0-9]+)@")
_MESSAGE_ID_TEXT: Final = re.compile(r"(<[0-9a-f]+\.[0-9]+)@")
_DATE: Final = re.compile(rb"^Date: [^\r\n]*", re.MULTILINE)
_DATE_TEXT: Final = re.compile(r"^Date: [^\r\n]*", re.MULTILINE)
_ANSWERED: Final = {mapi.LAST_VERB: "102", mapi.ICON: "261"}
_FORWARDED: Final = {mapi.LAST_VERB: "104", mapi.ICON: "262"}


@dataclass(frozen=True, slots=True)
class _Template:
    content: Content
    flags: frozenset[str]

    def copy(self, generation: int, moment: datetime) -> Content:
        """Return the content with ids and a date of its own; replies still name the messages they answer."""
        if not generation:
            return self.content
        envelope, mime = self.content.envelope, self.content.mime
        assert mime is not None
        made = replace(
            envelope,
            message_id=_MESSAGE_ID_TEXT.sub(rf"\1.{generation}@", envelope.message_id),
            references=_MESSAGE_ID_TEXT.sub(rf"\1.{generation}@", envelope.references),
            in_reply_to=_MESSAGE_ID_TEXT.sub(rf"\1.{generation}@", envelope.in_reply_to),
            block=functools.partial(_block, envelope, generation, moment),
            sent=moment,
        )
        octets = functools.partial(_variant, mime, generation, moment)
        return Content(made, self.content.read_body, octets, self.content.octets)


def seed(fake: FakeGraph, count: int, folders: int = 8, number: int = 1, user: str | None = None) -> None:
    """Put `count` messages, oldest first, into about `folders` folders; the same `number` gives the same mail.

    The inbox gets nearly half. Nothing is told as a change: it is the state that the server starts with.

    Raises:
        ValueError: a count is out of range.
    """
    if count < 0 or folders < 1:
        raise ValueError("messages must be at least 0, folders at least 1")
    mailbox = fake.mailboxes[user or fake.options.address]
    chance = random.Random(number)
    places, weights = _places(mailbox, folders)
    bounds = list(accumulate(weights))
    mailbox.fill(
        _message(mailbox, template, generation, moment, chance.choices(places, cum_weights=bounds)[0])
        for (template, generation), moment in zip(_templates(count, number), _moments(count, chance), strict=True)
    )


def seed_folders(fake: FakeGraph, shares: dict[str, int], number: int = 1, user: str | None = None) -> None:
    """Put so many messages into each folder, by its well-known name or path; folders that are not there are made."""
    mailbox = fake.mailboxes[user or fake.options.address]
    chance = random.Random(number)
    places = [place for path, count in shares.items() for place in [_folder(mailbox, path)] * count]
    chance.shuffle(places)
    made = zip(_templates(len(places), number), _moments(len(places), chance), places, strict=True)
    mailbox.fill(_message(mailbox, template, generation, at, place) for (template, generation), at, place in made)


def _message(mailbox: Mailbox, template: _Template, generation: int, moment: datetime, folder: Folder) -> Message:
    ms = to_ms(moment)
    flags = template.flags
    verbs = _ANSWERED if "\\Answered" in flags else _FORWARDED if "$Forwarded" in flags else None
    is_draft = folder.well_known == "drafts"
    return Message(
        mailbox.next_number(), folder, template.copy(generation, moment), ms, ms, ms, mailbox.next_change(),
        is_read="\\Seen" in flags or is_draft, is_draft=is_draft,
        flag=_FLAGGED if "\\Flagged" in flags else NOT_FLAGGED,
        categories=("Project",) if "project" in flags else (), extended=verbs,
        has_transport=folder.well_known != "sentitems",
    )  # fmt: skip


def _places(mailbox: Mailbox, folders: int) -> tuple[list[Folder], list[float]]:
    """Return the folders to fill and their shares, making those that are not there."""
    places = [mailbox.well_known[name] for name, _ in SHARED_OUT[:folders]]
    weights = [float(share) for _, share in SHARED_OUT[:folders]]
    others = folders - len(SHARED_OUT)
    for place in range(max(others, 0)):
        path = "Lists/project" if place == 0 else f"Projects/{2000 + place // 10}/number {place}"
        places.append(_folder(mailbox, path))
        weights.append(OTHERS_SHARE / others)
    return places, weights


def _folder(mailbox: Mailbox, path: str) -> Folder:
    if path in mailbox.well_known:
        return mailbox.well_known[path]
    folder = mailbox.root
    for name in path.split("/"):
        folder = folder.children.get(name.lower()) or mailbox.create_folder(name, folder)
    return folder


def _templates(count: int, number: int) -> Iterator[tuple[_Template, int]]:
    pool = []
    for message in messages(min(count, POOL), number):
        pool.append(_Template(Content.of_mime(message.data), message.flags))
    for place in range(count):
        yield pool[place % len(pool)], place // len(pool)


def _moments(count: int, chance: random.Random) -> Iterator[datetime]:
    """Yield rising times over ten years; now and then two messages arrive in the same second."""
    step = (END - START).total_seconds() / max(count, 1)
    moment = START
    for _ in range(count):
        if chance.random() > 0.02:
            moment += timedelta(seconds=max(1, round(step * chance.uniform(0.2, 1.8))))
        yield moment


def _variant(mime: Any, generation: int, moment: datetime) -> bytes:
    head, gap, body = mime().partition(b"\r\n\r\n")
    head = _MESSAGE_ID.sub(rb"\1.%d@" % generation, head)
    return bytes(_DATE.sub(_date(moment).encode(), head, count=1) + gap + body)


def _block(envelope: Envelope, generation: int, moment: datetime) -> str:
    block = _MESSAGE_ID_TEXT.sub(rf"\1.{generation}@", envelope.header_block())
    return _DATE_TEXT.sub(_date(moment), block, count=1)


def _date(moment: datetime) -> str:
    return f"Date: {moment:%a, %d %b %Y %H:%M:%S +0000}"
