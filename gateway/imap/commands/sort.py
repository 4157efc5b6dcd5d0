"""SORT and THREAD (RFC 5256, RFC 5957, RFC 5267)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.errors import MailError
from gateway.imap.capability import Capability
from gateway.imap.commands.search import ANSWERED, asks_modseq, modseq_of, to_save
from gateway.imap.completion import Completion, ok
from gateway.imap.session import Session
from gateway.imap.updates import wish
from gateway.wire import write, write_code, write_sort
from gateway.wire.commands import Command
from gateway.wire.search import SearchReturn
from gateway.wire.sort import Sort, SortField, Thread, ThreadAlgorithm

_TOKENS_AT_ONCE = 10_000
"""Threads of more are written down in a thread: it takes half a microsecond for each."""

_SHOWN = frozenset({SortField.DISPLAYFROM, SortField.DISPLAYTO})


def _uses(algorithm: ThreadAlgorithm, command: Command) -> bool:
    return isinstance(command, Thread) and command.algorithm is algorithm


CAPABILITIES = (
    Capability(
        "SORT",
        "RFC 5256",
        "From keys kept when a header is read; sorts as i;unicode-casemap does, in every language at once",
        is_used_by=lambda command: isinstance(command, Sort),
    ),
    Capability(
        "SORT=DISPLAY",
        "RFC 5957",
        "By the names that are shown of From and To",
        needs=("SORT",),
        is_used_by=lambda command: isinstance(command, Sort) and any(one.field in _SHOWN for one in command.criteria),
    ),
    Capability(
        "ESORT",
        "RFC 5267",
        "SORT with RETURN (MIN MAX ALL COUNT SAVE)",
        needs=("SORT", "ESEARCH"),
        is_used_by=lambda command: isinstance(command, Sort) and command.returns is not None,
    ),
    Capability(
        "THREAD=ORDEREDSUBJECT",
        "RFC 5256",
        "By base subject and date",
        is_used_by=lambda command: _uses(ThreadAlgorithm.ORDEREDSUBJECT, command),
    ),
    Capability(
        "THREAD=REFERENCES",
        "RFC 5256",
        "By the Message-Ids that messages refer to, and their base subjects",
        is_used_by=lambda command: _uses(ThreadAlgorithm.REFERENCES, command),
    ),
    Capability(
        "THREAD=REFS",
        "draft-ietf-morg-inthread",
        "As REFERENCES without regard to subjects; the thread with the latest message comes last",
        is_used_by=lambda command: _uses(ThreadAlgorithm.REFS, command),
    ),
    Capability("I18NLEVEL=1", "RFC 5255 section 4", "SEARCH, SORT and THREAD compare by i;unicode-casemap"),
)


async def sort(session: Session, command: Sort) -> Completion:
    """Search, and tell what was found in the order asked for."""
    view = session.require_view()
    returns = command.returns
    saves = returns is not None and SearchReturn.SAVE in returns
    needs_modseq = asks_modseq(command.key)
    if needs_modseq:
        session.enable_condstore()
    wanted = wish(session, returns, command.key, command.update_items, is_uid=command.is_uid)
    try:
        hits = await view.find(command.key, saved=session.saved_uids())
        uids: Sequence[int] = ()
        if command.is_uid or saves or needs_modseq or wanted is not None:
            uids = await view.sorter.sorted_numbers(hits, command.criteria, is_uid=True)
        numbers = uids
        if not command.is_uid:
            numbers = await view.sorter.sorted_numbers(hits, command.criteria, is_uid=False)
    except MailError:
        if saves:
            session.saved = ()
        raise
    if returns is None:
        modseq = view.max_modseq(uids) if needs_modseq and uids else None
        session.write(write_sort.sort(numbers, modseq))
        return ok("Sort completed")
    if returns & ANSWERED:
        modseq = modseq_of(view, uids, returns, needs_modseq, command.partial)
        session.write(_extended(session.tag, command, returns, numbers, modseq))
    if saves:
        session.saved = sorted(to_save(uids, returns, command.partial))
    if wanted is not None and session.updates is not None:
        session.updates.keep(wanted, uids, command.criteria)
    return ok("Sort completed")


def _extended(
    tag: str, command: Sort, returns: frozenset[SearchReturn], numbers: Sequence[int], modseq: int | None
) -> bytes:
    """MIN and MAX are the first and the last in the order asked for (RFC 5267 section 3.1)."""
    has_hits, partial = bool(numbers), command.partial
    return write.esearch(
        tag,
        is_uid=command.is_uid,
        smallest=numbers[0] if SearchReturn.MIN in returns and has_hits else None,
        largest=numbers[-1] if SearchReturn.MAX in returns and has_hits else None,
        found=write_code.in_order(numbers) if SearchReturn.ALL in returns else None,
        count=len(numbers) if SearchReturn.COUNT in returns else None,
        modseq=modseq,
        partial=None if partial is None else (partial, write_code.in_order(numbers[partial.places()])),
    )


async def thread(session: Session, command: Thread) -> Completion:
    """Search, and tell what was found with the answers below what they answer."""
    view = session.require_view()
    if asks_modseq(command.key):
        session.enable_condstore()
    hits = await view.find(command.key, saved=session.saved_uids())
    tokens, numbers = await view.sorter.threaded(hits, command.algorithm, is_uid=command.is_uid)
    if len(tokens) > _TOKENS_AT_ONCE:
        session.write(await asyncio.to_thread(write_sort.thread, tokens, numbers))
    else:
        session.write(write_sort.thread(tokens, numbers))
    return ok("Thread completed")
