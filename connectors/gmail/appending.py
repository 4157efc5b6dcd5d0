"""APPEND by messages.insert or messages.import; into Drafts by drafts.create.

Gmail holds a message once: what comes with the Message-ID of one that is there does not become a second one, and the
first gets the labels. So such a message is looked for before, lest an old one that was read be unread again.
The date of a message is when it came, or what its Date field says; it cannot be given (reference of messages.insert).
"""

from __future__ import annotations

import email.parser
import email.policy
import email.utils
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from connectors.api.errors import ConnectorError, Rejected
from connectors.api.types import FLAGGED, SEEN, MailboxRef, MessageContent, MessageRef, MessageState
from connectors.gmail import drafts
from connectors.gmail.labels import ALL, ASIDE, DRAFTS, SENT, STARRED, UNREAD, Tree
from connectors.gmail.lists import find
from connectors.gmail.mail import Mail
from connectors.gmail.methods import MESSAGES_IMPORT, MESSAGES_INSERT
from connectors.gmail.relabel import relabel
from connectors.gmail.settings import AppendBy
from connectors.gmail.structs import Message

_HEADER_OCTETS: Final = 256 * 1024
"""Of a message as much is looked at for its Message-ID and Date."""

_MESSAGE_ID: Final = re.compile(r"<([^\s<>\"(){}|]{3,990})>")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a look at the octets tells. `has_bare_ends`: some line ends are not CRLF, and Gmail makes them so."""

    message_id: str | None
    date: datetime | None
    has_bare_ends: bool


async def append(
    mail: Mail, mailbox: MailboxRef, content: MessageContent, flags: frozenset[str], internal_date: datetime | None
) -> MessageState:
    """Store a message for 25 units, and 5 to look for one like it; without a date 20 more, to learn its date.

    Raises:
        NotFound: no such mailbox.
        TooLarge, OverQuota, Denied, Rejected: not stored.
    """
    tree = await mail.require(mailbox)
    if mailbox == DRAFTS:
        return await drafts.create(mail, tree, content)
    sight = await _look(content)
    if sight.message_id is not None and mailbox != SENT:
        there = await _give(mail, tree, mailbox, sight.message_id, flags)
        if there is not None:
            return there
    return await _store(mail, tree, mailbox, content, flags, sight, internal_date)


async def _give(
    mail: Mail, tree: Tree, mailbox: MailboxRef, message_id: str, flags: frozenset[str]
) -> MessageState | None:
    """Put a message that is there already into the mailbox as well, and return its state; None if there is none."""
    found = await find(mail, f"rfc822msgid:{message_id} -in:drafts", with_aside=True)
    for ref in reversed(found):
        add = frozenset[str]() if mailbox == ALL else frozenset({str(mailbox)})
        add |= {STARRED} if FLAGGED in flags else frozenset[str]()
        remove = (ASIDE - add) | ({UNREAD} if SEEN in flags else frozenset[str]())
        course = await relabel(mail, tree, [ref], add, remove, named=[mailbox])
        if ref in course.failed:
            raise course.failed[ref]
        state = course.done.get(ref)
        if state is not None:
            # Its octets are its own: whether they are those of `content` is not known.
            return state
    return None


async def _store(
    mail: Mail,
    tree: Tree,
    mailbox: MailboxRef,
    content: MessageContent,
    flags: frozenset[str],
    sight: _Sight,
    internal_date: datetime | None,
) -> MessageState:
    labels = frozenset[str]() if mailbox == ALL else frozenset({str(mailbox)})
    labels |= frozenset[str]() if SEEN in flags else {UNREAD}
    labels |= {STARRED} if FLAGGED in flags else frozenset[str]()
    is_import = mail.settings.append is AppendBy.IMPORT
    dated = sight.date if _is_nearer(sight.date, internal_date, mail.client.clock.now()) else None
    query = [("internalDateSource", "dateHeader" if dated is not None else "receivedTime")]
    # The mailbox was chosen; Gmail is not to choose Spam in its place.
    query += [("neverMarkSpam", "true")] if is_import else []
    since = mail.known.as_of
    try:
        message = await mail.client.upload(
            MESSAGES_IMPORT if is_import else MESSAGES_INSERT,
            {"labelIds": sorted(labels)},
            content,
            reply=Message,
            query=query,
        )
    except Rejected as error:
        raise await mail.refused(error, mailbox) from error
    is_new = mailbox != SENT and message.labels & tree.shown <= labels and mail.known.labels(message.id) is None
    mail.known.learn(message.id, message.labels, since)
    if is_new and not sight.has_bare_ends:
        # One that was there keeps its octets, as what Gmail's own SMTP server has put among those sent.
        mail.known.learn_size(message.id, content.size)
    state = await _landed(mail, tree, mailbox, message)
    if state.internal_date is not None or dated is not None:
        return replace(state, internal_date=state.internal_date or dated)
    return replace(state, internal_date=await _received(mail, state.ref))


async def _landed(mail: Mail, tree: Tree, mailbox: MailboxRef, message: Message) -> MessageState:
    """Return the state of a stored message, having seen to it that it is in the mailbox it was for."""
    state = mail.state(tree, message)
    if state.mailboxes is None or mailbox in state.mailboxes or mailbox == SENT:
        return state
    add = frozenset[str]() if mailbox == ALL else frozenset({str(mailbox)})
    course = await relabel(mail, tree, [state.ref], add, ASIDE - add, named=[mailbox])
    if state.ref in course.failed:
        raise course.failed[state.ref]
    return course.done.get(state.ref) or state


async def _received(mail: Mail, ref: MessageRef) -> datetime | None:
    """Ask when Gmail received a message. It is stored in any case, so no failure of this is one of the APPEND."""
    try:
        found = await mail.read_messages([ref])
    except ConnectorError:
        return mail.client.clock.now()
    return found[ref].received if ref in found else None


def _is_nearer(date: datetime | None, wanted: datetime | None, now: datetime) -> bool:
    """Tell whether the Date field is nearer to the date that was asked for than the time of storing it."""
    if date is None or wanted is None:
        return False
    return abs(date - wanted) <= abs(now - wanted)


async def _look(content: MessageContent) -> _Sight:
    """Read the header's Message-ID and Date, and whether all line ends are CRLF."""
    head = bytearray()
    has_bare_ends, cut = False, b""
    async for chunk in content.chunks():
        if len(head) < _HEADER_OCTETS:
            head += chunk[: _HEADER_OCTETS - len(head)]
        has_bare_ends = has_bare_ends or _has_bare_ends(cut + chunk)
        cut = b"\r" if chunk.endswith(b"\r") else b""
    block = bytes(head).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    header = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(block, headersonly=True)
    ids = header.get_all("Message-ID") or []
    match = _MESSAGE_ID.fullmatch(str(ids[0]).strip()) if len(ids) == 1 else None
    return _Sight(match[1] if match else None, _date(str(header.get("Date", ""))), has_bare_ends or bool(cut))


def _has_bare_ends(data: bytes) -> bool:
    """Tell whether there is an LF without CR, or a CR without LF; of a CR at the end the next piece tells."""
    pairs = data.count(b"\r\n")
    return data.count(b"\n") != pairs or data.count(b"\r") - data.endswith(b"\r") != pairs


def _date(text: str) -> datetime | None:
    """Return the time in a Date field; None if it is not one that Gmail would take."""
    try:
        found = email.utils.parsedate_to_datetime(text)
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return found if found >= _EPOCH else None
    except (ValueError, TypeError, OverflowError):
        return None
