"""EXPUNGE: a label is taken off, and the message goes no further than the account's setting says.

Nothing is deleted for good that is not known to be there still: somebody may just have put it elsewhere. What is known
of labels is brought up to now by the history for two units before that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from connectors.api.errors import ConnectorError, CursorExpired, Denied
from connectors.api.types import DELETED, BatchResult, MailboxRef, MessageRef, MessageState
from connectors.gmail.batch import BatchCall
from connectors.gmail.drafts import discard
from connectors.gmail.history import catch_up
from connectors.gmail.labels import ALL, ASIDE, DRAFTS, PLACES, SENT, TRASH, VIEWS, Labels, Tree
from connectors.gmail.mail import Mail, is_gone
from connectors.gmail.methods import MESSAGES_BATCH_DELETE, MESSAGES_DELETE
from connectors.gmail.relabel import MAX_IDS, Course, relabel
from connectors.gmail.settings import ExpungeTo
from connectors.gmail.structs import NoReply
from connectors.gmail.writing import store_flags

NOT_FOR_GOOD = (
    "This account's login does not include deleting messages for good; "
    "Gmail itself deletes what is in Trash or Spam after 30 days."
)
_TO_TRASH = (frozenset({TRASH}), PLACES - {TRASH})


async def expunge(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
    """Take the messages out of the mailbox; the states of those that go on elsewhere say where.

    Raises:
        NotFound: no such mailbox.
    """
    tree = await mail.require(mailbox)
    wanted = list(dict.fromkeys(refs))
    if not wanted:
        return BatchResult()
    if mailbox in ASIDE:
        course = await _delete_those_in(mail, tree, mailbox, wanted)
    elif mailbox == DRAFTS and mail.settings.expunge is not ExpungeTo.TRASH:
        course = await discard(mail, wanted)
    elif mailbox in (ALL, SENT, DRAFTS):
        course = await _take_off(mail, tree, mailbox, wanted, *_TO_TRASH)
    elif mailbox in VIEWS or mail.settings.expunge is ExpungeTo.ARCHIVE:
        course = await _take_off(mail, tree, mailbox, wanted, frozenset(), frozenset({str(mailbox)}))
    else:
        course = await _take_last(mail, mailbox, wanted)
    return course.result()


async def store_deleted(
    mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef], add: frozenset[str], remove: frozenset[str]
) -> BatchResult:
    """Store the other flags, then expunge the messages at once: what Gmail's IMAP does with \\Deleted by default.

    Of what is deleted for good it is said that it is in no mailbox, or it would be shown as marked until the next look.
    """
    stored = await store_flags(mail, mailbox, refs, add - {DELETED}, remove)
    expunged = await expunge(mail, mailbox, list(stored.done))
    done = {ref: state or MessageState(ref, mailboxes=frozenset()) for ref, state in expunged.done.items()}
    return BatchResult(done, stored.missing | expunged.missing, {**stored.failed, **expunged.failed})


async def _take_off(
    mail: Mail, tree: Tree, mailbox: MailboxRef, refs: Sequence[MessageRef], add: Labels, remove: Labels
) -> Course:
    """Alter labels; what was known not to be in the mailbox is missing, though it is somewhere else."""
    before = {ref: mail.known.labels(ref) for ref in refs}
    course = await relabel(mail, tree, refs, add, remove, named=[mailbox], is_exact=True)
    absent = {ref for ref in course.done if _is_absent(tree, mailbox, before[ref])}
    course.missing |= absent
    for ref in absent:
        del course.done[ref]
    return course


def _is_absent(tree: Tree, mailbox: MailboxRef, labels: Labels | None) -> bool:
    return labels is not None and mailbox not in tree.holders(labels)


async def _take_last(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Course:
    """Take the label off those that are elsewhere too, and do with the others as is set."""
    labels = await _labels_now(mail, refs)
    # After that: a label that was just made must not pass for none, or what has it for being nowhere else.
    tree = await mail.read_tree()
    course = Course(missing={ref for ref in refs if ref not in labels or _is_absent(tree, mailbox, labels[ref])})
    there = [ref for ref in refs if ref not in course.missing]
    last = [ref for ref in there if not tree.holders(labels[ref]) - {mailbox, MailboxRef(ALL)}]
    others = [ref for ref in there if ref not in frozenset(last)]
    off = frozenset({str(mailbox)})
    _join(course, await relabel(mail, tree, others, frozenset(), off, named=[mailbox], is_exact=True))
    if mail.settings.expunge is ExpungeTo.TRASH:
        add, remove = _TO_TRASH
        _join(course, await relabel(mail, tree, last, add, remove | off, named=[mailbox], is_exact=True))
    else:
        _join(course, await _delete(mail, last))
    return course


def _join(course: Course, other: Course) -> None:
    course.done.update(other.done)
    course.missing |= other.missing
    course.failed.update(other.failed)


async def _delete_those_in(mail: Mail, tree: Tree, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Course:
    """Delete for good those of the messages that are in Trash, or in Spam, now."""
    labels = await _labels_now(mail, refs)
    there = [ref for ref in refs if ref in labels and not _is_absent(tree, mailbox, labels[ref])]
    course = await _delete(mail, there)
    course.missing |= set(refs) - set(there)
    return course


async def _labels_now(mail: Mail, refs: Iterable[MessageRef]) -> dict[MessageRef, Labels]:
    """Return the labels that the messages have now; those that are gone are left out."""
    with contextlib.suppress(CursorExpired):
        await catch_up(mail)
    return dict(await mail.labels_of([ref for ref in refs if not mail.known.is_gone(ref)]))


async def _delete(mail: Mail, refs: Sequence[MessageRef]) -> Course:
    """Delete the messages for good, if the login includes that."""
    course = Course()
    if len(refs) * mail.client.cost(MESSAGES_DELETE) <= mail.client.cost(MESSAGES_BATCH_DELETE):
        calls = [BatchCall(MESSAGES_DELETE, {"id": ref}) for ref in refs]
        for ref, result in zip(refs, await mail.client.batch(calls, NoReply) if calls else (), strict=True):
            if isinstance(result, NoReply):
                course.done[ref] = None
            elif is_gone(result):
                course.missing.add(ref)
            else:
                course.failed[ref] = _not_for_good(result)
    else:
        for start in range(0, len(refs), MAX_IDS):
            chunk = refs[start : start + MAX_IDS]
            try:
                await mail.client.call(MESSAGES_BATCH_DELETE, body={"ids": list(chunk)}, reply=NoReply)
            except ConnectorError as error:
                course.fail(chunk, _not_for_good(error))
            else:
                course.done.update(dict.fromkeys(chunk))
    mail.known.forget([*course.done, *course.missing])
    return course


def _not_for_good(error: ConnectorError) -> ConnectorError:
    """Say in words why a message was not deleted, where it is for want of a scope."""
    if isinstance(error, Denied):
        return Denied(f"needs the scope https://mail.google.com/: {error.operator_text}", client_text=NOT_FOR_GOOD)
    return error
