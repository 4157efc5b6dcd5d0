"""Email/query (RFC 8621 section 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import Arguments, anything, boolean, list_of, mapping, nullable, text
from tests.fakes.jmap.errors import MethodFailure
from tests.fakes.jmap.methods.filters import EmailFilter, read_comparator, read_filter
from tests.fakes.jmap.methods.standard import query_reply, take_window
from tests.fakes.jmap.options import Quirk
from tests.fakes.jmap.records import ByDate, Descending, Email, FoundIds, ResultList
from tests.fakes.jmap.scope import Scope


def email_query(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments)
    wanted = arguments.optional("filter", read_filter(account), EmailFilter(lambda _: True, is_whole=True))
    sorts = arguments.optional("sort", nullable(list_of(mapping)), None) or []
    collapses = arguments.optional("collapseThreads", boolean, False)
    window = take_window(arguments)
    arguments.finish()
    comparators = [read_comparator(account, each) for each in sorts]
    descends = _date_order(sorts)
    results: ResultList
    if wanted.is_whole and not collapses and descends is not None and not account.hides_some:
        by_date = _members(account, wanted.mailbox)
        results = Descending(by_date) if descends else by_date
        state = _membership_state(account, wanted.mailbox)
    else:
        results = FoundIds(_search(account, wanted, comparators, collapses))
        state = account.state("Email")
    if scope.options.has(Quirk.COARSE_QUERY_STATE):
        state = account.state("Email")
    return query_reply(scope, account, results, window, state, account.emails.get)


def _date_order(sorts: list[dict[str, object]]) -> bool | None:
    """Tell whether the order is by date descending; None if it is not by date alone. Without a sort it is ours."""
    if not sorts:
        return True
    if len(sorts) == 1 and sorts[0]["property"] == "receivedAt":
        return sorts[0].get("isAscending") is False
    return None


def _members(account: Account, mailbox_id: str | None) -> ByDate:
    if mailbox_id is None:
        return account.by_date
    mailbox = account.mailboxes.get(mailbox_id)
    return ByDate() if mailbox is None or not mailbox.allows("mayReadItems") else mailbox.emails


def _membership_state(account: Account, mailbox_id: str | None) -> str:
    """Return a state that moves only when messages come or go, for keywords and the rest do not matter here."""
    if mailbox_id is None:
        return f"qa{account.membership}"
    mailbox = account.mailboxes.get(mailbox_id)
    return f"q{mailbox_id}.{mailbox.membership if mailbox else 'gone'}"


def _search(
    account: Account,
    wanted: EmailFilter,
    comparators: list[tuple[Callable[[Email], Any], bool]],
    collapses: bool,
) -> list[str]:
    members = _members(account, wanted.mailbox)
    found = [
        email
        for email in (account.emails[email_id] for email_id in members.page(0, len(members)))
        if wanted.matches(email) and account.readable(email)
    ]
    if not comparators:
        found.reverse()
    for key, is_ascending in reversed(comparators):
        found.sort(key=key, reverse=not is_ascending)
    return [email.id for email in (_collapsed(found) if collapses else found)]


def _collapsed(emails: Iterable[Email]) -> list[Email]:
    """Keep the first of each thread (RFC 8621 section 4.4.3)."""
    first: dict[str, Email] = {}
    for email in emails:
        first.setdefault(email.thread_id, email)
    return list(first.values())


def query_changes(scope: Scope, arguments: Arguments) -> dict[str, object]:
    """Answer Email/queryChanges and Mailbox/queryChanges, which a server need not be able to (RFC 8620 section 5.6)."""
    scope.account(arguments)
    arguments.required("sinceQueryState", text)
    for name in ("filter", "sort", "maxChanges", "upToId", "calculateTotal", "collapseThreads"):
        arguments.optional(name, anything, None)
    arguments.finish()
    raise MethodFailure("cannotCalculateChanges")
