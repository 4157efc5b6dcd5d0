"""Flags, COPY, MOVE and EXPUNGE where a message has labels, and is one message in however many mailboxes.

What each does in which mailbox:

              ordinary label, INBOX       All Mail               Trash, Spam                Starred, Important
    COPY to   adds the label              nothing to do          adds it; leaves INBOX      adds the label
    MOVE to   adds it, takes the source's takes the source's     adds it; leaves INBOX      adds it, takes the source's
    EXPUNGE   takes the label; the last   to Trash               deletes for good           takes the label
              one as the setting says

Whoever is in Trash or Spam is in no other mailbox, so what is copied from there leaves it. Nothing can be put into Sent
Mail or Drafts that is not there, and nothing leaves these or All Mail but to Trash or Spam: what is moved from them to
a label gets the label and stays. A draft that is expunged is discarded. \\Seen and \\Flagged are of the message, in
whatever mailbox.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.api.errors import Unsupported
from connectors.api.types import DRAFT, FLAGGED, SEEN, BatchResult, MailboxRef, MessageRef
from connectors.gmail.labels import ALL, ASIDE, DRAFTS, INBOX, LASTING, PLACES, SENT, STARRED, UNREAD, Labels, Tree
from connectors.gmail.mail import Mail
from connectors.gmail.relabel import Course, relabel
from connectors.gmail.structs import Message

_NONE: Labels = frozenset()
_FULL = frozenset({SENT, DRAFTS})
"""Only Gmail puts messages there."""


async def store_flags(
    mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef], add: frozenset[str], remove: frozenset[str]
) -> BatchResult:
    """Set and remove \\Seen and \\Flagged; a thousand messages cost 50 units.

    A message of such a large set that has just been deleted by somebody else passes as done: it is gone at the next
    look anyway. \\Draft is what a draft has, whatever is asked for; so where it is, the flags are told in any case, and
    read at 20 units a message where they are not known.
    """
    tree = await mail.require(mailbox)
    given = (_NONE if FLAGGED not in add else frozenset({STARRED})) | (_NONE if SEEN not in remove else {UNREAD})
    taken = (_NONE if FLAGGED not in remove else frozenset({STARRED})) | (_NONE if SEEN not in add else {UNREAD})
    if given or taken:
        result = (await relabel(mail, tree, refs, given, taken, named=[mailbox])).result()
    else:
        result = BatchResult({ref: mail.state_known(tree, ref) for ref in refs})
    return await _with_flags(mail, tree, result) if DRAFT in add | remove else result


async def _with_flags(mail: Mail, tree: Tree, result: BatchResult) -> BatchResult:
    """Read what the result does not tell of the flags; messages that turn out to be gone are missing."""
    untold = [ref for ref, state in result.done.items() if state is None or state.flags is None]
    if not untold:
        return result
    labels = await mail.labels_of(untold)
    told = {ref: mail.state(tree, Message(ref), labels=labels[ref]) for ref in untold if ref in labels}
    gone = frozenset(untold) - told.keys()
    done = {ref: told.get(ref, state) for ref, state in result.done.items() if ref not in gone}
    return BatchResult(done, result.missing | gone, result.failed)


async def copy(mail: Mail, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
    """Put the messages into another mailbox as well.

    Raises:
        NotFound: no such source or destination.
    """
    tree = await _both(mail, source, destination)
    if destination == source or (destination == ALL and source not in ASIDE):
        return _as_they_are(mail, tree, refs, destination)
    if destination in _FULL:
        return await _stay(mail, tree, refs, destination)
    add, remove = _entering(destination)
    return (await relabel(mail, tree, refs, add, remove, named=[source, destination], is_exact=True)).result()


async def move(mail: Mail, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
    """Move the messages; what `LASTING` mailboxes hold they keep, unless it goes to Trash or Spam.

    Raises:
        NotFound: no such source or destination.
    """
    tree = await _both(mail, source, destination)
    if destination == source:
        return _as_they_are(mail, tree, refs, destination)
    if destination == ALL and source in LASTING:
        # It has to be told that they stay in the source.
        return await _stay(mail, tree, refs, destination)
    if destination in _FULL:
        stayed = await _stay(mail, tree, refs, destination)
        return stayed if source in LASTING else await _leave(mail, tree, source, stayed)
    add, remove = _entering(destination)
    if destination not in ASIDE and source not in LASTING:
        # Trash and Spam hide what labels a message has, and give them back when it leaves.
        remove |= {str(source)}
    return (await relabel(mail, tree, refs, add, remove, named=[source, destination], is_exact=True)).result()


async def _both(mail: Mail, source: MailboxRef, destination: MailboxRef) -> Tree:
    await mail.require(source)
    return await mail.require(destination)


def _entering(destination: MailboxRef) -> tuple[Labels, Labels]:
    """Return the labels that a message gets and loses by entering a mailbox."""
    if destination == ALL:
        return _NONE, ASIDE
    add = frozenset({str(destination)})
    return add, (PLACES if destination in PLACES - {INBOX} else ASIDE) - add


def _as_they_are(mail: Mail, tree: Tree, refs: Sequence[MessageRef], mailbox: MailboxRef) -> BatchResult:
    """Say of messages to which nothing has to be done that they are in the mailbox, but for those known to have left.

    Whatever history has told the gateway is known here, so nothing comes back to it that it has seen go.
    """
    course = Course()
    for ref in refs:
        state = mail.state_known(tree, ref)
        if mail.known.is_gone(ref) or (state.mailboxes is not None and mailbox not in state.mailboxes):
            course.missing.add(ref)
        else:
            course.done[ref] = state
    return course.result()


async def _leave(mail: Mail, tree: Tree, source: MailboxRef, there: BatchResult) -> BatchResult:
    """Take the source's label off the messages that are where they were to go."""
    off = await relabel(mail, tree, list(there.done), _NONE, frozenset({str(source)}), named=[source], is_exact=True)
    return BatchResult(off.done, there.missing | off.missing, {**there.failed, **off.failed})


async def _stay(mail: Mail, tree: Tree, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
    """Say which messages are in the destination; none can be put into Sent Mail or Drafts that is not there."""
    course = Course()
    labels = await mail.labels_of([ref for ref in refs if not mail.known.is_gone(ref)])
    for ref in refs:
        if ref not in labels or (destination == ALL and ALL not in tree.holders(labels[ref])):
            course.missing.add(ref)
        elif destination in tree.holders(labels[ref]):
            course.done[ref] = mail.state(tree, Message(ref), labels=labels[ref])
        else:
            info = tree.info(destination)
            name = info.path[-1] if info is not None else destination
            text = f"Gmail does not let other messages be put into {name}; save them there instead."
            course.failed[ref] = Unsupported(f"{ref} cannot be given the label {destination}", client_text=text)
    return course.result()
