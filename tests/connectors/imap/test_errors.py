"""NO and BAD in the words of the contract."""

from __future__ import annotations

import pytest

from connectors.api import errors
from connectors.imap.errors import ConnectionLost, Throttled, from_login, from_session, from_status
from gateway.wire.codes import Status
from gateway.wire.response_parser import parse_status_text


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("OVERQUOTA", errors.OverQuota),
        ("NONEXISTENT", errors.NotFound),
        ("TRYCREATE", errors.NotFound),
        ("ALREADYEXISTS", errors.AlreadyExists),
        ("TOOBIG", errors.TooLarge),
        ("NOPERM", errors.Denied),
        ("READ-ONLY", errors.Denied),
        ("UNAVAILABLE", errors.Unavailable),
        ("INUSE", errors.Unavailable),
        ("SERVERBUG", errors.Unavailable),
        ("LIMIT", errors.RateLimited),
        ("CANNOT", errors.Unsupported),
        ("BADCHARSET (UTF-8)", errors.Unsupported),
        ("EXPIRED", errors.AuthExpired),
        ("X-WHATEVER", errors.Rejected),
        ("UIDNEXT 4", errors.Rejected),
    ],
)
def test_a_no_is_told_by_its_code(code: str, kind: type[errors.ConnectorError]) -> None:
    parsed, text = parse_status_text(f"[{code}] because".encode())
    error = from_status("COPY at h:1", Status.NO, parsed, text)
    assert type(error) is kind
    assert error.operator_text == f"COPY at h:1: NO [{code.split(maxsplit=1)[0]}] because"
    assert "h:1" not in error.client_text


def test_without_a_code_it_is_rejected() -> None:
    assert type(from_status("x", Status.NO, None, "no")) is errors.Rejected
    parsed, text = parse_status_text(b"[OVERQUOTA] x")
    assert type(from_status("x", Status.BAD, parsed, text)) is errors.Rejected


def test_a_bad_to_a_login_is_no_wrong_password() -> None:
    assert type(from_login("x", Status.BAD, None, "what?")) is errors.Rejected
    assert type(from_login("x", Status.NO, None, "no")) is errors.AuthExpired


@pytest.mark.parametrize("status", [Status.NO, Status.BAD])
def test_exchange_throttles_in_words_and_says_for_how_long(status: Status) -> None:
    text = "Request is throttled. Suggested Backoff Time: 299961 milliseconds"
    for error in (from_status("UID FETCH at h:1", status, None, text), from_login("x", status, None, text)):
        assert isinstance(error, errors.RateLimited)
        assert type(error) is Throttled
        assert error.retry_after_s == 299.961


def test_a_backoff_of_days_is_not_believed() -> None:
    text = "Request is throttled. Suggested Backoff Time: 999999999 milliseconds"
    error = from_status("x", Status.NO, None, text)
    assert type(error) is Throttled
    assert error.retry_after_s == 3600.0


def test_a_spent_bandwidth_at_gmail_is_no_full_account() -> None:
    parsed, text = parse_status_text(b"[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")
    assert type(from_status("UID FETCH at h:1", Status.NO, parsed, text)) is Throttled
    assert type(from_login("x", Status.NO, parsed, text)) is Throttled


@pytest.mark.parametrize("status", [Status.NO, Status.BAD])
def test_a_session_that_exchange_has_cut_from_its_mailbox_is_lost(status: Status) -> None:
    error = from_status("SELECT at h:1", status, None, "User is authenticated but not connected.")
    assert type(error) is ConnectionLost


@pytest.mark.parametrize(
    "text",
    [
        "Server Unavailable. 15",
        "Service temporarily unavailable",
        "Temporary System Error (Failure)",
        "Temporary problem, please try again later",
        "UID FETCH Temporary failure on server [CODE: WBL]",
    ],
)
def test_a_server_that_is_not_able_now_is_no_refusal(text: str) -> None:
    for status in (Status.NO, Status.BAD):
        assert type(from_status("x", status, None, text)) is errors.Unavailable
        assert type(from_login("x", status, None, text)) is errors.Unavailable


@pytest.mark.parametrize("code", ["UNAVAILABLE", "SERVERBUG", "INUSE"])
def test_a_bad_that_says_that_the_server_is_not_able_is_no_refusal(code: str) -> None:
    """As iCloud's `BAD [UNAVAILABLE] Service ...` to a login."""
    parsed, text = parse_status_text(f"[{code}] x".encode())
    assert type(from_status("x", Status.BAD, parsed, text)) is errors.Unavailable
    assert type(from_login("x", Status.BAD, parsed, text)) is errors.Unavailable


@pytest.mark.parametrize(
    "line",
    [
        b"[ALERT] Too many simultaneous connections. (Failure)",
        b"Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
    ],
)
def test_a_login_beyond_the_number_of_connections_is_no_wrong_password(line: bytes) -> None:
    parsed, text = parse_status_text(line)
    assert type(from_login("x", Status.NO, parsed, text)) is errors.RateLimited


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AUTHENTICATIONFAILED", ConnectionLost),
        ("EXPIRED", ConnectionLost),
        ("AUTHORIZATIONFAILED", errors.Denied),
        ("NOPERM", errors.Denied),
        ("OVERQUOTA", errors.OverQuota),
    ],
)
def test_only_a_login_can_tell_that_credentials_are_refused(code: str, kind: type[errors.ConnectorError]) -> None:
    parsed, text = parse_status_text(f"[{code}] x".encode())
    assert type(from_session("SELECT at h:1", Status.NO, parsed, text)) is kind
