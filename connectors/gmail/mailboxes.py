"""Making, renaming and deleting user labels, which is all that can be done to mailboxes at Gmail.

A label stands alone: "a/b" needs no "a", and renaming "a" need not rename "a/b". So a mailbox is renamed label by
label, and one that is only implied by its children is renamed with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from connectors.api.errors import AlreadyExists, ConnectorError, NotFound, OutcomeUnknown, Rejected, Unsupported
from connectors.api.types import MailboxInfo, MailboxRef, Role
from connectors.gmail.labels import Path, Tree
from connectors.gmail.mail import Mail
from connectors.gmail.methods import LABELS_CREATE, LABELS_DELETE, LABELS_PATCH
from connectors.gmail.structs import Label, NoReply
from connectors.transport.messages import Effect

MAX_NAME = 225
"""Characters of a label's name with all its parents, as Gmail's own dialogue takes them."""

_SEPARATOR = "/"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHOWN: Mapping[str, str] = {"labelListVisibility": "labelShow", "messageListVisibility": "show"}


async def create_mailbox(mail: Mail, path: Path, role: Role | None) -> MailboxInfo:
    """Make a label (5 units); parents that are not there are implied.

    Raises:
        AlreadyExists: there is one of that name, or of one that differs only in case or in what is between words.
        Unsupported: Gmail does not take the name, or a role is asked for.
    """
    if role is not None:
        raise Unsupported(f"a label cannot be for {role.value}", client_text="Gmail's special mailboxes are fixed.")
    tree = await mail.read_tree()
    there = tree.at(path)
    if there is not None and there.is_selectable:
        raise AlreadyExists(f"there is a mailbox {_SEPARATOR.join(path)!r}")
    name = _name(mail, path)
    try:
        made = await mail.client.call(LABELS_CREATE, body={"name": name, **_SHOWN}, reply=Label)
    except ConnectorError as error:
        raise _translated(error, name) from error
    return await _made(mail, made.id, path)


async def rename_mailbox(mail: Mail, mailbox: MailboxRef, path: Path) -> MailboxInfo:
    """Rename a label and those below it, each for 5 units. If one of them cannot be, none is.

    Raises:
        NotFound, AlreadyExists.
        Unsupported: it is a mailbox of Gmail's, or Gmail does not take the name.
    """
    tree = await mail.read_tree()
    info = _own(tree, mailbox)
    if path == info.path:
        return info
    if path[: len(info.path)] == info.path:
        raise Unsupported(f"{mailbox} cannot be moved below itself", client_text="A mailbox cannot be below itself.")
    there = tree.at(path)
    if there is not None and there.is_selectable:
        raise AlreadyExists(f"there is a mailbox {_SEPARATOR.join(path)!r}")
    moves: dict[str, str] = {}
    for other in tree.infos:
        if other.ref in tree.names and other.path[: len(info.path)] == info.path:
            moves[other.ref] = _name(mail, (*path, *other.path[len(info.path) :]))
    await _rename(mail, tree, moves)
    after = await mail.read_tree()
    found = after.info(mailbox) if info.is_selectable else after.at(path)
    if found is None:
        raise NotFound(f"label {mailbox!r} was deleted while it was renamed")
    return found


async def _rename(mail: Mail, tree: Tree, moves: Mapping[str, str]) -> None:
    """Rename labels, parents first; undo it if one cannot be."""
    renamed: list[str] = []
    try:
        for label_id, name in moves.items():
            try:
                await _patch(mail, label_id, name)
            except ConnectorError as error:
                raise _translated(error, name) from error
            renamed.append(label_id)
    except ConnectorError as error:
        for label_id in reversed(renamed):
            try:
                await _patch(mail, label_id, tree.names[label_id])
            except ConnectorError as failure:
                error.add_note(f"and label {label_id} keeps its new name: {failure.operator_text}")
        raise
    finally:
        mail.forget_tree()


async def _patch(mail: Mail, label_id: str, name: str) -> None:
    await mail.client.call(LABELS_PATCH, path={"id": label_id}, body={"name": name}, reply=Label)


async def delete_mailbox(mail: Mail, mailbox: MailboxRef) -> None:
    """Delete a label (5 units); its messages stay in All Mail, and the labels below it stay.

    Raises:
        NotFound.
        Unsupported: it is a mailbox of Gmail's, or only implied by those below it.
    """
    tree = await mail.read_tree()
    info = _own(tree, mailbox)
    if not info.is_selectable:
        raise Unsupported(
            f"{mailbox!r} is no label, but the parent of some",
            client_text="This mailbox is there only as long as there are mailboxes below it.",
        )
    try:
        await _delete(mail, mailbox)
    except Rejected as error:
        raise Unsupported(error.operator_text) from error
    finally:
        mail.forget_tree()


async def _delete(mail: Mail, label_id: str) -> None:
    """Delete a label. One that is not found once an answer was lost is what was deleted then."""
    path = {"id": label_id}
    try:
        await mail.client.call(LABELS_DELETE, path=path, reply=NoReply, effect=Effect.WRITE)
    except OutcomeUnknown:
        with suppress(NotFound):
            await mail.client.call(LABELS_DELETE, path=path, reply=NoReply)


def _own(tree: Tree, mailbox: MailboxRef) -> MailboxInfo:
    """Return a mailbox that is the user's.

    Raises:
        NotFound: there is none of that ref.
        Unsupported: it is Gmail's.
    """
    info = tree.info(mailbox)
    if info is None:
        raise NotFound(f"there is no label {mailbox!r}")
    below = [other for other in tree.infos if other.path[: len(info.path)] == info.path and other.is_selectable]
    if any(other.ref not in tree.names for other in below):
        raise Unsupported(f"{mailbox!r} is Gmail's own", client_text="This mailbox is Gmail's and stays as it is.")
    return info


def _name(mail: Mail, path: Path) -> str:
    """Return the label's name for a path.

    Raises:
        Unsupported: there can be no such label.
    """
    name = _SEPARATOR.join(path)
    prefix = mail.settings.prefix
    if path[: len(prefix)] == prefix:
        raise Unsupported(
            f"{name!r} is below {_SEPARATOR.join(prefix)!r}", client_text="Only Gmail's own mailboxes are there."
        )
    has_bad_part = any(not part or part != part.strip() or _SEPARATOR in part for part in path)
    if not path or has_bad_part or _CONTROL.search(name) or len(name) > MAX_NAME:
        raise Unsupported(f"{name!r} is no name for a label", client_text="Gmail does not take this name.")
    return name


async def _made(mail: Mail, label_id: str, path: Path) -> MailboxInfo:
    """Return the mailbox that a new label is.

    Raises:
        Unsupported: Gmail has named it otherwise.
    """
    try:
        tree = await mail.read_tree()
    except ConnectorError:
        mail.forget_tree()
        raise
    info = tree.info(MailboxRef(label_id))
    if info is None:
        raise NotFound(f"label {label_id!r} was deleted as soon as it was made")
    if info.path != path:
        mail.forget_tree()
        await _delete(mail, label_id)
        raise Unsupported(
            f"Gmail made {info.path!r} of {path!r}", client_text="Gmail does not take this name as it is."
        )
    return info


def _translated(error: ConnectorError, name: str) -> ConnectorError:
    """Say that it is the name that was refused: Gmail reserves some, also in other languages."""
    if isinstance(error, Rejected):
        return Unsupported(
            f"Gmail does not take {name!r} as a label: {error.operator_text}",
            client_text="Gmail does not take this name; some are reserved.",
        )
    return error
