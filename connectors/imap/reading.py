"""Reading messages: outlines and whole content."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from connectors.api.errors import NotFound, Rejected
from connectors.api.types import BytesContent, MailboxRef, MessageContent, MessageRef, Outline
from connectors.imap import names
from connectors.imap.body_structure import canonical_structure
from connectors.imap.client import Connection, LiteralSink
from connectors.imap.errors import MalformedReply
from connectors.imap.session import Session, ref_of, uid_of, uid_set
from connectors.imap.spool import SpooledContent
from gateway.wire.responses import FetchData, LiteralStart, StreamedLiteral

_OUTLINES_AT_ONCE = 50


async def outlines(session: Session, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
    """Yield the outlines, fifty to a command; what the mailbox does not have even after asking anew is left out."""
    uids = sorted({uid for uid in map(uid_of, refs) if uid})
    for start in range(0, len(uids), _OUTLINES_AT_ONCE):
        window = uids[start : start + _OUTLINES_AT_ONCE]
        found = await _outlines(session, mailbox, window, is_fresh=False)
        missing = [uid for uid in window if uid not in found]
        if missing:
            found |= await _outlines(session, mailbox, missing, is_fresh=True)
        for outline in found.values():
            yield outline


async def _outlines(
    session: Session, mailbox: MailboxRef, uids: list[int], *, is_fresh: bool, with_structure: bool = True
) -> dict[int, Outline]:
    structure = b" BODYSTRUCTURE" if with_structure else b""
    items = b"(UID INTERNALDATE RFC822.SIZE%b BODY.PEEK[HEADER])" % structure

    async def fetch(connection: Connection) -> dict[int, Outline]:
        session.check_uidvalidity(connection)
        reply = await connection.run(b"UID FETCH", uid_set(uids), items)
        return _collect(reply.fetches(), frozenset(uids))

    try:
        return await session.pool.read(mailbox, fetch, is_fresh=is_fresh)
    except (Rejected, MalformedReply):
        # One message that the server cannot describe must not keep the others from being read.
        if len(uids) == 1 and not with_structure:
            raise
    if len(uids) == 1:
        return await _outlines(session, mailbox, uids, is_fresh=is_fresh, with_structure=False)
    middle = len(uids) // 2
    first = await _outlines(session, mailbox, uids[:middle], is_fresh=is_fresh, with_structure=with_structure)
    second = await _outlines(session, mailbox, uids[middle:], is_fresh=is_fresh, with_structure=with_structure)
    return first | second


def _collect(fetches: Iterable[FetchData], wanted: frozenset[int]) -> dict[int, Outline]:
    found: dict[int, Outline] = {}
    for fetched in fetches:
        if fetched.uid not in wanted or b"BODY[HEADER]" not in fetched.sections:
            continue
        header = fetched.sections[b"BODY[HEADER]"]
        if not isinstance(header, bytes):
            # NIL: expunged, and this connection has not been told yet.
            continue
        found[fetched.uid] = Outline(
            ref=ref_of(fetched.uid),
            header=header,
            size=fetched.size,
            internal_date=fetched.internal_date,
            body_structure=canonical_structure(fetched.structure),
        )
    return found


async def fetch(session: Session, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
    """Return the message: small ones in memory, others in a file that goes when the content does.

    Raises:
        NotFound: the message is gone.
    """
    uid = uid_of(ref)
    if uid:
        for is_fresh in (False, True):
            content = await session.pool.read(mailbox, lambda c: _content(session, c, uid), is_fresh=is_fresh)
            if content is not None:
                return content
    raise NotFound(f"no message {ref} in {names.readable(mailbox)} at {session.settings.endpoint}")


async def _content(session: Session, connection: Connection, uid: int) -> MessageContent | None:
    """Return the message; None if this connection does not see it."""
    session.check_uidvalidity(connection)
    spools: list[SpooledContent] = []

    def spool(_start: LiteralStart) -> LiteralSink:
        spools.append(SpooledContent())
        return spools[-1]

    reply = await connection.attempt(b"UID FETCH", b"%d" % uid, b"(UID BODY.PEEK[])", on_literal=spool)
    for fetched in reply.fetches():
        if fetched.uid not in (uid, None) or b"BODY[]" not in fetched.sections:
            continue
        data = fetched.sections[b"BODY[]"]
        if isinstance(data, StreamedLiteral):
            await spools[-1].finish()
            return spools[-1]
        if data is not None:
            return BytesContent(data)
        # NIL: expunged, and this connection has not been told yet.
        return None
    if reply.status.value != b"OK":
        raise connection.error(b"UID FETCH", reply)
    return None
