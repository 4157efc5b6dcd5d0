"""What servers send is read leniently where they are known to differ."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.jmap.structs import (
    CoreCapability,
    Email,
    GetReply,
    Mailbox,
    Session,
    SetReply,
    core_capability,
    mail_capability,
    websocket_capability,
)


@pytest.mark.parametrize("given", [None, {}, "nonsense", {"maxObjectsInGet": 0}, {"maxSizeRequest": -1}])
def test_missing_and_senseless_limits_become_the_suggested_minimum(given: object) -> None:
    assert core_capability(given) == CoreCapability()


@pytest.mark.parametrize("value", [0, -5, None, "many", True, 1.5])
def test_one_senseless_limit_spoils_no_other(value: Any) -> None:
    limits = core_capability({"maxObjectsInGet": value, "maxObjectsInSet": 7})
    assert limits.max_objects_in_get == 500
    assert limits.max_objects_in_set == 7


def test_limits_are_read_as_given() -> None:
    limits = core_capability({"maxSizeUpload": 1, "maxConcurrentUpload": 2, "maxCallsInRequest": 3.0})
    assert (limits.max_size_upload, limits.max_concurrent_upload, limits.max_calls_in_request) == (1, 2, 3)


def test_the_misspelt_limit_of_the_example_in_the_rfc_is_understood() -> None:
    assert core_capability({"maxConcurrentRequest": 8}).max_concurrent_requests == 8
    assert core_capability({"maxConcurrentRequest": 8, "maxConcurrentRequests": 9}).max_concurrent_requests == 9


def test_no_limit_of_mailboxes_is_none() -> None:
    assert mail_capability({"maxMailboxesPerEmail": None}).max_mailboxes_per_email is None
    assert mail_capability({"maxMailboxesPerEmail": 1}).max_mailboxes_per_email == 1


def test_the_old_name_of_the_sort_options_is_understood() -> None:
    assert mail_capability({"emailsListSortOptions": ["size"]}).email_query_sort_options == {"size"}
    assert mail_capability({"emailQuerySortOptions": ["size", 7]}).email_query_sort_options == {"size"}
    assert mail_capability({"emailQuerySortOptions": None}).email_query_sort_options == frozenset()


def test_a_websocket_without_url_is_none() -> None:
    assert websocket_capability({"supportsPush": True}) is None
    found = websocket_capability({"url": "wss://example.com/ws"})
    assert found is not None
    assert not found.supports_push


def test_a_session_with_unknown_and_missing_properties_is_read() -> None:
    text = b'{"apiUrl":"/a","downloadUrl":"/d","uploadUrl":"/u","sogo":{},"primaryAccounts":{"x":null}}'
    session = msgspec.json.decode(text, type=Session)
    assert session.accounts == {}
    assert session.event_source_url is None


def test_replies_are_read_with_null_for_what_is_empty() -> None:
    got = msgspec.json.decode(
        b'{"accountId":"A","state":"1","list":[{"id":"e"}],"notFound":null}', type=GetReply[Email]
    )
    assert [email.id for email in got.items] == ["e"]
    made = msgspec.json.decode(
        b'{"oldState":null,"newState":"2","created":{"c":{"id":"e","size":3}},"updated":{"u":null},'
        b'"notCreated":{"d":{"type":"tooLarge","maxSize":9}}}',
        type=SetReply[Email],
    )
    assert made.created is not None
    assert made.created["c"] == Email(id="e", size=3)
    assert made.updated == {"u": None}
    assert made.not_created is not None
    assert made.not_created["d"].type == "tooLarge"


def test_rights_that_are_not_told_are_tried() -> None:
    mailbox = msgspec.json.decode(b'{"id":"m","name":"a","myRights":{"mayDelete":false}}', type=Mailbox)
    assert mailbox.my_rights is not None
    assert not mailbox.my_rights.may_delete
    assert mailbox.my_rights.may_rename


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.250Z", datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)),
        ("2026-01-02T05:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("0000-00-00T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (None, None),
    ],
)
def test_the_date_of_receipt_is_in_utc_or_unknown(text: str | None, moment: datetime | None) -> None:
    assert Email(id="e", received_at=text).received() == moment
