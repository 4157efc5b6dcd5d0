"""What is not about single messages or folders: delta, categories, the user, subscriptions."""

from __future__ import annotations

from tests.fakes.graph.calls import Call, Json, Reply
from tests.fakes.graph.errors import ApiError, misuse
from tests.fakes.graph.odata import parse_select


def delta(call: Call) -> Reply:
    """Answer a page of what changed in a folder."""
    return call.fake.deltas.messages(call)


def delta_of_all(call: Call) -> Reply:
    """Refuse: changes are tracked folder by folder."""
    text = "Change tracking is not supported against 'microsoft.graph.message'."
    raise ApiError(400, "ErrorInvalidRequest", text, is_misuse=True)


def list_categories(call: Call) -> Reply:
    """Answer the categories that have a colour."""
    value: list[Json] = [dict(each) for each in call.mailbox.categories]
    return Reply(
        body={"@odata.context": _context(call), "value": value}, type_name="OutlookCategory", is_collection=True
    )


def create_category(call: Call) -> Reply:
    """Give a category a colour."""
    name = call.body.get("displayName")
    if not name:
        raise misuse("ErrorInvalidRequest", "A category has a displayName.")
    if any(each["displayName"].lower() == name.lower() for each in call.mailbox.categories):
        raise ApiError(409, "CategoryNameConflict", "A category with the specified name already exists.")
    made = {"id": f"{call.fake.next_nonce():08x}", "displayName": name, "color": call.body.get("color") or "none"}
    call.mailbox.categories.append(made)
    return Reply(201, {"@odata.context": _context(call) + "/$entity", **made}, "OutlookCategory")


def get_user(call: Call) -> Reply:
    """Answer who the user is."""
    everything: Json = {
        "id": call.fake.user_id(call.mailbox.address),
        "displayName": call.mailbox.name,
        "mail": call.mailbox.address,
        "userPrincipalName": call.mailbox.address,
    }
    names = parse_select(call.query["$select"], "User", call.fake.checker) if "$select" in call.query else None
    chosen = everything if names is None else {name: everything[name] for name in names if name in everything}
    return Reply(
        body={"@odata.context": f"{call.http.origin}/v1.0/$metadata#users/$entity", **chosen}, type_name="User"
    )


async def create_subscription(call: Call) -> Reply:
    """Begin to notify, once the other end has shown that it is one."""
    return Reply(201, await call.fake.subscriptions.create(call), "Subscription")


def list_subscriptions(call: Call) -> Reply:
    """Answer all subscriptions, to a user's login those of that user."""
    grant = call.grant
    active = [each for each in call.fake.subscriptions.active() if grant.is_app or each.mailbox.address == grant.user]
    found = [each.resource() for each in active]
    return Reply(body={"@odata.context": _context(call), "value": found}, type_name="Subscription", is_collection=True)


def get_subscription(call: Call) -> Reply:
    """Answer one subscription."""
    return Reply(body=call.fake.subscriptions.find(call.ids["s"]).resource(), type_name="Subscription")


def patch_subscription(call: Call) -> Reply:
    """Let a subscription live longer."""
    return Reply(body=call.fake.subscriptions.renew(call.ids["s"], call.body), type_name="Subscription")


def delete_subscription(call: Call) -> Reply:
    """End a subscription."""
    call.fake.subscriptions.end(call.ids["s"])
    return Reply(204)


def _context(call: Call) -> str:
    return f"{call.http.origin}/v1.0/$metadata#{call.operation.id}"
