"""One API request: its shape, its limits, its calls in order (RFC 8620 sections 3.3 to 3.7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from tests.fakes.jmap.capabilities import offered
from tests.fakes.jmap.checks import Arguments, Mismatch, identifier, list_of, map_of, text
from tests.fakes.jmap.errors import MethodFailure, RequestProblem, SetFailure
from tests.fakes.jmap.faults import FaultKind
from tests.fakes.jmap.methods.table import ECHO, ECHO_CAPABILITY, METHODS
from tests.fakes.jmap.options import FakeUser
from tests.fakes.jmap.references import Response, resolve
from tests.fakes.jmap.scope import Scope
from tests.fakes.jmap.stats import CallRecord

if TYPE_CHECKING:
    from tests.fakes.jmap.fake import FakeJmap

Call = tuple[str, dict[str, object], str]
CALL_FAULTS = (FaultKind.METHOD_ERROR, FaultKind.METHOD_ERROR_AFTER)


def parse_json(data: bytes | str) -> object:
    """Read I-JSON (RFC 7493): UTF-8, no duplicate names, no numbers that JSON does not know.

    Raises:
        RequestProblem: `notJSON`.
    """
    try:
        text_of = data.decode("utf-8") if isinstance(data, bytes) else data
        document: object = json.loads(text_of, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise RequestProblem("notJSON", str(error)) from None
    return document


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("an object has a name twice")
    return document


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


async def answer(
    fake: FakeJmap, user: FakeUser, document: object, extra: frozenset[str] = frozenset()
) -> dict[str, object]:
    """Run the calls of a request and return the Response object. `extra` names further properties it may have.

    Raises:
        RequestProblem: the request as a whole is refused.
    """
    using, calls, created_ids = _read_request(fake, document, extra)
    current = ""

    def report(detail: str) -> None:
        fake.violation(current, detail)

    def planned_failure() -> SetFailure | None:
        fault = fake.faults.take(current, lambda fault: fault.kind is FaultKind.SET_ERROR)
        return None if fault is None else SetFailure(fault.error, "planned")

    scope = Scope(user, fake.accounts_of(user), fake.options, using, report, planned_failure, dict(created_ids or {}))
    responses: list[Response] = []
    for name, arguments, call_id in calls:
        current = name
        reply = await _run(fake, scope, name, arguments, responses)
        error = str(reply[1].get("type")) if reply[0] == "error" else None
        fake.stats.methods[name] += 1
        fake.stats.calls.append(CallRecord(name, arguments, error))
        if error is not None:
            fake.stats.errors[error] += 1
        responses.append((*reply, call_id))
    result: dict[str, object] = {"methodResponses": responses, "sessionState": fake.session_state()}
    if created_ids is not None:
        result["createdIds"] = scope.created_ids
    return result


def _read_request(
    fake: FakeJmap, document: object, extra: frozenset[str]
) -> tuple[frozenset[str], list[Call], dict[str, str] | None]:
    if not isinstance(document, dict):
        raise RequestProblem("notRequest", "the request is not an object")
    request = cast(dict[str, object], document)
    unknown = request.keys() - {"using", "methodCalls", "createdIds"} - extra
    if unknown:
        raise RequestProblem("notRequest", f"unknown property: {', '.join(sorted(unknown))}")
    try:
        using = frozenset(list_of(text)(request.get("using")))
        calls = list_of(_call)(request.get("methodCalls"))
        created = request.get("createdIds")
        created_ids = None if created is None else map_of(identifier, identifier)(created)
    except Mismatch as mismatch:
        raise RequestProblem("notRequest", str(mismatch)) from None
    missing = using - offered(fake.options)
    if missing:
        raise RequestProblem("unknownCapability", f"not supported: {', '.join(sorted(missing))}")
    limit = fake.options.max_calls_in_request
    if len(calls) > limit:
        raise RequestProblem("limit", f"{len(calls)} calls, {limit} are allowed", limit="maxCallsInRequest")
    return using, calls, created_ids


def _call(value: object) -> Call:
    match value:
        case [str(name), dict(arguments), str(call_id)]:
            return name, arguments, call_id
    raise Mismatch("a call is a name, an object and an id")


async def _run(
    fake: FakeJmap, scope: Scope, name: str, arguments: dict[str, object], responses: list[Response]
) -> tuple[str, dict[str, object]]:
    await fake.pass_gate(name)
    fault = fake.faults.take(name, lambda fault: fault.kind in CALL_FAULTS)
    try:
        if fault is not None and fault.kind is FaultKind.METHOD_ERROR:
            raise MethodFailure(fault.error, "planned")
        reply = name, _method(scope, name)(resolve(arguments, responses))
        if fault is not None:
            raise MethodFailure(fault.error, "planned, after the work was done")
    except MethodFailure as failure:
        if failure.is_violation:
            fake.violation(name, str(failure))
        return "error", failure.arguments()
    return reply


def _method(scope: Scope, name: str) -> Callable[[dict[str, object]], dict[str, object]]:
    """Return what answers the method, if the request names its capability."""
    if name == ECHO and ECHO_CAPABILITY in scope.using:
        return lambda arguments: arguments
    method = METHODS.get(name)
    if method is None or method.capability not in scope.using:
        raise MethodFailure("unknownMethod", name, is_violation=True)
    answer_of = method.answer
    return lambda arguments: answer_of(scope, Arguments(arguments))
