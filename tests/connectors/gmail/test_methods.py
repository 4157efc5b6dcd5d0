from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from connectors.gmail import methods, structs
from connectors.gmail.batching import PATH
from connectors.gmail.methods import LABELS_PATCH, MESSAGES_INSERT, MESSAGES_LIST, METHODS, PUBSUB_PULL, Method


def documents() -> dict[str, Any]:
    folder = resources.files("googleapiclient").joinpath("discovery_cache/documents")
    names = ("gmail.v1", "pubsub.v1")
    return {name: json.loads(folder.joinpath(f"{name}.json").read_text("utf-8")) for name in names}


def described(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from described(inner)


DOCUMENTS = documents()
DESCRIBED = {method["id"]: method for document in DOCUMENTS.values() for method in described(document)}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_is_as_google_describes_it(method: Method) -> None:
    published = DESCRIBED[method.id]
    assert (method.verb, method.path) == (published["httpMethod"], published["path"])
    upload = published.get("mediaUpload", {})
    assert method.upload_octets == int(upload.get("maxSize", 0))
    if upload:
        assert upload["protocols"]["simple"]["path"] == f"/upload/{method.path}"


def test_every_method_of_the_module_is_in_the_table() -> None:
    named = [value for value in vars(methods).values() if isinstance(value, Method)]
    assert sorted(METHODS, key=lambda each: each.id) == sorted(named, key=lambda each: each.id)


def test_batches_go_where_google_says() -> None:
    assert f"/{DOCUMENTS['gmail.v1']['batchPath']}" == PATH


@pytest.mark.parametrize(
    ("struct", "document", "schema"),
    [
        (structs.Profile, "gmail.v1", "Profile"),
        (structs.Message, "gmail.v1", "Message"),
        (structs.MessagePart, "gmail.v1", "MessagePart"),
        (structs.Header, "gmail.v1", "MessagePartHeader"),
        (structs.MessageList, "gmail.v1", "ListMessagesResponse"),
        (structs.Draft, "gmail.v1", "Draft"),
        (structs.DraftList, "gmail.v1", "ListDraftsResponse"),
        (structs.Label, "gmail.v1", "Label"),
        (structs.LabelList, "gmail.v1", "ListLabelsResponse"),
        (structs.ImapSettings, "gmail.v1", "ImapSettings"),
        (structs.History, "gmail.v1", "History"),
        (structs.HistoryList, "gmail.v1", "ListHistoryResponse"),
        (structs.LabelChange, "gmail.v1", "HistoryLabelAdded"),
        (structs.LabelChange, "gmail.v1", "HistoryLabelRemoved"),
        (structs.MessageChange, "gmail.v1", "HistoryMessageAdded"),
        (structs.MessageChange, "gmail.v1", "HistoryMessageDeleted"),
        (structs.WatchReply, "gmail.v1", "WatchResponse"),
        (structs.PullReply, "pubsub.v1", "PullResponse"),
        (structs.ReceivedMessage, "pubsub.v1", "ReceivedMessage"),
        (structs.PubsubMessage, "pubsub.v1", "PubsubMessage"),
    ],
)
def test_the_fields_that_are_read_are_those_google_sends(struct: Any, document: str, schema: str) -> None:
    assert set(struct.__struct_encode_fields__) <= set(DOCUMENTS[document]["schemas"][schema]["properties"])


def test_a_target_quotes_what_it_is_given() -> None:
    path = {"userId": "a b@example.org", "id": "Label/1?x=1#y"}
    assert LABELS_PATCH.target(path) == "/gmail/v1/users/a%20b%40example.org/labels/Label%2F1%3Fx%3D1%23y"


def test_a_target_repeats_what_is_given_twice() -> None:
    query = [("labelIds", "INBOX"), ("labelIds", "UNREAD"), ("q", "a b&c")]
    assert MESSAGES_LIST.target({"userId": "me"}, query) == (
        "/gmail/v1/users/me/messages?labelIds=INBOX&labelIds=UNREAD&q=a+b%26c"
    )


def test_slashes_stay_where_the_template_says_so() -> None:
    path = {"subscription": "projects/p/subscriptions/s"}
    assert PUBSUB_PULL.target(path) == "/v1/projects/p/subscriptions/s:pull"


def test_uploads_have_a_path_of_their_own() -> None:
    assert MESSAGES_INSERT.target({"userId": "me"}, is_upload=True) == "/upload/gmail/v1/users/me/messages"


def test_a_parameter_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        LABELS_PATCH.target({"userId": "me"})
