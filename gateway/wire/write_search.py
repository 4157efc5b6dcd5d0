"""SEARCH responses of very many sequence numbers, put together from numbers that were written before."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, compress

from gateway.wire.strings import quote
from gateway.wire.write import SEARCH_NUMBERS_PER_LINE, mailbox

_BLOCK = 4096
_KEPT_BLOCKS = 64
_LINE = SEARCH_NUMBERS_PER_LINE // _BLOCK * _BLOCK


def search_marked(marks: bytes, modseq: int | None = None) -> bytes:
    """Return what `write.search` does for the sequence numbers whose octet in `marks`, one for each message, is 1.

    Three times as fast as from the numbers themselves.
    """
    lines: list[bytes] = []
    for start in range(0, len(marks), _LINE):
        blocks = range(start, min(start + _LINE, len(marks)), _BLOCK)
        found = b"".join(
            chain.from_iterable(compress(_written(first // _BLOCK), marks[first : first + _BLOCK]) for first in blocks)
        )
        if found:
            lines.append(b"* SEARCH" + found)
    if not lines:
        return b"* SEARCH\r\n"
    if modseq is not None:
        lines[-1] += b" (MODSEQ %d)" % modseq
    return b"\r\n".join(lines) + b"\r\n"


@lru_cache(maxsize=_KEPT_BLOCKS)
def _written(block: int) -> tuple[bytes, ...]:
    """Return the numbers of a block, each with a space before it; some 170 KB."""
    return tuple(b" %d" % number for number in range(block * _BLOCK + 1, (block + 1) * _BLOCK + 1))


def of_mailbox(esearch: bytes, tag: str, name: str, uidvalidity: int, *, utf8: bool = False) -> bytes:
    """`* ESEARCH (TAG "a1" MAILBOX "name" UIDVALIDITY 7) UID ...` from what `write.esearch` gave (RFC 7377)."""
    head = b"* ESEARCH (TAG %b" % quote(tag.encode("ascii"))
    return b"%b MAILBOX %b UIDVALIDITY %d%b" % (head, mailbox(name, utf8=utf8), uidvalidity, esearch[len(head) :])
