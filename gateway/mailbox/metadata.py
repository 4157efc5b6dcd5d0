"""Reading and setting annotations (RFC 5464). All of them, private and shared, are the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import ErrorKind, MailError
from gateway.mailbox.user_mail import UserMail
from gateway.store import metadata
from gateway.store.metadata import Values
from gateway.store.transaction import Transaction

MAX_VALUE_OCTETS = 60_000
"""Below what a command may have in literals; the least a server must take is 1,024."""
MAX_ENTRIES = 250
"""For each mailbox, and for the server for each user."""


class TooManyAnnotations(Exception):
    """There is no room for another entry."""


class AnnotationTooLarge(Exception):
    """A value has more than `MAX_VALUE_OCTETS`."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are wanted: names, how many levels below each (None: all), and how long values may be."""

    entries: Sequence[str]
    depth: int | None = 0
    max_octets: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The entries in order, None for one that was named and does not exist; and the longest value left out, or 0."""

    values: tuple[tuple[str, bytes | None], ...]
    longest: int = 0


def select(values: Mapping[str, bytes], wanted: Selection) -> Found:
    """Choose among all annotations of one owner."""
    chosen: dict[str, bytes | None] = {}
    longest = 0
    for name in wanted.entries:
        chosen.setdefault(name, values.get(name))
        for other in sorted(values):
            if _is_below(other, name, wanted.depth):
                chosen.setdefault(other, values[other])
    if wanted.max_octets is not None:
        too_long = {name: len(value) for name, value in chosen.items() if value and len(value) > wanted.max_octets}
        longest = max(too_long.values(), default=0)
        chosen = {name: value for name, value in chosen.items() if name not in too_long}
    return Found(tuple(chosen.items()), longest)


def _is_below(name: str, upper: str, depth: int | None) -> bool:
    if not name.startswith(upper + "/"):
        return False
    return depth is None or name.count("/", len(upper)) <= depth


async def of_mailboxes(user: UserMail, names: Iterable[str]) -> dict[str, Values]:
    """Return all annotations of the mailboxes, in one read; names that are no mailboxes are left out."""
    tree = await user.tree()
    rows = {name: row for name in names if (row := tree.find(name)) is not None}
    found = await user.store.read(lambda tx: metadata.of_mailboxes(tx, [row.id for row in rows.values()]))
    return {name: found.get(row.id, {}) for name, row in rows.items()}


async def of_mailbox(user: UserMail, name: str) -> Values:
    """Return all annotations of a mailbox, or for the empty name of the server.

    Raises:
        MailError: there is no such mailbox.
    """
    if not name:
        return await user.store.read(lambda tx: metadata.of_user(tx, user.user_id))
    row = await user.row(name)
    return (await user.store.read(lambda tx: metadata.of_mailboxes(tx, [row.id]))).get(row.id, {})


async def change(user: UserMail, name: str, values: Mapping[str, bytes | None]) -> None:
    """Set or remove annotations of a mailbox, or for the empty name of the server: all of them or none.

    Raises:
        MailError: there is no such mailbox, or the server's shared annotations are meant, which are not the user's.
        TooManyAnnotations, AnnotationTooLarge: nothing has been changed.
    """
    if any(value is not None and len(value) > MAX_VALUE_OCTETS for value in values.values()):
        raise AnnotationTooLarge
    if not name:
        if any(entry.startswith("/shared/") for entry in values):
            raise MailError(ErrorKind.DENIED, "What all users share cannot be changed by one of them.")
        await user.store.write(lambda tx: _change_of_user(tx, user.user_id, values))
        return
    row = await user.row(name)
    await user.store.write(lambda tx: _change_of_mailbox(tx, row.id, values))


async def _change_of_user(tx: Transaction, user_id: int, values: Mapping[str, bytes | None]) -> None:
    _check_room(await metadata.of_user(tx, user_id), values)
    await metadata.set_of_user(tx, user_id, values)


async def _change_of_mailbox(tx: Transaction, mailbox_id: int, values: Mapping[str, bytes | None]) -> None:
    _check_room((await metadata.of_mailboxes(tx, [mailbox_id])).get(mailbox_id, {}), values)
    await metadata.set_of_mailbox(tx, mailbox_id, values)


def _check_room(there: Values, values: Mapping[str, bytes | None]) -> None:
    after = there.keys() | {entry for entry, value in values.items() if value is not None}
    after -= {entry for entry, value in values.items() if value is None}
    if len(after) > MAX_ENTRIES and not after <= there.keys():
        raise TooManyAnnotations
