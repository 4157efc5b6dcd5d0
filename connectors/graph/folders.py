"""The tree of folders: which are mailboxes, what they are for and what they are called.

Graph tells the children of one folder at a time, so the tree is read level by level, with the folders of a level in
batches. What a folder is for is told by ids: a folder may be asked for by a well-known name in whatever language the
mailbox is. The root itself is never told of among its children. Names are those of Outlook, INBOX apart; of folders of
one name, which may come about by synchronisation, all but one get a number.

A search folder shows messages that are elsewhere; it can be read, and nothing else.
Source: reference of mailFolder; MS-OXOSFLD for the class of a folder.
"""

from __future__ import annotations

import contextlib
import enum
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import msgspec

from connectors.api.errors import ConnectorError, Denied, NotFound, Rejected
from connectors.api.types import MailboxInfo, MailboxRef, Role
from connectors.graph.client import BatchItem, GraphClient
from connectors.graph.flags import DRAFT_FLAGS, FLAGS, expand
from connectors.graph.items import decode_item, decode_items
from connectors.graph.structs import MailFolder, Page

Path = tuple[str, ...]


class WellKnown(enum.Enum):
    """The folders that Outlook itself has a use for, by the names under which they may be asked for."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sentitems"
    TRASH = "deleteditems"
    JUNK = "junkemail"
    ARCHIVE = "archive"
    CLUTTER = "clutter"
    CONFLICTS = "conflicts"
    CONVERSATIONS = "conversationhistory"
    LOCAL_FAILURES = "localfailures"
    ROOT = "msgfolderroot"
    OUTBOX = "outbox"
    RECOVERABLE = "recoverableitemsdeletions"
    SCHEDULED = "scheduled"
    SEARCH_FOLDERS = "searchfolders"
    SERVER_FAILURES = "serverfailures"
    SYNC_ISSUES = "syncissues"


PAGE: Final = 250
"""Folders in one page."""

_ROLES: Final[Mapping[WellKnown, Role]] = {
    WellKnown.INBOX: Role.INBOX,
    WellKnown.DRAFTS: Role.DRAFTS,
    WellKnown.SENT: Role.SENT,
    WellKnown.TRASH: Role.TRASH,
    WellKnown.JUNK: Role.JUNK,
    WellKnown.ARCHIVE: Role.ARCHIVE,
}
_CLASS: Final = "String 0x3613"
_MAIL_CLASS: Final = "ipf.note"
_SELECT: Final = "id,displayName,parentFolderId,childFolderCount,totalItemCount,unreadItemCount,isHidden"
_SEARCH: Final = "mailsearchfolder"
_MAILBOX_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_DEPTH: Final = 300
"""Levels below the root, as Exchange allows; a tree that is deeper leads in a circle."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as a mailbox. `count` is of items of all types at the time of reading, if it was told.

    `is_as_shown` says that the last component of its path is its name at Exchange, and that it is there below what it
    is below here.
    """

    info: MailboxInfo
    parent: MailboxRef | None
    count: int | None
    unread: int | None
    is_search: bool
    child_count: int
    is_as_shown: bool = True


@dataclass(frozen=True, slots=True)
class Tree:
    """The mailboxes. `places` says which are well-known; `number` is that of the reading, and rises."""

    folders: Mapping[MailboxRef, Folder]
    places: Mapping[WellKnown, MailboxRef]
    number: int = 0

    @property
    def infos(self) -> tuple[MailboxInfo, ...]:
        """The mailboxes, parents before children, INBOX first."""
        return tuple(folder.info for folder in self.folders.values())

    def at(self, path: Path) -> Folder | None:
        """Return the mailbox of that path."""
        return next((folder for folder in self.folders.values() if folder.info.path == path), None)

    def children(self, ref: MailboxRef | None) -> list[Folder]:
        """Return the mailboxes directly below one, or those at the top."""
        return [folder for folder in self.folders.values() if folder.parent == ref]

    def is_well_known(self, ref: MailboxRef) -> bool:
        """Whether Outlook itself has a use for the folder."""
        return ref in self.places.values()

    def is_below(self, ref: MailboxRef, ancestor: MailboxRef) -> bool:
        """Whether one mailbox is below another, however far."""
        seen = set[MailboxRef]()
        folder = self.folders.get(ref)
        while folder is not None and folder.parent is not None and folder.parent not in seen:
            if folder.parent == ancestor:
                return True
            seen.add(folder.parent)
            folder = self.folders.get(folder.parent)
        return False


def folder_path(ref: str) -> str:
    """Return the path of a folder at Graph."""
    return f"/mailFolders/{quote(ref, safe='')}"


async def read_places(client: GraphClient) -> dict[WellKnown, MailFolder]:
    """Return the well-known folders that there are (a batch of one call each).

    Raises:
        ConnectorError: there is no telling of one of them.
    """
    names = list(WellKnown)
    items = [BatchItem("GET", folder_path(name.value), [("$select", _SELECT)]) for name in names]
    found: dict[WellKnown, MailFolder] = {}
    for name, result in zip(names, await client.batch(items, msgspec.Raw), strict=True):
        if isinstance(result, ConnectorError):
            # Somebody else's mailbox may show only some of its folders, and personal ones do not know all names.
            if name is WellKnown.INBOX or not isinstance(result, NotFound | Denied | Rejected):
                raise result
            continue
        folder = decode_item(bytes(result), MailFolder)
        if folder is not None:
            found[name] = folder
    return found


async def read_folders(client: GraphClient, *, hidden: bool) -> list[MailFolder]:
    """Return all folders below the root, parents before children.

    All or none: of a folder that is not told the gateway would think that it is gone.
    """
    query = [("$top", str(PAGE)), ("$select", _SELECT), ("$expand", expand(_CLASS))]
    query += [("includeHiddenFolders", "true")] if hidden else []
    level = await _all(client, "/mailFolders", query)
    found = {folder.id: folder for folder in level}
    for _ in range(_DEPTH):
        parents = [folder for folder in level if folder.child_folder_count]
        if not parents:
            break
        level = [child for child in await _below(client, parents, query) if child.id not in found]
        found.update((child.id, child) for child in level)
    return list(found.values())


async def children_of(client: GraphClient, parent: MailFolder, *, hidden: bool) -> list[MailFolder]:
    """Return the folders directly below one."""
    query = [("$top", str(PAGE)), ("$select", _SELECT), ("$expand", expand(_CLASS))]
    query += [("includeHiddenFolders", "true")] if hidden else []
    return await _below(client, [parent], query)


async def _below(
    client: GraphClient, parents: Sequence[MailFolder], query: Sequence[tuple[str, str]]
) -> list[MailFolder]:
    items = [BatchItem("GET", f"{folder_path(parent.id)}/childFolders", query) for parent in parents]
    found: list[MailFolder] = []
    for result in await client.batch(items, Page[msgspec.Raw]):
        if isinstance(result, NotFound):
            # Deleted since its parent was read, and those below with it.
            continue
        if isinstance(result, ConnectorError):
            raise result
        found += decode_items(result.value, MailFolder)
        if result.next_link is not None:
            found += await _all(client, result.next_link, ())
    return found


async def _all(client: GraphClient, path_or_link: str, query: Sequence[tuple[str, str]]) -> list[MailFolder]:
    found: list[MailFolder] = []
    pages = client.pages(path_or_link, query=query, page_size=PAGE, reply=Page[msgspec.Raw])
    assert isinstance(pages, AsyncGenerator)
    async with contextlib.aclosing(pages):
        async for page in pages:
            found += decode_items(page.value, MailFolder)
    return found


def build_tree(folders: Iterable[MailFolder], places: Mapping[WellKnown, MailFolder], number: int = 0) -> Tree:
    """Make mailboxes of the folders. Folders of other things than mail are left out, but not what is below them."""
    root = places.get(WellKnown.ROOT)
    found = {folder.id: folder for folder in folders}
    inbox = places.get(WellKnown.INBOX)
    if inbox is not None:
        # In somebody else's mailbox the root may be out of reach, and INBOX not.
        found.setdefault(inbox.id, inbox)
    if root is not None:
        found.pop(root.id, None)
    known = {folder.id: name for name, folder in places.items()}
    shown = {folder.id: folder for folder in found.values() if _is_mail(folder)}
    below: dict[str | None, list[MailFolder]] = {}
    for folder in shown.values():
        below.setdefault(_parent(folder, found, shown), []).append(folder)
    built: dict[MailboxRef, Folder] = {}

    def add(parent: str | None, path: Path) -> None:
        taken: set[str] = set()
        siblings = below.get(parent, [])
        # Outlook's own keep their names, and the others keep them from one reading to the next.
        for folder in sorted(
            siblings, key=lambda each: (known.get(each.id) is not WellKnown.INBOX, each.id not in known, each.id)
        ):
            name = "INBOX" if known.get(folder.id) is WellKnown.INBOX else _free(_name(folder), taken, is_top=not path)
            taken.add(name)
            ref = MailboxRef(folder.id)
            is_as_shown = name in (folder.display_name, "INBOX") and _is_shown_there(folder, found, shown)
            built[ref] = _folder(folder, known.get(folder.id), (*path, name), parent, is_as_shown)
            add(folder.id, (*path, name))

    add(None, ())
    refs = {name: MailboxRef(folder.id) for name, folder in places.items()}
    return Tree(built, refs, number)


def _parent(folder: MailFolder, found: Mapping[str, MailFolder], shown: Mapping[str, MailFolder]) -> str | None:
    """Return the nearest folder above that is a mailbox; None at the top."""
    seen = {folder.id}
    parent = folder.parent_folder_id
    while parent is not None and parent in found and parent not in seen:
        if parent in shown:
            return parent
        seen.add(parent)
        parent = found[parent].parent_folder_id
    return None


def _is_shown_there(folder: MailFolder, found: Mapping[str, MailFolder], shown: Mapping[str, MailFolder]) -> bool:
    """Tell whether the folder that it is in is a mailbox, or the root."""
    return folder.parent_folder_id not in found or folder.parent_folder_id in shown


def _is_mail(folder: MailFolder) -> bool:
    for each in folder.single_value_extended_properties or ():
        if each.id.casefold().startswith("string") and each.value:
            return each.value.casefold().startswith(_MAIL_CLASS)
    return True


def _name(folder: MailFolder) -> str:
    return folder.display_name or f"({folder.id[-8:]})"


def _free(name: str, taken: set[str], *, is_top: bool) -> str:
    """Return the name, or one like it that no sibling has; INBOX is INBOX in whatever case (RFC 9051 section 5.1)."""
    is_inbox = is_top and name.upper() == "INBOX"
    if name not in taken and not is_inbox:
        return name
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"


def _folder(folder: MailFolder, place: WellKnown | None, path: Path, parent: str | None, is_as_shown: bool) -> Folder:
    is_search = (folder.odata_type or "").casefold().endswith(_SEARCH)
    info = MailboxInfo(
        MailboxRef(folder.id),
        path,
        _ROLES.get(place) if place is not None else None,
        allows_children=not is_search,
        is_read_only=is_search,
        storable_flags=DRAFT_FLAGS if place is WellKnown.DRAFTS else FLAGS,
        any_keyword=True,
        mailbox_id=folder.id if _MAILBOX_ID.fullmatch(folder.id) else None,
    )
    return Folder(
        info,
        MailboxRef(parent) if parent is not None else None,
        folder.total_item_count,
        folder.unread_item_count,
        is_search,
        folder.child_folder_count or 0,
        is_as_shown,
    )
