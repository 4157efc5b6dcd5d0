"""ESEARCH (RFC 7377)."""

from __future__ import annotations

from gateway.errors import MailError
from gateway.imap import errors
from gateway.imap.capability import Capability
from gateway.imap.commands.search import REPORTED, asks_modseq, to_save
from gateway.imap.completion import Completion, no, ok
from gateway.imap.errors import ClientError
from gateway.imap.session import Session
from gateway.imap.updates import wish
from gateway.mailbox.mailbox_filter import chosen, tree_with
from gateway.mailbox.multisearch import FoundIn, NotSearched, search_all
from gateway.wire import write, write_code, write_search
from gateway.wire.codes import Status
from gateway.wire.multisearch import MultiSearch
from gateway.wire.search import SearchReturn
from gateway.wire.sequence_set import SequenceSet

CAPABILITIES = (
    Capability(
        "MULTISEARCH",
        "RFC 7377",
        "One search of many mailboxes, as the gateway knows them; `inboxes` are all mailboxes of the user",
        needs=("ESEARCH",),
        is_used_by=lambda command: isinstance(command, MultiSearch),
    ),
)


async def multisearch(session: Session, command: MultiSearch) -> Completion:
    """Search mailboxes one after the other, and tell of each as soon as something was found in it.

    One that cannot be searched keeps none of the others from being searched; the command then ends with NO, as its
    answer is not complete.
    """
    _check(session, command)
    needs_modseq = asks_modseq(command.key)
    if needs_modseq:
        session.enable_condstore()
    if not command.wants_others:
        await _search_selected(session, command, needs_modseq=needs_modseq)
        return ok("Search completed")
    wanted = chosen(await tree_with(session.require_user(), command.sources), command.sources)
    total = len(wanted)
    failed: list[NotSearched] = []
    view = session.view
    # However it is meant, what is selected is searched as this client knows it: numbers and `$` are of that.
    if view is not None and (command.wants_selected or view.mailbox_id in wanted):
        wanted.pop(view.mailbox_id, None)
        total = len(wanted) + 1
        try:
            await _search_selected(session, command, needs_modseq=needs_modseq)
        except MailError as error:
            failed.append(NotSearched(view.name, error))
    elif SearchReturn.UPDATE in command.returns:
        session.write(write.untagged_status(Status.NO, "It is not selected", write_code.no_update(session.tag)))
    async for one in search_all(session.services.mail, wanted, command.key):
        if isinstance(one, NotSearched):
            failed.append(one)
        else:
            _tell(session, command, one, needs_modseq=needs_modseq)
            await session.drain()
    if failed:
        text = f"{len(failed)} of {total} mailboxes could not be searched: {failed[0].error.client_text}"
        return no(text, errors.code_of(failed[0].error.kind))
    return ok("Search completed")


def _check(session: Session, command: MultiSearch) -> None:
    if command.charset is not None and not session.takes_charset:
        # RFC 6855 section 3: all strings are UTF-8 then.
        raise ClientError("CHARSET is not possible after ENABLE UTF8=ACCEPT")
    if command.wants_selected and session.view is None:
        raise ClientError("No mailbox is selected")
    if SearchReturn.UPDATE in command.returns and session.view is None:
        # Section 2.2: it is for the selected mailbox alone.
        raise ClientError("No mailbox is selected")
    if SearchReturn.SAVE in command.returns and command.wants_others:
        raise ClientError("SAVE is only possible for the selected mailbox")


async def _search_selected(session: Session, command: MultiSearch, *, needs_modseq: bool) -> None:
    """Search what this client knows of the selected mailbox, which may be less than there is."""
    view = session.require_view()
    saves = SearchReturn.SAVE in command.returns
    saved = session.saved_uids()
    wanted = wish(session, command.returns, command.key, command.update_items, is_uid=True, is_multisearch=True)
    if saves:
        # After a NO the saved result is empty (RFC 5182 section 2.1).
        session.saved = ()
    uids = await view.search(command.key, saved=saved)
    if uids and command.returns & REPORTED:
        found = FoundIn(view.name, view.uidvalidity, uids, view.max_modseq)
        _tell(session, command, found, needs_modseq=needs_modseq)
    if saves:
        session.saved = to_save(uids, command.returns, command.partial)
    if wanted is not None and session.updates is not None:
        session.updates.keep(wanted, uids)


def _tell(session: Session, command: MultiSearch, found: FoundIn, *, needs_modseq: bool) -> None:
    """Write the one response of a mailbox: always of UIDs, and only where there are any (section 2.1)."""
    uids, returns, partial = found.uids, command.returns, command.partial
    response = write.esearch(
        session.tag,
        is_uid=True,
        smallest=uids[0] if SearchReturn.MIN in returns else None,
        largest=uids[-1] if SearchReturn.MAX in returns else None,
        found=SequenceSet.from_numbers(uids) if SearchReturn.ALL in returns else None,
        count=len(uids) if SearchReturn.COUNT in returns else None,
        modseq=found.max_modseq(to_save(uids, returns, partial)) if needs_modseq else None,
        partial=None if partial is None else (partial, SequenceSet.from_numbers(uids[partial.places()])),
    )
    session.write(write_search.of_mailbox(response, session.tag, found.name, found.uidvalidity, utf8=session.utf8))
