"""Asking for messages of which the changes need not tell that they are gone: see `connectors.jmap.brief`."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.api.errors import CursorExpired
from connectors.api.types import MessageRef
from connectors.jmap.brief import Learned
from connectors.jmap.mail import Mail, in_chunks
from connectors.jmap.results import Results
from connectors.jmap.structs import ChangesReply

_MAX_REPLIES = 200
"""Beyond that many, listing anew is cheaper."""


async def find_gone(mail: Mail, learned: Learned, told: Iterable[MessageRef]) -> list[MessageRef]:
    """Return those messages that are gone, and others; of those in `told` the changes have told already.

    Raises:
        CursorExpired: it cannot be found out.
    """
    known = frozenset(told)
    untold = [ref for ref in learned.made if ref not in known]
    found = (await mail.emails(untold, ("id",))).found if untold else {}
    gone = dict.fromkeys(ref for ref in untold if ref not in found)
    pending = dict.fromkeys(learned.states)
    asked: set[str] = set()
    for _ in range(_MAX_REPLIES):
        some = next(in_chunks(list(pending), mail.calls_limit), ())
        if not some:
            return list(gone)
        calls = {f"since{index}": state for index, state in enumerate(some)}
        results = await mail.client.call(
            *(mail.call("Email/changes", call_id, {"sinceState": state}) for call_id, state in calls.items())
        )
        for call_id, state in calls.items():
            del pending[state]
            asked.add(state)
            reply = _reply(mail, results, call_id)
            gone.update(dict.fromkeys(map(MessageRef, reply.destroyed or ())))
            if not reply.has_more_changes:
                continue
            if reply.new_state == state:
                raise CursorExpired(f"account {mail.client.account_id}: changes lead back to the same state")
            # What follows from there may be known from another state.
            if reply.new_state not in asked:
                pending[reply.new_state] = None
    raise CursorExpired(f"account {mail.client.account_id}: there is no end to the changes since messages were listed")


def _reply(mail: Mail, results: Results, call_id: str) -> ChangesReply:
    error = results.error(call_id)
    if error is not None and error.type in ("cannotCalculateChanges", "invalidArguments", "tooManyChanges"):
        raise CursorExpired(f"account {mail.client.account_id}: Email/changes since a listing: {error.type}")
    return results.get(call_id, ChangesReply)
