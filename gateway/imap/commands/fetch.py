"""FETCH (RFC 9051 section 6.4.5, RFC 3501 section 6.4.5, RFC 7162 sections 3.1.4 and 3.2.6, RFC 3516)."""

from __future__ import annotations

from gateway.imap import errors
from gateway.imap.capability import Capability, Situation
from gateway.imap.commands.search import keys_in
from gateway.imap.completion import Completion, no, ok
from gateway.imap.errors import ClientError
from gateway.imap.fetch_plan import plan
from gateway.imap.fetch_writer import FetchWriter
from gateway.imap.message_limit import refused_count, with_code, within_limit
from gateway.imap.session import Session
from gateway.wire import commands, write
from gateway.wire.codes import Code
from gateway.wire.commands import StatusItem
from gateway.wire.fetch import BinarySection, BinarySize, FetchAttribute, Preview
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import (
    DateIs,
    DateOf,
    EmailIdIs,
    GmailMessageIs,
    GmailRaw,
    GmailThreadIs,
    HasLabel,
    ThreadIdIs,
)
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.sort import Sort, Thread

_GMAIL_KEYS = (GmailMessageIs, GmailThreadIs, GmailRaw, HasLabel)
_OF_GMAIL = frozenset({FetchAttribute.X_GM_MSGID, FetchAttribute.X_GM_THRID, FetchAttribute.X_GM_LABELS})


def _labels_exist(situation: Situation) -> bool:
    return situation.is_authenticated and situation.has_gmail_ids


def _asks_decoded(command: commands.Command) -> bool:
    return isinstance(command, commands.Fetch) and any(
        isinstance(item, BinarySection | BinarySize) for item in command.items
    )


def _asks_preview(command: commands.Command) -> bool:
    return isinstance(command, commands.Fetch) and any(isinstance(item, Preview) for item in command.items)


def _asks_save_date(command: commands.Command) -> bool:
    if isinstance(command, commands.Fetch):
        return FetchAttribute.SAVEDATE in command.items
    return isinstance(command, commands.Search | MultiSearch | Sort | Thread) and any(
        isinstance(key, DateIs) and key.which is DateOf.SAVED for key in keys_in(command.key)
    )


def _asks_object_id(command: commands.Command) -> bool:
    match command:
        case commands.Fetch():
            return FetchAttribute.EMAILID in command.items or FetchAttribute.THREADID in command.items
        case commands.Status(items=items) | commands.List(status=items):
            return StatusItem.MAILBOXID in items
        case commands.Search() | MultiSearch() | Sort() | Thread():
            return any(isinstance(key, EmailIdIs | ThreadIdIs) for key in keys_in(command.key))
        case _:
            return False


def _asks_gmail(command: commands.Command) -> bool:
    match command:
        case commands.StoreLabels():
            return True
        case commands.Fetch():
            return not _OF_GMAIL.isdisjoint(command.items)
        case commands.Search() | MultiSearch() | Sort() | Thread():
            return any(isinstance(key, _GMAIL_KEYS) for key in keys_in(command.key))
        case _:
            return False


CAPABILITIES = (
    Capability("OBJECTID", "RFC 8474", "MAILBOXID, EMAILID and THREADID; see below", is_used_by=_asks_object_id),
    Capability(
        "BINARY",
        "RFC 3516",
        "Base64 and quoted-printable undone; messages with parts in other encodings are left out, with UNKNOWN-CTE. "
        "APPEND of octets that are 0 is refused so by accounts at IMAP servers, which cannot keep them",
        is_used_by=_asks_decoded,
    ),
    Capability(
        "SAVEDATE",
        "RFC 8514",
        "When the gateway found the message in the mailbox, of messages older than the account: when it was first read",
        is_used_by=_asks_save_date,
    ),
    Capability(
        "PREVIEW",
        "RFC 8970",
        "The first 200 characters of the text, kept when a message is read whole; under LAZY of no others",
        is_used_by=_asks_preview,
    ),
    Capability(
        "X-GM-EXT-1",
        "Gmail's IMAP extensions",
        "After login, if one of the user's accounts is like Gmail; see below",
        _labels_exist,
        is_used_by=_asks_gmail,
    ),
)


async def fetch(session: Session, command: commands.Fetch) -> Completion:
    """Show messages.

    A message that is gone at the backend, though not for this client yet, is passed over with OK: Apple Mail repeats a
    FETCH that got NO for that reason without end. EXPUNGEISSUED tells clients to ask for news (RFC 5530 section 3).
    """
    if command.vanished and not session.has_qresync:
        raise ClientError("QRESYNC has not been enabled")
    has_changed_since = command.changed_since is not None
    fetch_plan = plan(
        command.items, with_uid=command.is_uid, with_modseq=has_changed_since, is_uid_only=session.uid_only
    )
    if has_changed_since or FetchAttribute.MODSEQ in command.items:
        session.enable_condstore()
    view = session.require_view()
    uids = session.resolve(command.numbers, is_uid=command.is_uid)
    if command.partial is not None:
        refusal = refused_count(session, command.partial.count)
        if refusal is not None:
            return refusal
        # RFC 9394 section 3.4: of these, then, those that have changed.
        uids = uids[command.partial.places()]
    if command.changed_since is not None:
        if command.vanished:
            await _tell_vanished(session, command.numbers, command.changed_since)
        uids = view.changed_since(command.changed_since, uids)
    shown, code = within_limit(session, uids)
    writer = FetchWriter(session, fetch_plan)
    if shown:
        await writer.write(shown)
    return with_code(session, _completion(writer), code)


def _completion(writer: FetchWriter) -> Completion:
    if writer.error is not None:
        return errors.completion_of(writer.error)
    if writer.has_unknown_encoding:
        return no("A part is encoded in a way that is not known here", Code.UNKNOWN_CTE.value)
    if writer.missing:
        return ok("Fetch completed, some messages are gone", Code.EXPUNGEISSUED.value)
    return ok("Fetch completed")


async def _tell_vanished(session: Session, numbers: SequenceSet, modseq: int) -> None:
    """Write VANISHED (EARLIER), which comes before any FETCH (RFC 7162 section 3.2.6)."""
    known = SequenceSet.from_numbers(session.saved) if numbers.is_saved_result else numbers
    gone = await session.require_view().vanished_since(modseq, known)
    session.write(write.vanished(gone, earlier=True))
