"""The replies of one request are told apart."""

from __future__ import annotations

import msgspec
import pytest

from connectors.api.errors import CursorExpired, OutcomeUnknown, Unavailable
from connectors.jmap.calls import Call
from connectors.jmap.errors import MethodFailure
from connectors.jmap.results import Results
from connectors.jmap.structs import ChangesReply, GetReply, Mailbox, Response, SetReply
from connectors.transport.messages import Effect

CALLS = [Call("Email/changes", {}, "c"), Call("Mailbox/get", {}, "m")]


def results(*responses: tuple[str, object, str], effect: Effect = Effect.READ) -> Results:
    response = msgspec.json.decode(msgspec.json.encode({"methodResponses": responses}), type=Response)
    return Results(response, CALLS, "host", effect)


def test_one_refused_call_spoils_no_other() -> None:
    found = results(("error", {"type": "cannotCalculateChanges"}, "c"), ("Mailbox/get", {"list": [{"id": "m"}]}, "m"))
    assert found.get("m", GetReply[Mailbox]).items[0].id == "m"
    error = found.error("c")
    assert error is not None
    assert error.type == "cannotCalculateChanges"
    with pytest.raises(CursorExpired, match="Email/changes at host") as caught:
        found.get("c", ChangesReply)
    assert isinstance(caught.value, MethodFailure)


@pytest.mark.parametrize(("effect", "error"), [(Effect.READ, Unavailable), (Effect.WRITE, OutcomeUnknown)])
def test_a_missing_or_unreadable_reply_is_an_error(effect: Effect, error: type[Exception]) -> None:
    found = results(("Email/changes", {"newState": 5}, "c"), effect=effect)
    for call_id in ("c", "m"):
        with pytest.raises(error):
            found.get(call_id, ChangesReply)


def test_of_several_replies_to_one_call_the_method_picks() -> None:
    found = results(
        ("EmailSubmission/set", {"newState": "1"}, "c"),
        ("Email/set", {"newState": "2"}, "c"),
    )
    assert found.get("c", SetReply[Mailbox]).new_state == "1"
    assert found.get("c", SetReply[Mailbox], name="Email/set").new_state == "2"


def test_an_error_without_a_type_counts_as_a_failing_server() -> None:
    with pytest.raises(Unavailable):
        results(("error", {"type": 7}, "c")).get("c", ChangesReply)
