"""Email/set (RFC 8621 section 4.6). Messages are made by Email/import only: `create` gives `forbidden`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import (
    Arguments,
    Mismatch,
    identifier,
    keyword,
    list_of,
    map_of,
    mapping,
    nullable,
    reference,
    text,
)
from tests.fakes.jmap.errors import SetFailure, invalid_property
from tests.fakes.jmap.methods.email_body import BodyOptions
from tests.fakes.jmap.methods.email_get import METADATA, document, is_property
from tests.fakes.jmap.methods.membership import (
    check_keyword_count,
    check_mailbox_count,
    check_rights,
    known_mailbox,
    read_keywords,
    read_mailbox_ids,
)
from tests.fakes.jmap.methods.standard import SetReply, attempt, check_set_size, check_state
from tests.fakes.jmap.patches import Patch, read_patch
from tests.fakes.jmap.records import Email
from tests.fakes.jmap.scope import Scope

SETTABLE = frozenset({"mailboxIds", "keywords"})


def email_set(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments, to_write=True)
    expected = arguments.optional("ifInState", nullable(text), None)
    create = arguments.optional("create", nullable(map_of(identifier, mapping)), None) or {}
    update = arguments.optional("update", nullable(map_of(reference, mapping)), None) or {}
    destroy = arguments.optional("destroy", nullable(list_of(reference)), None) or []
    arguments.finish()
    check_set_size(scope, len(create) + len(update) + len(destroy))
    check_state(account, "Email", expected)
    work = _EmailSet(scope, account, SetReply())
    old_state = account.state("Email")
    with account.changing():
        for key in create:
            work.reply.not_created[key] = {"type": "forbidden", "description": "this server takes imports only"}
        for key, patch in update.items():
            act = partial(work.update, key, patch, destroy)
            attempt(scope, "Email/set update", work.reply.not_updated, key, act)
        for key in destroy:
            attempt(scope, "Email/set destroy", work.reply.not_destroyed, key, partial(work.destroy, key))
    states = {"accountId": account.id, "oldState": old_state, "newState": account.state("Email")}
    return {**states, **work.reply.arguments()}


@dataclass(slots=True)
class _EmailSet:
    scope: Scope
    account: Account
    reply: SetReply

    def update(self, key: str, changes: dict[str, object], doomed: list[str]) -> None:
        if key in doomed:
            raise SetFailure("willDestroy")
        email = self._find(key)
        patch = read_patch(changes)
        self._refuse_immutable(email, patch)
        mailbox_ids = self._mailbox_ids(email, patch)
        keywords = self._keywords(email, patch)
        check_rights(self.account, email.mailbox_ids, mailbox_ids, email.keywords, keywords)
        self.account.update_email(email, mailbox_ids=mailbox_ids, keywords=keywords)
        self.reply.updated[email.id] = None

    def destroy(self, key: str) -> None:
        email = self._find(key)
        check_rights(self.account, email.mailbox_ids, set(), email.keywords, email.keywords)
        self.account.destroy_email(email)
        self.reply.destroyed.append(email.id)

    def _find(self, key: str) -> Email:
        try:
            return self.account.emails[self.scope.resolved(key)]
        except KeyError:
            raise SetFailure("notFound") from None

    def _refuse_immutable(self, email: Email, patch: Patch) -> None:
        """Refuse what cannot be changed; the value it has already is allowed (RFC 8620 section 5.3)."""
        names = (patch.whole.keys() | patch.parts.keys()) - SETTABLE
        wrong = [name for name in names if not is_property(name)]
        if wrong:
            raise SetFailure("invalidProperties", "unknown", properties=sorted(wrong), is_violation=True)
        now = document(email, list(METADATA), BodyOptions())
        changed = [name for name in names if name not in patch.whole or now.get(name, ...) != patch.whole[name]]
        if changed:
            raise SetFailure("invalidProperties", "immutable", properties=sorted(changed), is_violation=True)

    def _mailbox_ids(self, email: Email, patch: Patch) -> set[str]:
        if "mailboxIds" in patch.whole:
            return read_mailbox_ids(self.scope, self.account, patch.whole["mailboxIds"])
        ids = set(email.mailbox_ids)
        for key, value in patch.parts.get("mailboxIds", {}).items():
            if value is None:
                ids.discard(self._removed_id(key))
            elif value is True:
                ids.add(known_mailbox(self.scope, self.account, key))
            else:
                raise invalid_property(f"mailboxIds/{key}", "must be true or null")
        if not ids:
            raise invalid_property("mailboxIds", "an Email must be in a mailbox", is_violation=False)
        check_mailbox_count(self.scope, ids)
        return ids

    def _removed_id(self, key: str) -> str:
        try:
            return self.scope.resolved(reference(key))
        except (KeyError, Mismatch):
            raise invalid_property(f"mailboxIds/{key}", "is no id") from None

    def _keywords(self, email: Email, patch: Patch) -> set[str]:
        if "keywords" in patch.whole:
            return read_keywords(self.scope, patch.whole["keywords"])
        keywords = set(email.keywords)
        for key, value in patch.parts.get("keywords", {}).items():
            try:
                name = keyword(key)
            except Mismatch as mismatch:
                raise invalid_property(f"keywords/{key}", str(mismatch)) from None
            if value is not None and value is not True:
                raise invalid_property(f"keywords/{key}", "must be true or null")
            (keywords.add if value else keywords.discard)(name)
        check_keyword_count(self.scope, keywords)
        return keywords
