"""The answer to a LIST, ready to be sent again while the tree is the same; the numbers of STATUS are put in each time.

The lines of a block are one template with a place for each number, so that nothing is made per mailbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from gateway.store.counters import Counters
from gateway.wire import write
from gateway.wire.commands import StatusItem

LINES_PER_BLOCK = 200

_COUNTERS = {
    StatusItem.MESSAGES: Counters._fields.index("messages"),
    StatusItem.UIDNEXT: Counters._fields.index("uidnext"),
    StatusItem.UIDVALIDITY: Counters._fields.index("uidvalidity"),
    StatusItem.UNSEEN: Counters._fields.index("unseen"),
    StatusItem.DELETED: Counters._fields.index("deleted"),
    StatusItem.HIGHESTMODSEQ: Counters._fields.index("highestmodseq"),
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


def sheet_of(lines: Sequence[Line], items: Sequence[StatusItem], *, utf8: bool) -> Sheet:
    """Make the sheet for `lines`, and for STATUS with `items`; for none of them no mailbox has a STATUS."""
    numbers = b" ".join(b"%b %%d" % item.value for item in items)
    blocks: list[Block] = []
    for start in range(0, len(lines), LINES_PER_BLOCK):
        block = lines[start : start + LINES_PER_BLOCK]
        ids = tuple([line.mailbox_id for line in block if line.mailbox_id is not None]) if items else ()
        if ids:
            template = b"".join(_template(line, numbers, utf8=utf8) for line in block)
        else:
            template = b"".join(line.text for line in block)
        blocks.append(Block(template, ids))
    all_ids = tuple(chain.from_iterable(block.mailbox_ids for block in blocks))
    return Sheet(tuple(blocks), all_ids, tuple(_COUNTERS[item] for item in items))


def _template(line: Line, numbers: bytes, *, utf8: bool) -> bytes:
    text = line.text.replace(b"%", b"%%")
    if line.mailbox_id is None:
        return text
    return text + b"* STATUS %b (%b)\r\n" % (write.mailbox(line.name, utf8=utf8).replace(b"%", b"%%"), numbers)
