"""Mailbox/set (RFC 8621 section 2.5)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import (
    Arguments,
    Check,
    Mismatch,
    boolean,
    identifier,
    list_of,
    map_of,
    mapping,
    nullable,
    reference,
    text,
    unsigned,
)
from tests.fakes.jmap.errors import SetFailure, invalid_property
from tests.fakes.jmap.methods.mailbox_reading import PROPERTIES, document
from tests.fakes.jmap.methods.standard import SetReply, attempt, check_set_size, check_state
from tests.fakes.jmap.options import Quirk
from tests.fakes.jmap.patches import read_patch
from tests.fakes.jmap.records import ROLES, Mailbox
from tests.fakes.jmap.scope import Scope

T = TypeVar("T")
SETTABLE = frozenset({"name", "parentId", "role", "sortOrder", "isSubscribed"})


def mailbox_set(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments, to_write=True)
    expected = arguments.optional("ifInState", nullable(text), None)
    create = arguments.optional("create", nullable(map_of(identifier, mapping)), None) or {}
    update = arguments.optional("update", nullable(map_of(reference, mapping)), None) or {}
    destroy = arguments.optional("destroy", nullable(list_of(reference)), None) or []
    removes_emails = arguments.optional("onDestroyRemoveEmails", boolean, False)
    arguments.finish()
    check_set_size(scope, len(create) + len(update) + len(destroy))
    check_state(account, "Mailbox", expected)
    work = _MailboxSet(scope, account, SetReply(), removes_emails)
    old_state = account.state("Mailbox")
    with account.changing():
        for key in _parents_first(create):
            attempt(
                scope, "Mailbox/set create", work.reply.not_created, key, partial(work.create, key, dict(create[key]))
            )
        for key, patch in update.items():
            what = "Mailbox/set update"
            attempt(scope, what, work.reply.not_updated, key, partial(work.update, key, patch, destroy))
        for key in destroy:
            attempt(scope, "Mailbox/set destroy", work.reply.not_destroyed, key, partial(work.destroy, key))
    states = {"accountId": account.id, "oldState": old_state, "newState": account.state("Mailbox")}
    return {**states, **work.reply.arguments()}


def _parents_first(create: dict[str, dict[str, object]]) -> list[str]:
    """Order creations so that one named as a parent comes before its children (RFC 8620 section 5.3)."""
    ordered: list[str] = []

    def visit(key: str, trail: tuple[str, ...]) -> None:
        parent = create[key].get("parentId")
        if isinstance(parent, str) and parent.startswith("#") and parent[1:] in create and parent[1:] not in trail:
            visit(parent[1:], (*trail, key))
        if key not in ordered:
            ordered.append(key)

    for key in create:
        visit(key, (key,))
    return ordered


@dataclass(slots=True)
class _Wanted:
    """The properties a mailbox is to have."""

    name: str
    parent_id: str | None
    role: str | None
    sort_order: int
    is_subscribed: bool


@dataclass(slots=True)
class _MailboxSet:
    scope: Scope
    account: Account
    reply: SetReply
    removes_emails: bool

    def create(self, key: str, values: dict[str, object]) -> None:
        self._refuse_unknown(values, SETTABLE)
        if "name" not in values:
            raise invalid_property("name", "is missing")
        wanted = self._wanted(values, _Wanted("", None, None, 0, True))
        self._check_place(wanted, None)
        if wanted.parent_id is None and not self.scope.options.may_create_top_level:
            raise SetFailure("forbidden", "no mailbox may be made at the top level")
        if wanted.parent_id is not None and not self.account.mailboxes[wanted.parent_id].allows("mayCreateChild"):
            raise SetFailure("forbidden", "the parent may have no children")
        mailbox = self.account.add_mailbox(
            wanted.name,
            wanted.parent_id,
            wanted.role,
            sort_order=wanted.sort_order,
            is_subscribed=wanted.is_subscribed,
        )
        self.scope.created_ids[key] = mailbox.id
        made = document(self.account, mailbox)
        self.reply.created[key] = {name: value for name, value in made.items() if values.get(name, ...) != value}

    def update(self, key: str, changes: dict[str, object], doomed: list[str]) -> None:
        if key in doomed:
            raise SetFailure("willDestroy")
        mailbox = self._find(key)
        patch = read_patch(changes)
        if patch.parts:
            raise SetFailure("invalidPatch", "no settable property is an object", is_violation=True)
        now = document(self.account, mailbox)
        self._refuse_unknown(patch.whole, PROPERTIES)
        for name in patch.whole.keys() - SETTABLE:
            if patch.whole[name] != now[name]:
                raise invalid_property(name, "is set by the server")
        before = _Wanted(mailbox.name, mailbox.parent_id, mailbox.role, mailbox.sort_order, mailbox.is_subscribed)
        wanted = self._wanted(patch.whole, before)
        is_renamed = (wanted.name, wanted.parent_id) != (before.name, before.parent_id)
        if is_renamed and not mailbox.allows("mayRename"):
            raise SetFailure("forbidden", "the mailbox may not be renamed")
        self._check_place(wanted, mailbox)
        mailbox.name, mailbox.parent_id, mailbox.role = wanted.name, wanted.parent_id, wanted.role
        mailbox.sort_order, mailbox.is_subscribed = wanted.sort_order, wanted.is_subscribed
        is_silent = self.scope.options.has(Quirk.SUBSCRIPTIONS_SILENT) and patch.whole.keys() == {"isSubscribed"}
        if wanted != before and not is_silent:
            self.account.touch_mailbox(mailbox)
        self.reply.updated[mailbox.id] = None

    def destroy(self, key: str) -> None:
        mailbox = self._find(key)
        if not mailbox.allows("mayDelete"):
            raise SetFailure("forbidden", "the mailbox may not be deleted")
        if self.account.children(mailbox.id):
            raise SetFailure("mailboxHasChild")
        if len(mailbox.emails) and not self.removes_emails:
            raise SetFailure("mailboxHasEmail")
        self.account.destroy_mailbox(mailbox)
        self.reply.destroyed.append(mailbox.id)

    def _find(self, key: str) -> Mailbox:
        try:
            return self.account.mailboxes[self.scope.resolved(key)]
        except KeyError:
            raise SetFailure("notFound") from None

    def _refuse_unknown(self, values: dict[str, object], known: frozenset[str]) -> None:
        unknown = [name for name in values if name not in known]
        if unknown:
            raise SetFailure("invalidProperties", "unknown or not settable", properties=unknown, is_violation=True)

    def _wanted(self, values: dict[str, object], before: _Wanted) -> _Wanted:
        parent = _property(values, "parentId", nullable(reference), before.parent_id)
        try:
            parent_id = None if parent is None else self.scope.resolved(parent)
        except KeyError:
            raise invalid_property("parentId", "nothing was created under it", is_violation=False) from None
        return _Wanted(
            _property(values, "name", text, before.name),
            parent_id,
            _property(values, "role", nullable(text), before.role),
            _property(values, "sortOrder", unsigned, before.sort_order),
            _property(values, "isSubscribed", boolean, before.is_subscribed),
        )

    def _check_place(self, wanted: _Wanted, mailbox: Mailbox | None) -> None:
        """Check name, parent and role against the rest of the tree."""
        options, account = self.scope.options, self.account
        name_octets = len(wanted.name.encode("utf-8", "surrogatepass"))
        if not wanted.name or name_octets > options.max_size_mailbox_name:
            raise invalid_property("name", "its length is not allowed", is_violation=False)
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in wanted.name):
            raise invalid_property("name", "control characters are not allowed", is_violation=False)
        if set(wanted.name) & set(options.forbidden_in_names):
            raise invalid_property("name", "a character is not allowed", is_violation=False)
        if unicodedata.normalize("NFC", wanted.name) != wanted.name:
            raise invalid_property("name", "is not in NFC, as Net-Unicode wants (RFC 5198)")
        if wanted.parent_id is not None and wanted.parent_id not in account.mailboxes:
            raise invalid_property("parentId", "there is no such mailbox", is_violation=False)
        if (sibling := account.child(wanted.parent_id, wanted.name)) not in (None, mailbox):
            raise SetFailure(
                "invalidProperties",
                "a sibling has that name",
                properties=("name",),
                existing_id=sibling.id if sibling else None,
            )
        self._check_ancestors(wanted, mailbox)
        if wanted.role != (mailbox.role if mailbox else None):
            self._check_role(wanted.role)

    def _check_ancestors(self, wanted: _Wanted, mailbox: Mailbox | None) -> None:
        if wanted.parent_id is None:
            return
        parent = self.account.mailboxes[wanted.parent_id]
        line = [parent, *self.account.ancestors(parent)]
        if mailbox is not None and mailbox in line:
            raise invalid_property("parentId", "is the mailbox itself or below it", is_violation=False)
        limit = self.scope.options.max_mailbox_depth
        if limit is not None and len(line) + 1 > limit:
            raise invalid_property("parentId", f"no deeper than {limit}", is_violation=False)

    def _check_role(self, role: str | None) -> None:
        if role is None:
            return
        if role not in ROLES:
            raise invalid_property("role", "is not registered")
        if self.scope.options.has(Quirk.ROLES_FIXED):
            raise invalid_property("role", "cannot be set", is_violation=False)
        if self.account.with_role(role) is not None:
            raise invalid_property("role", "another mailbox has it", is_violation=False)


def _property(values: dict[str, object], name: str, check: Check[T], default: T) -> T:
    if name not in values:
        return default
    try:
        return check(values[name])
    except Mismatch as mismatch:
        raise invalid_property(name, str(mismatch)) from None
