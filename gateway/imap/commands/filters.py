"""Searches with a name, and searches for what comes near (RFC 5466, RFC 6203)."""

from __future__ import annotations

from dataclasses import replace

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, no
from gateway.imap.session import Session
from gateway.mailbox.filters import PRIVATE, SHARED, BadFilter, check, resolved
from gateway.mailbox.search import UndefinedFilter
from gateway.wire import commands, write_code
from gateway.wire.commands import Command
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import FilterNamed, Fuzzy, SearchReturn, holds
from gateway.wire.sort import Sort, Thread

Searching = commands.Search | MultiSearch | Sort | Thread

CAPABILITIES = (
    Capability(
        "FILTERS",
        "RFC 5466",
        "SEARCH, SORT, THREAD and ESEARCH with FILTER; filters are annotations of the server, one may refer to others",
        needs_one_of=("METADATA", "METADATA-SERVER"),
        is_used_by=lambda command: isinstance(command, Searching) and holds(command.key, FilterNamed),
    ),
    Capability(
        "SEARCH=FUZZY",
        "RFC 6203",
        "Of texts the words count, in any order, of three and more two thirds of them; other keys are taken exactly. "
        "There are no scores: RELEVANCY is not taken",
        is_used_by=lambda command: isinstance(command, Searching) and holds(command.key, Fuzzy),
    ),
)


async def with_filters(session: Session, command: Command) -> Command:
    """Return a command with the searches that its filters hold in their place.

    Raises:
        UndefinedFilter, BadFilter: a filter cannot be used; `completion_of` makes the answer of it.
    """
    if not isinstance(command, Searching) or not holds(command.key, FilterNamed):
        return command
    try:
        return replace(command, key=await resolved(session.require_user(), command.key))
    except (UndefinedFilter, BadFilter):
        if not isinstance(command, Thread) and SearchReturn.SAVE in (command.returns or ()):
            # After a NO the saved result is empty (RFC 5182 section 2.1).
            session.saved = ()
        raise


def completion_of(error: UndefinedFilter | BadFilter) -> Completion:
    """Return the tagged NO for a filter that cannot be used (section 3.1)."""
    if isinstance(error, UndefinedFilter):
        return no(f"There is no filter {error.name}, or it leads to itself", write_code.undefined_filter(error.name))
    return no(f"This filter is no search: {error}")


def fault_of(entry: str, value: bytes | None) -> Completion | None:
    """Return the tagged NO for an annotation of the server that should be a filter and is none (section 3.2)."""
    if value is None or not entry.startswith((PRIVATE, SHARED)):
        return None
    try:
        check(entry, value)
    except BadFilter as error:
        return completion_of(error)
    return None
