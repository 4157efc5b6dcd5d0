"""LIST, LSUB, XLIST and STATUS (RFC 9051 sections 6.3.9 and 6.3.11, RFC 3501 section 6.3.9, RFC 5258, 5819, 6154)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypedDict

from gateway.imap.capability import Capability
from gateway.imap.commands import metadata
from gateway.imap.commands.special_use import SPECIAL_USES, XLIST_USES
from gateway.imap.completion import Completion, ok
from gateway.imap.list_sheet import LINES_PER_BLOCK, Line, Sheet, has_counters_only, sheet_of, status_line
from gateway.imap.name_pattern import SEPARATOR, NamePattern
from gateway.imap.session import Session
from gateway.mailbox.listings import Listing
from gateway.mailbox.namespace import MailboxEntry, MailboxStatus
from gateway.mailbox.rights import rights_of
from gateway.store.counters import Counters
from gateway.wire import commands, write, write_administration
from gateway.wire.commands import ListKind, ListReturn, ListSelection, StatusItem
from gateway.wire.mailbox_name import fold_first_level

_KEPT_PATTERN = 200
"""Answers are kept for patterns of at most so many characters."""


def _asks_special_uses(command: commands.Command) -> bool:
    return isinstance(command, commands.List) and (
        ListSelection.SPECIAL_USE in command.selection or ListReturn.SPECIAL_USE in command.returns
    )


def _asks_octets(command: commands.Command) -> bool:
    match command:
        case commands.Status(items=items) | commands.List(status=items):
            return StatusItem.SIZE in items
        case _:
            return False


CAPABILITIES = (
    Capability("CHILDREN", "RFC 3348", "\\HasChildren and \\HasNoChildren in every LIST"),
    Capability(
        "LIST-EXTENDED",
        "RFC 5258",
        "Selection and return options, several patterns",
        is_used_by=lambda command: isinstance(command, commands.List) and command.is_extended,
    ),
    Capability(
        "LIST-STATUS",
        "RFC 5819",
        "STATUS of every mailbox listed, from the store; not of one that is still being read for the first time",
        needs=("LIST-EXTENDED",),
        is_used_by=lambda command: isinstance(command, commands.List) and bool(command.status),
    ),
    Capability(
        "SPECIAL-USE",
        "RFC 6154",
        "Told in every LIST, asked for or not; one mailbox per use",
        is_used_by=_asks_special_uses,
    ),
    Capability(
        "STATUS=SIZE",
        "RFC 8438",
        "The octets of a mailbox, exactly; at Gmail and Microsoft, which list no exact sizes, of the messages read so "
        "far",
        is_used_by=_asks_octets,
    ),
    Capability(
        "XLIST",
        "Gmail's forerunner of RFC 6154",
        "Outlook 2013 and 2016 find the special mailboxes only this way",
        is_used_by=lambda command: isinstance(command, commands.List) and command.kind is ListKind.XLIST,
    ),
)


async def list_mailboxes(session: Session, command: commands.List) -> Completion:
    """List the mailboxes that match, one response each, and STATUS right behind if asked (RFC 5819 section 2)."""
    word = command.kind.value.decode("ascii").capitalize()
    if command.patterns == ("",) and not command.is_extended:
        # The hierarchy separator and the root of the reference, which is empty as no name is absolute.
        session.write(write.mailbox_list("", ["\\Noselect"], kind=command.kind, utf8=session.utf8))
        return ok(f"{word} completed")
    listing = await session.require_user().mailboxes()
    if not (_fits_sheet(command) and await _write_sheet(session, command, listing)):
        await _write_lines(session, command, listing)
    return ok(f"{word} completed")


def _fits_sheet(command: commands.List) -> bool:
    is_short = len(command.reference) + sum(map(len, command.patterns)) <= _KEPT_PATTERN
    has_more = bool(command.annotations) or ListReturn.MYRIGHTS in command.returns
    return is_short and not has_more and has_counters_only(command.status)


async def _write_sheet(session: Session, command: commands.List, listing: Listing) -> bool:
    """Write the answer as one sheet, kept with the tree; return False if that cannot be done for all mailboxes."""
    utf8, is_rev2 = session.utf8, session.rev2

    def make(listing: Listing) -> Sheet:
        lines = [
            Line(
                one.entry.name,
                one.render(command.kind, utf8=utf8),
                listing.ids[one.entry.name] if one.entry.is_selectable else None,
            )
            for one in listed(command, listing, is_rev2=is_rev2)
        ]
        return sheet_of(lines, command.status, utf8=utf8)

    sheet = await listing.made((command, utf8, is_rev2), make)
    counters: Mapping[int, Counters] = {}
    if sheet.mailbox_ids:
        found = await session.require_user().counters(sheet.mailbox_ids)
        if found is None:
            return False
        counters = found
        _note_items(session, command.status)
    for block in sheet.blocks:
        session.write(sheet.fill(block, counters))
        await session.drain()
    return True


async def _write_lines(session: Session, command: commands.List, listing: Listing) -> None:
    """Write the answer line by line, with whatever goes with each."""
    user = session.require_user()
    lines = list(listed(command, listing, is_rev2=session.rev2))
    statuses: dict[str, MailboxStatus] = {}
    if command.status:
        # One that is gone meanwhile has no STATUS (RFC 5819 section 2).
        selectable = [line.entry.name for line in lines if line.entry.is_selectable]
        statuses = await user.statuses(selectable, **_needs(command.status))
    rights = await rights_of(user) if ListReturn.MYRIGHTS in command.returns else {}
    names = [line.entry.name for line in lines if line.entry.exists]
    annotated = await metadata.listed(session, names, command.annotations) if command.annotations else {}
    for count, line in enumerate(lines, start=1):
        session.write(line.render(command.kind, utf8=session.utf8))
        session.write(annotated.get(line.entry.name, b""))
        if line.entry.name in rights:
            session.write(write_administration.my_rights(line.entry.name, rights[line.entry.name], utf8=session.utf8))
        if line.entry.name in statuses:
            _write_status(session, line.entry.name, command.status, statuses[line.entry.name])
        if count % LINES_PER_BLOCK == 0:
            await session.drain()


async def status(session: Session, command: commands.Status) -> Completion:
    """Tell figures of a mailbox without selecting it."""
    if has_counters_only(command.items):
        row = await session.require_user().counted(command.mailbox)
        _note_items(session, command.items)
        session.write(status_line(command.mailbox, command.items, row, utf8=session.utf8))
        return ok("Status completed")
    values = await session.require_user().status(command.mailbox, **_needs(command.items))
    _write_status(session, command.mailbox, command.items, values)
    return ok("Status completed")


class _Needs(TypedDict):
    needs_size: bool
    needs_recent: bool


def _needs(items: Sequence[StatusItem]) -> _Needs:
    """Return which of the figures that take more than reading a row are asked for."""
    has_size = StatusItem.SIZE in items or StatusItem.DELETED_STORAGE in items
    return _Needs(needs_size=has_size, needs_recent=StatusItem.RECENT in items)


@dataclass(frozen=True, slots=True)
class Listed:
    """One response to be. `child_info`: some mailbox below meets the criteria (RFC 5258 section 3.5)."""

    entry: MailboxEntry
    attributes: tuple[str, ...]
    has_child_info: bool = False

    def render(self, kind: ListKind, *, utf8: bool = False) -> bytes:
        """Return the line."""
        return _line(self.entry.name, self.attributes, kind, self.has_child_info, utf8)


@lru_cache(maxsize=8192)
def _line(name: str, attributes: tuple[str, ...], kind: ListKind, has_child_info: bool, utf8: bool) -> bytes:
    """Return a line; whoever lists a tree lists all of it, again and again."""
    # SUBSCRIBED is the only criterion that RECURSIVEMATCH can be combined with.
    child_info = ("SUBSCRIBED",) if has_child_info else ()
    return write.mailbox_list(name, attributes, kind=kind, child_info=child_info, utf8=utf8)


def listed(command: commands.List, entries: Sequence[MailboxEntry], *, is_rev2: bool = False) -> Iterator[Listed]:
    """Yield what the command is to be answered with, in the order of `entries`, each name at most once.

    `is_rev2`: to a client that has enabled IMAP4rev2.
    """
    patterns = [
        NamePattern(fold_first_level(command.reference + pattern))
        for pattern in command.patterns
        if pattern or not command.is_extended
    ]
    matching = {entry.name for entry in entries if any(pattern.matches(entry.name) for pattern in patterns)}
    if command.kind is ListKind.LSUB:
        hides = any("%" in pattern.text for pattern in patterns)
        yield from _listed_subscriptions(entries, matching, hides=hides)
        return
    is_recursive = ListSelection.RECURSIVEMATCH in command.selection
    meeting = {entry.name for entry in entries if _meets(command, entry)}
    above_meeting = _names_above(meeting) if is_recursive else frozenset()
    above_hidden = _names_above(meeting - matching) if is_recursive else frozenset()
    for entry in entries:
        if entry.name not in matching:
            continue
        # A child that is listed itself tells enough; only what is not seen otherwise brings its parent in.
        if entry.name in meeting or (is_recursive and entry.name in above_hidden):
            has_child_info = is_recursive and entry.name in above_meeting
            shown = _with_children(entry) if entry.name in above_hidden else entry
            yield Listed(entry, attributes_of(command, shown, is_rev2=is_rev2), has_child_info)


def attributes_of(command: commands.List, entry: MailboxEntry, *, is_rev2: bool = False) -> tuple[str, ...]:
    """Return the attributes of a mailbox.

    Special uses are always among them: macOS Mail makes mailboxes of its own where it is not told.
    """
    attributes = []
    if not entry.exists and (command.is_extended or is_rev2):
        # RFC 9051 section 7.3.1 has the word for every LIST, RFC 5258 for the extended one.
        attributes.append("\\NonExistent")
    if not entry.is_selectable:
        # \NonExistent says it already (RFC 5258 section 3.4), but not to a client that does not know the word.
        attributes.append("\\Noselect")
    if not entry.allows_children:
        attributes.append("\\Noinferiors")
    attributes.append("\\HasChildren" if entry.has_children else "\\HasNoChildren")
    wants_subscribed = ListReturn.SUBSCRIBED in command.returns or ListSelection.SUBSCRIBED in command.selection
    if wants_subscribed and entry.is_subscribed:
        attributes.append("\\Subscribed")
    uses = XLIST_USES if command.kind is ListKind.XLIST else SPECIAL_USES
    if entry.role is not None and entry.role in uses:
        attributes.append(uses[entry.role])
    return tuple(attributes)


def _meets(command: commands.List, entry: MailboxEntry) -> bool:
    selection = command.selection
    if ListSelection.SUBSCRIBED in selection and not entry.is_subscribed:
        return False
    if ListSelection.SPECIAL_USE in selection and entry.role not in SPECIAL_USES:
        return False
    # A name that does not exist is listed as the parent of one that does, or because it is subscribed.
    return entry.exists or entry.has_children or ListSelection.SUBSCRIBED in selection


def _listed_subscriptions(entries: Sequence[MailboxEntry], matching: set[str], *, hides: bool) -> Iterator[Listed]:
    """LSUB: a parent that is not subscribed is listed if a `%` hides the subscribed mailbox below it.

    It then has \\Noselect, which for LSUB means no more than that (RFC 3501 section 6.3.9).
    """
    subscribed = {entry.name for entry in entries if entry.is_subscribed}
    above_hidden = _names_above(subscribed - matching) if hides else set()
    plain = commands.List(ListKind.LSUB, "", ())
    for entry in entries:
        if entry.name not in matching:
            continue
        if entry.name in subscribed:
            yield Listed(entry, attributes_of(plain, entry))
        elif entry.name in above_hidden:
            attributes = attributes_of(plain, _with_children(entry))
            yield Listed(entry, tuple(dict.fromkeys((*attributes, "\\Noselect"))))


def _with_children(entry: MailboxEntry) -> MailboxEntry:
    """Return a level as it is told for the sake of what is below it, even if that is only a subscribed name.

    Whoever lists level by level goes on only where there are children; Cyrus says it, too.
    """
    return entry if entry.has_children else replace(entry, has_children=True)


def _names_above(names: set[str]) -> set[str]:
    above = set()
    for name in names:
        parent, separator, _ = name.rpartition(SEPARATOR)
        while separator and parent not in above:
            above.add(parent)
            parent, separator, _ = parent.rpartition(SEPARATOR)
    return above


def _write_status(session: Session, name: str, items: Sequence[StatusItem], values: MailboxStatus) -> None:
    _note_items(session, items)
    pairs = [(item, _status_value(item, values)) for item in items]
    session.write(write.mailbox_status(name, pairs, utf8=session.utf8))


def _note_items(session: Session, items: Sequence[StatusItem]) -> None:
    if StatusItem.HIGHESTMODSEQ in items:
        session.enable_condstore()


def _status_value(item: StatusItem, values: MailboxStatus) -> int | str | None:
    match item:
        case StatusItem.MESSAGES:
            return values.messages
        case StatusItem.RECENT:
            return values.recent
        case StatusItem.UIDNEXT:
            return values.uidnext
        case StatusItem.UIDVALIDITY:
            return values.uidvalidity
        case StatusItem.UNSEEN:
            return values.unseen
        case StatusItem.DELETED:
            return values.deleted
        case StatusItem.SIZE:
            return values.size
        case StatusItem.HIGHESTMODSEQ:
            return values.highestmodseq
        case StatusItem.APPENDLIMIT:
            return values.append_limit
        case StatusItem.MAILBOXID:
            return values.mailbox_id
        case StatusItem.DELETED_STORAGE:
            return values.deleted_octets
