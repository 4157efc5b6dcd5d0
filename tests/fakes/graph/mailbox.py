"""One mailbox: folders, messages, and the journal of each folder. Knows nothing of HTTP."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from tests.fakes.graph import mapi
from tests.fakes.graph.content import Content
from tests.fakes.graph.errors import ApiError, cannot_delete, folder_exists, malformed_id, misuse, not_found
from tests.fakes.graph.ids import Ids
from tests.fakes.graph.options import Clock, GraphOptions
from tests.fakes.graph.records import MAIL_CLASS, NOT_FLAGGED, Entry, Folder, Kind, Message, to_ms

ROOT: Final = "msgfolderroot"
RECOVERABLE: Final = "recoverableitemsdeletions"
# Name, display name, folder class, hidden; those that every mailbox has from the start.
_STANDARD: Final = (
    ("inbox", "Inbox", MAIL_CLASS, False),
    ("drafts", "Drafts", MAIL_CLASS, False),
    ("sentitems", "Sent Items", MAIL_CLASS, False),
    ("deleteditems", "Deleted Items", MAIL_CLASS, False),
    ("junkemail", "Junk Email", MAIL_CLASS, False),
    ("archive", "Archive", MAIL_CLASS, False),
    ("outbox", "Outbox", MAIL_CLASS, False),
    ("conversationhistory", "Conversation History", MAIL_CLASS, False),
    ("syncissues", "Sync Issues", MAIL_CLASS, True),
)
_BELOW: Final = (("conflicts", "Conflicts"), ("localfailures", "Local Failures"), ("serverfailures", "Server Failures"))
WELL_KNOWN: Final = frozenset({
    "archive", "clutter", "conflicts", "conversationhistory", "deleteditems", "drafts", "inbox", "junkemail",
    "localfailures", "msgfolderroot", "outbox", "recoverableitemsdeletions", "scheduled", "searchfolders", "sentitems",
    "serverfailures", "syncissues",
})  # fmt: skip


class Mailbox:
    """All that one user has. `listeners` are called with folder, message and what happened after each change."""

    def __init__(self, address: str, name: str, options: GraphOptions, clock: Clock) -> None:
        self.address = address
        self.name = name
        self.options = options
        self.quirks = options.quirks
        self.ids = Ids(address)
        self.chance = random.Random(f"{options.seed} {address}")
        self.messages: dict[int, Message] = {}
        self.folders: dict[int, Folder] = {}
        self.well_known: dict[str, Folder] = {}
        self.by_message_id: dict[str, list[int]] = {}
        self.categories: list[dict[str, str]] = []
        self.listeners: list[Callable[[Folder, Message, Kind], None]] = []
        self.folder_log: list[tuple[int, int, bool]] = []
        self.purged: set[int] = set()
        self._clock = clock
        self._numbers = itertools.count(1)
        self._folder_numbers = itertools.count(1)
        self._sequence = itertools.count(1)
        self._changes = itertools.count(1)
        self.root = self._new_folder("Top of Information Store", None, well_known=ROOT)
        for known, shown, folder_class, is_hidden in _STANDARD:
            self._new_folder(shown, self.root, folder_class, known, is_hidden=is_hidden)
        for known, shown in _BELOW:
            self._new_folder(shown, self.well_known["syncissues"], well_known=known)
        # Neither is below the root of what a user sees.
        self.deletions = self._new_folder("Deletions", None, well_known=RECOVERABLE, is_hidden=True)
        self.searches = self._new_folder("Finder", None, well_known="searchfolders", is_hidden=True)

    # -- reading -----------------------------------------------------------------------------------------------

    def folder(self, text: str) -> Folder:
        """Return a folder by id or well-known name. Raises ApiError: 400 for what is no id, 404."""
        if text.lower() in WELL_KNOWN:
            found = self.well_known.get(text.lower())
        else:
            number = self.ids.read_folder(text)
            if number is None:
                raise malformed_id()
            found = self.folders.get(number)
        if found is None:
            raise not_found()
        return found

    def message(self, text: str) -> Message:
        """Return a message by either form of its id. Raises ApiError: 400 for what is no id, 404."""
        _, message = self._find(text)
        if message is None or (message.deleted_from is not None and not self.quirks.deleted_are_found):
            raise not_found()
        return message

    def to_delete(self, text: str, is_immutable: bool) -> Message:
        """Return a message that is to be deleted. Raises ApiError: 403 for one that is so already, or 404."""
        number, message = self._find(text)
        if message is None:
            if number in self.purged and is_immutable:
                raise cannot_delete()
            raise not_found()
        if message.deleted_from is not None:
            raise cannot_delete() if is_immutable else not_found()
        return message

    def _find(self, text: str) -> tuple[int, Message | None]:
        said = self.ids.read_message(text)
        if said is None:
            raise malformed_id()
        message = self.messages.get(said.number)
        if message is not None and said.moves is not None and said.moves != message.moves & 0xFFF:
            # The classic id of a message that was moved since.
            return said.number, None
        return said.number, message

    def with_message_id(self, message_id: str) -> list[Message]:
        """Return the messages with that Message-ID, brackets and all."""
        found = [self.messages[number] for number in self.by_message_id.get(message_id, ()) if number in self.messages]
        return [each for each in found if each.deleted_from is None]

    def in_folder(self, folder: Folder) -> list[Message]:
        """Return the messages of a folder, newest first; a search folder's are found anew."""
        if folder.search_query is not None:
            return sorted(self._searched(), key=lambda message: message.key, reverse=True)
        return [self.messages[number] for _, number in reversed(folder.order)]

    def everything(self) -> list[Message]:
        """Return all messages but those that are deleted, newest first."""
        found = [each for each in self.messages.values() if each.deleted_from is None]
        return sorted(found, key=lambda message: message.key, reverse=True)

    def _searched(self) -> Iterator[Message]:
        for message in self.messages.values():
            if not message.is_read and message.deleted_from is None and message.folder.is_below(self.root):
                yield message

    def count(self, folder: Folder) -> tuple[int, int]:
        """Return how many items a folder says it has, and how many of them are unread."""
        if folder.search_query is not None:
            found = sum(1 for _ in self._searched())
            return found, found
        return len(folder.order) + folder.strangers, folder.unread

    # -- folders -----------------------------------------------------------------------------------------------

    def create_folder(
        self,
        name: str,
        parent: Folder | None = None,
        *,
        is_hidden: bool = False,
        folder_class: str = MAIL_CLASS,
        search_query: str | None = None,
    ) -> Folder:
        """Make a folder, below the root unless `parent` is given. Raises ApiError (400, 409)."""
        above = parent or self.root
        self._check_name(name, above)
        folder = self._new_folder(name, above, folder_class, is_hidden=is_hidden, search_query=search_query)
        self._log_folder(folder)
        self._log_folder(above)
        return folder

    def rename_folder(self, folder: Folder, name: str) -> None:
        """Give a folder another name. Raises ApiError (400, 403, 409)."""
        above = self._movable(folder)
        if name.lower() != folder.name.lower():
            self._check_name(name, above)
        del above.children[folder.name.lower()]
        folder.name = name
        above.children[name.lower()] = folder
        self._log_folder(folder)

    def move_folder(self, folder: Folder, parent: Folder) -> None:
        """Put a folder below another. Raises ApiError (400, 403, 409)."""
        above = self._movable(folder)
        if parent.is_below(folder):
            raise ApiError(400, "ErrorMoveCopyFailed", "A folder cannot be moved into itself.")
        if parent is above:
            return
        self._check_name(folder.name, parent)
        del above.children[folder.name.lower()]
        folder.parent = parent
        parent.children[folder.name.lower()] = folder
        for each in (folder, above, parent):
            self._log_folder(each)

    def copy_folder(self, folder: Folder, parent: Folder) -> Folder:
        """Copy a folder with all in it. Raises ApiError (400, 409)."""
        if parent.is_below(folder):
            raise ApiError(400, "ErrorMoveCopyFailed", "A folder cannot be copied into itself.")
        made = self.create_folder(folder.name, parent, is_hidden=folder.is_hidden, folder_class=folder.folder_class)
        for message in [self.messages[number] for _, number in folder.order]:
            self.copy(message, made)
        for child in list(folder.children.values()):
            self.copy_folder(child, made)
        return made

    def delete_folder(self, folder: Folder, *, is_purge: bool = False) -> None:
        """Delete a folder: into Deleted Items, or for good if it is there already. Raises ApiError (403)."""
        above = self._movable(folder)
        trash = self.well_known["deleteditems"]
        if not is_purge and not folder.is_below(trash):
            name = folder.name
            if name.lower() in trash.children:
                numbered = (f"{folder.name}{number}" for number in itertools.count(1))
                name = next(one for one in numbered if one.lower() not in trash.children)
            del above.children[folder.name.lower()]
            folder.name, folder.parent = name, trash
            trash.children[name.lower()] = folder
            for each in (folder, above, trash):
                self._log_folder(each)
            return
        for child in list(folder.children.values()):
            self.delete_folder(child, is_purge=True)
        for _, number in list(folder.order):
            self.purge(self.messages[number])
        del above.children[folder.name.lower()]
        del self.folders[folder.number]
        self.folder_log.append((next(self._sequence), folder.number, True))
        self._log_folder(above)

    def _new_folder(
        self,
        name: str,
        parent: Folder | None,
        folder_class: str = MAIL_CLASS,
        well_known: str | None = None,
        *,
        is_hidden: bool = False,
        search_query: str | None = None,
    ) -> Folder:
        folder = Folder(next(self._folder_numbers), name, parent, folder_class, well_known, is_hidden, search_query)
        self.folders[folder.number] = folder
        if parent is not None:
            parent.children[name.lower()] = folder
        if well_known is not None:
            self.well_known[well_known] = folder
        return folder

    def _check_name(self, name: str, parent: Folder) -> None:
        if not name or not name.strip() or len(name) > 255:
            raise misuse("ErrorInvalidRequest", "The name of a folder has 1 to 255 characters.")
        if name.lower() in parent.children:
            raise folder_exists(name)

    def _movable(self, folder: Folder) -> Folder:
        if folder.parent is None or folder.well_known is not None:
            raise ApiError(403, "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be moved or deleted.")
        return folder.parent

    def _log_folder(self, folder: Folder) -> None:
        folder.changed = next(self._sequence)
        self.folder_log.append((folder.changed, folder.number, False))

    # -- messages ----------------------------------------------------------------------------------------------

    def fill(self, messages: Iterable[Message]) -> None:
        """Add many messages that were always there; none is told as a change."""
        for message in messages:
            self.messages[message.number] = message
            message.folder.order.append(message.key)
            message.folder.unread += not message.is_read
            self._index(message)
        for folder in self.folders.values():
            folder.order.sort()

    def next_number(self) -> int:
        """Return a number for a new message."""
        return next(self._numbers)

    def next_change(self) -> int:
        """Return a number for a new state of a message."""
        return next(self._changes)

    def add(
        self,
        content: Content,
        folder: Folder,
        *,
        received: datetime | None = None,
        is_read: bool = False,
        is_draft: bool = False,
        has_transport: bool = True,
        extended: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Message:
        """Put a new message into a folder."""
        now = to_ms(self._clock.now())
        message = Message(
            next(self._numbers), folder, content, now if received is None else to_ms(received), now, now,
            self.next_change(), is_read, is_draft, has_transport=has_transport,
            extended=dict(extended) if extended else None, **more,
        )  # fmt: skip
        self.messages[message.number] = message
        self._index(message)
        self._enter(message, folder, is_move=False)
        return message

    def change(self, message: Message, properties: Iterable[str], **values: Any) -> None:
        """Set attributes of a message; `properties` are Graph's names of what is changed by that."""
        changed = frozenset(properties)
        if "is_read" in values and values["is_read"] != message.is_read:
            message.folder.unread += 1 if message.is_read else -1
        before = message.content.envelope.message_id
        for name, value in values.items():
            setattr(message, name, value)
        if message.content.envelope.message_id != before:
            self.by_message_id.get(before, []).remove(message.number)
            self._index(message)
        message.change = self.next_change()
        if changed - {"isRead"}:
            # A toggle of isRead leaves the time of the last modification as it is.
            message.modified_ms = to_ms(self._clock.now())
        self._note(message, message.folder, Kind.CHANGED, changed)

    def move(self, message: Message, folder: Folder) -> None:
        """Move a message. Its classic id is another one then."""
        self._check_target(folder)
        if folder is message.folder:
            return
        self._leave(message, is_move=True)
        message.moves += 1
        self._enter(message, folder, is_move=True)

    def copy(self, message: Message, folder: Folder) -> Message:
        """Copy a message with all its marks."""
        self._check_target(folder)
        return self.add(
            message.content, folder, received=message.received, is_read=message.is_read, is_draft=message.is_draft,
            has_transport=message.has_transport, extended=message.extended, flag=message.flag,
            categories=message.categories, importance=message.importance, inference=message.inference,
            odata_type=message.odata_type,
        )  # fmt: skip

    def delete(self, message: Message) -> None:
        """Delete a message; it stays recoverable, in a folder of its own."""
        before = message.folder
        self._leave(message, is_move=False)
        message.deleted_from = before
        self._enter(message, self.deletions, is_move=False)

    def purge(self, message: Message) -> None:
        """Delete a message for good."""
        self._leave(message, is_move=False)
        del self.messages[message.number]
        self.purged.add(message.number)
        known = self.by_message_id.get(message.content.envelope.message_id, [])
        if message.number in known:
            known.remove(message.number)

    def expire(self, folder: Folder | None, status: int) -> None:
        """Let the delta tokens of a folder, or of all, be forgotten; they are refused with `status`."""
        for each in [folder] if folder is not None else list(self.folders.values()):
            each.epoch += 1
            each.expired_status = status

    def _check_target(self, folder: Folder) -> None:
        if folder.search_query is not None or folder is self.root:
            raise ApiError(400, "ErrorMoveCopyFailed", "Messages cannot be put into that folder.")

    def _index(self, message: Message) -> None:
        known = self.by_message_id.setdefault(message.content.envelope.message_id, [])
        known.append(message.number)

    def _leave(self, message: Message, *, is_move: bool) -> None:
        folder = message.folder
        del folder.order[bisect.bisect_left(folder.order, message.key)]
        folder.unread -= not message.is_read
        self._note(message, folder, Kind.REMOVED, frozenset(), is_move=is_move)

    def _enter(self, message: Message, folder: Folder, *, is_move: bool) -> None:
        message.folder = folder
        bisect.insort(folder.order, message.key)
        folder.unread += not message.is_read
        message.change = self.next_change()
        self._note(message, folder, Kind.ADDED, frozenset(), is_move=is_move)

    def _note(
        self, message: Message, folder: Folder, kind: Kind, properties: frozenset[str], *, is_move: bool = False
    ) -> None:
        folder.journal.append(Entry(next(self._sequence), message.number, kind, properties, is_move, message.moves))
        for listener in self.listeners:
            listener(folder, message, kind)


def flag_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a `followupFlag` as it is kept."""
    if not given or given.get("flagStatus", "notFlagged") == "notFlagged":
        return NOT_FLAGGED
    return dict(given)


def starts_as_draft(extended: Mapping[str, str]) -> bool:
    """Tell whether a message made from JSON is a draft: unless its message flags lack the bit for unsent."""
    flags = extended.get(mapi.MESSAGE_FLAGS)
    return flags is None or bool(int(flags) & mapi.UNSENT_BIT)
