from __future__ import annotations

import pytest

from connectors.transport.messages import Effect
from connectors.transport.redirects import Hop, next_hop
from connectors.transport.retry import AttemptFailed, Trouble

GET = Hop("GET", "https://a.example/x?q=1", has_content=False)
POST = Hop("POST", "https://a.example/api", has_content=True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_is_followed(status: int) -> None:
    assert next_hop(GET, status, "/y", Effect.READ) == Hop("GET", "https://a.example/y", has_content=False)


@pytest.mark.parametrize("status", [200, 204, 300, 304, 404])
def test_what_is_no_redirect_is_not_followed(status: int) -> None:
    assert next_hop(GET, status, "/y", Effect.READ) is None


def test_a_redirect_to_nowhere_is_none() -> None:
    assert next_hop(GET, 302, None, Effect.READ) is None


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://b.example/z", "https://b.example/z"),
        ("//b.example/z", "https://b.example/z"),
        ("z", "https://a.example/z"),
        (" /z ", "https://a.example/z"),
        ("?q=2", "https://a.example/x?q=2"),
        ("/z#part", "https://a.example/z"),
    ],
)
def test_locations_are_resolved(location: str, url: str) -> None:
    hop = next_hop(GET, 302, location, Effect.READ)
    assert hop is not None
    assert hop.url == url


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_method_and_body_of_what_may_be_repeated_are_kept(status: int) -> None:
    assert next_hop(POST, status, "/new", Effect.READ) == Hop("POST", "https://a.example/new", has_content=True)


def test_see_other_becomes_a_get() -> None:
    assert next_hop(POST, 303, "/new", Effect.WRITE) == Hop("GET", "https://a.example/new", has_content=False)
    assert next_hop(Hop("HEAD", POST.url, has_content=False), 303, "/n", Effect.READ) == Hop(
        "HEAD", "https://a.example/n", has_content=False
    )


@pytest.mark.parametrize("status", [301, 302])
def test_a_write_is_not_repeated_where_it_may_have_been_done(status: int) -> None:
    with pytest.raises(AttemptFailed) as caught:
        next_hop(POST, status, "/new", Effect.WRITE)
    assert caught.value.trouble is Trouble.UNUSABLE


@pytest.mark.parametrize("status", [307, 308])
def test_a_write_is_sent_on_where_the_server_says_so(status: int) -> None:
    assert next_hop(POST, status, "/new", Effect.WRITE) == Hop("POST", "https://a.example/new", has_content=True)


@pytest.mark.parametrize(
    "location", ["http://a.example/x", "ftp://a.example/", "javascript:1", "https://u:secret@b.example/", "https://[/"]
)
def test_redirects_to_unsafe_places_are_refused(location: str) -> None:
    with pytest.raises(AttemptFailed) as caught:
        next_hop(GET, 302, location, Effect.READ)
    assert "secret" not in caught.value.what
    assert "q=1" not in caught.value.what


def test_plain_http_may_lead_to_either() -> None:
    hop = Hop("GET", "http://127.0.0.1:1/", has_content=False)
    for url in ("http://127.0.0.1:2/", "https://a.example/"):
        following = next_hop(hop, 302, url, Effect.READ)
        assert following is not None
        assert following.url == url
