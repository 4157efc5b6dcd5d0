"""Flags of IMAP, and where a message keeps each."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.graph.categories import Categories
from connectors.graph.flags import (
    EXPAND,
    ICON,
    LAST_VERB,
    OWN_FLAGS,
    SIZE,
    changes_for,
    creation_fields,
    flags_of,
    needs_present,
    property_of,
    size_of,
)
from connectors.graph.structs import ExtendedProperty, FollowupFlag, Message

CATEGORIES = Categories(("Important",))
NONE: frozenset[str] = frozenset()


def message(
    *,
    verb: int | None = None,
    own: str | None = None,
    is_read: bool = False,
    flag: str = "notFlagged",
    categories: list[str] | None = None,
    is_draft: bool = False,
) -> Message:
    """Return a message as Graph tells it, ids of properties in its own spelling."""
    properties = [ExtendedProperty("Integer 0x1081", str(verb))] if verb is not None else []
    if own is not None:
        properties.append(ExtendedProperty(OWN_FLAGS.lower(), own))
    return Message(
        "m",
        is_read=is_read,
        is_draft=is_draft,
        flag=FollowupFlag(flag),
        categories=categories or [],
        single_value_extended_properties=properties,
    )


def applied(present: Message, body: dict[str, Any]) -> Message:
    """Return what the message is like after a PATCH."""
    told = {each.id: each.value for each in present.single_value_extended_properties or ()}
    told = {OWN_FLAGS if "imapflags" in name.lower() else name: value for name, value in told.items()}
    told |= {each["id"]: each["value"] for each in body.get("singleValueExtendedProperties", ())}
    return Message(
        "m",
        is_read=body.get("isRead", present.is_read),
        is_draft=present.is_draft,
        flag=FollowupFlag(body["flag"]["flagStatus"]) if "flag" in body else present.flag,
        categories=body.get("categories", present.categories),
        single_value_extended_properties=[ExtendedProperty(name, value) for name, value in told.items()],
    )


def properties(body: dict[str, Any]) -> dict[str, str]:
    return {each["id"]: each["value"] for each in body.get("singleValueExtendedProperties", ())}


@pytest.mark.parametrize(
    ("told", "flags"),
    [
        (message(), set()),
        (message(is_read=True, flag="flagged"), {"\\Seen", "\\Flagged"}),
        (message(flag="complete"), set()),
        (message(is_draft=True), {"\\Draft"}),
        (message(verb=102), {"\\Answered"}),
        (message(verb=103), {"\\Answered"}),
        (message(verb=104), {"$Forwarded"}),
        (message(verb=104, own="\\Answered"), {"$Forwarded", "\\Answered"}),
        (message(verb=102, own="$Forwarded NonJunk"), {"$Forwarded", "\\Answered", "NonJunk"}),
        (message(verb=0, own="-"), set()),
        (message(own="\\Answered bogus \\Seen"), {"\\Answered"}),
        (message(categories=["To Do", "important", ""]), {"To=20;Do", "$label1"}),
    ],
)
def test_flags_are_read_from_where_outlook_keeps_them(told: Message, flags: set[str]) -> None:
    assert flags_of(told, CATEGORIES) == flags


@pytest.mark.parametrize("spelling", ["Integer 0x1081", "integer 0X1081", "Integer 0x01081", "Integer 0x00001081"])
def test_ids_of_properties_are_compared_as_numbers(spelling: str) -> None:
    told = Message("m", single_value_extended_properties=[ExtendedProperty(spelling, "102")])

    assert property_of(told, LAST_VERB) == "102"
    assert property_of(told, ICON) is None


def test_a_size_that_is_no_number_is_not_told() -> None:
    for value, size in [("1234", 1234), ("0", None), ("-1", None), ("many", None), (None, None)]:
        told = Message("m", single_value_extended_properties=[ExtendedProperty("Integer 0xe08", value)])
        assert size_of(told) == size


def test_what_is_asked_for_names_every_property_that_flags_need() -> None:
    for name in (LAST_VERB, OWN_FLAGS, SIZE):
        assert f"id eq '{name}'" in EXPAND


@pytest.mark.parametrize(
    ("add", "remove", "needs"),
    [
        ({"\\Seen"}, set(), False),
        (set(), {"\\Seen"}, False),
        ({"\\Flagged"}, set(), False),
        (set(), {"\\Flagged"}, True),
        ({"\\Answered"}, set(), True),
        ({"Blue"}, set(), True),
        (set(), {"Blue"}, True),
    ],
)
def test_what_is_there_matters_only_where_it_is_kept(add: set[str], remove: set[str], needs: bool) -> None:
    assert needs_present(add, remove) is needs


def test_seen_and_flagged_can_be_set_without_looking() -> None:
    assert changes_for(frozenset({"\\Seen", "\\Flagged"}), NONE, None, CATEGORIES) == {
        "isRead": True,
        "flag": {"flagStatus": "flagged"},
    }
    assert changes_for(NONE, frozenset({"\\Seen"}), None, CATEGORIES) == {"isRead": False}


def test_what_is_so_already_is_not_written() -> None:
    present = message(is_read=True, flag="flagged", verb=103, categories=["blue"])

    assert changes_for(frozenset({"\\Seen", "\\Flagged", "\\Answered", "BLUE"}), NONE, present, CATEGORIES) == {}
    assert changes_for(NONE, frozenset({"$Forwarded", "Red"}), present, CATEGORIES) == {}


def test_a_flag_that_is_complete_is_left_alone() -> None:
    assert changes_for(NONE, frozenset({"\\Flagged"}), message(flag="complete"), CATEGORIES) == {}
    assert changes_for(NONE, frozenset({"\\Flagged"}), message(flag="flagged"), CATEGORIES) == {
        "flag": {"flagStatus": "notFlagged"}
    }


def test_the_first_of_answered_and_forwarded_is_what_outlook_shows() -> None:
    answered = changes_for(frozenset({"\\Answered"}), NONE, message(), CATEGORIES)
    forwarded = changes_for(frozenset({"$Forwarded"}), NONE, message(), CATEGORIES)

    assert properties(answered) == {LAST_VERB: "102", ICON: "261"}
    assert properties(forwarded) == {LAST_VERB: "104", ICON: "262"}


def test_the_second_is_kept_in_our_own_property() -> None:
    body = changes_for(frozenset({"$Forwarded"}), NONE, message(verb=103), CATEGORIES)

    assert properties(body) == {OWN_FLAGS: "$Forwarded"}


@pytest.mark.parametrize("removed", ["\\Answered", "$Forwarded"])
@pytest.mark.parametrize(("verb", "own"), [(102, "$Forwarded"), (103, "$Forwarded"), (104, "\\Answered")])
def test_of_both_each_can_be_taken_away(verb: int, own: str, removed: str) -> None:
    present = message(verb=verb, own=own)

    after = applied(present, changes_for(NONE, frozenset({removed}), present, CATEGORIES))

    assert flags_of(after, CATEGORIES) == {"\\Answered", "$Forwarded"} - {removed}
    after = applied(after, changes_for(NONE, frozenset({"\\Answered", "$Forwarded"}), after, CATEGORIES))
    assert flags_of(after, CATEGORIES) == set()


def test_both_at_once_can_be_set_and_taken_away() -> None:
    both = frozenset({"\\Answered", "$Forwarded"})
    after = applied(message(), changes_for(both, NONE, message(), CATEGORIES))

    assert flags_of(after, CATEGORIES) == both
    assert flags_of(applied(after, changes_for(NONE, both, after, CATEGORIES)), CATEGORIES) == set()


def test_categories_of_others_stay_as_they_are() -> None:
    present = message(categories=["Zebra", "To Do", "Blue"])

    body = changes_for(frozenset({"$label1", "Red=20;one"}), frozenset({"blue"}), present, CATEGORIES)

    assert body == {"categories": ["Zebra", "To Do", "Important", "Red one"]}


def test_what_clients_note_for_themselves_is_no_category() -> None:
    body = changes_for(frozenset({"nonjunk", "$MDNSent"}), NONE, message(), CATEGORIES)

    assert "categories" not in body
    after = applied(message(), body)
    assert flags_of(after, CATEGORIES) == {"NonJunk", "$MDNSent"}
    assert flags_of(applied(after, changes_for(NONE, frozenset({"NonJunk"}), after, CATEGORIES)), CATEGORIES) == {
        "$MDNSent"
    }


def test_a_category_of_such_a_name_is_that_flag_and_can_be_taken_away() -> None:
    present = message(categories=["$Forwarded", "NonJunk"])

    assert flags_of(present, CATEGORIES) == {"$Forwarded", "NonJunk"}
    assert changes_for(frozenset({"NonJunk", "$Forwarded"}), NONE, present, CATEGORIES) == {}
    body = changes_for(NONE, frozenset({"NonJunk", "$Forwarded"}), present, CATEGORIES)
    assert flags_of(applied(present, body), CATEGORIES) == set()


def test_a_new_message_is_told_whether_it_is_read() -> None:
    assert creation_fields(NONE, CATEGORIES) == {"isRead": False}
    made = creation_fields(frozenset({"\\Seen", "\\Flagged", "\\Answered", "$label1", "\\Draft"}), CATEGORIES)
    assert made == {
        "isRead": True,
        "flag": {"flagStatus": "flagged"},
        "categories": ["Important"],
        "singleValueExtendedProperties": [
            {"id": LAST_VERB, "value": "102"},
            {"id": ICON, "value": "261"},
        ],
    }
