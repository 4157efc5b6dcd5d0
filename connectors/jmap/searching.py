"""What the server can search and count by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.api.abilities import QuotaInfo, TextQuery
from connectors.api.errors import Unavailable
from connectors.api.types import MailboxRef, MessageRef
from connectors.jmap.listing import OLDEST_FIRST
from connectors.jmap.mail import MAX_PAGE, Mail
from connectors.jmap.structs import CORE, MAIL, QUOTA, GetReply, QueryReply, Quota

_MAX_PAGES = 2000
_READINGS = 3


async def search_text(mail: Mail, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
    """Return what Email/query finds for all of the terms; what matches, each server decides (RFC 8621 section 4.4.1).

    If the list is altered between two of its pages, what moved up may have slipped past: then it is read again, though
    not for ever.
    """
    field = "body" if query.body_only else "text"
    conditions: list[Mapping[str, object]] = [{"inMailbox": mailbox}, *({field: term} for term in query.terms)]
    arguments = {"filter": {"operator": "AND", "conditions": conditions}, "sort": OLDEST_FIRST, "limit": MAX_PAGE}
    found: set[MessageRef] = set()
    for _ in range(_READINGS):
        if await _read_list(mail, arguments, found):
            break
    return frozenset(found)


async def _read_list(mail: Mail, arguments: Mapping[str, object], found: set[MessageRef]) -> bool:
    """Add what a query gives; return whether all pages were of one list."""
    position, states, seen = 0, set[str](), set[str]()
    for _ in range(_MAX_PAGES):
        call = mail.call("Email/query", "query", {**arguments, "position": position})
        reply = (await mail.client.call(call)).get("query", QueryReply)
        if seen.issuperset(reply.ids):
            return len(states) <= 1
        states.add(reply.query_state)
        seen.update(reply.ids)
        found.update(map(MessageRef, reply.ids))
        position += len(reply.ids)
    raise Unavailable("a search finds more and more")


async def quota(mail: Mail) -> Sequence[QuotaInfo]:
    """Return how full the account is (RFC 9425); nothing where the server does not say."""
    if not mail.client.has(QUOTA):
        return []
    call = mail.call("Quota/get", "get", {"ids": None})
    return quota_roots((await mail.client.call(call, using=(CORE, MAIL, QUOTA))).get("get", GetReply[Quota]).items)


def quota_roots(told: Sequence[Quota]) -> list[QuotaInfo]:
    """Return what limits the account's mail: octets and messages of one name; what else has that name, by its id."""
    by_name: dict[str, dict[str, Quota]] = {}
    for item in told:
        if item.scope in ("", "account") and (not item.types or "Mail" in item.types or "Email" in item.types):
            root = by_name.setdefault(item.name or item.id, {})
            if item.resource_type in root:
                root = by_name.setdefault(item.id, {})
            root[item.resource_type] = item
    return [_info(name, kinds.get("octets"), kinds.get("count")) for name, kinds in by_name.items()]


def _info(name: str, octets: Quota | None, count: Quota | None) -> QuotaInfo:
    return QuotaInfo(
        name=name,
        used_octets=octets.used if octets else 0,
        limit_octets=octets.hard_limit if octets else None,
        used_messages=count.used if count else None,
        limit_messages=count.hard_limit if count else None,
    )
