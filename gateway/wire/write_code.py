"""The insides of response codes (RFC 9051 section 7.1, `resp-text-code`), to be handed to `gateway.wire.write`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.wire.codes import Code
from gateway.wire.flags import format_flags
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.strings import is_atom, quote


def in_progress(tag: str) -> bytes:
    """`INPROGRESS ("a1" NIL NIL)` (RFC 9585): how far the command is, and of how much, is not known.

    Without the tag where it could be taken for the end of the code.
    """
    if "]" in tag:
        return Code.INPROGRESS.value
    return b'%b ("%b" NIL NIL)' % (Code.INPROGRESS.value, tag.encode("ascii"))


def append_uid(uidvalidity: int, uids: Sequence[int]) -> bytes:
    """`APPENDUID 38505 3955`, with the UIDs in the order of the messages (RFC 4315 section 3)."""
    return b"%b %d %b" % (Code.APPENDUID.value, uidvalidity, in_order(uids).to_bytes())


def copy_uid(uidvalidity: int, pairs: Sequence[tuple[int, int]]) -> bytes | None:
    """`COPYUID 38505 304,319:320 3956:3958` (RFC 4315 section 3); None if nothing was copied.

    `uidvalidity` is the destination's. The pairs are (source UID, UID of the copy); the two sets are written in their
    order, so that the n-th of one belongs to the n-th of the other.
    """
    if not pairs:
        return None
    ordered = sorted(pairs)
    sources = in_order(source for source, _ in ordered).to_bytes()
    copies = in_order(copy for _, copy in ordered).to_bytes()
    return b"%b %d %b %b" % (Code.COPYUID.value, uidvalidity, sources, copies)


def uidvalidity(value: int) -> bytes:
    """`UIDVALIDITY n`."""
    return b"%b %d" % (Code.UIDVALIDITY.value, value)


def uidnext(value: int) -> bytes:
    """`UIDNEXT n`."""
    return b"%b %d" % (Code.UIDNEXT.value, value)


def unseen(sequence_number: int) -> bytes:
    """`UNSEEN n`, the first unseen message of a mailbox being selected (RFC 3501 section 7.1)."""
    return b"%b %d" % (Code.UNSEEN.value, sequence_number)


def highestmodseq(modseq: int) -> bytes:
    """`HIGHESTMODSEQ n` (RFC 7162 section 3.1.2.1)."""
    return b"%b %d" % (Code.HIGHESTMODSEQ.value, modseq)


def mailbox_id(object_id: str) -> bytes:
    """`MAILBOXID (F2212ea87)` (RFC 8474 sections 4.1 and 4.2)."""
    return b"%b (%b)" % (Code.MAILBOXID.value, object_id.encode("ascii", "replace"))


def message_limit(limit: int, lowest: int | None) -> bytes:
    """`MESSAGELIMIT n uid`: how many messages a command may be about, and the lowest UID that it was done for.

    None if that is not known (RFC 9738 section 3.1).
    """
    code = b"%b %d" % (Code.MESSAGELIMIT.value, limit)
    return code if lowest is None else b"%b %d" % (code, lowest)


def no_update(tag: str) -> bytes:
    """`NOUPDATE "a1"` (RFC 5267 section 4.3.1): the search with that tag is not kept up to date, or not any more."""
    return b"%b %b" % (Code.NOUPDATE.value, quote(tag.encode("ascii")))


def modified(numbers: SequenceSet) -> bytes:
    """`MODIFIED set` (RFC 7162 section 3.1.3); the set must not be empty."""
    return b"%b %b" % (Code.MODIFIED.value, numbers.to_bytes())


def permanent_flags(flags: Iterable[str], *, allows_new: bool) -> bytes:
    """`PERMANENTFLAGS (...)`, with `\\*` at the end if clients may make up keywords."""
    return b"%b %b" % (Code.PERMANENTFLAGS.value, format_flags([*flags, "\\*"] if allows_new else flags))


def capability(names: Iterable[str]) -> bytes:
    """`CAPABILITY IMAP4rev1 ...`; what is no atom is left out."""
    return b" ".join((Code.CAPABILITY.value, *atoms(names)))


def bad_charset(charsets: Iterable[str]) -> bytes:
    """`BADCHARSET (UTF-8 ...)`."""
    return b"%b (%b)" % (Code.BADCHARSET.value, b" ".join(atoms(charsets)))


def undefined_filter(name: str) -> bytes:
    """`UNDEFINED-FILTER name` (RFC 5466 section 3.1)."""
    return b"%b %b" % (Code.UNDEFINED_FILTER.value, name.encode("ascii"))


def atoms(names: Iterable[str]) -> list[bytes]:
    """Return those of the names that are atoms."""
    encoded = [name.encode("utf-8", "replace") for name in names]
    return [name for name in encoded if is_atom(name)]


def in_order(numbers: Iterable[int]) -> SequenceSet:
    """Return a set that keeps the order of the numbers when it is written; only ascending runs are joined."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return SequenceSet(tuple(runs))
