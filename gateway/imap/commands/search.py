"""SEARCH (RFC 9051 section 6.4.4, RFC 4731, RFC 5182, RFC 5267, RFC 7162 section 3.1.5, RFC 9394)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.errors import MailError
from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, ok
from gateway.imap.errors import ClientError
from gateway.imap.message_limit import search_within_limit, with_code
from gateway.imap.session import Session
from gateway.imap.updates import wish
from gateway.mailbox.view import View
from gateway.wire import commands, write
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import (
    And,
    Fuzzy,
    InSequence,
    InUids,
    ModSeqSince,
    Not,
    Or,
    PartialRange,
    SearchKey,
    SearchReturn,
    Within,
)
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.sort import Sort, Thread
from gateway.wire.write_search import search_marked


def _asks_part(command: commands.Command) -> bool:
    return isinstance(command, commands.Search | MultiSearch | commands.Fetch | Sort) and command.partial is not None


def _uses_saved_result(command: commands.Command) -> bool:
    match command:
        case commands.Search() | MultiSearch() | Sort():
            return SearchReturn.SAVE in (command.returns or ()) or _has_saved_result(command.key)
        case Thread():
            return _has_saved_result(command.key)
        case commands.Fetch() | commands.Store() | commands.StoreLabels() | commands.Copy():
            return command.numbers.is_saved_result
        case commands.Expunge(uids=uids):
            return uids is not None and uids.is_saved_result
        case _:
            return False


def _has_saved_result(key: SearchKey) -> bool:
    for one in keys_in(key):
        match one:
            case InSequence(numbers) | InUids(numbers) if numbers.is_saved_result:
                return True
    return False


def _asks_age(command: commands.Command) -> bool:
    return isinstance(command, commands.Search | MultiSearch | Sort | Thread) and any(
        isinstance(key, Within) for key in keys_in(command.key)
    )


CAPABILITIES = (
    Capability(
        "ESEARCH",
        "RFC 4731",
        "RETURN (MIN MAX ALL COUNT)",
        is_used_by=lambda command: isinstance(command, commands.Search) and command.returns is not None,
    ),
    Capability("SEARCHRES", "RFC 5182", "SAVE and `$`", needs=("ESEARCH",), is_used_by=_uses_saved_result),
    Capability(
        "PARTIAL", "RFC 9394", "A range of what was found, of SORT too; a range of FETCH", is_used_by=_asks_part
    ),
    Capability("WITHIN", "RFC 5032", "OLDER and YOUNGER", is_used_by=_asks_age),
)


REPORTED = frozenset({SearchReturn.MIN, SearchReturn.MAX, SearchReturn.ALL, SearchReturn.COUNT, SearchReturn.PARTIAL})

ANSWERED = REPORTED | {SearchReturn.UPDATE}
"""The options that ESEARCH answers; UPDATE alone without any data, as at Dovecot 2.3. SAVE alone is not answered."""


async def search(session: Session, command: commands.Search) -> Completion:
    """Search the selected mailbox, among the messages this client knows of."""
    if command.charset is not None and not session.takes_charset:
        # RFC 6855 section 3: all strings are UTF-8 then.
        raise ClientError("CHARSET is not possible after ENABLE UTF8=ACCEPT")
    view = session.require_view()
    needs_modseq = asks_modseq(command.key)
    if needs_modseq:
        session.enable_condstore()
    returns = command.returns
    if returns is None and session.rev2:
        # RFC 9051 section 6.4.4: the answer is ESEARCH, with ALL where nothing else was asked for.
        returns = frozenset({SearchReturn.ALL})
    saves = returns is not None and SearchReturn.SAVE in returns
    saved = session.saved_uids()
    key, limit_code = search_within_limit(session, command.key)
    wanted = wish(session, returns, key, command.update_items, is_uid=command.is_uid)
    try:
        outcome = await view.find(key, saved=saved)
    except MailError:
        # After a NO the saved result is empty; after a BAD it is what it was (RFC 5182 section 2.1).
        if saves:
            session.saved = ()
        raise
    needs_uids = command.is_uid or needs_modseq or saves or wanted is not None
    found = outcome.uids() if needs_uids else []
    if returns is None:
        modseq = view.max_modseq(found) if needs_modseq and found else None
        session.write(write.search(found, modseq) if command.is_uid else search_marked(outcome.marks.octets, modseq))
    elif returns & ANSWERED:
        numbers = found if command.is_uid else outcome.sequence_numbers()
        modseq = modseq_of(view, found, returns, needs_modseq, command.partial)
        session.write(_extended(session, command, returns, numbers, modseq))
    if saves:
        assert returns is not None
        session.saved = to_save(found, returns, command.partial)
    if wanted is not None and session.updates is not None:
        session.updates.keep(wanted, found)
    return with_code(session, ok("Search completed"), limit_code)


def _extended(
    session: Session,
    command: commands.Search,
    returns: frozenset[SearchReturn],
    numbers: Sequence[int],
    modseq: int | None,
) -> bytes:
    has_hits, partial = bool(numbers), command.partial
    return write.esearch(
        session.tag,
        is_uid=command.is_uid,
        smallest=numbers[0] if SearchReturn.MIN in returns and has_hits else None,
        largest=numbers[-1] if SearchReturn.MAX in returns and has_hits else None,
        found=SequenceSet.from_numbers(numbers) if SearchReturn.ALL in returns else None,
        count=len(numbers) if SearchReturn.COUNT in returns else None,
        modseq=modseq,
        partial=None if partial is None else (partial, SequenceSet.from_numbers(numbers[partial.places()])),
    )


def asks_modseq(key: SearchKey) -> bool:
    """Tell whether a search is by mod-sequence, so that its answer has one (RFC 7162 section 3.1.5)."""
    return any(isinstance(one, ModSeqSince) for one in keys_in(key))


def modseq_of(
    view: View,
    found: Sequence[int],
    returns: frozenset[SearchReturn],
    is_asked: bool,
    partial: PartialRange | None = None,
) -> int | None:
    """Return the MODSEQ of an extended result: of the messages it names (RFC 4731 section 3.2)."""
    return view.max_modseq(to_save(found, returns, partial)) if is_asked and found else None


def to_save(
    found: Sequence[int], returns: frozenset[SearchReturn], partial: PartialRange | None = None
) -> Sequence[int]:
    """Return what `$` will stand for, in the order of `found`.

    Only what is told, if MIN, MAX or PARTIAL and neither ALL nor COUNT were asked along (RFC 5182 section 2.4, RFC 9394
    section 3.2).
    """
    only = returns & {SearchReturn.MIN, SearchReturn.MAX, SearchReturn.PARTIAL}
    if returns & {SearchReturn.ALL, SearchReturn.COUNT} or not only:
        return found
    places = set(range(len(found))[partial.places()]) if partial is not None else set()
    if SearchReturn.MIN in returns and found:
        places.add(0)
    if SearchReturn.MAX in returns and found:
        places.add(len(found) - 1)
    return [found[place] for place in sorted(places)]


def keys_in(key: SearchKey) -> Iterator[SearchKey]:
    """Yield the key and all keys in it."""
    pending = [key]
    while pending:
        current = pending.pop()
        yield current
        match current:
            case Not(inner) | Fuzzy(inner):
                pending.append(inner)
            case Or(left, right):
                pending += (left, right)
            case And(keys):
                pending += keys
