"""From a request to an answer: who asks, may they, is there room, what is it, is it well-formed; and is the answer."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from tests.fakes.graph.calls import Call, HttpAnswer, HttpCall, Json, Operation, Prefer, Reply, parse_prefer
from tests.fakes.graph.errors import ApiError, bad_body, bad_query, misuse, over_concurrency, throttled, too_large
from tests.fakes.graph.faults import Fault
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.operations import Table
from tests.fakes.graph.stats import Served
from tests.fakes.graph.tokens import Grant, check_scopes

if TYPE_CHECKING:
    from tests.fakes.graph.fake import FakeGraph

_KEY: Final = re.compile(r"\('((?:[^'/]|'')*)'\)")
_WINDOW_S: Final = 600.0
_UPLOAD_WINDOW_S: Final = 300.0
_JSON_TYPE: Final = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_WRITES: Final = frozenset({"POST", "PATCH", "PUT"})
_COLLECTION: Final = frozenset({"@odata.context", "@odata.count", "@odata.nextLink", "@odata.deltaLink", "value"})


class Dispatcher:
    """Answers calls on behalf of one stand-in."""

    def __init__(self, fake: FakeGraph) -> None:
        self._fake = fake
        self.table = Table()
        self._at_once: Counter[str] = Counter()
        self._requests: dict[str, deque[float]] = {}
        self._uploads: dict[str, deque[tuple[float, int]]] = {}

    async def answer(self, http: HttpCall, *, in_batch: bool = False, is_over: bool = False) -> HttpAnswer:
        """Answer one call. `is_over`: there is no room for it. Raises Cut if no answer is to come."""
        steps: list[str] = []
        name = "unknown"
        prefer = Prefer()
        status = 0
        fault: Fault | None = None
        try:
            prefer = parse_prefer(http.headers.get("prefer"))
            mailbox_name, steps = split_path(http.path)
            operation, ids = self._find(http.verb, steps)
            name = operation.id
            self._count(name, prefer, in_batch)
            fault = self._fake.faults.take(name)
            answer = await self._admitted(operation, ids, mailbox_name, http, prefer, fault, is_over)
            status = answer.status
        except ApiError as error:
            status = error.status
            answer = self.refused(f"{http.verb} {http.path}", error)
        finally:
            served = Served(name, unquote(http.path), http.query, status, in_batch, prefer.is_immutable)
            self._fake.stats.journal.append(served)
            if name == "unknown":
                self._count(name, prefer, in_batch)
        return answer

    def refused(self, what: str, error: ApiError) -> HttpAnswer:
        """Return the answer for a refusal; a request wrong in its form is noted as a violation."""
        fake = self._fake
        fake.stats.refusals[error.code] += 1
        if error.is_misuse:
            fake.stats.violations.append(f"{what}: {error.code}: {error.message}")
        body = error.body(f"{fake.next_nonce():08x}-0000-4000-8000-000000000000", fake.clock.now())
        return _json_answer(error.status, body, error.headers)

    def reserve(self, mailbox: str, weight: int) -> tuple[int, Callable[[], None]]:
        """Take room for requests that run side by side; return how many do not fit, and what gives the room back."""
        taken = self._at_once[mailbox] + weight
        self._at_once[mailbox] = taken
        stats = self._fake.stats
        stats.most_at_once = max(stats.most_at_once, taken)
        is_released = False

        def release() -> None:
            nonlocal is_released
            if not is_released:
                is_released = True
                self._at_once[mailbox] -= weight

        return max(0, min(weight, taken - self._fake.options.max_concurrent)), release

    def mailbox_key(self, http_path: str, headers: Mapping[str, str]) -> str:
        """Return under which name a request counts for its mailbox; empty where there is none."""
        try:
            name, _ = split_path(http_path)
            grant = self._fake.tokens.check(headers.get("authorization"))
            return self._fake.mailbox_named(name or grant.user).address
        except ApiError:
            return ""

    def _find(self, verb: str, steps: list[str]) -> tuple[Operation, dict[str, str]]:
        found = self.table.find(verb, steps)
        if found is not None:
            return found
        if verbs := self.table.verbs(steps):
            raise misuse("BadRequest", f"The method {verb} is not allowed here; {', '.join(verbs)} are.", 405)
        raise misuse("BadRequest", f"Resource not found for the segment '{steps[-1] if steps else ''}'.")

    def _count(self, name: str, prefer: Prefer, in_batch: bool) -> None:
        stats = self._fake.stats
        (stats.batched if in_batch else stats.requests)[name] += 1
        stats.without_immutable_ids += not prefer.is_immutable

    async def _admitted(
        self, operation: Operation, ids: dict[str, str], mailbox_name: str | None, http: HttpCall, prefer: Prefer,
        fault: Fault | None, is_over: bool,
    ) -> HttpAnswer:  # fmt: skip
        fake = self._fake
        grant = fake.tokens.check(http.headers.get("authorization"))
        mailbox = self._mailbox(grant, mailbox_name, operation)
        self._spend(mailbox, http)
        if is_over:
            raise over_concurrency(None if fake.quirks.throttles_without_retry_after else 1)
        fake.faults.check_throttle()
        if fault is not None and not fault.is_after_work and not fault.is_only_late and fault.cut_at is None:
            await asyncio.sleep(fault.delay_s)
            if not fault.is_lie:
                raise fault.error()
            return HttpAnswer(204) if http.verb == "DELETE" else _json_answer(200, {}, {})
        if len(http.body) > fake.options.max_request_octets:
            if fake.quirks.oversize_is_ignored:
                return _json_answer(200, {}, {})
            raise too_large()
        await fake.turn()
        answer = await self._carry_out(operation, ids, mailbox, grant, http, prefer)
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
            if fault.cut_at is not None:
                answer.cut_at = fault.cut_at
            elif not fault.is_only_late:
                raise fault.error()
        return answer

    def _mailbox(self, grant: Grant, name: str | None, operation: Operation) -> Mailbox:
        fake = self._fake
        if name is None and grant.is_app and not operation.path.startswith("/"):
            text = "/me request is only valid with delegated authentication flow."
            raise misuse("BadRequest", text)
        mailbox = fake.mailbox_named(name or grant.user or fake.options.address)
        is_other = not grant.is_app and mailbox.address != grant.user
        if is_other and grant.user not in fake.shared.get(mailbox.address, ()):
            raise ApiError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        if grant.is_app and fake.allowed_for_app is not None and mailbox.address not in fake.allowed_for_app:
            raise ApiError(403, "ErrorAccessDenied", "Access to OData is disabled.")
        check_scopes(grant, operation.scopes, is_shared=is_other)
        return mailbox

    def _spend(self, mailbox: Mailbox, http: HttpCall) -> None:
        fake, now = self._fake, self._fake.clock.monotonic()
        window = self._requests.setdefault(mailbox.address, deque())
        while window and window[0] <= now - _WINDOW_S:
            window.popleft()
        window.append(now)
        limit = fake.options.requests_per_10_min
        if limit is not None and len(window) > limit:
            # What is refused counts as well.
            wait_s = max(1, int(window[len(window) - limit] + _WINDOW_S - now) + 1)
            raise throttled(None if fake.quirks.throttles_without_retry_after else wait_s)
        if http.verb in _WRITES and http.body:
            self._spend_upload(mailbox, len(http.body), now)

    def _spend_upload(self, mailbox: Mailbox, octets: int, now: float) -> None:
        window = self._uploads.setdefault(mailbox.address, deque())
        while window and window[0][0] <= now - _UPLOAD_WINDOW_S:
            window.popleft()
        window.append((now, octets))
        limit = self._fake.options.upload_octets_per_5_min
        if limit is not None and sum(each for _, each in window) > limit:
            raise throttled(int(_UPLOAD_WINDOW_S))

    async def _carry_out(
        self, operation: Operation, ids: dict[str, str], mailbox: Mailbox, grant: Grant, http: HttpCall, prefer: Prefer
    ) -> HttpAnswer:
        query = _read_query(operation, http)
        call = Call(self._fake, operation, grant, mailbox, ids, query, prefer, http, {})
        if not (call.is_mime and operation.takes_mime):
            call = Call(
                self._fake, operation, grant, mailbox, ids, query, prefer, http, self._read_body(operation, http)
            )
        reply = operation.handler(call)
        if inspect.isawaitable(reply):
            reply = await reply
        self._check_reply(operation, reply)
        applied = {"Preference-Applied": ", ".join(prefer.applied)} if prefer.applied else {}
        if reply.stream is not None:
            return HttpAnswer(reply.status, reply.stream, {"Content-Type": reply.content_type}, is_streamed=True)
        if reply.body is None:
            return HttpAnswer(reply.status, headers=dict(reply.headers))
        return _json_answer(reply.status, reply.body, {**reply.headers, **applied})

    def _read_body(self, operation: Operation, http: HttpCall) -> Json:
        if not operation.request and operation.parameters is None:
            if http.body.strip() not in {b"", b"{}"}:
                raise bad_body("a body where none is due")
            return {}
        kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise misuse(
                "BadRequest", f"A valid Content-Type is missing: {kind or 'none'} is not application/json.", 415
            )
        try:
            value = json.loads(http.body)
        except ValueError:
            raise bad_body("JSON") from None
        if operation.parameters is not None:
            value = self._read_parameters(operation, value)
        elif faults := self._fake.checker.request_faults(operation.request, value):
            raise bad_body(faults[0])
        found: Json = value
        return found

    def _read_parameters(self, operation: Operation, value: Any) -> Json:
        parameters = operation.parameters or {}
        if not isinstance(value, dict):
            raise bad_body("an action's parameters: not an object")
        # Names of parameters are the only ones where case does not matter.
        known = {name.lower(): name for name in parameters}
        found: Json = {}
        for key, item in value.items():
            name = known.get(key.lower())
            if name is None:
                raise bad_body(f'an action\'s parameters: there is no "{key}"')
            kind = parameters[name]
            if kind == "string":
                fits = isinstance(item, str)
            elif kind == "boolean":
                fits = isinstance(item, bool)
            elif faults := self._fake.checker.request_faults(kind, item):
                raise bad_body(faults[0])
            else:
                fits = True
            if not fits:
                raise bad_body(f"{name}: not a {kind}")
            found[name] = item
        if missing := operation.required - found.keys():
            raise bad_body(f"an action's parameters: {', '.join(missing)} is missing")
        return found

    def _check_reply(self, operation: Operation, reply: Reply) -> None:
        if reply.body is None or reply.type_name is None:
            return
        if not reply.is_collection:
            self._fake.check_own(reply.type_name, reply.body)
            return
        faults = [f'unknown property "{key}" of a collection' for key in reply.body.keys() - _COLLECTION]
        for item in reply.body["value"]:
            faults += self._fake.checker.reply_faults(reply.type_name, item)
        self._fake.note_own(operation.id, faults)


def split_path(path: str) -> tuple[str | None, list[str]]:
    """Return the mailbox that is named in a path, None for /me, and the steps below it.

    Both forms of a key are read, `users/x` and `users('x')`. What is not below a mailbox begins with an empty step.
    Raises ApiError (400).
    """
    plain = _KEY.sub(lambda match: "/" + match[1].replace("''", "'"), path.replace("%27", "'").replace("%28", "("
        ).replace("%29", ")"))  # fmt: skip
    version, _, rest = plain.lstrip("/").partition("/")
    if version != "v1.0":
        raise misuse("BadRequest", f"Invalid version: {version}. Only v1.0 is played here.")
    steps = rest.split("/")
    if steps[0] == "me":
        return None, steps[1:]
    if steps[0] == "users" and len(steps) > 1:
        return unquote(steps[1]), steps[2:]
    return None, ["", *steps]


def _read_query(operation: Operation, http: HttpCall) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in http.query:
        if name not in operation.query:
            if name.startswith("$") or name in {"changeType", "includeHiddenFolders"}:
                raise bad_query(f"The query parameter '{name}' is not supported for {operation.id}.")
            raise misuse("ErrorInvalidUrlQuery", f"The query parameter '{name}' is not known for {operation.id}.")
        if name in found:
            raise bad_query(
                f"Query option '{name}' was specified more than once, but it must be specified at most once."
            )
        found[name] = value
    return found


def _json_answer(status: int, body: Json, headers: Mapping[str, str]) -> HttpAnswer:
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return HttpAnswer(status, data, {"Content-Type": _JSON_TYPE, **headers}, json=body)
