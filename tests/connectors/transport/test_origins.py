from __future__ import annotations

import pytest

from connectors.transport.origins import MalformedUrl, Origin, OriginPattern


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.COM/path?x", Origin("https", "example.com", 443)),
        ("https://example.com.:8443", Origin("https", "example.com", 8443)),
        ("http://127.0.0.1:80/", Origin("http", "127.0.0.1", 80)),
        ("https://[2001:DB8::1]/", Origin("https", "2001:db8::1", 443)),
        ("https://b\u00fccher.example/", Origin("https", "xn--bcher-kva.example", 443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: Origin) -> None:
    assert Origin.of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "/path",
        "ftp://example.com/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://[::1/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com\\@evil.example/",
        "https://./",
        "https://" + "a" * 70 + "\u00fc.example/",
    ],
)
def test_what_is_no_plain_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(MalformedUrl) as caught:
        Origin.of(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "url", "does_match"),
    [
        ("api.example.com", "https://api.example.com/x", True),
        ("API.Example.Com", "https://api.example.com", True),
        ("api.example.com", "http://api.example.com/", False),
        ("api.example.com", "https://api.example.com:8443/", False),
        ("api.example.com", "https://evil-api.example.com/", False),
        ("api.example.com", "https://api.example.com.evil.example/", False),
        ("api.example.com:8443", "https://api.example.com:8443/", True),
        ("api.example.com:8443", "https://api.example.com/", False),
        ("*.example.com", "https://a.example.com/", True),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://badexample.com/", False),
        ("*.example.com", "http://a.example.com/", False),
        ("https://api.example.com", "https://api.example.com/", True),
        ("https://api.example.com/jmap/", "https://api.example.com/other", True),
        ("https://api.example.com:8443", "https://api.example.com:8443/", True),
        ("http://mail.internal:8080", "http://mail.internal:8080/", True),
        ("http://mail.internal:8080", "https://mail.internal:8080/", False),
        ("localhost", "http://localhost:8080/", True),
        ("127.0.0.1", "http://127.0.0.1:1234/", True),
        ("127.0.0.1:1234", "http://127.0.0.1:1234/", True),
        ("127.0.0.1:1234", "http://127.0.0.1:1235/", False),
        ("[::1]", "https://[::1]/", True),
        ("[::1]:8443", "https://[::1]:8443/", True),
        ("10.0.0.1", "http://10.0.0.1/", False),
    ],
)
def test_patterns_match_what_the_operator_means(pattern: str, url: str, does_match: bool) -> None:
    assert OriginPattern.parse(pattern).matches(Origin.of(url)) is does_match


@pytest.mark.parametrize("text", ["", "*", "*.", "*.com", "a.*.com", "example.com/path", "user@example.com", "a b"])
def test_patterns_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(MalformedUrl):
        OriginPattern.parse(text)


@pytest.mark.parametrize(
    ("url", "is_private"),
    [
        ("https://example.com/", True),
        ("http://localhost/", True),
        ("http://127.9.9.9/", True),
        ("http://[::1]/", True),
        ("http://localhost.example.com/", False),
        ("http://192.168.0.1/", False),
    ],
)
def test_only_tls_and_the_own_machine_are_private(url: str, is_private: bool) -> None:
    assert Origin.of(url).is_private is is_private


def test_an_origin_prints_without_its_default_port() -> None:
    assert str(Origin.of("https://example.com:443/x")) == "https://example.com"
    assert str(Origin.of("http://[::1]:8080/x")) == "http://[::1]:8080"
