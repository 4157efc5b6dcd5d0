"""Refusals of Microsoft's login, turned into what a person can do."""

from __future__ import annotations

import pytest

from connectors.api.errors import AuthExpired, ConnectorError, Denied, Unavailable
from connectors.graph.aadsts import codes_of, refusal_of
from tests.connectors.graph.login_service import refused


@pytest.mark.parametrize(
    ("word", "code", "kind", "said"),
    [
        ("invalid_grant", 50173, AuthExpired, "account passwd"),
        ("invalid_grant", 50076, AuthExpired, "second factor"),
        ("invalid_grant", 70043, AuthExpired, "at intervals"),
        ("invalid_grant", 700082, AuthExpired, "not used for so long"),
        ("invalid_grant", 65001, AuthExpired, "grant consent"),
        ("interaction_required", 53003, AuthExpired, "conditional access"),
        ("unauthorized_client", 700016, AuthExpired, "client_id and tenant"),
        ("invalid_client", 7000215, AuthExpired, "value of the secret"),
        ("invalid_client", 7000222, AuthExpired, "has expired"),
        ("invalid_client", 700027, AuthExpired, "certificate"),
        ("invalid_request", 50194, AuthExpired, "one organisation"),
        ("invalid_request", 50011, AuthExpired, "http://localhost"),
        ("invalid_grant", 999999, AuthExpired, "ended or was revoked"),
        ("access_denied", 65004, Denied, "refused"),
        ("temporarily_unavailable", 90033, Unavailable, ""),
    ],
)
def test_a_code_says_what_to_do(word: str, code: int, kind: type[ConnectorError], said: str) -> None:
    error = refusal_of(refused(word, code))
    assert isinstance(error, kind)
    assert f"AADSTS{code}" in error.operator_text
    assert said in error.operator_text
    assert "c-1" in error.operator_text
    assert "AADSTS" not in error.client_text


def test_the_code_is_found_in_the_text_too() -> None:
    reply = {"error": "invalid_grant", "error_description": "AADSTS50057: The account is disabled."}
    assert codes_of(reply) == (50057,)
    assert "disabled it" in refusal_of(reply).operator_text


def test_without_a_code_the_word_decides() -> None:
    """Outlook.com accounts have no codes."""
    error = refusal_of({"error": "invalid_grant", "error_description": "The user could not be authenticated."})
    assert isinstance(error, AuthExpired)
    assert "account passwd" in error.operator_text


def test_what_is_not_known_is_told_in_microsofts_words_on_one_line() -> None:
    reply = {
        "error": "odd",
        "error_description": "Something odd. Trace ID: t\r\nCorrelation ID: c",
        "error_codes": ["x"],
    }
    text = refusal_of(reply).operator_text
    assert text.endswith("odd: Something odd.")
    assert text.isprintable()


@pytest.mark.parametrize("reply", [{}, {"error": None}, {"error": 5, "error_codes": "x"}])
def test_nonsense_is_borne(reply: dict[str, object]) -> None:
    assert isinstance(refusal_of(reply), AuthExpired)
