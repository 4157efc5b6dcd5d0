"""Making, renaming and deleting folders.

A folder keeps its id whatever it is called and wherever it is. What is deleted goes to Deleted Items, where the folder
is a mailbox still, with its messages; deleted there, or with the setting `expunge` at `permanent`, it is gone for good.
That is what people who delete a folder in Outlook are used to, and IMAP asks for no more than that the name is free
(RFC 9051 section 6.3.4). The folders that Outlook itself has a use for stay as they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from connectors.api.errors import AlreadyExists, ConnectorError, NotFound, OutcomeUnknown, Rejected, Unsupported
from connectors.api.types import MailboxInfo, MailboxRef, Role
from connectors.graph.folders import Folder, Path, Tree, WellKnown, folder_path
from connectors.graph.mail import Mail
from connectors.graph.settings import ExpungeTo
from connectors.graph.structs import MailFolder
from connectors.transport.messages import Effect

MAX_NAME: Final = 255
"""Characters of one name, as Exchange takes them."""

_UNNAMABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that are in no name: controls, halves of pairs, and line breaks."""

_OWN: Final = "This mailbox is Outlook's own and stays as it is."


async def create_mailbox(mail: Mail, path: Path, role: Role | None) -> MailboxInfo:
    """Make a folder, and those above it that are missing.

    Raises:
        AlreadyExists: there is one of that name, or of one that differs only in case.
        Unsupported: Outlook does not take the name, it would be below a search folder, or a role is asked for.
    """
    if role is not None:
        raise Unsupported(f"a folder cannot be for {role.value}", client_text="Outlook's special mailboxes are fixed.")
    _check_name(path)
    tree = await mail.read_tree()
    if tree.at(path) is not None:
        raise AlreadyExists(f"there is a folder {path!r}")
    try:
        parent = await _parents(mail, tree, path)
        await _create(mail, parent, path)
    finally:
        mail.forget_tree()
    return await _found(mail, path)


async def rename_mailbox(mail: Mail, mailbox: MailboxRef, path: Path) -> MailboxInfo:
    """Give a folder another name or another place; those below it go along, and those missing above it are made.

    Raises:
        NotFound, AlreadyExists.
        Unsupported: it is Outlook's own, Outlook does not take the name, or it would be below itself.
    """
    tree = await mail.read_tree()
    folder = _changeable(tree, mailbox)
    before = folder.info.path
    if path == before:
        return folder.info
    _check_name(path)
    if path[: len(before)] == before:
        raise Unsupported(f"{before!r} cannot be below itself", client_text="A mailbox cannot be below itself.")
    there = tree.at(path)
    if there is not None:
        raise AlreadyExists(f"there is a folder {path!r}")
    try:
        parent = folder.parent if path[:-1] == before[:-1] else await _parents(mail, tree, path)
        await _rename(mail, tree, folder, parent, path)
    finally:
        mail.forget_tree()
    tree = await mail.read_tree()
    found = tree.folders.get(mailbox) or tree.at(path)
    if found is None:
        raise NotFound(f"folder {before!r} was deleted while it was renamed")
    if found.info.path != path:
        raise Unsupported(
            f"Outlook made {found.info.path!r} of {path!r}", client_text="The name is not as it was given."
        )
    return found.info


async def delete_mailbox(mail: Mail, mailbox: MailboxRef) -> None:
    """Delete a folder that has no others below it.

    Raises:
        NotFound.
        Unsupported: it is Outlook's own, or there are folders below it, which would be deleted too.
    """
    tree = await mail.read_tree()
    folder = _changeable(tree, mailbox)
    if tree.children(mailbox) or folder.child_count:
        raise Unsupported(
            f"there are folders below {folder.info.path!r}",
            client_text="The mailbox has mailboxes below it; delete those first.",
        )
    try:
        await _delete(mail, tree, folder)
    except NotFound:
        raise
    except OutcomeUnknown:
        # Asked again it would be deleted from Deleted Items too: so look first.
        mail.forget_tree()
        after = (await mail.read_tree()).folders.get(mailbox)
        if after is not None and after.parent == folder.parent:
            raise
    finally:
        mail.forget_tree()


# -- steps ------------------------------------------------------------------------------------------------------------


async def _parents(mail: Mail, tree: Tree, path: Path) -> MailboxRef | None:
    """Make the folders above that are missing; return the lowest, None for the top.

    Raises:
        Unsupported: nothing can be below one of them.
    """
    parent: MailboxRef | None = None
    for length in range(1, len(path)):
        there = tree.at(path[:length])
        if there is not None:
            if not there.info.allows_children:
                raise Unsupported(f"nothing can be below {path[:length]!r}")
            parent = there.info.ref
        else:
            parent = await _create(mail, parent, path[:length])
    return parent


async def _create(mail: Mail, parent: MailboxRef | None, path: Path) -> MailboxRef:
    where = "/mailFolders" if parent is None else f"{folder_path(parent)}/childFolders"
    try:
        made = await mail.client.call(
            "POST", where, body={"displayName": path[-1]}, reply=MailFolder, effect=Effect.WRITE
        )
    except OutcomeUnknown:
        mail.forget_tree()
        there = (await mail.read_tree()).at(path)
        if there is None:
            raise
        return there.info.ref
    except ConnectorError as error:
        raise _translated(error, path) from error
    if made.display_name is not None and made.display_name != path[-1]:
        await mail.client.call("DELETE", folder_path(made.id), effect=Effect.WRITE)
        raise Unsupported(
            f"Outlook made {made.display_name!r} of {path[-1]!r}",
            client_text="Outlook does not take this name as it is.",
        )
    return MailboxRef(made.id)


async def _rename(mail: Mail, tree: Tree, folder: Folder, parent: MailboxRef | None, path: Path) -> None:
    """Rename and move a folder, in an order in which it meets no sibling of its name; all or nothing.

    Raises:
        AlreadyExists: there is no such order, or a folder whose name differs only in case.
    """
    before, ref = folder.info.path, folder.info.ref
    steps: list[tuple[str, str]] = []
    if path[-1] != before[-1]:
        steps.append(("rename", path[-1]))
    if parent != folder.parent:
        steps.append(("move", parent or WellKnown.ROOT.value))
    if len(steps) > 1 and _has_sibling(tree, folder.parent, path[-1]):
        steps.reverse()
    undo = {"rename": ("rename", before[-1]), "move": ("move", folder.parent or WellKnown.ROOT.value)}
    done: list[str] = []
    for kind, value in steps:
        try:
            await _step(mail, ref, kind, value)
        except ConnectorError as error:
            for earlier in reversed(done):
                try:
                    await _step(mail, ref, *undo[earlier])
                except ConnectorError as failure:
                    error.add_note(f"and the first step could not be undone: {failure.operator_text}")
            raise _translated(error, path) from error
        done.append(kind)


async def _step(mail: Mail, ref: MailboxRef, kind: str, value: str) -> None:
    """Rename or move. Done twice it is as done once: the id stays."""
    path = folder_path(ref)
    try:
        if kind == "rename":
            await mail.client.call("PATCH", path, body={"displayName": value}, effect=Effect.IDEMPOTENT_WRITE)
        else:
            body = {"destinationId": value}
            await mail.client.call("POST", f"{path}/move", body=body, effect=Effect.IDEMPOTENT_WRITE)
    except (AlreadyExists, Rejected):
        # This may be the answer to a repeat, with nothing in the way but what the first has done.
        if not await _is_so(mail, ref, kind, value):
            raise


async def _is_so(mail: Mail, ref: MailboxRef, kind: str, value: str) -> bool:
    """Whether a folder is called, or is, as a step was to make it."""
    mail.forget_tree()
    try:
        folder = (await mail.read_tree()).folders.get(ref)
    except ConnectorError:
        return False
    if folder is None:
        return False
    return (folder.info.path[-1] if kind == "rename" else folder.parent or WellKnown.ROOT.value) == value


async def _delete(mail: Mail, tree: Tree, folder: Folder) -> None:
    path = folder_path(folder.info.ref)
    if mail.settings.expunge is ExpungeTo.PERMANENT:
        await mail.client.call("POST", f"{path}/permanentDelete", effect=Effect.WRITE)
        return
    try:
        await mail.client.call("DELETE", path, effect=Effect.WRITE)
    except AlreadyExists:
        # One of that name was deleted before.
        trash = tree.places.get(WellKnown.TRASH)
        await _step(mail, folder.info.ref, "rename", _free(tree, (folder.parent, trash), folder.info.path[-1]))
        await mail.client.call("DELETE", path, effect=Effect.WRITE)


def _free(tree: Tree, parents: Sequence[MailboxRef | None], name: str) -> str:
    """Return a name like this one that nothing in these folders has."""
    number = 2
    while any(_has_sibling(tree, parent, f"{name} ({number})") for parent in parents):
        number += 1
    return f"{name} ({number})"


def _has_sibling(tree: Tree, parent: MailboxRef | None, name: str) -> bool:
    return any(child.info.path[-1].casefold() == name.casefold() for child in tree.children(parent))


def _changeable(tree: Tree, mailbox: MailboxRef) -> Folder:
    """Return a folder that is the user's.

    Raises:
        NotFound: there is none of that ref.
        Unsupported: it is Outlook's.
    """
    folder = tree.folders.get(mailbox)
    if folder is None:
        raise NotFound(f"there is no folder {mailbox!r}")
    if tree.is_well_known(mailbox) or folder.is_search:
        raise Unsupported(f"{folder.info.path!r} is Outlook's own", client_text=_OWN)
    return folder


def _check_name(path: Path) -> None:
    """Make sure that there can be such a folder.

    Raises:
        Unsupported: there cannot.
    """
    for name in path:
        kinds = {unicodedata.category(char) for char in name}
        # Joiners (Cf) belong to words in some scripts, and to emoji; alone they show nothing.
        is_seen = bool(name.strip()) and kinds != {"Cf"} and kinds.isdisjoint(_UNNAMABLE)
        if not is_seen or name != name.strip() or len(name) > MAX_NAME:
            raise Unsupported(f"{name!r} is no name for a folder", client_text="Outlook does not take this name.")
    if not path or (path[0].upper() == "INBOX" and path[0] != "INBOX"):
        raise Unsupported(f"{path!r} is no name for a folder", client_text="Outlook does not take this name.")


async def _found(mail: Mail, path: Path) -> MailboxInfo:
    found = (await mail.read_tree()).at(path)
    if found is None:
        raise NotFound(f"folder {path!r} was deleted as soon as it was made")
    return found.info


def _translated(error: ConnectorError, path: Path) -> ConnectorError:
    """Say that it is the name that was refused."""
    if isinstance(error, Rejected):
        return Unsupported(
            f"Outlook does not take {path!r} as a folder: {error.operator_text}",
            client_text="Outlook does not take this name.",
        )
    return error
