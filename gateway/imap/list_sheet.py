"""The answer to a LIST, ready to be sent again while the tree is the same; the numbers of STATUS are put in each time.

The lines of a block are one template with a place for each number, so that nothing is made per mailbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

from gateway.store.counters import Counters
from gateway.store.mailboxes import MailboxRow
from gateway.wire import write
from gateway.wire.commands import StatusItem

LINES_PER_BLOCK = 200

_COUNTERS = {
    StatusItem.MESSAGES: "messages",
    StatusItem.UIDNEXT: "uidnext",
    StatusItem.UIDVALIDITY: "uidvalidity",
    StatusItem.UNSEEN: "unseen",
    StatusItem.DELETED: "deleted",
    StatusItem.HIGHESTMODSEQ: "highestmodseq",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What is told of one name: its line, and which mailbox's STATUS goes behind it, if any does."""

    name: str
    text: bytes
    mailbox_id: int | None


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines. With `mailbox_ids` it is a template that takes the numbers of each of them."""

    template: bytes
    mailbox_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole answer; `columns` says which counters are the numbers of a mailbox, in their order."""

    blocks: tuple[Block, ...]
    mailbox_ids: tuple[int, ...]
    columns: tuple[int, ...]

    def fill(self, block: Block, counters: Mapping[int, Counters]) -> bytes:
        """Return the lines of a block. `counters` are those of all its mailboxes.

        Raises:
            KeyError: one is missing.
        """
        if not block.mailbox_ids:
            return block.template
        rows = [counters[mailbox_id] for mailbox_id in block.mailbox_ids]
        if len(self.columns) == 1:
            return block.template % tuple([row[self.columns[0]] for row in rows])
        return block.template % tuple(chain.from_iterable(map(itemgetter(*self.columns), rows)))


def has_counters_only(items: Iterable[StatusItem]) -> bool:
    """Tell whether a sheet can be made for these items: each is a number that the row of a mailbox holds."""
    return all(item in _COUNTERS for item in items)


def sheet_of(lines: Sequence[Line], items: tuple[StatusItem, ...], *, utf8: bool) -> Sheet:
    """Make the sheet for `lines`, and for STATUS with `items`; for none of them no mailbox has a STATUS."""
    blocks: list[Block] = []
    for start in range(0, len(lines), LINES_PER_BLOCK):
        block = lines[start : start + LINES_PER_BLOCK]
        ids = tuple([line.mailbox_id for line in block if line.mailbox_id is not None]) if items else ()
        if ids:
            template = b"".join(_template(line, items, utf8=utf8) for line in block)
        else:
            template = b"".join(line.text for line in block)
        blocks.append(Block(template, ids))
    all_ids = tuple(chain.from_iterable(block.mailbox_ids for block in blocks))
    return Sheet(tuple(blocks), all_ids, tuple(Counters._fields.index(_COUNTERS[item]) for item in items))


def status_line(name: str, items: tuple[StatusItem, ...], row: MailboxRow | Counters, *, utf8: bool) -> bytes:
    """Return STATUS of a mailbox by itself, for items with `has_counters_only`."""
    line: bytes = _status_template(name, items, utf8) % _numbers(items)(row)
    return line


@lru_cache(maxsize=1024)
def _status_template(name: str, items: tuple[StatusItem, ...], utf8: bool) -> bytes:
    numbers = b" ".join(b"%b %%d" % item.value for item in items)
    return b"* STATUS %b (%b)\r\n" % (write.mailbox(name, utf8=utf8).replace(b"%", b"%%"), numbers)


@lru_cache(maxsize=256)
def _numbers(items: tuple[StatusItem, ...]) -> attrgetter[Any]:
    """Return what takes the numbers out of a row: one number for one item, or else all as a tuple."""
    return attrgetter(*(_COUNTERS[item] for item in items))


def _template(line: Line, items: tuple[StatusItem, ...], *, utf8: bool) -> bytes:
    text = line.text.replace(b"%", b"%%")
    return text if line.mailbox_id is None else text + _status_template(line.name, items, utf8)
