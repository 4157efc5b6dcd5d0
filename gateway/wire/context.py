"""Results of searches that are kept up to date (RFC 5267)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.wire.sequence_set import SequenceSet


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """CANCELUPDATE: the searches with these tags are not kept up to date any more."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultChange:
    """One pair of ADDTO, or of REMOVEFROM if not `is_added` (sections 4.3.3 and 4.3.4).

    `position` is that of the first of the messages, from 1, or 0 for wherever mailbox order puts them. `numbers` are
    written as they stand.
    """

    is_added: bool
    position: int
    numbers: SequenceSet
