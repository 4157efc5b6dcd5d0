"""What has been learned of messages in passing, so that it need not be asked for again.

Google counts reading the labels of one message as much as listing two thousand. So those that listings, history and
replies to writes have told are remembered, together with the position in the history as of which they hold: whoever
follows the history from there knows them now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from connectors.gmail.labels import Labels

MAX_MESSAGES: Final = 250_000
"""About 25 MB; of more messages the oldest known are forgotten."""

MAX_SIZES: Final = 10_000
MAX_GONE: Final = 50_000


class Known:
    """Labels of messages by id, and sizes. Sets of labels are few, and shared."""

    def __init__(self, limit: int = MAX_MESSAGES) -> None:
        self.as_of: int | None = None
        """The position in the history whose changes are all in here, and perhaps later ones."""
        self._limit = limit
        self._labels: dict[str, Labels] = {}
        self._sets: dict[Labels, Labels] = {}
        self._sizes: dict[str, int] = {}
        self._gone: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def restart(self, position: int | None) -> None:
        """Forget all labels, to learn them as of `position`; with None nothing can be learned until it begins."""
        self.as_of = position
        self._labels.clear()
        self._sets.clear()

    def begin_at(self, position: int) -> None:
        """Make sure that what is known is not older than `position`: what happened before is not seen again."""
        if self.as_of is None or self.as_of < position:
            self.restart(position)

    def labels(self, message_id: str) -> Labels | None:
        """Return the labels of a message; None if they are not known."""
        return self._labels.get(message_id)

    def learn(self, message_id: str, labels: Labels, since: int | None) -> None:
        """Remember the labels of a message. `since` is `as_of` from before they were asked for.

        If the history has been followed further meanwhile, what it told of the message is the later word.
        """
        if self.as_of is None or since != self.as_of:
            return
        if message_id not in self._labels and len(self._labels) >= self._limit:
            del self._labels[next(iter(self._labels))]
        self._labels[message_id] = self._sets.setdefault(labels, labels)

    def alter(self, message_ids: Iterable[str], add: Labels, remove: Labels, since: int | None) -> None:
        """Note that the messages, as far as they are known, were given labels and lost some; `since` as for `learn`."""
        for message_id in message_ids:
            labels = self._labels.get(message_id)
            if labels is None:
                continue
            if since == self.as_of:
                self.learn(message_id, (labels - remove) | add, since)
            else:
                self.doubt(message_id)

    def doubt(self, message_id: str) -> None:
        """Note that a message has other labels now, and not which."""
        self._labels.pop(message_id, None)

    def forget(self, message_ids: Iterable[str]) -> None:
        """Note that the messages are gone. Their ids never come back."""
        for message_id in message_ids:
            self._labels.pop(message_id, None)
            self._sizes.pop(message_id, None)
            if len(self._gone) >= MAX_GONE:
                del self._gone[next(iter(self._gone))]
            self._gone[message_id] = None

    def is_gone(self, message_id: str) -> bool:
        """Whether the message is known to be gone."""
        return message_id in self._gone

    def size(self, message_id: str) -> int | None:
        """Return the exact size of a message in octets, if it has been read or written."""
        return self._sizes.get(message_id)

    def learn_size(self, message_id: str, octets: int) -> None:
        """Remember the exact size of a message."""
        self._sizes.pop(message_id, None)
        if len(self._sizes) >= MAX_SIZES:
            del self._sizes[next(iter(self._sizes))]
        self._sizes[message_id] = octets
