"""Email/import (RFC 8621 section 4.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import Arguments, Mismatch, identifier, map_of, mapping, nullable, text, utc_date
from tests.fakes.jmap.content import Content, decoded_text
from tests.fakes.jmap.errors import SetFailure, invalid_property
from tests.fakes.jmap.methods.membership import check_rights, read_keywords, read_mailbox_ids
from tests.fakes.jmap.methods.standard import attempt, check_set_size, check_state
from tests.fakes.jmap.options import Quirk
from tests.fakes.jmap.scope import Scope

PROPERTIES = frozenset({"blobId", "mailboxIds", "keywords", "receivedAt"})


def email_import(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments, to_write=True)
    expected = arguments.optional("ifInState", nullable(text), None)
    emails = arguments.required("emails", map_of(identifier, mapping))
    arguments.finish()
    check_set_size(scope, len(emails))
    check_state(account, "Email", expected)
    old_state = account.state("Email")
    work = _Import(scope, account)
    with account.changing():
        for key, values in emails.items():
            attempt(scope, "Email/import", work.not_created, key, partial(work.add, key, values))
    return {
        "accountId": account.id,
        "oldState": old_state,
        "newState": account.state("Email"),
        "created": work.created or None,
        "notCreated": work.not_created or None,
    }


@dataclass(slots=True)
class _Import:
    scope: Scope
    account: Account
    created: dict[str, object] = field(default_factory=dict)
    not_created: dict[str, object] = field(default_factory=dict)

    def add(self, key: str, values: dict[str, object]) -> None:
        unknown = values.keys() - PROPERTIES
        if unknown:
            raise SetFailure("invalidProperties", "unknown", properties=sorted(unknown), is_violation=True)
        account, options = self.account, self.scope.options
        blob_id, content = self._blob(values)
        mailbox_ids = read_mailbox_ids(self.scope, account, values.get("mailboxIds", {}))
        keywords = read_keywords(self.scope, values.get("keywords", {}))
        received_at = self._received_at(values, content)
        check_rights(account, set(), mailbox_ids, set(), keywords)
        if not content.header.strip() or b":" not in content.header:
            raise SetFailure("invalidEmail", "there is no header")
        if options.has(Quirk.IMPORT_REPAIRS):
            content = content.repaired()
            blob_id = content.blob_id()
        if options.has(Quirk.IMPORT_LOSES):
            content = Content.of(b"")
            blob_id = content.blob_id()
        existing = account.emails_of_blob.get(blob_id)
        if existing and options.has(Quirk.FORBID_DUPLICATES):
            raise SetFailure("alreadyExists", existing_id=existing[0])
        if options.has(Quirk.FORBID_SAME_MESSAGE_ID):
            self._check_message_id(content)
        check_quota(self.scope, account, content.size)
        email = account.new_email(content, blob_id, mailbox_ids, keywords, received_at, options.quirks)
        account.add_email(email)
        self.scope.created_ids[key] = email.id
        self.created[key] = {
            "id": email.id,
            "blobId": email.blob_id,
            "threadId": email.thread_id,
            "size": email.size,
        }

    def _check_message_id(self, content: Content) -> None:
        wanted = message_id(content)
        for email in self.account.emails.values():
            if wanted is not None and message_id(email.content) == wanted:
                raise SetFailure("alreadyExists", existing_id=email.id)

    def _blob(self, values: dict[str, object]) -> tuple[str, Content]:
        try:
            blob_id = identifier(values.get("blobId"))
        except Mismatch as mismatch:
            raise invalid_property("blobId", str(mismatch)) from None
        if blob_id not in self.account.blobs:
            raise invalid_property("blobId", "there is no such blob", is_violation=False)
        return blob_id, self.account.blobs[blob_id]

    def _received_at(self, values: dict[str, object], content: Content) -> datetime:
        if "receivedAt" not in values:
            return newest_received(content)
        try:
            moment = utc_date(values["receivedAt"]).replace(microsecond=0)
        except Mismatch as mismatch:
            raise invalid_property("receivedAt", str(mismatch)) from None
        if self.scope.options.has(Quirk.DATES_WRAP):
            moment = datetime.fromtimestamp(int(moment.timestamp()) % 2**32, UTC)
        return moment


def message_id(content: Content) -> bytes | None:
    """Return the value of the first Message-ID field."""
    return next((value.strip() for name, value in content.fields() if name.lower() == "message-id"), None)


def newest_received(content: Content) -> datetime:
    """Return the time in the first Received field, or now."""
    value = next((value for name, value in content.fields() if name.lower() == "received"), b"")
    try:
        moment = parsedate_to_datetime(decoded_text(value).rpartition(";")[2])
    except (ValueError, TypeError, IndexError):
        return datetime.now(UTC).replace(microsecond=0)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def check_quota(scope: Scope, account: Account, octets: int) -> None:
    """See whether one more message fits.

    Raises:
        SetFailure: `overQuota`.
    """
    limit, most = scope.options.quota_octets, scope.options.quota_messages
    if (limit is not None and account.octets + octets > limit) or (most is not None and len(account.emails) >= most):
        raise SetFailure("overQuota")
