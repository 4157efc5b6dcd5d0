"""Requests against the published list of methods."""

from __future__ import annotations

import pytest

from tests.fakes.gmail.discovery import description
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions


@pytest.mark.parametrize(
    ("verb", "path", "method", "found"),
    [
        ("GET", "/gmail/v1/users/me/messages/a%2Fb", "messages.get", {"userId": "me", "id": "a/b"}),
        ("POST", "/gmail/v1/users/me/messages/batchModify", "messages.batchModify", {"userId": "me"}),
        ("POST", "/gmail/v1/users/a@b/drafts/send", "drafts.send", {"userId": "a@b"}),
        ("PUT", "/gmail/v1/users/me/drafts/r1", "drafts.update", {"userId": "me", "id": "r1"}),
    ],
)
def test_paths_lead_to_methods(verb: str, path: str, method: str, found: dict[str, str]) -> None:
    match = description("gmail.v1").find(verb, path)
    assert match is not None
    assert (match[0].id, match[1]) == (f"gmail.users.{method}", found)


@pytest.mark.parametrize(
    "path", ["/gmail/v1/users/me/messages/", "/gmail/v1/users/me/messages/1/2", "/gmail/v1/messages"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert description("gmail.v1").find("GET", path) is None


def test_a_subscriptions_name_spans_segments() -> None:
    match = description("pubsub.v1").find("POST", "/v1/projects/p/subscriptions/s:pull")
    assert match is not None
    assert match[0].id == "pubsub.projects.subscriptions.pull"
    assert match[1] == {"subscription": "projects/p/subscriptions/s"}


@pytest.mark.parametrize("table", ["2025", "2026"])
async def test_every_method_played_is_described_and_has_its_cost(table: str) -> None:
    fake = FakeGmail(FakeOptions(costs=table))
    played = {name for name in fake.dispatcher.methods if name.startswith("gmail.")}
    assert played == set(fake.costs)
    assert played <= set(description("gmail.v1").methods)
