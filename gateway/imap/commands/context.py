"""CANCELUPDATE, and what else a context is to clients (RFC 5267)."""

from __future__ import annotations

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, ok
from gateway.imap.session import Session
from gateway.imap.updates import MOST_KEPT
from gateway.wire import commands
from gateway.wire.commands import Command
from gateway.wire.context import CancelUpdate
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import SearchReturn
from gateway.wire.sort import Sort

_OPTIONS = frozenset({SearchReturn.CONTEXT, SearchReturn.UPDATE})


def _searches_in_context(command: Command) -> bool:
    if isinstance(command, CancelUpdate):
        return True
    return isinstance(command, commands.Search | MultiSearch) and bool(_OPTIONS & (command.returns or frozenset()))


def _sorts_in_context(command: Command) -> bool:
    return isinstance(command, Sort) and bool(_OPTIONS & (command.returns or frozenset()))


CAPABILITIES = (
    Capability(
        "CONTEXT=SEARCH",
        "RFC 5267",
        f"UPDATE for {MOST_KEPT} searches of a session, without BODY, TEXT, OLDER, YOUNGER, X-GM-LABELS and X-GM-RAW "
        "(NOUPDATE); with items to be fetched of new messages, as NOTIFY adds them. The hint CONTEXT has no effect",
        needs=("ESEARCH", "PARTIAL"),
        is_used_by=_searches_in_context,
    ),
    Capability(
        "CONTEXT=SORT",
        "RFC 5267",
        "The same for SORT: only messages that have changed are looked at and put in their places",
        needs=("CONTEXT=SEARCH", "ESORT"),
        is_used_by=_sorts_in_context,
    ),
)


async def cancel_update(session: Session, command: CancelUpdate) -> Completion:
    """Keep these results up to date no more. What has changed by now is not told."""
    if session.updates is not None:
        session.updates.cancel(command.tags)
    return ok("No further updates")
