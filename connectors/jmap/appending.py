"""New messages: the octets are uploaded, then imported (RFC 8621 section 4.8).

A server may refuse to have the same message twice and names the one that it has. Then that one is put into the mailbox
as well and given the flags: the message is where it was to be stored, octet for octet. Some servers mean by the same
message just one of the same Message-ID, such as the draft before this one: so the octets are compared first.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from connectors.api.binary import reason_of_refusal
from connectors.api.errors import ConnectorError, NotFound, OutcomeUnknown, Rejected, TooLarge, Unsupported
from connectors.api.types import BatchResult, MailboxRef, MessageContent, MessageRef, MessageState
from connectors.jmap.blobs import Blob
from connectors.jmap.calls import patch_key
from connectors.jmap.errors import map_set_error
from connectors.jmap.keywords import keywords_of
from connectors.jmap.mail import Mail, in_chunks
from connectors.jmap.mailboxes import check_mailbox, require_mailbox
from connectors.jmap.states import STATE_PROPERTIES, mailboxes_of, state_of
from connectors.jmap.structs import Email, SetError, SetReply
from connectors.jmap.writing import alter, present
from connectors.transport.messages import Effect

_ATTEMPTS = 4
_PAUSE_S = 0.25
_IMPORT = "import"

_FIRST_DATE = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DATE = datetime(2038, 1, 1, tzinfo=UTC)
"""Dates in between can be held in 32 bits, with a sign and without."""


async def append(
    mail: Mail, mailbox: MailboxRef, content: MessageContent, flags: frozenset[str], internal_date: datetime | None
) -> MessageState:
    """Store a new message and return its state."""
    keywords = keywords_of(flags)
    received = utc_date(internal_date or mail.clock.now())
    await require_mailbox(mail, mailbox)
    limit = mail.client.limits.max_size_upload
    if content.size > limit:
        raise TooLarge(f"a message of {content.size} octets; the server takes {limit}")
    for attempt in range(1, _ATTEMPTS + 1):
        blob = await mail.client.upload(content)
        message = {"blobId": blob.id, "mailboxIds": {mailbox: True}, "keywords": keywords, "receivedAt": received}
        reply = await _import(mail, {_IMPORT: message})
        made = (reply.created or {}).get(_IMPORT)
        if made is not None:
            await _check_whole(mail, made, content)
            return await _dated(mail, _state(mail, made, message))
        refusal = (reply.not_created or {}).get(_IMPORT)
        if refusal is None:
            raise OutcomeUnknown("Email/import: the server does not say what became of the message")
        existing = _existing(refusal)
        if existing is None and _may_pass(refusal) and attempt < _ATTEMPTS:
            await mail.clock.sleep(_PAUSE_S * attempt)
            continue
        if existing is None:
            # Servers say in different words that the mailbox is gone.
            await check_mailbox(mail, mailbox)
            raise await reason_of_refusal(map_set_error(refusal, "importing a message"), content)
        state = await _join(mail, existing, mailbox, keywords, blob, content)
        if state is not None:
            mail.brief.made([existing])
            return state
        # It has been destroyed meanwhile, so that there is room for it again.
    raise Rejected("importing a message: the server has it already, but not when it is looked for")


def utc_date(moment: datetime) -> str:
    """Return a UTCDate in whole seconds, as IMAP has them (RFC 8620 section 1.4, RFC 9051 section 2.3.3).

    Raises:
        Rejected: in UTC it is before the year 1 or after 9999.
    """
    try:
        return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"
    except OverflowError as exc:
        text = "The mail backend cannot hold that date."
        raise Rejected(f"{moment.isoformat()} is no date in UTC", client_text=text) from exc


async def _import(mail: Mail, messages: Mapping[str, Mapping[str, object]]) -> SetReply[Email]:
    call = mail.call("Email/import", _IMPORT, {"emails": messages})
    return (await mail.client.call(call, effect=Effect.WRITE)).get(_IMPORT, SetReply[Email])


async def _check_whole(mail: Mail, made: Email, content: MessageContent) -> None:
    """Undo an import of nothing: a server may repair a message (RFC 8621 section 4.8), but not make away with it.

    Raises:
        Rejected: that is what it did.
    """
    if made.size == 0 and content.size > 0:
        call = mail.call("Email/set", "undo", {"destroy": [made.id]})
        await mail.client.call(call, effect=Effect.WRITE)
        text = f"importing a message: of {content.size} octets none was stored"
        raise Rejected(text, client_text="The mail backend cannot hold this message.")


def _may_pass(refusal: SetError) -> bool:
    """Tell whether the same may be taken if it is uploaded again: nothing was stored, for no fault of the message.

    Cyrus 3.6 loses blobs, or fails, when several of a login's very first messages come at once.
    """
    if refusal.type == "invalidProperties":
        return refusal.properties == ["blobId"]
    return refusal.type in {"blobNotFound", "serverFail", "serverUnavailable"}


def _existing(refusal: SetError) -> MessageRef | None:
    if refusal.type == "alreadyExists" and refusal.existing_id is not None:
        return MessageRef(refusal.existing_id)
    return None


def _state(mail: Mail, made: Email, message: Mapping[str, object]) -> MessageState:
    """Return the state of what was just made: the reply tells the size, the rest is as it was asked for."""
    asked = Email(
        id=made.id,
        thread_id=made.thread_id,
        mailbox_ids=_truths(message["mailboxIds"]),
        keywords=_truths(message["keywords"]),
        size=made.size,
        received_at=str(message["receivedAt"]),
    )
    mail.brief.made([MessageRef(made.id)])
    return state_of(asked, tells_mailboxes=mail.has_many_mailboxes)


async def _dated(mail: Mail, state: MessageState) -> MessageState:
    """Return the state with the date that the server has made of one it may be unable to hold, None if it is unknown.

    Cyrus 3.6 counts seconds in 32 bits, and takes the year 1969 for 2105.
    """
    if state.internal_date is not None and _FIRST_DATE <= state.internal_date < _LAST_DATE:
        return state
    with contextlib.suppress(ConnectorError):
        held = (await mail.emails([state.ref], ("id", "receivedAt"))).found.get(state.ref)
        return replace(state, internal_date=held.received() if held is not None else None)
    return replace(state, internal_date=None)


def _truths(value: object) -> dict[str, bool]:
    assert isinstance(value, Mapping)
    return dict(value)


async def _join(
    mail: Mail,
    existing: MessageRef,
    mailbox: MailboxRef,
    keywords: Mapping[str, bool],
    blob: Blob,
    content: MessageContent,
) -> MessageState | None:
    """Put a message that the server has already into the mailbox too, with the keywords; None if it is gone.

    Raises:
        Rejected: it is not the same message, or in another mailbox while the server has each in one only.
    """
    before = (await mail.emails([existing], (*STATE_PROPERTIES, "blobId"))).found.get(existing)
    if before is None:
        return None
    if not await _is_same(mail, before, blob, content):
        text = f"message {existing} is taken for the same one, but holds other octets"
        raise Rejected(text, client_text="The mail backend has another message that it takes for this one.")
    is_here = mailbox in mailboxes_of(before)
    if not is_here and not mail.has_many_mailboxes:
        text = f"message {existing} is the same one, in another mailbox"
        raise Rejected(
            text, client_text="The mail backend has this message in another mailbox, and takes it only once."
        )
    patch: dict[str, object] = {} if is_here else {patch_key("mailboxIds", mailbox): True}
    patch |= {patch_key("keywords", keyword): True for keyword in keywords if not (before.keywords or {}).get(keyword)}
    if not patch:
        return state_of(before, tells_mailboxes=mail.has_many_mailboxes)
    outcome = await alter(mail, {existing: patch})
    if existing in outcome.failed:
        await check_mailbox(mail, mailbox)
        raise outcome.failed[existing]
    after = outcome.done.get(existing)
    if existing in outcome.missing:
        return None
    if after is None:
        raise OutcomeUnknown(f"message {existing} was put into mailbox {mailbox}, but cannot be read now")
    return state_of(after, tells_mailboxes=mail.has_many_mailboxes)


async def _is_same(mail: Mail, email: Email, blob: Blob, content: MessageContent) -> bool:
    """Whether a message consists of the octets that have been uploaded as `blob`."""
    if email.blob_id == blob.id:
        return True
    if email.blob_id is None or email.size != content.size:
        return False
    theirs = await mail.client.download(email.blob_id, email.size)
    try:
        return await _digest(theirs) == await _digest(content)
    except NotFound:
        return False


async def _digest(content: MessageContent) -> bytes:
    digest = hashlib.sha256()
    async for chunk in content.chunks():
        digest.update(chunk)
    return digest.digest()


# -- copies where a message is in one mailbox only --------------------------------------------------------------------


async def copy_by_import(
    mail: Mail, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef
) -> BatchResult:
    """Make new messages of the same octets in another mailbox, with flags and dates; nothing is downloaded."""
    await require_mailbox(mail, source)
    await require_mailbox(mail, destination)
    if source == destination:
        return await present(mail, source, refs)
    found = (await mail.emails(refs, (*STATE_PROPERTIES, "blobId"))).found
    copied = {ref: email for ref, email in found.items() if source in mailboxes_of(email) and email.blob_id}
    done: dict[MessageRef, MessageState | None] = {}
    failed: dict[MessageRef, ConnectorError] = {}
    for chunk in in_chunks(list(copied), mail.client.limits.max_objects_in_set):
        await _copy_some(mail, {ref: copied[ref] for ref in chunk}, destination, done, failed)
    if failed and not done:
        await check_mailbox(mail, destination)
    return BatchResult(done, missing=frozenset(refs) - done.keys() - failed.keys(), failed=failed)


async def _copy_some(
    mail: Mail,
    originals: Mapping[MessageRef, Email],
    destination: MailboxRef,
    done: dict[MessageRef, MessageState | None],
    failed: dict[MessageRef, ConnectorError],
) -> None:
    """Import as many as one call takes, and say what became of each."""
    messages: dict[str, Mapping[str, object]] = {}
    refs: dict[str, MessageRef] = {}
    for index, (ref, email) in enumerate(originals.items()):
        refs[f"c{index}"] = ref
        messages[f"c{index}"] = {
            "blobId": email.blob_id,
            "mailboxIds": {destination: True},
            "keywords": email.keywords or {},
            "receivedAt": email.received_at,
        }
    try:
        reply = await _import(mail, messages)
    except ConnectorError as error:
        if not done:
            raise
        failed.update(dict.fromkeys(originals, error))
        return
    for creation_id, ref in refs.items():
        made = (reply.created or {}).get(creation_id)
        refusal = (reply.not_created or {}).get(creation_id)
        if made is not None:
            done[ref] = _state(mail, made, messages[creation_id])
        elif refusal is None:
            failed[ref] = OutcomeUnknown(f"the server does not say what became of the copy of message {ref}")
        elif refusal.type == "alreadyExists":
            failed[ref] = Unsupported(
                f"message {ref} cannot be had twice",
                client_text="The mail backend has each message once, in one mailbox.",
            )
        else:
            mapped = map_set_error(refusal, f"copying message {ref}")
            if not isinstance(mapped, NotFound):
                failed[ref] = mapped
