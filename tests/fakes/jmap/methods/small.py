"""Core/echo (RFC 8620 section 4), Identity/get (RFC 8621 section 6) and Quota/get (RFC 9425)."""

from __future__ import annotations

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.capabilities import MAIL
from tests.fakes.jmap.checks import Arguments
from tests.fakes.jmap.methods.standard import changes, get_reply, selected, take_get
from tests.fakes.jmap.options import FakeOptions
from tests.fakes.jmap.scope import Scope

IDENTITY = frozenset({"id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete"})
QUOTA = frozenset(
    {"id", "resourceType", "used", "hardLimit", "scope", "name", "types", "warnLimit", "softLimit", "description"}
)


def identity_get(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments)
    request = take_get(scope, arguments, IDENTITY.__contains__, 1)
    arguments.finish()
    identity: dict[str, object] = {
        "id": "I1",
        "name": account.name,
        "email": account.name if "@" in account.name else f"{account.name}@example.com",
        "replyTo": None,
        "bcc": None,
        "textSignature": "",
        "htmlSignature": "",
        "mayDelete": False,
    }
    items = {"I1": selected(identity, request.properties)}
    reply = get_reply(account, "Email", ["I1"] if request.ids is None else request.ids, items.get)
    return {**reply, "state": "i0"}


def quota_get(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments)
    quotas = _quotas(account, scope.options) if MAIL in scope.using else {}
    request = take_get(scope, arguments, QUOTA.__contains__, len(quotas))
    arguments.finish()
    items = {quota_id: selected(quota, request.properties) for quota_id, quota in quotas.items()}
    return get_reply(account, "Quota", list(items) if request.ids is None else request.ids, items.get)


def quota_changes(scope: Scope, arguments: Arguments) -> dict[str, object]:
    return changes(scope, arguments, "Quota") | {"updatedProperties": ["used"]}


def _quotas(account: Account, options: FakeOptions) -> dict[str, dict[str, object]]:
    kinds = (
        ("storage", "octets", account.octets, options.quota_octets),
        ("messages", "count", len(account.emails), options.quota_messages),
    )
    return {
        quota_id: {
            "id": quota_id,
            "resourceType": resource,
            "used": used,
            "hardLimit": limit,
            "scope": "account",
            "name": f"{account.name} {quota_id}",
            "types": ["Mail"],
            "warnLimit": None,
            "softLimit": None,
            "description": None,
        }
        for quota_id, resource, used, limit in kinds
        if limit is not None
    }
