"""One folder: finding its messages, changing them, and keeping up with what other programs do to it.

Everything here blocks and is called in a thread; a lock makes it safe to call from several. A message is found by its
base name. When its file has gone, another program has changed its flags or removed it: look again, then decide.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from connectors.api.errors import ConnectorError, NotFound, OutcomeUnknown, Unavailable
from connectors.api.types import SYSTEM_FLAGS, BatchResult, Cursor, MessageContent, MessageRef, MessageState, Outline
from connectors.maildir import content, filename, keywords
from connectors.maildir.disk import Disk, Temporary, translate
from connectors.maildir.filename import FileName, UniqueNames
from connectors.maildir.renaming import Renaming
from connectors.maildir.scan import Scanner
from connectors.maildir.snapshot import Entry, Snapshot, date_of

T = TypeVar("T")

ATTEMPTS = 8
TMP_LIFETIME_S = 36 * 3600  # as the Maildir description has it


@dataclass(frozen=True, slots=True)
class Changes:
    """What `Folder.changes` found: states of what is there and refs of what is gone; or all there is, in `present`.

    `echoes` are refs of what `store_flags` has done and told.
    """

    changed: list[MessageState]
    removed: list[MessageRef]
    present: frozenset[MessageRef] | None
    cursor: Cursor
    echoes: frozenset[MessageRef] = frozenset()


class Folder:
    """A directory with cur, new and tmp."""

    def __init__(self, path: str, disk: Disk, names: UniqueNames) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._cur = os.path.join(path, "cur")
        self._tmp = os.path.join(path, "tmp")
        self._disk = disk
        self._names = names
        self._snapshot = Snapshot()
        self._scanner = Scanner(path, self._snapshot, disk, names)

    # -- reading ------------------------------------------------------------------------------------------------------

    def cursor(self) -> Cursor:
        with self.lock:
            self.scan()
            return self._snapshot.cursor

    def refs(self) -> list[MessageRef]:
        """Return the refs of all messages in the order of their delivery."""
        with self.lock:
            self.scan()
            return self._snapshot.refs()

    def states(self, refs: Sequence[MessageRef], *, is_fresh: bool = True) -> list[MessageState]:
        """Return the states of those messages that are there; without `is_fresh`, as of the last scan."""
        with self.lock:
            if is_fresh:
                self.scan()
            return self._snapshot.states(refs)

    def changes(self, cursor: Cursor) -> Changes:
        """Return what happened since the cursor was given, by this object or by one of another process."""
        with self.lock:
            self.scan()
            snapshot = self._snapshot
            refs = snapshot.changed_since(cursor)
            if refs is None:
                everything = snapshot.refs()
                return Changes(snapshot.states(everything), [], frozenset(everything), snapshot.cursor)
            gone = [ref for ref in refs if ref not in snapshot.entries]
            echoes = snapshot.echoes_since(cursor)
            # New ones get their UIDs in this order, and the journal has them as the directory was read.
            changed = snapshot.in_order(ref for ref in refs if ref not in echoes)
            return Changes(snapshot.states(changed), gone, None, snapshot.cursor, echoes)

    def open(self, ref: MessageRef) -> MessageContent:
        """Open a message for reading.

        Raises:
            NotFound: it is gone.
        """

        def open_file(entry: Entry) -> MessageContent:
            opened = content.open_content(self._file(entry), is_verbatim=_is_verbatim(entry))
            entry.size = opened.size
            return opened

        self._look_for([ref])
        found = self._on_file(ref, open_file)
        if found is None:
            raise NotFound(f"no message {ref!r} in {self.path}")
        return found

    def open_many(self, refs: Sequence[MessageRef]) -> list[tuple[MessageRef, MessageContent]]:
        """Open those of the messages that are there."""

        def open_file(entry: Entry) -> MessageContent:
            path, is_verbatim = self._file(entry), _is_verbatim(entry)
            found = content.read_small(path, entry.stored, is_verbatim=is_verbatim)
            if found is None:
                found = content.open_content(path, is_verbatim=is_verbatim)
            entry.size = found.size
            return found

        self._look_for(refs)
        opened = ((ref, self._on_file(ref, open_file)) for ref in refs)
        return [(ref, found) for ref, found in opened if found is not None]

    def outlines(self, refs: Sequence[MessageRef]) -> list[Outline]:
        """Return the header blocks of those messages that are there."""

        def outline(ref: MessageRef, entry: Entry) -> Outline:
            header, size = content.read_header(self._file(entry), is_verbatim=_is_verbatim(entry))
            entry.size = entry.size if size is None else size
            return Outline(ref, header, entry.size, entry.date)

        self._look_for(refs)
        found = (self._on_file(ref, lambda entry, ref=ref: outline(ref, entry)) for ref in refs)  # type: ignore[misc]
        return [each for each in found if each is not None]

    # -- writing ------------------------------------------------------------------------------------------------------

    def store_flags(self, refs: Sequence[MessageRef], add: frozenset[str], remove: frozenset[str]) -> BatchResult:
        """Add and remove flags by renaming. A keyword for which no letter is left is not in the state after it."""
        with self.lock:
            self._give_letters(add)
            renaming = Renaming(self._snapshot.keywords, add, remove)
            done: dict[MessageRef, MessageState | None] = {}
            moved: list[MessageRef] = []
            for ref in refs:
                try:
                    done[ref] = self._rename(ref, renaming)
                except (OSError, KeyError):
                    moved.append(ref)
            # What is not as it was last seen is looked for.
            rest = self._each(moved, lambda ref, _: self._rename(ref, renaming))
            self._settle()
            return BatchResult({**done, **rest.done}, rest.missing, rest.failed)

    def _rename(self, ref: MessageRef, renaming: Renaming) -> MessageState:
        """Give a message the name for its new flags.

        Raises:
            KeyError: the message is not known.
            OSError: its file has another name, or cannot be renamed.
        """
        entry = self._snapshot.entries[ref]
        name, flags = renaming.of(entry.name)
        if name != entry.name:
            os.rename(self._path(entry.name), self._path(name))
            self._snapshot.put_flags(ref, name)
        else:
            os.stat(self._path(name))
        return MessageState(ref, flags=flags)

    def adopt(self, temporary: Temporary, base: str, flags: frozenset[str]) -> MessageState:
        """Make a finished file of tmp a message of this folder, and return its state."""
        return self.adopt_all([(temporary, base, flags)])[0]

    def adopt_all(self, files: Sequence[tuple[Temporary, str, frozenset[str]]]) -> list[MessageState]:
        """Make finished files of tmp, given with the base of their names and their flags, messages: all or none."""
        names: list[str] = []
        with self.lock:
            try:
                for temporary, base, flags in files:
                    self._give_letters(flags)
                    name = str(FileName(base, self._snapshot.keywords.letters(flags)))
                    os.rename(temporary.path, self._path(name))
                    names.append(name)
            except BaseException:
                for name in names:
                    with suppress(OSError):
                        os.unlink(self._path(name))
                raise
            self._settle()
            return [self._arrived(name) for name in names]

    def create_temporary(self) -> Temporary:
        """Create a file in tmp.

        Raises:
            FileNotFoundError: the folder is gone.
        """
        mode = os.stat(self._cur).st_mode & 0o666
        unique = self._names.next()
        path = os.path.join(self._tmp, unique)
        try:
            return Temporary(path, unique, mode, self._disk)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(self._tmp)
            return Temporary(path, unique, mode, self._disk)

    def copy_to(self, refs: Sequence[MessageRef], destination: Folder) -> BatchResult:
        """Copy messages by hard links, or by their octets where links cannot be had."""

        def copy(ref: MessageRef, entry: Entry) -> MessageState:
            name = self._name_there(entry, destination, is_new=True)
            self._link_or_copy(self._file(entry), destination, name)
            return destination._arrived(name, entry.size)

        return self._transfer(refs, destination, copy)

    def move_to(self, refs: Sequence[MessageRef], destination: Folder) -> BatchResult:
        """Move messages by renaming; the base name stays unless the destination has it."""

        def move(ref: MessageRef, entry: Entry) -> MessageState:
            is_taken = self is destination or ref in destination._snapshot.entries
            name = self._name_there(entry, destination, is_new=is_taken)
            self._rename_or_copy(self._file(entry), destination, name)
            self._snapshot.drop(ref)
            return destination._arrived(name, entry.size)

        result = self._transfer(refs, destination, move)
        self._settle()
        return result

    def expunge(self, refs: Sequence[MessageRef]) -> BatchResult:
        """Unlink messages."""

        def unlink(ref: MessageRef, entry: Entry) -> None:
            os.unlink(self._file(entry))
            self._snapshot.drop(ref)

        with self.lock:
            result = self._each(refs, unlink)
            self._settle()
            return result

    def _transfer(
        self, refs: Sequence[MessageRef], destination: Folder, work: Callable[[MessageRef, Entry], MessageState]
    ) -> BatchResult:
        # Two transfers in opposite directions take the locks in the same order.
        first, second = sorted((self, destination), key=lambda folder: folder.path)
        with first.lock, second.lock:
            destination.scan()
            result = self._each(refs, work)
            destination._settle()
            return result

    def _name_there(self, entry: Entry, destination: Folder, *, is_new: bool) -> str:
        """Return the file name for the message in another folder, whose letters for keywords are its own."""
        name = filename.parse(entry.name)
        flags = self._snapshot.keywords.flags(name.letters)
        destination._give_letters(flags)
        # A UID in it is of the folder that it leaves: there may be another message of it in the destination.
        base = filename.without_uid(name.base)
        if is_new:
            sizes = filename.sizes(base)
            is_known = sizes.stored is not None and sizes.crlf is not None
            unique = self._names.next()
            base = filename.base_with_sizes(unique, sizes.stored or 0, sizes.crlf or 0) if is_known else unique
            base = base if sizes.is_verbatim else base.removesuffix(",V")
        return str(FileName(base, destination._snapshot.keywords.letters(flags)))

    def _link_or_copy(self, source: str, destination: Folder, name: str) -> None:
        target = os.path.join(destination._cur, name)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            # Another file system, or one without hard links, or too many links.
            temporary = destination.create_temporary()
            try:
                with open(source, "rb") as reader:
                    while data := reader.read(1 << 20):
                        temporary.write(data)
                    temporary.finish(date_of(os.fstat(reader.fileno()).st_mtime_ns))
                os.rename(temporary.path, target)
            except BaseException:
                temporary.discard()
                raise

    def _rename_or_copy(self, source: str, destination: Folder, name: str) -> None:
        try:
            os.rename(source, os.path.join(destination._cur, name))
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            # A folder on another file system: a crash in the middle leaves the message in both, never in neither.
            self._link_or_copy(source, destination, name)
            destination._settle()
            os.unlink(source)

    # -- inside -------------------------------------------------------------------------------------------------------

    def scan(self, *, is_forced: bool = False) -> None:
        """Bring the snapshot up to date.

        Raises:
            FileNotFoundError: the folder is gone.
        """
        with self.lock:
            self._scanner.scan(is_forced=is_forced)

    def _arrived(self, name: str, size: int | None = None) -> MessageState:
        """Return the state of a message that was just put into cur, even if another program has renamed it since.

        Raises:
            OutcomeUnknown: it has been removed since.
        """
        try:
            return self._snapshot.state(self._scanner.enter(name, size))
        except FileNotFoundError:
            self.scan(is_forced=True)
        ref = filename.message_ref(filename.parse(name).base)
        if ref not in self._snapshot.entries:
            raise OutcomeUnknown(f"message {ref!r} was put into {self.path} and has gone again")
        return self._snapshot.state(ref)

    def _settle(self) -> None:
        """See the changed names of cur to the disk.

        Raises:
            OutcomeUnknown: the disk does not say so; the names have changed, but may change back in a crash.
        """
        try:
            self._disk.sync_directory(self._cur)
        except OSError as exc:
            raise OutcomeUnknown(f"{self._cur} cannot be synced to the disk: {exc}") from exc

    def _file(self, entry: Entry) -> str:
        return self._path(entry.name)

    def _path(self, name: str) -> str:
        return os.path.join(self._cur, name)

    def _give_letters(self, flags: frozenset[str]) -> None:
        if not flags <= self._snapshot.keywords.known | SYSTEM_FLAGS:
            self._snapshot.set_keywords(keywords.allocate(self.path, flags, self._disk))

    def _look_for(self, refs: Sequence[MessageRef]) -> None:
        """Look at the directory once if any of the messages is not known."""
        with self.lock:
            if any(ref not in self._snapshot.entries for ref in refs):
                self.scan()

    def _on_file(self, ref: MessageRef, work: Callable[[Entry], T]) -> T | None:
        """Do the work on the file of a message, looking again where it has been renamed; None if it is gone."""
        for attempt in range(ATTEMPTS):
            with self.lock:
                if attempt:
                    self.scan(is_forced=True)
                entry = self._snapshot.entries.get(ref)
            if entry is None:
                return None
            try:
                return work(entry)
            except FileNotFoundError:
                continue
        raise Unavailable(f"message {ref!r} in {self.path} is renamed faster than it can be read")

    def _each(
        self, refs: Sequence[MessageRef], work: Callable[[MessageRef, Entry], MessageState | None]
    ) -> BatchResult:
        """Do the work for each message and sort the outcomes. The folder itself must be there."""
        os.stat(self._cur)
        self._look_for(refs)
        done: dict[MessageRef, MessageState | None] = {}
        missing: set[MessageRef] = set()
        failed: dict[MessageRef, ConnectorError] = {}
        for ref in refs:

            def on_entry(entry: Entry, ref: MessageRef = ref) -> bool:
                done[ref] = work(ref, entry)
                return True

            try:
                if not self._on_file(ref, on_entry):
                    missing.add(ref)
            except OSError as exc:
                failed[ref] = translate(exc)
            except ConnectorError as exc:
                failed[ref] = exc
        return BatchResult(done, frozenset(missing), failed)

    def sweep(self) -> None:
        """Remove what crashed deliveries left in tmp long ago."""
        oldest = time.time() - TMP_LIFETIME_S
        with suppress(OSError), os.scandir(self._tmp) as found:
            for each in found:
                with suppress(OSError):
                    if each.is_file(follow_symlinks=False) and _last_touched(each) < oldest:
                        os.unlink(each.path)


def _is_verbatim(entry: Entry) -> bool:
    name = entry.name
    # Most messages have bare LF, and a look at the name tells: neither V nor a W that is the size on disk.
    if ",V" not in name and f",W={entry.stored}" not in name and ",W=0" not in name:
        return False
    return filename.sizes(filename.parse(entry.name).base).says_crlf(entry.stored)


def _last_touched(entry: os.DirEntry[str]) -> float:
    """Return when the file itself was last altered, in Unix seconds.

    The time of modification alone does not tell: who copies mail, mbsync for one, gives a file the date of its message
    while it still lies in tmp.
    """
    status = entry.stat()
    return max(status.st_mtime, status.st_ctime)
