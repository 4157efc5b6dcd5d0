"""JSON batching: up to twenty requests in one, answered in any order. Source: Graph's page "JSON batching"."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.graph.calls import HttpAnswer, HttpCall, Json
from tests.fakes.graph.errors import misuse, too_large

if TYPE_CHECKING:
    from tests.fakes.graph.fake import FakeGraph

MAX_ITEMS: Final = 20
SIDE_BY_SIDE: Final = 4
_KEYS: Final = frozenset({"id", "method", "url", "headers", "body", "dependsOn"})
_VERBS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
# Batches of these hold what a client need not have sent for a reply to be of use.
_SHOWN: Final = frozenset({"content-type", "retry-after", "location", "preference-applied"})


async def answer_batch(fake: FakeGraph, http: HttpCall) -> HttpAnswer:
    """Answer each request of a batch as a call of its own. Raises ApiError (400, 413) for a broken batch."""
    if len(http.body) > fake.options.max_request_octets:
        raise too_large()
    items = _read(http)
    _check_dependencies(items)
    is_serial = len(items) > 1 and all("dependsOn" in item for item in items[1:])
    calls = [_call(http, item) for item in items]
    weights: Counter[str] = Counter(fake.dispatcher.mailbox_key(call.path, call.headers) for call in calls)
    releases: list[Callable[[], None]] = []
    over: Counter[str] = Counter()
    for mailbox, count in weights.items():
        if mailbox:
            over[mailbox], release = fake.dispatcher.reserve(mailbox, 1 if is_serial else min(count, SIDE_BY_SIDE))
            releases.append(release)
    try:
        answers = await _run(fake, items, calls, over)
    finally:
        for release in releases:
            release()
    responses = [_response(item, answer) for item, answer in zip(items, answers, strict=True)]
    if not fake.quirks.batch_keeps_order:
        fake.chance.shuffle(responses)
    body = json.dumps({"responses": responses}, ensure_ascii=False).encode()
    return HttpAnswer(200, body, {"Content-Type": "application/json"})


async def _run(fake: FakeGraph, items: list[Json], calls: list[HttpCall], over: Counter[str]) -> list[HttpAnswer]:
    places = {item["id"]: place for place, item in enumerate(items)}
    answers: list[HttpAnswer | None] = [None] * len(items)
    done = [asyncio.Event() for _ in items]
    room = asyncio.Semaphore(SIDE_BY_SIDE)
    refused: set[int] = set()
    for place, call in enumerate(calls):
        mailbox = fake.dispatcher.mailbox_key(call.path, call.headers)
        if over[mailbox] > 0:
            over[mailbox] -= 1
            refused.add(place)

    async def one(place: int) -> None:
        try:
            for other in items[place].get("dependsOn", ()):
                await done[places[other]].wait()
                before = answers[places[other]]
                if before is None or before.status >= 400:
                    text = "The request was not run because one it depends on failed."
                    error: Json = {"error": {"code": "FailedDependency", "message": text}}
                    answers[place] = HttpAnswer(424, headers={"Content-Type": "application/json"}, json=error)
                    fake.stats.batched["failed-dependency"] += 1
                    return
            async with room:
                answers[place] = await fake.dispatcher.answer(calls[place], in_batch=True, is_over=place in refused)
        finally:
            done[place].set()

    found = await asyncio.gather(*(one(place) for place in range(len(items))), return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            # A connection cut for one is cut for all.
            raise each
    return [answer for answer in answers if answer is not None]


def _read(http: HttpCall) -> list[Json]:
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise misuse("BadRequest", "A batch is application/json.", 415)
    try:
        body = json.loads(http.body)
    except ValueError:
        raise misuse("BadRequest", "Invalid batch payload format.") from None
    if not isinstance(body, dict) or body.keys() != {"requests"} or not isinstance(body["requests"], list):
        raise misuse("BadRequest", "Invalid batch payload format.")
    items = body["requests"]
    if not 0 < len(items) <= MAX_ITEMS:
        text = (
            f"Number of batch request steps exceeds the maximum value of {MAX_ITEMS}, or there are none: {len(items)}."
        )
        raise misuse("MaximumValueExceeded", text)
    for item in items:
        if (fault := _fault(item)) is not None:
            raise misuse("BadRequest", f"Invalid batch request: {fault}.")
    if len({item["id"] for item in items}) != len(items):
        raise misuse("BadRequest", "Request Ids have to be unique.")
    return items


def _fault(item: Any) -> str | None:
    if not isinstance(item, dict):
        return "not an object"
    if unknown := item.keys() - _KEYS:
        return f"there is no {', '.join(sorted(unknown))}"
    for name in ("id", "method", "url"):
        if not isinstance(item.get(name), str) or not item[name]:
            return f"{name} is missing, or not text"
    if item["method"] not in _VERBS:
        return f"{item['method']} is no method"
    if not item["url"].startswith("/") or item["url"].startswith(("/v1.0", "/beta", "/$batch")):
        return f"url {item['url']} is not relative to the version"
    headers = item.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        return "headers are not texts by name"
    if "body" in item and not any(name.lower() == "content-type" for name in headers):
        return "there is a body, and no Content-Type in headers"
    if "body" in item and item["method"] in {"GET", "DELETE"}:
        return f"a body with {item['method']}"
    depends = item.get("dependsOn", [])
    if not isinstance(depends, list) or not all(isinstance(each, str) for each in depends):
        return "dependsOn is not an array of ids"
    return None


def _check_dependencies(items: list[Json]) -> None:
    """Refuse all but the three patterns: none depends, each on the one before, all that do on the same one."""
    stated = [(place, item["dependsOn"]) for place, item in enumerate(items) if item.get("dependsOn")]
    if not stated:
        return
    earlier: set[str] = set()
    for item in items:
        if not earlier.issuperset(item.get("dependsOn", ())):
            raise misuse("BadRequest", f"Request {item['id']} depends on one that is not before it.")
        earlier.add(item["id"])
    is_serial = len(stated) == len(items) - 1 and all(on == [items[place - 1]["id"]] for place, on in stated)
    is_same = all(len(on) == 1 and on == stated[0][1] for _, on in stated)
    if not (is_serial or is_same):
        raise misuse("BadRequest", "Dependencies are serial, or all on the same request.")


def _call(http: HttpCall, item: Json) -> HttpCall:
    headers = {name.lower(): value for name, value in item.get("headers", {}).items()}
    if "authorization" in http.headers:
        headers.setdefault("authorization", http.headers["authorization"])
    body = b""
    if "body" in item:
        body = item["body"].encode() if isinstance(item["body"], str) else json.dumps(item["body"]).encode()
    parts = urlsplit(item["url"])
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return HttpCall(item["method"], f"/v1.0{parts.path}", query, headers, body, http.origin)


def _response(item: Json, answer: HttpAnswer) -> Json:
    headers = {name: value for name, value in answer.headers.items() if name.lower() in _SHOWN}
    found: Json = {"id": item["id"], "status": answer.status, "headers": headers}
    if answer.json is not None:
        found["body"] = answer.json
    elif answer.body:
        # What is no JSON comes as text in base64.
        found["body"] = base64.b64encode(answer.body).decode()
    return found
