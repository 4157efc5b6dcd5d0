"""Templates are filled in as RFC 6570 says, also those that servers get wrong."""

from __future__ import annotations

import pytest

from connectors.jmap.urls import expand, expand_event_source, resolve, resolve_websocket


def test_values_are_percent_encoded() -> None:
    template = "https://h/d/{accountId}/{blobId}/{name}?accept={type}"
    values = {"accountId": "a/b", "blobId": "G~1._-x", "name": "ä b?.eml", "type": "message/rfc822"}
    assert expand(template, values) == "https://h/d/a%2Fb/G~1._-x/%C3%A4%20b%3F.eml?accept=message%2Frfc822"


def test_a_value_is_not_taken_for_a_template() -> None:
    assert expand("/{blobId}/{name}", {"blobId": "{name}", "name": "n"}) == "/%7Bname%7D/n"


def test_a_variable_without_value_is_empty() -> None:
    assert expand("/x/{unheard}", {}) == "/x/"


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("/e?types={types}&closeafter={closeafter}&ping={ping}", "/e?types=A%2CB&closeafter=no&ping=60"),
        ("/e/", "/e/?types=A%2CB&closeafter=no&ping=60"),
        ("/e?x=1", "/e?x=1&types=A%2CB&closeafter=no&ping=60"),
        ("/e?", "/e?types=A%2CB&closeafter=no&ping=60"),
        ("/e/{types}#f", "/e/A%2CB?closeafter=no&ping=60#f"),
    ],
)
def test_variables_that_the_event_source_lacks_are_added(template: str, url: str) -> None:
    assert expand_event_source(template, {"types": "A,B", "closeafter": "no", "ping": "60"}) == url


@pytest.mark.parametrize(
    ("base", "reference", "url"),
    [
        ("https://h/jmap/session", "/jmap/", "https://h/jmap/"),
        ("https://h/jmap/session", "api", "https://h/jmap/api"),
        ("https://h/jmap/session", "//blobs.h/{blobId}?n={name}", "https://blobs.h/{blobId}?n={name}"),
        ("https://h/jmap/session", "https://other/api", "https://other/api"),
    ],
)
def test_relative_urls_belong_to_the_session_url(base: str, reference: str, url: str) -> None:
    assert resolve(base, reference) == url


@pytest.mark.parametrize(
    ("reference", "url"),
    [("/ws", "wss://h/ws"), ("wss://x/ws", "wss://x/ws"), ("ws://x/ws", "ws://x/ws"), ("https://x/ws", "wss://x/ws")],
)
def test_the_websocket_is_resolved_to_its_own_scheme(reference: str, url: str) -> None:
    assert resolve_websocket("https://h/session", reference) == url
