"""How many messages one command may be about, where the operator bounds it (RFC 9738).

A command about more is done for those with the highest UIDs, and its answer tells the lowest UID that was looked at, so
that a client can go on below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.imap.capability import Capability, where_messages_are_limited
from gateway.imap.completion import Completion, no
from gateway.imap.session import Session
from gateway.wire import write, write_code
from gateway.wire.codes import Status
from gateway.wire.search import And, InSequence, InUids, SearchKey
from gateway.wire.sequence_set import MAX_NUMBER, SequenceSet

CAPABILITIES = (
    Capability(
        "MESSAGELIMIT",
        "RFC 9738",
        "Where `limits.messages_per_command` is set: so many messages to a command. SORT and THREAD are not bounded: "
        "they are answered from keys. Most clients do not know of it",
        where_messages_are_limited,
        has_message_limit=True,
    ),
    Capability(
        "SAVELIMIT",
        "RFC 9738",
        "As MESSAGELIMIT and in its place, for COPY and APPEND alone",
        where_messages_are_limited,
        has_message_limit=True,
        is_unasked=False,
        replaces="MESSAGELIMIT",
    ),
)

_TEXT = "Done for the last messages only"


def limit_of(session: Session, *, is_save: bool = False) -> int | None:
    """Return how many messages a command may be about; None: any number. `is_save`: it is COPY or APPEND."""
    limit = session.settings.messages_per_command
    if not limit or not (session.offers("MESSAGELIMIT") or (is_save and session.offers("SAVELIMIT"))):
        return None
    return limit


def within_limit(session: Session, uids: Sequence[int]) -> tuple[Sequence[int], bytes | None]:
    """Return those of `uids`, which ascend, that a command is done for, and the response code if these are not all."""
    limit = limit_of(session)
    if limit is None or len(uids) <= limit:
        return uids, None
    kept = uids[-limit:]
    return kept, write_code.message_limit(limit, kept[0])


def refused_at_once(session: Session, uids: Sequence[int], *, is_save: bool = False) -> Completion | None:
    """Return the NO to a command about `uids` that has to be done for all or none; None if it may be done.

    `is_save`: it is COPY. `uids` ascend.
    """
    limit = limit_of(session, is_save=is_save)
    if limit is None or len(uids) <= limit:
        return None
    return no(f"At most {limit} messages at a time", write_code.message_limit(limit, uids[-limit]))


def refused_count(session: Session, count: int, *, is_save: bool = False) -> Completion | None:
    """Return the NO to a command about so many messages that has to be done for all or none, where they have no UIDs.

    `is_save`: it is APPEND.
    """
    limit = limit_of(session, is_save=is_save)
    if limit is None or count <= limit:
        return None
    return no(f"At most {limit} messages at a time", write_code.message_limit(limit, None))


def with_code(session: Session, completion: Completion, code: bytes | None) -> Completion:
    """Put the code of `within_limit` into the answer, or where that has another one ahead of it (section 3.1)."""
    if code is None:
        return completion
    if completion.status is Status.OK and completion.code is None:
        return replace(completion, text=_TEXT, code=code)
    session.write(write.untagged_status(Status.NO, _TEXT, code))
    return completion


def search_within_limit(session: Session, key: SearchKey) -> tuple[SearchKey, bytes | None]:
    """Return a search for the same among no more messages than may be, and the response code if these are not all.

    What counts are the messages looked at, not those found: all of the mailbox, but for what UIDs and sequence numbers
    leave out that stand side by side with the other criteria.
    """
    if limit_of(session) is None:
        return key, None
    view = session.require_view()
    among: Sequence[int] = view.uids
    for one in key.keys if isinstance(key, And) else (key,):
        among = _named_by(session, one, among)
    _, code = within_limit(session, among)
    limit = limit_of(session)
    if code is None or limit is None:
        return key, None
    return And((key, InUids(SequenceSet(((among[-limit], MAX_NUMBER),))))), code


def _named_by(session: Session, key: SearchKey, among: Sequence[int]) -> Sequence[int]:
    view = session.require_view()
    match key:
        case InUids(numbers) | InSequence(numbers) if numbers.is_saved_result:
            named = session.saved_uids()
        case InUids(numbers):
            named = view.select_uids(numbers, is_uid=True)
        case InSequence(numbers):
            ranges = numbers.resolve(len(view.uids))
            named = [uid for low, high in ranges for uid in view.uids[low - 1 : high]]
        case _:
            return among
    chosen = set(named)
    return [uid for uid in among if uid in chosen]
