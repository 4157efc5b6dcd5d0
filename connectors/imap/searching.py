"""What the server can be asked about the account beside its messages: words in them, and how full it is."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.api.abilities import QuotaInfo, TextQuery
from connectors.api.types import MailboxRef, MessageRef
from connectors.imap.client import Connection
from connectors.imap.session import Session, ref_of
from connectors.imap.sync import search_uids
from gateway.wire.command_writer import Text
from gateway.wire.responses import QuotaData

_STORAGE_UNIT_OCTETS = 1024


async def search_text(session: Session, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
    """Return the messages that hold every term, by whatever the server takes for holding it.

    Raises:
        Unsupported: the server does not search in UTF-8.
    """
    criteria: list[bytes | Text] = []
    if not all(term.isascii() for term in query.terms):
        criteria.append(b"CHARSET UTF-8")
    for term in query.terms:
        criteria += [b"BODY" if query.body_only else b"TEXT", Text(term.encode("utf-8", "replace"))]

    async def search(connection: Connection) -> list[int]:
        session.check_uidvalidity(connection)
        return await search_uids(connection, *(criteria or [b"ALL"]))

    return frozenset(map(ref_of, await session.pool.read(mailbox, search, is_fresh=True)))


async def quota(session: Session) -> Sequence[QuotaInfo]:
    """Return the quota roots of INBOX (RFC 9208); none where the server keeps none."""

    async def ask(connection: Connection) -> list[QuotaData]:
        if "QUOTA" not in connection.capabilities:
            return []
        reply = await connection.run(b"GETQUOTAROOT", b"INBOX")
        return [response for response in reply.responses if isinstance(response, QuotaData)]

    return [_quota_info(data) for data in await session.pool.read(None, ask) if data.resources]


def _quota_info(data: QuotaData) -> QuotaInfo:
    storage = data.resources.get("STORAGE")
    messages = data.resources.get("MESSAGE")
    return QuotaInfo(
        name=data.root.decode("utf-8", "replace"),
        used_octets=storage[0] * _STORAGE_UNIT_OCTETS if storage else 0,
        limit_octets=storage[1] * _STORAGE_UNIT_OCTETS if storage else None,
        used_messages=messages[0] if messages else None,
        limit_messages=messages[1] if messages else None,
    )
