"""Searching several mailboxes with one command (RFC 7377)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.wire.fetch import FetchItem
from gateway.wire.mailbox_filter import FilterKind, MailboxFilter
from gateway.wire.search import PartialRange, SearchKey, SearchReturn


@dataclass(frozen=True, slots=True)
class MultiSearch:
    """ESEARCH. `sources` is never empty: without them the selected mailbox is meant. `RETURN ()` has become {ALL}.

    `partial` is the range that PARTIAL asks for, of what is found in each mailbox (RFC 9394). `update_items` are as in
    SEARCH.
    """

    key: SearchKey
    sources: tuple[MailboxFilter, ...] = (MailboxFilter(FilterKind.SELECTED),)
    returns: frozenset[SearchReturn] = frozenset({SearchReturn.ALL})
    charset: str | None = None
    partial: PartialRange | None = None
    update_items: tuple[FetchItem, ...] = ()

    @property
    def wants_selected(self) -> bool:
        """Whether the selected mailbox is named as such, so that one has to be selected."""
        return any(source.kind is FilterKind.SELECTED for source in self.sources)

    @property
    def wants_others(self) -> bool:
        """Whether other mailboxes than the selected one may be meant."""
        return any(source.kind is not FilterKind.SELECTED for source in self.sources)
