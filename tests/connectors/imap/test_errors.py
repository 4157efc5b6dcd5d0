"""NO and BAD in the words of the contract."""

from __future__ import annotations

import pytest

from connectors.api import errors
from connectors.imap.errors import from_login, from_status
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
