"""Messages as the API shows them."""

from __future__ import annotations

from typing import Final

from tests.fakes.gmail.calls import Json
from tests.fakes.gmail.content import PartBuilder, headers, url64
from tests.fakes.gmail.labels import UNLISTED_ID
from tests.fakes.gmail.mailbox import Mailbox, Message

_LIE_FACTOR: Final = 3


def short(message: Message) -> Json:
    """Return what listings tell: id and threadId."""
    return {"id": message.id, "threadId": f"{message.thread:x}"}


def with_labels(mailbox: Mailbox, message: Message) -> Json:
    """Return what writing methods answer: ids and the labels it has now. Without labels there is no `labelIds`."""
    found = short(message)
    labels = sorted(message.labels)
    if mailbox.quirks.unknown_labels:
        labels.append(UNLISTED_ID)
    if labels:
        found["labelIds"] = labels
    return found


def resource(mailbox: Mailbox, message: Message, form: str, names: list[str] | None = None) -> Json:
    """Return a message in `form`: minimal, metadata (with the header fields in `names`), full or raw."""
    content = message.content()
    found = with_labels(mailbox, message)
    found["snippet"] = content.snippet()
    found["sizeEstimate"] = _estimate(mailbox, message)
    found["historyId"] = str(message.history)
    if not mailbox.quirks.absent_dates:
        found["internalDate"] = str(2**63 - 1) if mailbox.quirks.nonsense_dates else str(message.date_ms)
    if form == "raw":
        found["raw"] = url64(content.raw)
    elif form == "metadata":
        found["payload"] = {"mimeType": content.mime_type(), "headers": headers(content, names)}
    elif form == "full":
        found["payload"] = PartBuilder(f"{mailbox.numbers.getrandbits(64):016x}").tree(content)
    return found


def _estimate(mailbox: Mailbox, message: Message) -> int:
    # Near the truth and not it, as the name says.
    size = message.octets()
    return size * _LIE_FACTOR + 1000 if mailbox.quirks.lie_about_sizes else size - size % 7 + 3
