"""Changing messages where they are: flags, and the mailboxes they are in.

Each message is altered by a patch that says only what is to change, so that nothing that others do meanwhile is undone
(RFC 8620 section 5.3). A request alters and reads back as many messages as the server allows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from connectors.api.errors import ConnectorError, NotFound
from connectors.api.types import BatchResult, MailboxRef, MessageRef, MessageState
from connectors.jmap.calls import Call, patch_key
from connectors.jmap.client import Results
from connectors.jmap.errors import MethodFailure, map_set_error
from connectors.jmap.keywords import keyword_of
from connectors.jmap.mail import Mail, in_chunks, in_portions
from connectors.jmap.mailboxes import check_mailbox, require_mailbox
from connectors.jmap.states import STATE_PROPERTIES, mailboxes_of, state_of
from connectors.jmap.structs import Email, GetReply, MethodError, SetReply
from connectors.transport.messages import Effect

Patch = Mapping[str, object]


async def store_flags(
    mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef], add: frozenset[str], remove: frozenset[str]
) -> BatchResult:
    """Add and remove flags. They are the message's own, in whatever mailboxes it is."""
    patch: dict[str, object] = {patch_key("keywords", keyword_of(flag)): True for flag in add}
    patch |= {patch_key("keywords", keyword_of(flag)): None for flag in remove}
    await require_mailbox(mail, mailbox)
    if not patch:
        return await present(mail, mailbox, refs)
    outcome = await alter(mail, dict.fromkeys(refs, patch))
    return await _result(mail, outcome, refs, is_done=lambda email: mailbox in mailboxes_of(email))


async def copy(mail: Mail, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
    """Put the messages into another mailbox as well."""
    await require_mailbox(mail, source)
    await require_mailbox(mail, destination)
    if source == destination:
        return await present(mail, source, refs)
    patch = {patch_key("mailboxIds", destination): True}
    return await _moved(mail, await alter(mail, dict.fromkeys(refs, patch)), refs, source, destination)


async def move(mail: Mail, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
    """Take the messages out of one mailbox and into another, each in one step."""
    await require_mailbox(mail, source)
    await require_mailbox(mail, destination)
    if source == destination:
        return await present(mail, source, refs)
    patch = {patch_key("mailboxIds", source): None, patch_key("mailboxIds", destination): True}
    return await _moved(mail, await alter(mail, dict.fromkeys(refs, patch)), refs, source, destination)


async def _moved(
    mail: Mail, outcome: Outcome, refs: Sequence[MessageRef], source: MailboxRef, destination: MailboxRef
) -> BatchResult:
    if outcome.failed and not outcome.done:
        # Servers say in different words that a mailbox is gone.
        await check_mailbox(mail, destination)
    return await _result(
        mail,
        outcome,
        refs,
        is_done=lambda email: destination in mailboxes_of(email),
        is_there=lambda email: source in mailboxes_of(email),
    )


async def present(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
    """Return the messages as they are, where there is nothing to do."""
    found = (await mail.emails(refs, STATE_PROPERTIES)).found
    done: dict[MessageRef, MessageState | None] = {
        ref: state_of(email, tells_mailboxes=mail.has_many_mailboxes)
        for ref, email in found.items()
        if mailbox in mailboxes_of(email)
    }
    return BatchResult(done, missing=frozenset(refs) - done.keys())


async def _result(
    mail: Mail,
    outcome: Outcome,
    refs: Sequence[MessageRef],
    *,
    is_done: Callable[[Email], bool],
    is_there: Callable[[Email], bool] = lambda email: True,
) -> BatchResult:
    """Sort out what became of each message.

    One that was altered but is no longer where it should be was taken away by others meanwhile and counts as missing.
    So does one that was refused and turns out not to be there (`is_there`).
    """
    done: dict[MessageRef, MessageState | None] = {}
    for ref, email in outcome.done.items():
        if email is None:
            done[ref] = None
        elif is_done(email):
            done[ref] = state_of(email, tells_mailboxes=mail.has_many_mailboxes)
    failed = dict(outcome.failed)
    if failed:
        # If it cannot be read, the refusals stand: raising would hide what was done.
        with contextlib.suppress(ConnectorError):
            found = (await mail.emails(failed, ("id", "mailboxIds"))).found
            failed = {ref: error for ref, error in failed.items() if ref in found and is_there(found[ref])}
    return BatchResult(done, missing=frozenset(refs) - done.keys() - failed.keys(), failed=failed)


# -- altering and reading back ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Outcome:
    """What became of each message; `done` has it as it is now, None where that could not be read."""

    done: dict[MessageRef, Email | None] = field(default_factory=dict)
    missing: set[MessageRef] = field(default_factory=set)
    failed: dict[MessageRef, ConnectorError] = field(default_factory=dict)


async def alter(mail: Mail, patches: Mapping[MessageRef, Patch]) -> Outcome:
    """Patch the messages and read them again, in one request for up to `Mail.batch_limit` of them if they fit in.

    Raises:
        ConnectorError: nothing was done.
        OutcomeUnknown: that cannot be told.
    """
    outcome = Outcome()
    pending = list(in_portions(patches, mail.batch_limit, mail.request_room, lambda ref: _octets(ref, patches[ref])))
    while pending:
        batch = pending.pop(0)
        chunks = list(in_chunks(batch, mail.write_limit))
        calls: list[Call] = []
        for index, chunk in enumerate(chunks):
            calls.append(mail.call("Email/set", f"set{index}", {"update": {ref: patches[ref] for ref in chunk}}))
            calls.append(mail.call("Email/get", f"get{index}", {"ids": chunk, "properties": STATE_PROPERTIES}))
        try:
            results = await mail.client.call(*calls, effect=Effect.WRITE)
        except ConnectorError as error:
            if not outcome.done:
                raise
            # The error promises, or leaves open, what is no longer so for those that are done.
            outcome.failed.update(dict.fromkeys(batch, error))
            continue
        for index, chunk in enumerate(chunks):
            if len(chunks) > 1 and _is_too_large(results.error(f"set{index}")):
                # Some servers count what all calls of a request alter.
                pending.append(list(chunk))
            else:
                _take(results, index, chunk, outcome)
    _raise_if_vain(outcome)
    return outcome


def _is_too_large(error: MethodError | None) -> bool:
    return error is not None and error.type == "requestTooLarge"


def _octets(ref: MessageRef, patch: Patch) -> int:
    """Return how much a request grows by changing a message and reading it again."""
    return len(msgspec.json.encode(patch)) + 2 * len(ref) + 8


def _take(results: Results, index: int, chunk: Sequence[MessageRef], outcome: Outcome) -> None:
    try:
        reply = results.get(f"set{index}", SetReply[object])
    except ConnectorError as error:
        outcome.failed.update(dict.fromkeys(chunk, error))
        return
    try:
        got = results.get(f"get{index}", GetReply[Email])
    except ConnectorError:
        # It was done all the same; what it looks like now comes with the next changes.
        got = GetReply[Email]()
    found = {email.id: email for email in got.items}
    gone = frozenset(got.not_found or ())
    for ref in chunk:
        refusal = (reply.not_updated or {}).get(ref)
        if refusal is not None:
            mapped = map_set_error(refusal, f"changing message {ref}")
            if isinstance(mapped, NotFound):
                outcome.missing.add(ref)
            else:
                outcome.failed[ref] = mapped
        elif ref in gone:
            outcome.missing.add(ref)
        else:
            outcome.done[ref] = found.get(ref)


def _raise_if_vain(outcome: Outcome) -> None:
    """Raise the server's refusal of the whole call, if nothing came of any message."""
    errors = list(outcome.failed.values())
    if (
        errors
        and not outcome.done
        and not outcome.missing
        and all(isinstance(error, MethodFailure) for error in errors)
    ):
        raise errors[0]
