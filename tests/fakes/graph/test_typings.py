"""Graph's types, and the parser of what they are written in."""

from __future__ import annotations

import pytest

from tests.fakes.graph.typings import Reference, Typings, Unreadable, reference, typings

_TEXT = """\
export type NullableOption<T> = T | null;

export type Colour = "red" | "green";
export type Long =
    // A comment
    | "one"
    | "two";
export interface Entity {
    /** The id; it has {braces} and a "quoted" word: string; */
    id?: string;
}
export interface Thing extends Entity {
    // What it is called.
    name?: NullableOption<string>;
    colours?: NullableOption<Colour[]>;
    parts?: Thing[];
    "@odata.type"?: string;
}
export interface Empty {}

export namespace Other {
    interface Thing extends microsoftgraph.Entity {
        wrong?: string;
    }
}
"""


def test_interfaces_inherit_and_keep_their_order() -> None:
    found = Typings(_TEXT).interface("Thing")
    assert found.bases == ("Thing", "Entity")
    assert list(found.properties) == ["id", "name", "colours", "parts", "@odata.type"]
    assert found.properties["name"] == Reference("string", is_nullable=True)
    assert found.properties["colours"] == Reference("Colour", is_list=True, is_nullable=True)
    assert found.properties["parts"] == Reference("Thing", is_list=True)


def test_enumerations_are_read_over_several_lines() -> None:
    types = Typings(_TEXT)
    assert (types.enum("Colour") or set()) == {"red", "green"}
    assert (types.enum("Long") or set()) == {"one", "two"}
    assert types.enum("Thing") is None
    assert types.enum("Nothing") is None


def test_what_is_in_a_namespace_is_not_taken_for_the_main_one() -> None:
    types = Typings(_TEXT)
    assert types.interface("Empty").properties == {}
    assert "wrong" not in types.interface("Thing").properties


@pytest.mark.parametrize(
    "text",
    [
        "export interface A { b?: { c: string }; }",
        "export interface A { b?: string }",
        "export interface A extends B, C { }",
    ],
)
def test_another_form_is_not_read_by_half(text: str) -> None:
    with pytest.raises(Unreadable):
        Typings(text).interface("A")


def test_a_type_that_is_no_enumeration_is_told() -> None:
    with pytest.raises(Unreadable):
        Typings(_TEXT).enum("NullableOption")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("string", Reference("string")),
        ("string[]", Reference("string", is_list=True)),
        ("NullableOption<Recipient[]>", Reference("Recipient", is_list=True, is_nullable=True)),
        ("NullableOption<CallRecords.Media>", Reference("CallRecords.Media", is_nullable=True)),
    ],
)
def test_types_of_properties_are_read(text: str, expected: Reference) -> None:
    assert reference(text) == expected


def test_the_published_types_are_read() -> None:
    types = typings()
    message = types.interface("Message")
    assert message.bases == ("Message", "OutlookItem", "Entity")
    assert message.properties["isRead"] == Reference("boolean", is_nullable=True)
    assert message.properties["toRecipients"] == Reference("Recipient", is_list=True, is_nullable=True)
    assert "wellKnownName" not in types.interface("MailFolder").properties
    assert (types.enum("FollowupFlagStatus") or set()) == {"notFlagged", "complete", "flagged"}
    assert types.is_kind_of("EventMessageRequest", "Message")
    assert not types.is_kind_of("MailFolder", "Message")


def test_everything_below_a_message_can_be_read() -> None:
    types = typings()
    waiting, seen = ["EventMessage", "MailSearchFolder", "FileAttachment", "ItemAttachment", "Subscription"], set()
    while waiting:
        name = waiting.pop()
        if name not in seen and name in types and types.enum(name) is None:
            seen.add(name)
            waiting += [each.name for each in types.interface(name).properties.values() if "." not in each.name]
    assert {"Message", "MailFolder", "Recipient", "EmailAddress", "FollowupFlag", "DateTimeTimeZone"} <= seen
