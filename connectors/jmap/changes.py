"""What happened after a cursor: Mailbox/changes and Email/changes, with what they name, in one request.

A cursor holds the states of both types. States are opaque (RFC 8620 section 1.4); a server may hand out changes in any
order, name an object twice, or name one that came and went. So everything is drained first, and each message is told by
what it is now.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from connectors.api.errors import CursorExpired
from connectors.api.types import ChangePage, Cursor, MailboxRef, MessageRef
from connectors.jmap.calls import Call, referring
from connectors.jmap.client import Results
from connectors.jmap.gone import find_gone
from connectors.jmap.mail import Mail, unanswered
from connectors.jmap.mailboxes import PROPERTIES
from connectors.jmap.states import STATE_PROPERTIES, state_of
from connectors.jmap.structs import ChangesReply, Email, GetReply, Mailbox, MailboxRights

_VERSION = "1"
_MAX_PER_REPLY = 1000
_MAX_REPLIES = 200
"""Beyond that many replies, listing anew is cheaper, and a server that never comes to an end is left."""

_PAGE = 1000
_EXPIRED = frozenset({"cannotCalculateChanges", "invalidArguments", "tooManyChanges"})
"""Errors that say that a state is too old, or none of the server's: some call that an invalid argument."""

_TREE_CHECK_S = 900.0
"""How often the whole tree is read along, for servers that do not tell of all that changes in it.

Cyrus 3.6 and James are silent about subscriptions.
"""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _States:
    emails: str
    mailboxes: str


async def position(mail: Mail) -> Cursor:
    """Return the present states as a cursor."""
    return _encode(mail, await _present_states(mail))


async def _present_states(mail: Mail) -> _States:
    emails = mail.call("Email/get", "emails", {"ids": [], "properties": ["id"]})
    boxes = mail.call("Mailbox/get", "boxes", {"ids": [], "properties": ["id"]})
    results = await mail.client.call(emails, boxes)
    return _States(results.get("emails", GetReply[Email]).state, results.get("boxes", GetReply[Mailbox]).state)


async def changes(mail: Mail, cursor: Cursor) -> AsyncIterator[ChangePage]:
    """Yield what happened after the cursor: new messages in the order of their dates, the cursor with the last page.

    Raises:
        CursorExpired: the server no longer knows, or never comes to an end.
    """
    since, learned = _decode(mail, cursor), mail.brief.begin(cursor)
    drained = await _drain(mail, since)
    after = _encode(mail, drained.states)
    if drained.states.emails == since.emails:
        # All that was learned was in that state already, so that the changes will tell of it.
        mail.brief.forget(learned)
    else:
        gone = await find_gone(mail, learned, (*drained.emails, *drained.gone))
        drained.gone.update(dict.fromkeys(ref for ref in gone if ref not in drained.emails))
        mail.brief.told(learned, (*drained.emails, *drained.gone), after)
    if after == cursor and drained.is_empty:
        return
    changed = [
        state_of(email, tells_mailboxes=True)
        for email in sorted(drained.emails.values(), key=lambda email: email.received() or _LONG_AGO)
    ]
    removed = tuple(drained.gone)
    for start in range(0, max(len(changed), 1), _PAGE):
        is_first, is_last = start == 0, start + _PAGE >= len(changed)
        yield ChangePage(
            changed=tuple(changed[start : start + _PAGE]),
            removed=removed if is_last else (),
            cursor=after if is_last else None,
            mailboxes_changed=drained.tree_changed and is_first,
        )


# -- cursors ----------------------------------------------------------------------------------------------------------


def _encode(mail: Mail, states: _States) -> Cursor:
    parts = [_VERSION, mail.client.account_id, states.emails, states.mailboxes]
    return Cursor(msgspec.json.encode(parts).decode())


def _decode(mail: Mail, cursor: Cursor) -> _States:
    """Return the states in a cursor.

    Raises:
        CursorExpired: it is none of ours, or of another account.
    """
    try:
        version, account_id, emails, mailboxes = msgspec.json.decode(cursor, type=tuple[str, str, str, str])
    except msgspec.MsgspecError as exc:
        raise CursorExpired(f"{cursor!r} is no cursor of JMAP") from exc
    if version != _VERSION or account_id != mail.client.account_id:
        raise CursorExpired(f"{cursor!r} is no cursor of account {mail.client.account_id}")
    return _States(emails, mailboxes)


# -- draining ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Drained:
    """All that was told so far; `states` is how far that goes."""

    states: _States
    emails: dict[MessageRef, Email] = field(default_factory=dict)
    gone: dict[MessageRef, None] = field(default_factory=dict)
    tree_changed: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.emails or self.gone or self.tree_changed)


async def _drain(mail: Mail, since: _States) -> _Drained:
    """Ask until there is no more."""
    drained = _Drained(since)
    email_calls: list[Call] = _ask_emails(mail, since.emails)
    mailbox_calls: list[Call] = [*_ask_mailboxes(mail, since.mailboxes), *_check_tree(mail)]
    seen = {since.emails}
    for _ in range(_MAX_REPLIES):
        results = await mail.client.call(*mailbox_calls, *email_calls)
        if any(call.id == "tree" for call in mailbox_calls):
            _take_tree(mail, results, drained)
        more_mailboxes = await _take_mailboxes(mail, results, drained) if mailbox_calls else False
        more_emails = await _take_emails(mail, results, drained) if email_calls else False
        if more_emails and drained.states.emails in seen:
            raise CursorExpired(f"account {mail.client.account_id}: changes of messages lead back to the same state")
        seen.add(drained.states.emails)
        if not (more_mailboxes or more_emails):
            await _settle(mail, drained)
            return drained
        mailbox_calls = _ask_mailboxes(mail, drained.states.mailboxes) if more_mailboxes else []
        email_calls = _ask_emails(mail, drained.states.emails) if more_emails else []
    raise CursorExpired(f"account {mail.client.account_id}: there is no end to the changes of messages")


def _ask_emails(mail: Mail, since: str) -> list[Call]:
    """Return calls for one reply of changes and for what is new or altered in it.

    As each list holds at most `maxChanges` ids, neither can be more than an Email/get takes (RFC 8620 section 5.2).
    """
    most = min(mail.get_limit, _MAX_PER_REPLY)
    told = mail.call("Email/changes", "emails", {"sinceState": since, "maxChanges": most})
    properties = {"properties": STATE_PROPERTIES}
    created = mail.call("Email/get", "created", {**referring("ids", told, "/created"), **properties})
    updated = mail.call("Email/get", "updated", {**referring("ids", told, "/updated"), **properties})
    return [told, created, updated]


async def _take_emails(mail: Mail, results: Results, drained: _Drained) -> bool:
    """Add one reply to what was drained; return whether there is more."""
    error = results.error("emails")
    if error is not None and error.type in _EXPIRED:
        raise CursorExpired(f"account {mail.client.account_id}: Email/changes: {error.type}")
    reply = results.get("emails", ChangesReply)
    for call_id, refs in (("created", reply.created), ("updated", reply.updated)):
        if not refs:
            # What became of a reference to an empty list does not matter; some servers refuse it.
            continue
        failure = results.error(call_id)
        if failure is not None and failure.type in ("requestTooLarge", "invalidResultReference"):
            found = (await mail.emails(refs, STATE_PROPERTIES)).found
        else:
            got = results.get(call_id, GetReply[Email])
            found = {MessageRef(email.id): email for email in got.items}
            untold = unanswered(refs, got)
            if untold:
                found.update((await mail.emails(untold, STATE_PROPERTIES)).found)
        drained.emails.update(found)
        # What is named but cannot be read was destroyed in between.
        drained.gone.update(dict.fromkeys(MessageRef(ref) for ref in refs if ref not in found))
    drained.gone.update(dict.fromkeys(map(MessageRef, reply.destroyed or ())))
    drained.states = _States(reply.new_state, drained.states.mailboxes)
    return reply.has_more_changes


async def _settle(mail: Mail, drained: _Drained) -> None:
    """Find out about messages that were told to be there and to be gone: later replies may be of earlier changes."""
    contested = [ref for ref in drained.gone if ref in drained.emails]
    if contested:
        found = (await mail.emails(contested, STATE_PROPERTIES)).found
        for ref in contested:
            if ref in found:
                drained.emails[ref] = found[ref]
                del drained.gone[ref]
            else:
                del drained.emails[ref]


def _ask_mailboxes(mail: Mail, since: str) -> list[Call]:
    told = mail.call("Mailbox/changes", "boxes", {"sinceState": since, "maxChanges": mail.get_limit})
    altered = mail.call("Mailbox/get", "altered", {**referring("ids", told, "/updated"), "properties": PROPERTIES})
    return [told, altered]


def _check_tree(mail: Mail) -> list[Call]:
    """Return a call that reads the tree, if what the gateway was told of it has not been compared for long."""
    if mail.listed is None or mail.clock.monotonic() - mail.listed_at < _TREE_CHECK_S:
        return []
    return [mail.call("Mailbox/get", "tree", {"ids": None, "properties": PROPERTIES})]


def _take_tree(mail: Mail, results: Results, drained: _Drained) -> None:
    """Compare the tree that was read along; one with too many mailboxes for one call is left unread."""
    if mail.listed is None or results.error("tree") is not None:
        return
    found = results.get("tree", GetReply[Mailbox]).items
    refs = {MailboxRef(mailbox.id) for mailbox in found}
    if refs != mail.listed.keys() or not _are_known(mail, refs, found):
        drained.tree_changed = True
    mail.listed_at = mail.clock.monotonic()


async def _take_mailboxes(mail: Mail, results: Results, drained: _Drained) -> bool:
    """See whether the tree changed, and not only how many messages are where; return whether there is more to see."""
    error = results.error("boxes")
    if error is not None and error.type in _EXPIRED:
        # The tree is cheap to list, so it alone is no reason to list all messages.
        states = await _present_states(mail)
        drained.states = _States(drained.states.emails, states.mailboxes)
        drained.tree_changed = True
        return False
    reply = results.get("boxes", ChangesReply)
    if reply.created or reply.destroyed:
        drained.tree_changed = True
    elif reply.updated and not drained.tree_changed:
        # `updatedProperties` says too little: where a server tells each object where it changed last, a reply names one
        # with nothing but its counts that was made or renamed within the stretch of the reply before.
        failure = results.error("altered")
        altered = results.get("altered", GetReply[Mailbox]).items if failure is None else ()
        drained.tree_changed = not _are_known(mail, reply.updated, altered)
    has_moved = reply.new_state != drained.states.mailboxes
    drained.states = _States(drained.states.emails, reply.new_state)
    if reply.has_more_changes and not has_moved:
        drained.tree_changed = True
        return False
    return reply.has_more_changes


def _are_known(mail: Mail, refs: Iterable[str], altered: Iterable[Mailbox]) -> bool:
    """Whether the mailboxes are, but for their counts, as the gateway was last told."""
    now = {mailbox.id: mailbox for mailbox in altered}
    known = mail.listed or {}
    return all(ref in now and _shape(now[ref]) == _shape(known.get(MailboxRef(ref))) for ref in refs)


def _shape(mailbox: Mailbox | None) -> tuple[object, ...] | None:
    if mailbox is None:
        return None
    rights = mailbox.my_rights or MailboxRights()
    return (mailbox.name, mailbox.parent_id, mailbox.role, mailbox.sort_order, mailbox.is_subscribed, rights)
