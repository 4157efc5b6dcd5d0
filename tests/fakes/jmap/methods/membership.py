"""The mailboxes and keywords of an Email as a client sets them (RFC 8621 sections 4.1.1, 4.6 and 4.8)."""

from __future__ import annotations

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import Mismatch, keyword, mapping, reference, true_only
from tests.fakes.jmap.errors import SetFailure, invalid_property
from tests.fakes.jmap.scope import Scope


def read_mailbox_ids(scope: Scope, account: Account, value: object) -> set[str]:
    """Check a whole `mailboxIds`.

    Raises:
        SetFailure: it is empty or malformed, names no mailbox, or names too many.
    """
    try:
        keys = [reference(key) for key, is_in in mapping(value).items() if true_only(is_in)]
    except Mismatch as mismatch:
        raise invalid_property("mailboxIds", str(mismatch)) from None
    if not keys:
        raise invalid_property("mailboxIds", "an Email must be in a mailbox")
    ids = {known_mailbox(scope, account, key) for key in keys}
    check_mailbox_count(scope, ids)
    return ids


def known_mailbox(scope: Scope, account: Account, key: str) -> str:
    try:
        mailbox_id = scope.resolved(reference(key))
    except (KeyError, Mismatch):
        raise invalid_property("mailboxIds", f"{key} is no id", is_violation=True) from None
    if mailbox_id not in account.mailboxes:
        raise invalid_property("mailboxIds", f"there is no mailbox {mailbox_id}", is_violation=False)
    return mailbox_id


def check_mailbox_count(scope: Scope, ids: set[str]) -> None:
    limit = scope.options.max_mailboxes_per_email
    if limit is not None and len(ids) > limit:
        raise SetFailure("tooManyMailboxes", f"{len(ids)} mailboxes, {limit} are allowed", is_violation=True)


def read_keywords(scope: Scope, value: object) -> set[str]:
    """Check a whole `keywords`.

    Raises:
        SetFailure: it is malformed or too large.
    """
    try:
        keywords = {keyword(key) for key, is_set in mapping(value).items() if true_only(is_set)}
    except Mismatch as mismatch:
        raise invalid_property("keywords", str(mismatch)) from None
    check_keyword_count(scope, keywords)
    return keywords


def check_keyword_count(scope: Scope, keywords: set[str]) -> None:
    limit = scope.options.max_keywords_per_email
    if len(keywords) > limit:
        raise SetFailure("tooManyKeywords", f"{len(keywords)} keywords, {limit} are allowed")


def check_rights(
    account: Account, old_ids: set[str], new_ids: set[str], old_keywords: set[str], new_keywords: set[str]
) -> None:
    """Check the rights that a change needs (RFC 8621 section 2).

    Raises:
        SetFailure: `forbidden`.
    """
    needed = [(mailbox_id, "mayAddItems") for mailbox_id in new_ids - old_ids]
    needed += [(mailbox_id, "mayRemoveItems") for mailbox_id in old_ids - new_ids]
    if old_ids:
        changed = old_keywords ^ new_keywords
        if "$seen" in changed:
            needed += [(mailbox_id, "maySetSeen") for mailbox_id in old_ids]
        if changed - {"$seen"}:
            needed += [(mailbox_id, "maySetKeywords") for mailbox_id in old_ids]
    for mailbox_id, right in needed:
        if not account.mailboxes[mailbox_id].allows(right):
            raise SetFailure("forbidden", f"{right} is missing for {mailbox_id}")
