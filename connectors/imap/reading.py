"""Reading messages: outlines and whole content."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing

from connectors.api.errors import ConnectorError, NotFound, Rejected
from connectors.api.types import BytesContent, MailboxRef, MessageContent, MessageRef, Outline
from connectors.imap import names
from connectors.imap.body_structure import canonical_structure
from connectors.imap.client import Connection
from connectors.imap.errors import ConnectionLost, MalformedReply
from connectors.imap.exchange import LiteralSink
from connectors.imap.session import Session, ref_of, uid_of, uid_set
from connectors.imap.spool import SpooledContent
from gateway.wire.responses import FetchData, LiteralStart, StreamedLiteral

_OUTLINES_AT_ONCE = 50
_BAD_AT_MOST = 3


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


async def fetch_many(
    session: Session, mailbox: MailboxRef, refs: Sequence[MessageRef]
) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
    """Yield the messages by one command, each read from the connection when it is asked for.

    What the mailbox does not have even after asking anew is left out. The connection is lent until the iterator ends;
    where it is closed before, the connection is closed too. A few messages that the server cannot give do not keep the
    others from being read: the error for them comes at the end.
    """
    uids = sorted({uid for uid in map(uid_of, refs) if uid})
    pending = [(uids, False)] if uids else []
    failures: list[ConnectorError] = []
    while pending:
        wanted, is_fresh = pending.pop()
        missing = set(wanted)
        has_rested = None
        try:
            async with session.pool.connection(mailbox, is_fresh=is_fresh) as connection:
                has_rested = connection.has_rested
                session.check_uidvalidity(connection)
                async with aclosing(_contents(connection, wanted)) as contents:
                    async for uid, content in contents:
                        missing.discard(uid)
                        yield ref_of(uid), content
        except (Rejected, ConnectionLost) as exc:
            if has_rested is None:
                # It did not come to asking for messages.
                raise
            if not missing:
                continue
            # Worth asking anew: a connection that died while it rested, and a NO for what was expunged meanwhile.
            if is_fresh or not (has_rested or isinstance(exc, Rejected)):
                if not isinstance(exc, (Rejected, MalformedReply)):
                    raise
                if len(wanted) > 1:
                    pending += _halves(sorted(missing))
                    continue
                failures.append(exc)
                if len(failures) == _BAD_AT_MOST:
                    break
                continue
        if missing and not is_fresh:
            pending.append((sorted(missing), True))
    if failures:
        raise failures[0]


def _halves(uids: list[int]) -> list[tuple[list[int], bool]]:
    """Return what to ask for instead, the first half last since the last is taken first."""
    middle = len(uids) // 2
    return [(half, True) for half in (uids[middle:], uids[:middle]) if half]


async def _contents(connection: Connection, uids: Iterable[int]) -> AsyncGenerator[tuple[int, MessageContent], None]:
    """Yield those of the messages that this connection sees, each once."""
    wanted = set(uids)
    spools: dict[bytes, SpooledContent] = {}

    def spool(start: LiteralStart) -> LiteralSink:
        if start.item != b"BODY[]":
            return _Nowhere()
        spools[start.item] = SpooledContent()
        return spools[start.item]

    command = connection.stream(b"UID FETCH", uid_set(sorted(wanted)), b"(UID BODY.PEEK[])", on_literal=spool)
    async with aclosing(command) as responses:
        async for response in responses:
            spooled = spools.pop(b"BODY[]", None)
            if not isinstance(response, FetchData) or response.uid not in wanted:
                continue
            data = response.sections.get(b"BODY[]")
            if data is None:
                # Not the answer, or NIL: expunged, and this connection has not been told yet.
                continue
            wanted.discard(response.uid)
            if not isinstance(data, StreamedLiteral):
                yield response.uid, BytesContent(data)
            elif spooled is not None:
                await spooled.finish()
                yield response.uid, spooled


class _Nowhere:
    """Takes a large literal that was not asked for."""

    async def write(self, data: bytes) -> None:
        pass
