"""What became of a command on a view, and what its client is to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.errors import MailError


@dataclass(frozen=True, slots=True)
class FlagRow:
    """The flags of one message now; `flags` is rendered, in parentheses."""

    sequence_number: int
    uid: int
    flags: bytes
    modseq: int


@dataclass(slots=True)
class ViewChanges:
    """What a client is to be told, in this order.

    `expunged` are (sequence number, UID); each number is right at the moment its own line is sent. `exists` and
    `recent` are set if they are to be sent, because of messages with the UIDs `new`. `flagged` hold for the numbering
    after the expunges. With `has_more` there are flags left to be told.
    """

    expunged: list[tuple[int, int]] = field(default_factory=list)
    exists: int | None = None
    recent: int | None = None
    new: Sequence[int] = ()
    flagged: list[FlagRow] = field(default_factory=list)
    has_more: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.expunged and self.exists is None and not self.flagged


@dataclass(slots=True)
class StoreOutcome:
    """`modified` UIDs had changed since UNCHANGEDSINCE and were left alone; `failed` were refused by the backend."""

    modified: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    error: MailError | None = None


@dataclass(slots=True)
class ExpungeOutcome:
    """`removed` UIDs are gone, to be told by the next `catch_up`; `failed` are still there."""

    removed: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    error: MailError | None = None
