"""Drafts that were edited: they keep their ids, and their octets are others.

A UID stands for the same octets for ever (RFC 9051 section 2.3.1.1), so an edited draft has to be told as changed, and
one that was only marked must not be. Nothing that Graph says of a message tells these apart: so of drafts, which are
few, a digest of what can be edited goes along with the position.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import msgspec

from connectors.api.errors import AuthExpired, ConnectorError, OutcomeUnknown, RateLimited, Unavailable
from connectors.api.types import DRAFT, MailboxRef, MessageRef, MessageState
from connectors.graph.client import BatchItem
from connectors.graph.folders import folder_path
from connectors.graph.mail import Mail, message_path
from connectors.graph.structs import Page

MOST_DRAFTS: Final = 200
"""In one folder; edits of others show from their second on."""

_EDITABLE: Final = (
    "subject",
    "body",
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "importance",
)
_ONE: Final = (("$select", ",".join(("id", *_EDITABLE))), ("$expand", "attachments($select=name,size)"))
_ALL: Final = (("$filter", "isDraft eq true"), ("$top", str(MOST_DRAFTS)), *_ONE)
# As text it does not depend on what is made of the HTML this time.
_AS_TEXT: Final = {"Prefer": 'outlook.body-content-type="text"'}

_log = logging.getLogger(__name__)

Digests = Mapping[str, str]
"""The digests of drafts, by a short form of their refs."""


def list_drafts(mailbox: MailboxRef, *, depends_on: int | None = None) -> BatchItem:
    """Return the call whose reply `digests_in` reads."""
    return BatchItem("GET", f"{folder_path(mailbox)}/messages", _ALL, headers=_AS_TEXT, depends_on=depends_on)


def digests_in(mailbox: MailboxRef, reply: msgspec.Raw | ConnectorError) -> dict[str, str]:
    """Return the digests of a folder's drafts; none if Graph refuses them: the folder is read all the same.

    Raises:
        ConnectorError: they can be had later. Whoever went on without them would never see what was edited before.
    """
    if isinstance(reply, ConnectorError):
        if is_passing(reply):
            raise reply
        _log.warning("folder %s: its drafts cannot be compared: %s", mailbox, reply.operator_text)
        return {}
    try:
        items = msgspec.json.decode(reply, type=Page[dict[str, object]]).value
    except (msgspec.MsgspecError, ValueError) as exc:
        _log.warning("folder %s: its drafts cannot be compared: %s", mailbox, exc)
        return {}
    return {_short(str(item.get("id"))): _digest(item) for item in items}


async def mark_edited(
    mail: Mail, known: Digests, states: Sequence[MessageState], gone: Iterable[MessageRef]
) -> tuple[list[MessageState], dict[str, str], bool]:
    """Return the states, those of drafts that were edited as changed in content, and the digests as they are now.

    The last tells whether all could be compared; otherwise the same drafts are to be compared again.
    """
    drafts = [state.ref for state in states if DRAFT in (state.flags or ())]
    found, is_whole = await _read(mail, drafts)
    after = dict(known)
    for ref in (*gone, *(state.ref for state in states if DRAFT not in (state.flags or ()))):
        after.pop(_short(ref), None)
    after |= found
    while len(after) > MOST_DRAFTS:
        del after[next(iter(after))]
    return compared(mail, known, found, states), after, is_whole


def compared(mail: Mail, known: Digests, found: Digests, states: Sequence[MessageState]) -> list[MessageState]:
    """Return the states, those of messages whose digest is another one now as changed in content.

    `known` are the digests that go with the position. What was made here since then is known besides.
    """
    made = {short: digest for short in found if (digest := mail.drafted.pop(short, None)) is not None}
    before = {**made, **known}
    edited = {short for short in before.keys() & found.keys() if before[short] != found[short]}
    if not edited:
        return list(states)
    return [replace(state, content_changed=True) if _short(state.ref) in edited else state for state in states]


async def remember(mail: Mail, ref: MessageRef) -> None:
    """Keep the digest of a draft that was just made: by the next look somebody may have edited it.

    Never fails; what cannot be read is taken for unedited then.
    """
    try:
        mail.drafted.update((await _read(mail, [ref]))[0])
    except ConnectorError as error:
        _log.info("draft %s cannot be compared until it is looked at: %s", ref, error.operator_text)
    while len(mail.drafted) > MOST_DRAFTS:
        del mail.drafted[next(iter(mail.drafted))]


async def _read(mail: Mail, refs: Sequence[MessageRef]) -> tuple[dict[str, str], bool]:
    """Return the digests of drafts, and whether there is no other that can be had later."""
    items = [BatchItem("GET", message_path(ref), _ONE, headers=_AS_TEXT) for ref in refs]
    results = await mail.client.batch(items, dict[str, object]) if items else []
    found: dict[str, str] = {}
    is_whole = True
    for ref, result in zip(refs, results, strict=True):
        if not isinstance(result, ConnectorError):
            found[_short(ref)] = _digest(result)
        elif is_passing(result):
            _log.warning("draft %s cannot be compared now: %s", ref, result.operator_text)
            is_whole = False
    return found, is_whole


def is_passing(error: ConnectorError) -> bool:
    """Tell whether what failed may well succeed later, with nothing changed."""
    return isinstance(error, AuthExpired | OutcomeUnknown | RateLimited | Unavailable)


def _short(ref: str) -> str:
    return blake2b(ref.encode(), digest_size=6).hexdigest()


def _digest(item: Mapping[str, object]) -> str:
    """Return a digest of what can be edited."""
    attached = item.get("attachments")
    files = sorted(
        (str(each.get("name")), str(each.get("size"))) for each in attached or () if isinstance(each, dict)
    ) if isinstance(attached, list) else []  # fmt: skip
    told = [item.get(name) for name in _EDITABLE]
    return blake2b(msgspec.json.encode([told, files], order="sorted"), digest_size=6).hexdigest()
