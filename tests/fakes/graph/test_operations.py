"""That every path that is played is one of Graph's."""

from __future__ import annotations

import pytest

from tests.fakes.graph.calls import Operation
from tests.fakes.graph.operations import Table, operations
from tests.fakes.graph.typings import typings

# Actions and functions, which Graph's types do not have; each has a page below learn.microsoft.com/graph/api.
_BOUND = {
    "message-delta", "mailfolder-delta", "message-move", "message-copy", "message-permanentdelete", "message-send",
    "mailfolder-move", "mailfolder-copy", "mailfolder-permanentdelete", "user-sendmail",
    "attachment-createuploadsession", "message-$value", "attachment-$value",
}  # fmt: skip


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: f"{operation.verb} {operation.path}")
def test_a_path_follows_graphs_types(operation: Operation) -> None:
    types = typings()
    if operation.path.startswith("/"):
        assert operation.path.split("/")[1] == "subscriptions"
        assert "Subscription" in types
        return
    current, is_collection = "User", False
    for step in operation.path.split("/") if operation.path else ():
        if step.startswith("{"):
            assert is_collection
            is_collection = False
            continue
        known = types.interface(current).properties.get(step)
        if known is None:
            assert f"{current.lower()}-{step.lower()}" in _BOUND
            return
        assert not is_collection
        current, is_collection = known.name, known.is_list


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_a_body_has_a_type_graph_knows(operation: Operation) -> None:
    if operation.request:
        assert operation.request in typings()
    for kind in (operation.parameters or {}).values():
        assert kind in {"string", "boolean"} or kind in typings()
    assert operation.required <= set(operation.parameters or {})


def test_ids_are_unique_and_a_fixed_path_goes_before_a_parameter() -> None:
    table = Table()
    names = [operation.id for operation in table.all]
    assert len(names) == len(set(names))
    found = table.find("GET", ["mailFolders", "delta"])
    assert found is not None
    assert found[0].id == "folders.delta"
    found = table.find("GET", ["mailFolders", "a%3D", "messages", "x"])
    assert found is not None
    assert (found[0].id, found[1]) == ("folder-messages.get", {"f": "a=", "m": "x"})
    assert table.verbs(["messages", "x"]) == ["GET", "PATCH", "DELETE"]
