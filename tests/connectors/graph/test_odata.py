"""The small change of requests: query strings, preferences, challenges."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl

import pytest

from connectors.api.errors import OutcomeUnknown, Unavailable
from connectors.graph.odata import claims_of, decode, query_string, with_preference
from connectors.graph.structs import Message, NoReply
from connectors.transport.messages import Effect, Headers

CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}'


def test_a_query_string_keeps_the_dollar_and_nothing_else_that_could_be_misread() -> None:
    query = [("$filter", "subject eq 'a&b=c+d #1'"), ("$select", "id,flag")]
    text = query_string(query)
    assert text.startswith("?$filter=subject%20eq%20")
    assert text.endswith("&$select=id,flag")
    assert "+" not in text
    assert "#" not in text
    assert parse_qsl(text[1:]) == query


def test_no_query_is_no_question_mark() -> None:
    assert query_string([]) == ""


def test_preferences_are_joined_in_one_field() -> None:
    assert with_preference({}) == {"Prefer": 'IdType="ImmutableId"'}
    given = {"prefer": 'outlook.body-content-type="text"', "A": "b"}
    assert with_preference(given, "odata.maxpagesize=5") == {
        "A": "b",
        "Prefer": 'IdType="ImmutableId", odata.maxpagesize=5, outlook.body-content-type="text"',
    }


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_challenge_is_decoded(encode: type) -> None:
    for end in ("", " ", "  "):
        text = encode((CLAIMS + end).encode()).decode().rstrip("=")
        fields = Headers([("WWW-Authenticate", f'Bearer realm="", error="insufficient_claims", claims="{text}"')])
        assert claims_of(fields) == CLAIMS + end


@pytest.mark.parametrize(
    "value", ["", "Bearer", 'Bearer claims=""', 'Bearer claims="%%"', 'Bearer claims="W10="', 'Bearer claims="/w=="']
)
def test_what_is_no_challenge_is_none(value: str) -> None:
    assert claims_of(Headers([("WWW-Authenticate", value)])) is None


def test_a_reply_that_cannot_be_read_is_told_by_the_effect() -> None:
    with pytest.raises(Unavailable):
        decode(b"{", Message, "a call", Effect.IDEMPOTENT_WRITE)
    with pytest.raises(OutcomeUnknown):
        decode(b"{", Message, "a call", Effect.WRITE)
    assert decode(b"whatever", NoReply, "a call", Effect.WRITE) == NoReply()
