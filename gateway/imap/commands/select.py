"""SELECT, EXAMINE, CLOSE and UNSELECT (RFC 9051 sections 6.3.2, 6.3.3, 6.4.1, 6.4.2; RFC 7162 section 3.2.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from gateway.errors import MailError
from gateway.imap import errors
from gateway.imap.capability import Capability
from gateway.imap.commands.list import attributes_of
from gateway.imap.commands.search import asks_modseq
from gateway.imap.completion import Completion, ok
from gateway.imap.errors import ClientError
from gateway.imap.session import Session
from gateway.mailbox.namespace import MailboxEntry
from gateway.mailbox.view import View
from gateway.store.errors import StoreError, is_fault
from gateway.wire import commands, write, write_code
from gateway.wire.codes import Code, Status
from gateway.wire.commands import QresyncParameters, StatusItem
from gateway.wire.fetch import FetchAttribute
from gateway.wire.mailbox_name import fold_first_level
from gateway.wire.multisearch import MultiSearch
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.sort import Sort, Thread

log = logging.getLogger(__name__)

ROWS_PER_BLOCK = 1000

_PLAIN_LIST = commands.List(commands.ListKind.LIST, "", ())


def _uses_modseq(command: commands.Command) -> bool:
    match command:
        case commands.Select():
            return command.condstore
        case commands.Fetch():
            return command.changed_since is not None or FetchAttribute.MODSEQ in command.items
        case commands.Store() | commands.StoreLabels():
            return command.unchanged_since is not None
        case commands.Status(items=items) | commands.List(status=items):
            return StatusItem.HIGHESTMODSEQ in items
        case commands.Search() | MultiSearch() | Sort() | Thread():
            return asks_modseq(command.key)
        case _:
            return False


CAPABILITIES = (
    Capability(
        "UNSELECT",
        "RFC 3691",
        "Leave a mailbox without expunging",
        is_used_by=lambda command: isinstance(command, commands.Close) and not command.is_expunging,
    ),
    Capability(
        "CONDSTORE",
        "RFC 7162",
        "MODSEQ is the gateway's own count, for every kind of backend",
        can_be_enabled=True,
        is_used_by=_uses_modseq,
    ),
    Capability("QRESYNC", "RFC 7162", "VANISHED from tombstones", can_be_enabled=True, needs=("CONDSTORE", "ENABLE")),
)


async def select(session: Session, command: commands.Select) -> Completion:
    """Open a mailbox. The one selected before is closed first, even if this one cannot be opened."""
    if command.qresync is not None and not session.has_qresync:
        raise ClientError("QRESYNC has not been enabled")
    if session.view is not None:
        session.unselect()
        # RFC 7162 section 3.2.11: what comes behind this line is of the new mailbox.
        session.write(write.untagged_status(Status.OK, "The previous mailbox is closed", Code.CLOSED.value))
    user = session.require_user()
    # Asked before, since a SELECT that fails leaves nothing selected.
    tree = await user.mailboxes() if session.rev2 else ()
    view = await user.open(command.mailbox, is_read_only=command.is_examine)
    session.select(view)
    if command.condstore:
        session.has_condstore = True
    _describe(session, view)
    if session.rev2:
        _tell_listed(session, view, tree)
    if command.qresync is not None and command.qresync.uidvalidity == view.uidvalidity:
        await _resynchronise(session, view, command.qresync)
    session.tell_alert()
    access = Code.READ_ONLY if view.is_read_only else Code.READ_WRITE
    return ok("Examine completed" if command.is_examine else "Select completed", access.value)


async def close(session: Session, command: commands.Close) -> Completion:
    """Leave the mailbox; CLOSE removes first what is marked \\Deleted, without telling of it.

    CLOSE succeeds whatever happens: there is no NO to it (RFC 9051 section 6.4.1). What could not be removed is still
    there, and still marked, when the mailbox is opened next; a warning tells of that (section 7.1.2).
    """
    view = session.require_view()
    warning = None
    try:
        if command.is_expunging and not view.is_read_only and not view.is_defunct:
            warning = await _remove_marked(view)
    finally:
        session.unselect()
    if warning is not None:
        session.write(write.untagged_status(warning.status, warning.text, warning.code))
    return ok("Close completed" if command.is_expunging else "Unselect completed")


async def _remove_marked(view: View) -> Completion | None:
    """Remove what is marked \\Deleted; return what EXPUNGE would be answered if that was not all removed, else None."""
    error: MailError | StoreError | None
    try:
        error = (await view.expunge(None)).error
    except (MailError, StoreError) as raised:
        error = raised
    match error:
        case None:
            return None
        case StoreError():
            log.error("CLOSE of %s: %s", view.name, error.operator_text, exc_info=is_fault(error))
            return errors.store_completion(error)
        case MailError():
            log.info("CLOSE of %s: %s", view.name, error.operator_text)
            return errors.completion_of(error)


def _tell_listed(session: Session, view: View, tree: Sequence[MailboxEntry]) -> None:
    """Write the mailbox as LIST would (RFC 9051 section 6.3.2); one that has got another name just now by this one."""
    name = fold_first_level(view.name)
    attributes = next((attributes_of(_PLAIN_LIST, entry) for entry in tree if entry.name == name), ())
    session.write(write.mailbox_list(name, attributes, utf8=session.utf8))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What SELECT tells of a mailbox; `is_rev2` as IMAP4rev2 has it."""

    defined_flags: tuple[str, ...]
    permanent_flags: tuple[str, ...]
    allows_new: bool
    messages: int
    recent: int
    first_unseen: int | None
    uidvalidity: int
    uidnext: int
    object_id: str
    highestmodseq: int
    is_rev2: bool


def _describe(session: Session, view: View) -> None:
    """Write what a client must know of the mailbox."""
    facts = _Facts(
        view.defined_flags,
        () if view.is_read_only else view.permanent_flags,
        view.allows_new_keywords and not view.is_read_only,
        len(view.uids),
        view.recent,
        # It is a sequence number.
        None if session.uid_only else view.first_unseen,
        view.uidvalidity,
        view.uidnext,
        view.object_id,
        view.highestmodseq,
        session.rev2,
    )
    session.write(_description(facts))


@lru_cache(maxsize=256)
def _description(facts: _Facts) -> bytes:
    """Render the responses (RFC 3501 section 6.3.1, RFC 7162 section 3.1.2, RFC 8474).

    They are kept, since clients select the same mailboxes again and again, mostly unchanged.
    """
    lines = [
        write.flags(facts.defined_flags),
        _code("Flags kept", write_code.permanent_flags(facts.permanent_flags, allows_new=facts.allows_new)),
        write.exists(facts.messages),
    ]
    if not facts.is_rev2:
        # RFC 9051 appendix E, items 11 and 12.
        lines.append(write.recent(facts.recent))
        if facts.first_unseen is not None:
            lines.append(_code("First unseen", write_code.unseen(facts.first_unseen)))
    lines += (
        _code("UIDs valid", write_code.uidvalidity(facts.uidvalidity)),
        _code("Predicted next UID", write_code.uidnext(facts.uidnext)),
        _code("Its id", write_code.mailbox_id(facts.object_id)),
        _code("Highest", write_code.highestmodseq(facts.highestmodseq)),
    )
    return b"".join(lines)


def _code(text: str, code: bytes) -> bytes:
    return write.untagged_status(Status.OK, text, code)


async def _resynchronise(session: Session, view: View, known: QresyncParameters) -> None:
    """Tell what changed and what went since the client was here last (RFC 7162 section 3.2.5.1)."""
    uids = view.select_uids(known.known_uids, is_uid=True) if known.known_uids is not None else None
    vanished = await view.vanished_since(known.modseq, known.known_uids)
    agreed = _last_agreement(view, known)
    gone = tuple((max(low, agreed + 1), high) for low, high in vanished.ranges if high > agreed)
    session.write(write.vanished(SequenceSet(gone), earlier=True))
    changed = view.changed_since(known.modseq, uids)
    for start in range(0, len(changed), ROWS_PER_BLOCK):
        session.tell_flags(view.flag_rows(changed[start : start + ROWS_PER_BLOCK]))
        await session.drain()
        # The others have their turn even if the client takes it all at once.
        await asyncio.sleep(0)


def _last_agreement(view: View, known: QresyncParameters) -> int:
    """Return the highest UID that the client has at the right sequence number, 0 if there is none.

    Up to there the client knows of every expunge (RFC 7162 section 3.2.5.2).
    """
    if known.match_sequence is None or known.match_uids is None:
        return 0
    uids: Sequence[int] = view.uids
    agreed = 0
    # Both sets are bounded by what a mailbox can hold, as numbers above it end the walk.
    for number, uid in zip(_each(known.match_sequence), _each(known.match_uids), strict=False):
        if number > len(uids):
            break
        if uids[number - 1] == uid:
            agreed = max(agreed, uid)
    return agreed


def _each(numbers: SequenceSet) -> Iterator[int]:
    return chain.from_iterable(range(low, high + 1) for low, high in numbers.ranges)
