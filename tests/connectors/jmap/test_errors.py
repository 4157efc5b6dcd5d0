"""Each error of a server becomes the one of the contract that makes the gateway do the right thing."""

from __future__ import annotations

import pytest

from connectors.api import errors
from connectors.jmap.errors import LIMIT_RETRY_S, MethodFailure, map_method_error, map_problem, map_set_error
from connectors.jmap.structs import MethodError, Problem, SetError


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("serverUnavailable", errors.Unavailable),
        ("serverFail", errors.Unavailable),
        ("serverPartialFail", errors.OutcomeUnknown),
        ("unknownMethod", errors.Unsupported),
        ("invalidArguments", errors.Rejected),
        ("invalidResultReference", errors.Rejected),
        ("forbidden", errors.Denied),
        ("accountNotFound", errors.Denied),
        ("accountNotSupportedByMethod", errors.Unsupported),
        ("accountReadOnly", errors.Denied),
        ("requestTooLarge", errors.TooLarge),
        ("stateMismatch", errors.Rejected),
        ("cannotCalculateChanges", errors.CursorExpired),
        ("tooManyChanges", errors.CursorExpired),
        ("anchorNotFound", errors.Rejected),
        ("unsupportedSort", errors.Unsupported),
        ("unsupportedFilter", errors.Unsupported),
        ("rateLimit", errors.RateLimited),
        ("overQuota", errors.OverQuota),
        ("https://example.com/never-heard-of", errors.Unavailable),
    ],
)
def test_a_method_error_is_mapped_and_keeps_its_type(kind: str, expected: type[errors.ConnectorError]) -> None:
    error = map_method_error(MethodError(type=kind, description="so it is"), "Email/get at host")
    assert isinstance(error, expected)
    assert isinstance(error, MethodFailure)
    assert error.type == kind
    assert error.operator_text == f"Email/get at host: {kind} (so it is)"
    assert "Email" not in error.client_text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("forbidden", errors.Denied),
        ("overQuota", errors.OverQuota),
        ("tooLarge", errors.TooLarge),
        ("rateLimit", errors.RateLimited),
        ("notFound", errors.NotFound),
        ("invalidPatch", errors.Rejected),
        ("willDestroy", errors.Rejected),
        ("invalidProperties", errors.Rejected),
        ("singleton", errors.Rejected),
        ("alreadyExists", errors.AlreadyExists),
        ("mailboxHasChild", errors.Rejected),
        ("mailboxHasEmail", errors.Rejected),
        ("tooManyKeywords", errors.Rejected),
        ("tooManyMailboxes", errors.Rejected),
        ("blobNotFound", errors.Unavailable),
        ("invalidEmail", errors.Rejected),
        ("serverFail", errors.Unavailable),
        ("never-heard-of", errors.Rejected),
    ],
)
def test_a_set_error_is_mapped(kind: str, expected: type[errors.ConnectorError]) -> None:
    assert type(map_set_error(SetError(type=kind), "Email/set")) is expected


def test_the_client_is_told_what_a_person_can_act_on() -> None:
    assert "below it" in map_set_error(SetError(type="mailboxHasChild"), "Mailbox/set").client_text


def test_the_properties_that_were_wrong_are_named_to_the_operator() -> None:
    error = map_set_error(SetError(type="invalidProperties", properties=["name", "role"]), "Mailbox/set")
    assert error.operator_text == "Mailbox/set: invalidProperties [name, role]"


def test_the_words_of_the_server_are_one_bounded_line() -> None:
    error = map_method_error(MethodError(type="serverFail", description="a\r\nb \x1b[2J " + "word " * 1000), "x")
    assert error.operator_text.startswith("x: serverFail (a b [2J word word")
    assert len(error.operator_text) < 350


def test_a_credential_that_the_server_repeats_is_not_passed_on() -> None:
    words = "you sent Authorization: Basic YWxpY2U6d29uZGVy and Bearer t0ken"
    for error in (
        map_problem(Problem(detail=words), 400, "x"),
        map_method_error(MethodError(description=words), "x"),
        map_set_error(SetError(description=words, properties=[words]), "x"),
    ):
        assert "YWxpY2U6d29uZGVy" not in error.operator_text
        assert "t0ken" not in error.operator_text


def test_arguments_that_were_wrong_are_named() -> None:
    error = map_method_error(MethodError(type="invalidArguments", arguments=["sinceState"]), "Email/changes")
    assert error.operator_text.endswith("invalidArguments (sinceState)")


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem(type="urn:ietf:params:jmap:error:unknownCapability"), errors.Unsupported),
        (Problem(type="urn:ietf:params:jmap:error:notJSON"), errors.Rejected),
        (Problem(type="urn:ietf:params:jmap:error:notRequest"), errors.Rejected),
        (Problem(type="urn:ietf:params:jmap:error:limit", limit="maxSizeRequest"), errors.TooLarge),
        (Problem(type="urn:ietf:params:jmap:error:limit", limit="maxCallsInRequest"), errors.TooLarge),
        (Problem(type="urn:ietf:params:jmap:error:limit", limit="maxConcurrentRequests"), errors.RateLimited),
        (Problem(type="urn:ietf:params:jmap:error:limit"), errors.RateLimited),
        (Problem(), errors.Rejected),
    ],
)
def test_a_problem_with_the_whole_request_is_mapped(problem: Problem, expected: type[errors.ConnectorError]) -> None:
    assert type(map_problem(problem, 400, "Email/get at host")) is expected


def test_a_limit_without_a_time_is_waited_out_a_little() -> None:
    error = map_method_error(MethodError(type="rateLimit"), "x")
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after_s == LIMIT_RETRY_S
