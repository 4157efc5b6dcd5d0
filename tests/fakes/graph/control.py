"""/_fake/stats and /_fake/control: for tests that run the stand-in as a process of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.graph.errors import ApiError
from tests.fakes.graph.fake import FakeGraph

Action = Callable[..., object]


def routes(fake: FakeGraph) -> list[Route]:
    """Return the two routes."""
    actions = _actions(fake)

    async def stats(request: Request) -> Response:
        mailbox = fake.mailbox
        more = {
            "messages": sum(1 for each in mailbox.messages.values() if each.deleted_from is None),
            "folders": len(mailbox.folders),
            "sent": len(fake.sent),
            "subscriptions": len(fake.subscriptions.active()),
            "planned_failures": fake.faults.pending,
            "login_refusals": fake.oauth.refusals,
        }
        return JSONResponse({**fake.stats.resource(), **more})

    async def control(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        name = asked.pop("action", "")
        if name not in actions:
            return JSONResponse({"error": f"no action {name!r}; there are {', '.join(sorted(actions))}"}, 400)
        try:
            return JSONResponse({"done": name, "result": actions[name](**asked)})
        except (ApiError, KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{name}: {error}"}, 400)

    return [Route("/_fake/stats", stats, methods=["GET"]), Route("/_fake/control", control, methods=["POST"])]


def _actions(fake: FakeGraph) -> dict[str, Action]:
    plain: list[Action] = [
        fake.delete,
        fake.purge,
        fake.move,
        fake.move_there_and_back,
        fake.copy,
        fake.mark,
        fake.ids_in,
        fake.folder_id,
        fake.create_folder,
        fake.create_search_folder,
        fake.rename_folder,
        fake.move_folder,
        fake.delete_folder,
        fake.add_strangers,
        fake.seed_folders,
        fake.fail_next,
        fake.throttle,
        fake.expire_delta_tokens,
        fake.share,
        fake.access_token,
        fake.app_token,
        fake.refresh_token,
        fake.expire_access_tokens,
        fake.revoke_tokens,
    ]
    actions: dict[str, Action] = {action.__name__: action for action in plain}
    return actions | {
        "deliver": lambda *, folder="inbox", received=None, raw=None, raw_base64=None, **more: fake.deliver(
            _octets(raw, raw_base64), folder, received=datetime.fromisoformat(received) if received else None, **more
        ),
        "mime": lambda *, id: _mime(fake, id),
        "quirk": lambda *, name, value=True: fake.quirks.set(name, value),
        "add_user": lambda *, address: fake.add_user(address).address,
        "approve_device": lambda *, user_code, user=None: fake.oauth.approve(user_code, user),
        "decline_device": lambda *, user_code: fake.oauth.decline(user_code),
        "forget_uploads": fake.uploads.forget,
        "lifecycle": lambda *, event: fake.subscriptions.lifecycle(event),
        "clear_stats": fake.stats.clear,
        "clear_faults": fake.faults.clear,
        "set_latency": lambda *, seconds: setattr(fake, "latency_s", float(seconds)),
    }


def _octets(raw: str | None, raw_base64: str | None) -> bytes:
    if raw_base64 is not None:
        return base64.b64decode(raw_base64, validate=True)
    if raw is None:
        raise ValueError("raw or raw_base64 is missing")
    return raw.encode()


def _mime(fake: FakeGraph, message_id: str) -> str | None:
    """Return the octets a message came as, in base64; None for one made from JSON."""
    mime = fake.message(message_id).content.mime
    return base64.b64encode(mime()).decode() if mime is not None else None
