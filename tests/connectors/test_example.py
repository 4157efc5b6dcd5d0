"""The connector on the page "write a connector" does what every connector must do."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

import pytest

from connectors.api.spec import ConnectorSpec
from connectors.api.types import MessageRef
from tests.conformance.rig import Ability, Rig
from tests.conformance.suite import ConnectorSuite

PAGE = FilePath(__file__).parents[2] / "docs" / "write-a-connector.md"


def run_block(first_line: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run the code block of the page that begins with this line and return what it defines."""
    (code,) = re.findall(rf"```python\n# {re.escape(first_line)}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), names)
    return names


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    return run_block("connectors/shelf/connector.py", names)


class TestExample(ConnectorSuite):
    @pytest.fixture
    def rig(self, page: dict[str, Any]) -> Rig:
        tools = {"Rig": Rig, "Ability": Ability, "ConnectorSuite": ConnectorSuite, "pytest": pytest}
        values = {"MessageRef": MessageRef, "datetime": datetime, "UTC": UTC, "replace": replace}
        rig = run_block("tests/connectors/shelf/test_conformance.py", {**page, **tools, **values})["ShelfRig"]()
        assert isinstance(rig, Rig)
        return rig


def test_the_description_is_a_spec() -> None:
    spec = run_block("connectors/shelf/__init__.py", {})["SPEC"]
    assert isinstance(spec, ConnectorSpec)
    assert spec.check({"owner": "ann"}) == {"owner": "ann"}
