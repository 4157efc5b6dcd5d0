"""Giving and taking labels of many messages: each by itself while that is cheaper, else a thousand in one call.

Only the former says which messages are gone and what labels they have then. The latter is silent about all that; its
results are what is known, brought up to date by the history for two units where it matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.api.errors import ConnectorError, CursorExpired, Denied, Rejected
from connectors.api.types import BatchResult, MailboxRef, MessageRef, MessageState
from connectors.gmail.batch import BatchCall
from connectors.gmail.history import catch_up
from connectors.gmail.labels import DRAFTS, Labels, Tree
from connectors.gmail.lists import ids_with
from connectors.gmail.mail import Mail, is_gone
from connectors.gmail.methods import MESSAGES_BATCH_MODIFY, MESSAGES_MODIFY
from connectors.gmail.structs import Message, NoReply

MAX_IDS: Final = 1000
"""In one call of messages.batchModify or batchDelete."""

NO_LABELS_FOR_DRAFTS: Final = "Gmail does not let drafts be flagged, marked as unread or filed."


@dataclass(slots=True)
class Course:
    """What became of the messages of one write."""

    done: dict[MessageRef, MessageState | None] = field(default_factory=dict)
    missing: set[MessageRef] = field(default_factory=set)
    failed: dict[MessageRef, ConnectorError] = field(default_factory=dict)

    def fail(self, refs: Iterable[MessageRef], error: ConnectorError) -> None:
        """Say of the messages that the write failed."""
        self.failed.update(dict.fromkeys(refs, error))

    def result(self) -> BatchResult:
        """Return it as the contract wants it."""
        return BatchResult(self.done, frozenset(self.missing), self.failed)


async def relabel(
    mail: Mail,
    tree: Tree,
    refs: Sequence[MessageRef],
    add: Labels,
    remove: Labels,
    *,
    named: Iterable[MailboxRef] = (),
    is_exact: bool = False,
) -> Course:
    """Give the messages labels and take others off; the states are those after it, as far as they are known.

    `named` are the mailboxes that must be there. With `is_exact` messages that are gone are always found out.

    Raises:
        NotFound: one of `named` is gone.
    """
    course = Course()
    wanted = list(dict.fromkeys(refs))
    if not wanted:
        return course
    try:
        if len(wanted) * mail.client.cost(MESSAGES_MODIFY) <= mail.client.cost(MESSAGES_BATCH_MODIFY):
            await _one_by_one(mail, tree, course, wanted, add, remove)
        else:
            for start in range(0, len(wanted), MAX_IDS):
                await _together(mail, tree, course, wanted[start : start + MAX_IDS], add, remove)
            if is_exact and course.done:
                await _find_missing(mail, tree, course)
        refused = next((error for error in course.failed.values() if isinstance(error, Rejected)), None)
        if refused is not None and not course.done:
            raise refused
    except Rejected as error:
        translated = await mail.refused(error, *named)
        if translated is error:
            course.fail([ref for ref in wanted if ref not in course.missing and ref not in course.failed], error)
            return course
        raise translated from error
    return course


def _body(add: Labels, remove: Labels) -> dict[str, list[str]]:
    body = {"addLabelIds": sorted(add), "removeLabelIds": sorted(remove)}
    return {key: labels for key, labels in body.items() if labels}


async def _one_by_one(
    mail: Mail, tree: Tree, course: Course, refs: Sequence[MessageRef], add: Labels, remove: Labels
) -> None:
    body = _body(add, remove)
    calls = [BatchCall(MESSAGES_MODIFY, {"id": ref}, body=body) for ref in refs]
    drafts: frozenset[MessageRef] | None = None
    since = mail.known.as_of
    for ref, result in zip(refs, await mail.client.batch(calls, Message), strict=True):
        if isinstance(result, Message):
            mail.known.learn(ref, result.labels, since)
            course.done[ref] = mail.state(tree, result)
        elif is_gone(result):
            mail.known.forget([ref])
            course.missing.add(ref)
        elif isinstance(result, Rejected) and add:
            drafts = await ids_with(mail, DRAFTS) if drafts is None else drafts
            course.failed[ref] = _no_labels(ref, result) if ref in drafts else result
        else:
            course.failed[ref] = result


async def _together(
    mail: Mail, tree: Tree, course: Course, refs: Sequence[MessageRef], add: Labels, remove: Labels
) -> None:
    drafts = [ref for ref in refs if add and DRAFTS in (mail.known.labels(ref) or ())]
    others = [ref for ref in refs if ref not in frozenset(drafts)]
    try:
        try:
            await _modify(mail, others, add, remove)
        except Rejected:
            # One draft among them has the call refused for all.
            found = await ids_with(mail, DRAFTS)
            if not add or found.isdisjoint(others):
                raise
            drafts += [ref for ref in others if ref in found]
            others = [ref for ref in others if ref not in found]
            await _modify(mail, others, add, remove)
    except ConnectorError as error:
        if not course.done:
            raise
        course.fail(refs, error)
        return
    for ref in others:
        course.done[ref] = mail.state_known(tree, ref)
    for start in range(0, len(drafts), MAX_IDS):
        await _one_by_one(mail, tree, course, drafts[start : start + MAX_IDS], add, remove)


async def _modify(mail: Mail, refs: Sequence[MessageRef], add: Labels, remove: Labels) -> None:
    if not refs:
        return
    body = {"ids": list(refs), **_body(add, remove)}
    since = mail.known.as_of
    await mail.client.call(MESSAGES_BATCH_MODIFY, body=body, reply=NoReply)
    mail.known.alter(refs, add, remove, since)


async def _find_missing(mail: Mail, tree: Tree, course: Course) -> None:
    """Learn from the history which of the messages are gone, and what became of the others."""
    try:
        await catch_up(mail)
    except CursorExpired:
        return
    course.missing.update(ref for ref in course.done if mail.known.is_gone(ref))
    course.done = {ref: mail.state_known(tree, ref) for ref in course.done if ref not in course.missing}


def _no_labels(ref: MessageRef, error: ConnectorError) -> Denied:
    return Denied(f"{ref} is a draft: {error.operator_text}", client_text=NO_LABELS_FOR_DRAFTS)
