"""The command of UIDBATCHES (RFC 10022)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UidBatches:
    """Asks for ranges of UIDs with `size` messages each.

    `wanted` are the first and the last batch to be told, counted from 1, the one of the highest UIDs; None: all.
    """

    size: int
    wanted: tuple[int, int] | None = None
