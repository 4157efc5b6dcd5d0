"""/_fake/stats and /_fake/control: for tests that run the stand-in as a process of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.gmail.errors import ApiError
from tests.fakes.gmail.fake import FakeGmail

Action = Callable[..., object]


def routes(fake: FakeGmail) -> list[Route]:
    """Return the two routes."""
    actions = _actions(fake)

    async def stats(request: Request) -> Response:
        mailbox = fake.mailbox
        more = {
            "messages": mailbox.index.count(None),
            "labels": len(mailbox.labels),
            "history_id": str(mailbox.history.current),
            "units_left": fake.quota.left(mailbox.address),
            "pubsub_backlog": fake.pubsub.backlog,
            "pubsub_dropped": fake.pubsub.dropped,
            "oauth_refusals": fake.oauth.refusals,
        }
        return JSONResponse({**fake.stats.resource(), **more})

    async def control(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        name = asked.pop("action", "")
        if name not in actions:
            return JSONResponse({"error": f"no action {name!r}; there are {', '.join(sorted(actions))}"}, 400)
        try:
            return JSONResponse({"result": actions[name](**asked)})
        except (ApiError, KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{name}: {error}"}, 400)

    return [Route("/_fake/stats", stats, methods=["GET"]), Route("/_fake/control", control, methods=["POST"])]


def _actions(fake: FakeGmail) -> dict[str, Action]:
    plain: list[Action] = [
        fake.delete,
        fake.relabel,
        fake.trash,
        fake.new_label,
        fake.rename_label,
        fake.delete_label,
        fake.fail_next,
        fake.throttle,
        fake.expire_history,
        fake.revoke_token,
        fake.expire_access_tokens,
        fake.refresh_token,
        fake.access_token,
    ]
    actions: dict[str, Action] = {action.__name__: action for action in plain}
    for quirk in fake.quirks.names():
        # Each quirk is an action of its own: {"action": "lie_about_sizes", "on": true}.
        actions[quirk] = _switch(fake, quirk)
    actions |= {
        "deliver": lambda *, date=None, labels=("INBOX", "UNREAD"), thread=None, **raw: fake.deliver(
            _octets(**raw), labels, date=datetime.fromisoformat(date) if date else None, thread=thread
        ),
        "new_draft": lambda **raw: fake.new_draft(_octets(**raw)),
        "new_draft_revision": lambda *, draft, **raw: fake.new_draft_revision(draft, _octets(**raw)),
        "add_user": lambda *, address: fake.add_user(address).address,
        "clear_stats": fake.stats.clear,
        "clear_faults": fake.faults.clear,
        "set_units_per_minute": lambda *, units: setattr(fake.quota, "units_per_minute", units),
        "set_latency": lambda *, seconds: setattr(fake, "latency_s", float(seconds)),
        "key_file": lambda *, token_uri: fake.oauth.account.key_file(token_uri),
    }
    return actions


def _switch(fake: FakeGmail, quirk: str) -> Action:
    return lambda *, on=True: fake.quirks.set(quirk, bool(on))


def _octets(*, raw: str | None = None, raw_base64: str | None = None) -> bytes:
    if raw_base64 is not None:
        return base64.b64decode(raw_base64, validate=True)
    if raw is None:
        raise ValueError("raw or raw_base64 is missing")
    return raw.encode()
