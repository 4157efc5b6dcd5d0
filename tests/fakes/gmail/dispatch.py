"""The way of every call: found, let in, counted, checked, carried out, and its reply checked too."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.fakes.gmail import fields
from tests.fakes.gmail.calls import Api, Call, HttpAnswer, HttpCall, Json
from tests.fakes.gmail.discovery import Method
from tests.fakes.gmail.errors import ApiError, malformed, minute_quota, not_found, too_many_at_once
from tests.fakes.gmail.faults import Cut
from tests.fakes.gmail.stats import Served
from tests.fakes.gmail.tokens import Grant
from tests.fakes.gmail.uploads import read_json

if TYPE_CHECKING:
    from tests.fakes.gmail.fake import FakeGmail

_JSON_TYPE = "application/json; charset=UTF-8"
_MISUSE = frozenset({"badRequest", "parseError", "badContent"})
UPLOAD_PARAMETERS = frozenset({"uploadType", "upload_protocol", "upload_id"})


class Dispatcher:
    """Answers calls on behalf of one stand-in."""

    def __init__(self, fake: FakeGmail, apis: list[Api]) -> None:
        self._fake = fake
        self._apis = apis
        self._at_once: dict[str, int] = {}

    @property
    def methods(self) -> set[str]:
        """The ids of the methods that are played."""
        return {name for api in self._apis for name in api.handlers}

    def find(self, verb: str, path: str) -> tuple[Api, Method, dict[str, str]]:
        """Return what a request is for.

        Raises ApiError, and counts it as a violation: 404 for no method at all, 501 for one not played here.
        """
        for api in self._apis:
            found = api.description.find(verb, path)
            if found is not None and found[0].id in api.handlers:
                return api, *found
            if found is not None:
                raise self._noted(
                    ApiError(501, "notImplemented", f"{found[0].id} is not played by this stand-in"), path
                )
        raise self._noted(not_found(), f"{verb} {path} is no method")

    async def answer(self, http: HttpCall) -> HttpAnswer:
        """Answer one call. Raises Cut if the connection is to be closed in place of an answer."""
        try:
            api, method, path = self.find(http.verb, http.path)
        except ApiError as error:
            return self.refused(http.path, error)
        units = self._fake.costs.get(method.id, 0)
        status = 0
        try:
            answer = await self._admitted(api, method, path, http, units)
            status = answer.status
        except ApiError as error:
            status = error.code
            answer = self.refused(method.id, error)
        finally:
            self._fake.stats.journal.append(Served(method.id, path, http.query, units, status))
        return answer

    def refused(self, what: str, error: ApiError) -> HttpAnswer:
        """Return the answer for a refusal; a request that does not fit the description is noted as a violation."""
        self._fake.stats.refusals[error.reason] += 1
        if error.reason in _MISUSE:
            self._noted(error, f"{what}: {error.message}")
        body = json.dumps(error.body(), indent=2, ensure_ascii=False).encode()
        return HttpAnswer(error.code, body, {"Content-Type": _JSON_TYPE, **error.headers})

    def _noted(self, error: ApiError, text: str) -> ApiError:
        self._fake.stats.violations.append(text)
        return error

    async def _admitted(self, api: Api, method: Method, path: dict[str, str], http: HttpCall, units: int) -> HttpAnswer:
        fake = self._fake
        grant = fake.tokens.check(http.headers.get("authorization"), method.scopes)
        if method.id.startswith("gmail."):
            fake.check_user(grant, path["userId"])
        with self._among_those_at_once(grant):
            fake.faults.check_throttle()
            fault = fake.faults.take(method.id)
            if fault is not None and not fault.is_after_work and not fault.is_only_late:
                await asyncio.sleep(fault.delay_s)
                raise fault.error()
            self._spend(grant, method, units)
            await fake.turn()
            answer = await self._carry_out(api, method, path, http, grant)
            if fault is not None:
                await asyncio.sleep(fault.delay_s)
                if not fault.is_only_late:
                    raise fault.error()
            return answer

    async def _carry_out(
        self, api: Api, method: Method, path: dict[str, str], http: HttpCall, grant: Grant
    ) -> HttpAnswer:
        query = api.description.read_query(method, http.query, UPLOAD_PARAMETERS)
        selection = None
        if "fields" in query and method.response is not None:
            selection = fields.parse(query["fields"], api.description, method.response)
        body = self._read_body(api, method, http)
        mailbox = self._fake.mailbox_of(grant)
        media = http.media.octets if http.media is not None else None
        call = Call(self._fake, method, grant, mailbox, path, query, body, media)
        reply = api.handlers[method.id](call)
        reply = await reply if inspect.isawaitable(reply) else reply
        self._check_reply(api, method, reply)
        if reply is None:
            return HttpAnswer(204)
        shown = fields.select(reply, selection) if selection is not None else reply
        return HttpAnswer(200, dump(shown, query.get("prettyPrint", True)), {"Content-Type": _JSON_TYPE})

    def _read_body(self, api: Api, method: Method, http: HttpCall) -> Json:
        if http.media is not None:
            value = http.media.metadata
        elif method.request is None:
            if http.body.strip() not in {b"", b"{}"}:
                raise malformed("Invalid JSON payload received. This method takes no body.")
            return {}
        else:
            kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
            if http.body and kind != "application/json":
                raise malformed(
                    f"Invalid JSON payload received. Content-Type is {kind or 'absent'}, not application/json."
                )
            value = read_json(http.body)
        assert method.request is not None
        for fault in api.description.faults(method.request, value):
            raise malformed(f"Invalid JSON payload received. {fault}")
        found: Json = value
        return found

    def _check_reply(self, api: Api, method: Method, reply: Json | None) -> None:
        faults: list[str] = []
        if (reply is None) != (method.response is None):
            faults = ["a body is there and should not be, or the other way round"]
        elif method.response is not None:
            faults = api.description.faults(method.response, reply)
        if faults:
            self._fake.stats.violations += [f"reply of {method.id}: {fault}" for fault in faults]
            raise ApiError(500, "selfCheck", f"The stand-in's own reply is not as described: {faults[0]}")

    def _spend(self, grant: Grant, method: Method, units: int) -> None:
        fake = self._fake
        wait_s = fake.quota.spend(grant.user, units)
        if wait_s is not None:
            error = minute_quota(fake.options.project_number)
            if fake.quirks.retry_after_header:
                error.headers["Retry-After"] = str(int(wait_s) + 1)
            raise error
        fake.stats.calls[method.id] += 1
        fake.stats.units[method.id] += units

    @contextmanager
    def _among_those_at_once(self, grant: Grant) -> Iterator[None]:
        if not grant.user:
            # A service account pulling notifications waits long, and is no mail user.
            yield
            return
        count = self._at_once.get(grant.user, 0)
        if count >= self._fake.options.max_concurrent:
            raise too_many_at_once()
        self._at_once[grant.user] = count + 1
        self._fake.stats.most_at_once = max(self._fake.stats.most_at_once, count + 1)
        try:
            yield
        finally:
            self._at_once[grant.user] -= 1


def dump(value: Any, is_pretty: bool) -> bytes:
    """Return JSON as Google sends it: indented unless asked otherwise."""
    text = json.dumps(value, ensure_ascii=False, indent=2 if is_pretty else None)
    return text.encode()


async def gather(dispatcher: Dispatcher, calls: list[HttpCall]) -> list[HttpAnswer]:
    """Answer the calls of a batch side by side, in their order. A connection cut for one is cut for all."""
    tasks = [asyncio.ensure_future(dispatcher.answer(each)) for each in calls]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer if isinstance(answer, Cut) else RuntimeError("a call of a batch failed") from answer
    return [answer for answer in answers if isinstance(answer, HttpAnswer)]
