"""What the gateway keeps of a folder's position in its changes."""

from __future__ import annotations

from typing import Final

import msgspec

from connectors.api.errors import CursorExpired
from connectors.api.types import Cursor

_VERSION: Final = 1


class Mark(msgspec.Struct, frozen=True):
    """A position. `root` is the address of the mailbox, `link` where the changes after it are to be had.

    `least` and `most` are how many items the folder should have at this position, None if that is not known: it counts
    items of all types, so what matters is by how much the number changes. `whole_at` is when the folder was last read
    whole, `saved_at` when the position was told, both in seconds since 1970. `digest` is of all that a search folder
    shows; those have no `link`. `drafts` are digests of drafts (see `connectors.graph.edits`).
    """

    root: str
    link: str = ""
    least: int | None = None
    most: int | None = None
    whole_at: float = 0.0
    saved_at: float = 0.0
    digest: str = ""
    drafts: dict[str, str] = {}
    version: int = _VERSION

    def encode(self) -> Cursor:
        """Return the cursor that stands for this."""
        return Cursor(msgspec.json.encode(self).decode())


def decode_cursor(cursor: Cursor, root: str) -> Mark:
    """Return what a cursor stands for.

    Raises:
        CursorExpired: it is none of ours, or of another mailbox.
    """
    try:
        mark = msgspec.json.decode(cursor, type=Mark)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise CursorExpired("what was kept is no cursor of Graph") from exc
    if mark.version != _VERSION or mark.root != root:
        raise CursorExpired(f"what was kept is no cursor of {root}")
    return mark
