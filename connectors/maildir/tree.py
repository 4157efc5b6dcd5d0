"""The folders of a Maildir: which there are, making, renaming and deleting them, their subscriptions and roles.

Everything here blocks and is called in a thread.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath

from connectors.api.errors import AlreadyExists, Denied, NotFound, Unavailable, Unsupported
from connectors.api.types import SYSTEM_FLAGS, MailboxInfo, MailboxRef, Role
from connectors.maildir import keywords, subscriptions
from connectors.maildir.disk import Disk, read_text
from connectors.maildir.filename import UniqueNames
from connectors.maildir.folder import Folder
from connectors.maildir.names import INBOX, INBOX_REF, MAILDIR_PARTS, ROLES_FILE, SUBSCRIPTIONS_FILE, Layout, Path

TRASH_PREFIX = "..removed-"
DEEPEST = 64

ROLE_NAMES = {
    Role.DRAFTS: ("drafts",),
    Role.SENT: ("sent", "sent messages", "sent items", "sent mail"),
    Role.TRASH: ("trash", "deleted messages", "deleted items", "bin"),
    Role.JUNK: ("junk", "spam", "junk e-mail", "junk email"),
    Role.ARCHIVE: ("archive", "archives"),
}


@dataclass(slots=True)
class Tree:
    """The folders below `root`. A mailbox's ref is its directory below the root, and `INBOX` for the root itself."""

    root: str
    layout: Layout
    disk: Disk
    names: UniqueNames = field(default_factory=UniqueNames)
    _folders: dict[MailboxRef, Folder] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def open(self, *, is_created: bool) -> None:
        """Make sure that there is a Maildir, and clear away what a crash left behind.

        Raises:
            Unavailable: there is none, and none is to be created.
        """
        if not self.is_there():
            if not is_created:
                raise Unavailable(f"{self.root} is no Maildir")
            self._make_maildir(self.root)
        with os.scandir(self.root) as found:
            leftovers = [each.path for each in found if each.name.startswith(TRASH_PREFIX)]
        for path in leftovers:
            shutil.rmtree(path, ignore_errors=True)
        for directory in self.directories():
            Folder(self._path(directory), self.disk, self.names).sweep()

    def is_there(self) -> bool:
        """Tell whether the Maildir is there at all; its disk may not be mounted."""
        return os.path.isdir(os.path.join(self.root, "cur"))

    def folder(self, ref: MailboxRef) -> Folder:
        """Return the folder of a mailbox; the same object for the same mailbox.

        Raises:
            NotFound: a ref that no mailbox has.
        """
        with self._lock:
            if ref not in self._folders:
                directory = self._directory(ref)
                if not os.path.isdir(os.path.join(self._path(directory), "cur")):
                    raise NotFound(f"no mailbox {ref!r} in {self.root}")
                self._folders[ref] = Folder(self._path(directory), self.disk, self.names)
            return self._folders[ref]

    # -- listing ------------------------------------------------------------------------------------------------------

    def directories(self, *, is_lax: bool = False) -> list[str]:
        """Return the directories of all mailboxes below the root, "" for INBOX; with `is_lax`, unfinished ones too."""
        below = self._maildirpp(is_lax) if self.layout is Layout.MAILDIRPP else self._fs("", 0, is_lax)
        return ["", *below]

    def places(self) -> dict[str, MailboxRef]:
        """Return what there is to watch: the directories of all mailboxes, even half made, with the mailbox each is."""
        return {self._path(directory): _ref(directory) for directory in self.directories(is_lax=True)}

    def mailboxes(self) -> list[MailboxInfo]:
        """Return all mailboxes, INBOX first, parents before children."""
        paths = {
            path: directory for directory in self.directories() if (path := self.layout.path(directory)) is not None
        }
        roles = self._roles(paths)
        subscribed = self._subscribed()
        ordered = sorted(paths, key=lambda path: (path != INBOX, path))
        return [self._info(path, paths[path], roles.get(path), subscribed) for path in ordered]

    def info(self, path: Path) -> MailboxInfo:
        """Return the mailbox of that name.

        Raises:
            NotFound: there is none.
        """
        found = next((info for info in self.mailboxes() if info.path == path), None)
        if found is None:
            raise NotFound(f"no mailbox {path!r} in {self.root}")
        return found

    def _info(self, path: Path, directory: str, role: Role | None, subscribed: frozenset[str] | None) -> MailboxInfo:
        words = keywords.read(self._path(directory))
        return MailboxInfo(
            ref=_ref(directory),
            path=path,
            role=role,
            is_selectable=os.path.isdir(os.path.join(self._path(directory), "cur")),
            is_subscribed=subscribed is None or self._subscription_name(directory) in subscribed,
            storable_flags=SYSTEM_FLAGS | words.known,
            any_keyword=words.has_room,
        )

    def _maildirpp(self, is_lax: bool) -> Iterator[str]:
        with os.scandir(self.root) as found:
            for each in found:
                is_folder = each.name.startswith(".") and not each.name.startswith("..")
                if is_folder and os.path.isdir(each.path if is_lax else os.path.join(each.path, "cur")):
                    yield each.name

    def _fs(self, parent: str, depth: int, is_lax: bool) -> Iterator[str]:
        if depth == DEEPEST:  # a symbolic link that leads back up
            return
        try:
            with os.scandir(self._path(parent)) as found:
                names = sorted(each.name for each in found if not each.name.startswith(".") and each.is_dir())
        except FileNotFoundError:
            if parent == "":
                raise
            return  # deleted by another program just now
        for name in names:
            if name not in MAILDIR_PARTS:
                directory = f"{parent}/{name}" if parent else name
                below = list(self._fs(directory, depth + 1, is_lax))
                if below or is_lax or os.path.isdir(os.path.join(self._path(directory), "cur")):
                    yield directory
                    yield from below

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, path: Path, role: Role | None) -> MailboxInfo:
        """Create a mailbox.

        Raises:
            AlreadyExists, Unsupported.
        """
        directory = self.layout.directory(path)
        with self._lock:
            existing = {info.path: info for info in self.mailboxes()}
            if path in existing and existing[path].is_selectable:
                raise AlreadyExists(f"mailbox {path!r} exists in {self.root}")
            if role is not None and (role is Role.INBOX or any(info.role is role for info in existing.values())):
                raise Unsupported(f"another mailbox of {self.root} has the role {role.value}")
            self._make_maildir(self._path(directory))
            if role is not None:
                self._write_roles(lambda roles: {**roles, directory: role})
            return self.info(path)

    def rename(self, ref: MailboxRef, path: Path) -> MailboxInfo:
        """Rename a mailbox and those below it; roles go along, and what was subscribed is so under both names.

        Raises:
            AlreadyExists, NotFound.
            Unsupported: INBOX, or into itself, or a name that cannot be.
        """
        old, new = self._directory(ref), self.layout.directory(path)
        separator = self.layout.separator
        with self._lock:
            existing = self.directories()
            if old not in existing:
                raise NotFound(f"no mailbox {ref!r} in {self.root}")
            if old == "" or new.startswith(old + separator):
                raise Unsupported(f"cannot rename {ref!r} to {path!r}")
            moved = {
                name: new + name[len(old) :] for name in existing if name == old or name.startswith(old + separator)
            }
            if new == "" or any(os.path.lexists(self._path(target)) for target in moved.values()):
                raise AlreadyExists(f"mailbox {path!r} exists in {self.root}")
            self._rename_directories(old, new, moved)
            self._write_roles(lambda roles: {moved.get(name, name): role for name, role in roles.items()})
            # The old names stay, as with Dovecot (RFC 3501 section 6.3.6); with the new ones nobody loses the mailbox.
            self._write_subscribed(lambda names: names | {self._renamed_subscription(name, moved) for name in names})
            for name in moved:
                self._folders.pop(_ref(name), None)
            return self.info(path)

    def _rename_directories(self, old: str, new: str, moved: dict[str, str]) -> None:
        if self.layout is Layout.FS:
            os.makedirs(os.path.dirname(self._path(new)), exist_ok=True)
            moved = {old: new}
        for name, target in moved.items():
            os.rename(self._path(name), self._path(target))
            self.disk.sync_directory(os.path.dirname(self._path(target)))
        self.disk.sync_directory(os.path.dirname(self._path(old)))

    def delete(self, ref: MailboxRef) -> None:
        """Delete a mailbox and its messages; mailboxes below it stay.

        Raises:
            NotFound.
            Denied: INBOX.
        """
        directory = self._directory(ref)
        if directory == "":
            raise Denied("INBOX cannot be deleted")
        with self._lock:
            path = self._path(directory)
            if not os.path.isdir(os.path.join(path, "cur")):
                raise NotFound(f"no mailbox {ref!r} in {self.root}")
            # Renaming takes the mailbox away whole; if the clearing up is cut short, the next `open` ends it.
            trash = os.path.join(self.root, TRASH_PREFIX + self.names.next())
            if any(name.startswith(f"{directory}/") for name in self.directories()):
                self._take_out_maildir(path, trash)
            else:
                os.rename(path, trash)
            self.disk.sync_directory(os.path.dirname(path))
            self._folders.pop(ref, None)
            self._write_roles(lambda roles: {name: role for name, role in roles.items() if name != directory})
            self._remove_empty_parents(directory)
        shutil.rmtree(trash, ignore_errors=True)

    @staticmethod
    def _take_out_maildir(path: str, trash: str) -> None:
        """Take the messages out of a directory that has mailboxes below it; cur, which makes it a mailbox, first."""
        os.mkdir(trash, 0o700)
        for name in ("cur", "new", "tmp", keywords.FILE):
            with suppress(FileNotFoundError):
                os.rename(os.path.join(path, name), os.path.join(trash, name))

    def _remove_empty_parents(self, directory: str) -> None:
        """Remove directories that were there only for the mailbox below them (layout fs)."""
        for parent in PurePath(directory).parents:
            try:
                if str(parent) != ".":
                    os.rmdir(self._path(str(parent)))
            except OSError:
                return

    def _make_maildir(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        for name in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(path, name), mode=0o700, exist_ok=True)
        if self.layout is Layout.MAILDIRPP and path != self.root:
            with open(os.path.join(path, "maildirfolder"), "ab"):
                pass  # says to deliverers that this is a folder and the Maildir is above it
        self.disk.sync_directory(path)
        self.disk.sync_directory(os.path.dirname(path))

    # -- subscriptions ------------------------------------------------------------------------------------------------

    def subscribe(self, ref: MailboxRef, is_subscribed: bool) -> None:
        """Subscribe or unsubscribe a mailbox, or unsubscribe from a name whose mailbox is gone.

        Raises:
            NotFound: there is no such mailbox, and no such name to unsubscribe from.
        """
        directory = self._directory(ref)
        name = self._subscription_name(directory)
        with self._lock:
            existing = self.directories()
            if directory not in existing and (is_subscribed or name not in (self._subscribed() or ())):
                raise NotFound(f"no mailbox {ref!r} in {self.root}")
            everything = {self._subscription_name(name) for name in existing}
            self._write_subscribed(lambda names: names | {name} if is_subscribed else names - {name}, everything)

    def subscribed_without_mailbox(self) -> dict[Path, MailboxRef] | None:
        """Return the subscribed names that have no mailbox; None as long as nobody has chosen."""
        with self._lock:
            existing, subscribed = set(self.directories()), self._subscribed()
        if subscribed is None:
            return None
        gone = {self._directory_of_name(name) for name in subscribed} - existing
        return {path: _ref(directory) for directory in gone if (path := self.layout.path(directory)) is not None}

    def _subscription_name(self, directory: str) -> str:
        return INBOX_REF if directory == "" else directory.removeprefix(".")

    def _directory_of_name(self, name: str) -> str:
        if name == INBOX_REF:
            return ""
        return f".{name}" if self.layout is Layout.MAILDIRPP else name

    def _renamed_subscription(self, name: str, moved: dict[str, str]) -> str:
        directory = self._directory_of_name(name)
        return self._subscription_name(moved[directory]) if directory in moved else name

    def _subscribed(self) -> frozenset[str] | None:
        return subscriptions.read(self._subscriptions_file, self.layout)

    def _write_subscribed(self, change: Callable[[set[str]], set[str]], if_none: set[str] | None = None) -> None:
        """Change the file of subscriptions; where there is none, start with `if_none`, or leave it so."""
        if if_none is None and self._subscribed() is None:
            return
        with self.disk.replacing(self._subscriptions_file) as pieces:
            current = self._subscribed()
            before = set(if_none or () if current is None else current)
            after = change(before)
            if after != before or current is None:
                pieces.append(subscriptions.render(after, self.layout))

    @property
    def _subscriptions_file(self) -> str:
        return os.path.join(self.root, SUBSCRIPTIONS_FILE)

    # -- roles --------------------------------------------------------------------------------------------------------

    def _roles(self, paths: dict[Path, str]) -> dict[Path, Role]:
        """Return which mailbox has which role: as it was created with, or else by its name; each role once."""
        chosen = self._read_roles()
        roles = {path: chosen[directory] for path, directory in paths.items() if directory in chosen}
        by_name = {path[0].casefold(): path for path in sorted(paths, reverse=True) if len(path) == 1}
        for role, names in ROLE_NAMES.items():
            if role not in roles.values():
                found = next((by_name[name] for name in names if name in by_name and by_name[name] not in roles), None)
                if found is not None:
                    roles[found] = role
        return {**roles, INBOX: Role.INBOX}

    def _read_roles(self) -> dict[str, Role]:
        roles: dict[str, Role] = {}
        for line in (read_text(os.path.join(self.root, ROLES_FILE)) or "").splitlines():
            word, _, directory = line.partition("\t")
            with suppress(ValueError):
                if directory and Role(word) not in roles.values():
                    roles[directory] = Role(word)
        return roles

    def _write_roles(self, change: Callable[[dict[str, Role]], dict[str, Role]]) -> None:
        if change(before := self._read_roles()) == before:
            return
        with self.disk.replacing(os.path.join(self.root, ROLES_FILE)) as pieces:
            after = change(self._read_roles())
            text = "".join(f"{role.value}\t{directory}\n" for directory, role in after.items())
            pieces.append(text.encode("utf-8", "surrogateescape"))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _path(self, directory: str) -> str:
        return os.path.join(self.root, directory) if directory else self.root

    def _directory(self, ref: MailboxRef) -> str:
        """Return the directory a ref stands for, having made sure that it does not lead out of the Maildir.

        Raises:
            NotFound: no mailbox can have that ref.
        """
        directory = "" if ref == INBOX_REF else _raw(ref)
        is_outside = "\0" in directory or any(part in ("", ".", "..") for part in directory.split("/"))
        if directory and (is_outside or self.layout.path(directory) is None):
            raise NotFound(f"no mailbox {ref!r} in {self.root}")
        return directory


def _ref(directory: str) -> MailboxRef:
    """Return the ref of a directory; octets that are not UTF-8 are spelled in hexadecimal."""
    if directory == "":
        return INBOX_REF
    try:
        directory.encode("utf-8")
    except UnicodeEncodeError:
        return MailboxRef(f"hex:{os.fsencode(directory).hex()}")
    return MailboxRef(directory)


def _raw(ref: MailboxRef) -> str:
    if ref.startswith("hex:"):
        with suppress(ValueError):
            return os.fsdecode(bytes.fromhex(ref[4:]))
    return ref
