"""A position in the changes of one mailbox, as the counters that the server keeps."""

from __future__ import annotations

import json
from dataclasses import dataclass

from connectors.api.errors import CursorExpired
from connectors.api.types import Cursor


@dataclass(frozen=True, slots=True)
class Position:
    """The counters of STATUS. `highestmodseq` is None where the server keeps none, `unseen` if it was not told."""

    uidvalidity: int
    uidnext: int
    messages: int
    highestmodseq: int | None = None
    unseen: int | None = None

    def encode(self) -> Cursor:
        values = {
            "uidvalidity": self.uidvalidity,
            "uidnext": self.uidnext,
            "messages": self.messages,
            "highestmodseq": self.highestmodseq,
            "unseen": self.unseen,
        }
        return Cursor(json.dumps(values, separators=(",", ":")))

    @classmethod
    def decode(cls, cursor: Cursor) -> Position:
        """Return the position in a cursor.

        Raises:
            CursorExpired: it is none of ours.
        """
        try:
            values = json.loads(cursor)
            return cls(
                int(values["uidvalidity"]),
                int(values["uidnext"]),
                int(values["messages"]),
                _optional(values.get("highestmodseq")),
                _optional(values.get("unseen")),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise CursorExpired("the stored cursor is not an IMAP position") from exc


def _optional(value: object) -> int | None:
    return value if isinstance(value, int) else None
