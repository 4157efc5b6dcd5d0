"""STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3, X-GM-EXT-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.imap import errors
from gateway.imap.completion import Completion, no, ok
from gateway.imap.errors import ClientError
from gateway.imap.message_limit import with_code, within_limit
from gateway.imap.session import Session
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import StoreOutcome, View
from gateway.wire import commands, gmail, write_code, write_fetch
from gateway.wire.codes import Code
from gateway.wire.commands import StoreAction
from gateway.wire.sequence_set import SequenceSet

ROWS_PER_BLOCK = 1000


async def store(session: Session, command: commands.Store) -> Completion:
    """Change flags. What UNCHANGEDSINCE kept from being changed is named in MODIFIED, UIDs that are gone are not.

    Of messages that others have removed, of which this client has not been told yet, EXPUNGEISSUED tells.
    """
    view = session.require_view()
    if view.is_read_only:
        return no("The mailbox is open for reading only", Code.NOPERM.value)
    if "\\Recent" in command.flags:
        raise ClientError("\\Recent cannot be changed")
    if command.unchanged_since is not None:
        session.enable_condstore()
    uids, limit_code = within_limit(session, session.resolve(command.numbers, is_uid=command.is_uid))
    if not uids:
        return ok("Store completed, no such messages")
    is_any_gone = not view.gone.isdisjoint(uids)
    outcome = await view.store(uids, command.action, command.flags, command.unchanged_since)
    if "\\Deleted" not in command.flags or command.action is StoreAction.REMOVE:
        # Else they may have gone by this command, where what is marked is removed at once.
        is_any_gone = is_any_gone or not view.gone.isdisjoint(uids)
    left_out = {*outcome.modified, *outcome.failed}
    await _echo(session, [uid for uid in uids if uid not in left_out], is_silent=command.is_silent)
    return with_code(session, _completion(view, command, outcome, is_any_gone=is_any_gone), limit_code)


async def store_labels(session: Session, command: commands.StoreLabels) -> Completion:
    """Change labels (X-GM-EXT-1). Mailboxes that are new are made, and other sessions see messages come and go."""
    view = session.require_view()
    if view.is_read_only:
        return no("The mailbox is open for reading only", Code.NOPERM.value)
    if command.unchanged_since is not None:
        session.enable_condstore()
    uids, limit_code = within_limit(session, session.resolve(command.numbers, is_uid=command.is_uid))
    if not uids:
        return ok("Store completed, no such messages")
    # Before: labels take messages out of the mailbox, too.
    is_any_gone = not view.gone.isdisjoint(uids)
    outcome = await view.store_labels(uids, command.action, command.labels, command.unchanged_since)
    left_out = {*outcome.modified, *outcome.failed}
    if not command.is_silent:
        await _tell_labels(session, [uid for uid in uids if uid not in left_out])
    return with_code(session, _completion(view, command, outcome, is_any_gone=is_any_gone), limit_code)


async def _tell_labels(session: Session, uids: Sequence[int]) -> None:
    view = session.require_view()
    present = [uid for uid in uids if view.has_present(uid)]
    async for block in view.fetch(present, Needs(labels=True)):
        session.write(
            b"".join(
                session.fetch_line(row.sequence_number, row.uid, (b"X-GM-LABELS " + gmail.label_list(row.labels),))
                for row in block
            )
        )
        await session.drain()


async def _echo(session: Session, uids: Sequence[int], *, is_silent: bool) -> None:
    """Write the new flags; for .SILENT only the mod-sequences, if the client knows of them (RFC 7162 section 3.1.3)."""
    view = session.require_view()
    if is_silent and not session.has_condstore:
        return
    for start in range(0, len(uids), ROWS_PER_BLOCK):
        rows = view.flag_rows(uids[start : start + ROWS_PER_BLOCK])
        if is_silent:
            session.write(
                b"".join(
                    session.fetch_line(row.sequence_number, row.uid, (write_fetch.modseq(row.modseq),)) for row in rows
                )
            )
        else:
            session.tell_flags(rows)
        await session.drain()
        # The others have their turn even if the client takes it all at once.
        await asyncio.sleep(0)


def _completion(
    view: View, command: commands.Store | commands.StoreLabels, outcome: StoreOutcome, *, is_any_gone: bool
) -> Completion:
    code = None
    if outcome.modified:
        numbers = outcome.modified if command.is_uid else _sequence_numbers(view, outcome.modified)
        code = write_code.modified(SequenceSet.from_numbers(numbers))
    if outcome.error is not None:
        failed = errors.completion_of(outcome.error)
        return no(failed.text, code or failed.code)
    if code is not None:
        return ok("Conditional store failed for some messages", code)
    if is_any_gone:
        return ok("Store completed, some messages are gone", Code.EXPUNGEISSUED.value)
    return ok("Store completed")


def _sequence_numbers(view: View, uids: Sequence[int]) -> list[int]:
    return [number for number in map(view.sequence_number, uids) if number is not None]
