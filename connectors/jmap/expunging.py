"""EXPUNGE where a message is in several mailboxes: it leaves this one, and is destroyed only where nothing is lost.

A message of JMAP is always in one mailbox at least, and to destroy it takes it out of all (RFC 8621 section 4.1.1). So
one that is elsewhere too just leaves. One that is here alone goes where the account's setting says; in Trash and Junk,
or if there is no such place, it is destroyed. Between reading where a message is and destroying it somebody may put it
elsewhere: so that is done only if nothing in the account has changed since (`ifInState`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.api.errors import ConnectorError, Unavailable
from connectors.api.types import BatchResult, MailboxRef, MessageRef, MessageState, Role
from connectors.jmap.calls import patch_key
from connectors.jmap.errors import map_method_error, map_set_error
from connectors.jmap.mail import Mail, in_chunks
from connectors.jmap.mailboxes import read_tree, require_mailbox
from connectors.jmap.settings import ExpungeTo
from connectors.jmap.states import mailboxes_of
from connectors.jmap.structs import Mailbox, SetReply
from connectors.jmap.tree import mailbox_with
from connectors.jmap.writing import alter
from connectors.transport.messages import Effect

_ATTEMPTS = 5
_END_ROLES = (Role.TRASH, Role.JUNK)


@dataclass(slots=True)
class _Course:
    """What is left to do, and what became of the rest."""

    mailbox: MailboxRef
    pending: list[MessageRef]
    done: set[MessageRef] = field(default_factory=set)
    missing: set[MessageRef] = field(default_factory=set)
    failed: dict[MessageRef, ConnectorError] = field(default_factory=dict)

    def settle(self) -> bool:
        """Strike off what is done with; return whether that was anything."""
        before = len(self.pending)
        settled = self.done | self.missing | self.failed.keys()
        self.pending = [ref for ref in self.pending if ref not in settled]
        return len(self.pending) < before


async def expunge(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
    """Take the messages out of the mailbox."""
    await require_mailbox(mail, mailbox)
    course = _Course(mailbox, list(dict.fromkeys(refs)))
    attempts = 0
    while course.pending and attempts < _ATTEMPTS:
        try:
            await _attempt(mail, course)
        except ConnectorError as error:
            course.settle()
            if not course.done:
                raise
            # The error promises, or leaves open, what is no longer so for those that are done.
            course.failed.update(dict.fromkeys(course.pending, error))
        attempts = 0 if course.settle() else attempts + 1
    busy = Unavailable(f"account {mail.client.account_id} is changed by others too often to expunge messages safely")
    course.failed.update(dict.fromkeys(course.pending, busy))
    done: dict[MessageRef, MessageState | None] = dict.fromkeys(course.done)
    return BatchResult(done, missing=frozenset(course.missing), failed=course.failed)


async def _refuge(mail: Mail, mailbox: MailboxRef) -> MailboxRef | None:
    """Return where messages go that are in no other mailbox; None if they are destroyed."""
    if mail.expunge_to is ExpungeTo.DESTROY:
        return None
    if mail.tree is not None:
        known = _refuge_in(mail, mailbox, mail.tree.values())
        if known is not None:
            return known
    # What is destroyed is lost, so not by what the roles were once: another mailbox may be the Trash by now.
    return _refuge_in(mail, mailbox, await read_tree(mail))


def _refuge_in(mail: Mail, mailbox: MailboxRef, tree: Iterable[Mailbox]) -> MailboxRef | None:
    tree = list(tree)
    if any(mailbox_with(role, tree) == mailbox for role in _END_ROLES):
        return None
    wanted = [Role.ARCHIVE, Role.TRASH] if mail.expunge_to is ExpungeTo.ARCHIVE else [Role.TRASH]
    found = (mailbox_with(role, tree) for role in wanted)
    return next((ref for ref in found if ref is not None and ref != mailbox), None)


async def _attempt(mail: Mail, course: _Course) -> None:
    """Look where the messages are and do what follows from it; what others got in the way of stays pending."""
    mailbox = course.mailbox
    refuge = await _refuge(mail, mailbox)
    read = await mail.emails(course.pending, ("id", "mailboxIds"))
    leaving: dict[MessageRef, dict[str, object]] = {}
    ending: list[MessageRef] = []
    for ref in course.pending:
        email = read.found.get(ref)
        places = mailboxes_of(email) if email is not None else frozenset()
        if mailbox not in places:
            course.missing.add(ref)
        elif len(places) > 1:
            leaving[ref] = {patch_key("mailboxIds", mailbox): None}
        elif refuge is not None:
            leaving[ref] = {patch_key("mailboxIds", mailbox): None, patch_key("mailboxIds", refuge): True}
        else:
            ending.append(ref)
    # First, as whatever else is done here changes the state.
    if ending and read.state is not None:
        await _destroy(mail, ending, read.state, course)
    if leaving:
        outcome = await alter(mail, leaving)
        # One that is (back) in the mailbox stays pending.
        course.done |= {
            ref for ref, email in outcome.done.items() if email is None or mailbox not in mailboxes_of(email)
        }
        course.missing |= outcome.missing
        if outcome.failed:
            await _take_refusals(mail, course, refuge, leaving, outcome.failed)


async def _take_refusals(
    mail: Mail,
    course: _Course,
    refuge: MailboxRef | None,
    leaving: Mapping[MessageRef, Mapping[str, object]],
    refused: Mapping[MessageRef, ConnectorError],
) -> None:
    """Leave pending what was refused because others came in between; the rest has failed."""
    try:
        now = (await mail.emails(refused, ("id", "mailboxIds"))).found
        await read_tree(mail)
        is_refuge_gone = await _refuge(mail, course.mailbox) != refuge
    except ConnectorError:
        course.failed.update(refused)
        return
    for ref, error in refused.items():
        places = mailboxes_of(now[ref]) if ref in now else frozenset()
        just_left = len(leaving[ref]) == 1
        if course.mailbox not in places:
            course.missing.add(ref)
        elif not (just_left and len(places) == 1) and (just_left or not is_refuge_gone):
            course.failed[ref] = error


async def _destroy(mail: Mail, refs: Sequence[MessageRef], state: str, course: _Course) -> None:
    """Destroy the messages as long as the account is in the state in which they were seen to be nowhere else."""
    for chunk in in_chunks(refs, mail.client.limits.max_objects_in_set):
        call = mail.call("Email/set", "destroy", {"ifInState": state, "destroy": chunk})
        results = await mail.client.call(call, effect=Effect.WRITE)
        error = results.error("destroy")
        if error is not None and error.type == "stateMismatch":
            return
        if error is not None:
            course.failed.update(dict.fromkeys(chunk, map_method_error(error, "Email/set destroy")))
            return
        reply = results.get("destroy", SetReply[object])
        course.done.update(map(MessageRef, reply.destroyed or ()))
        for ref, refusal in (reply.not_destroyed or {}).items():
            if refusal.type == "notFound":
                course.missing.add(MessageRef(ref))
            else:
                course.failed[MessageRef(ref)] = map_set_error(refusal, f"destroying message {ref}")
        if reply.old_state != state or reply.new_state is None:
            return
        state = reply.new_state
