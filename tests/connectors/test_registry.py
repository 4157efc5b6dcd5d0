"""How connectors are found by name."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest

from connectors import registry
from connectors.api.spec import ConnectorSpec
from connectors.registry import BrokenConnector, UnknownConnector

OUTSIDE = ConnectorSpec("elsewhere", "An outside connector", "elsewhere_mail:build", ())


def install(monkeypatch: pytest.MonkeyPatch, name: str, spec: object) -> None:
    module = ModuleType("elsewhere_mail")
    module.__dict__["SPEC"] = spec
    monkeypatch.setitem(sys.modules, "elsewhere_mail", module)
    installed = EntryPoints([EntryPoint(name, "elsewhere_mail:SPEC", registry.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(registry, "entry_points", installed.select)


@pytest.mark.parametrize("name", ["memory", "maildir"])
def test_connectors_of_the_gateway_are_found(name: str) -> None:
    assert registry.find(name).name == name
    assert name in registry.available()


def test_the_contract_is_not_a_connector() -> None:
    assert "api" not in registry.available()
    with pytest.raises(UnknownConnector):
        registry.find("api")


@pytest.mark.parametrize("name", ["nowhere", "", "memory.connector", "../memory", "os", "a b"])
def test_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(UnknownConnector, match=r"there are: .*maildir, memory") as caught:
        registry.find(name)
    assert caught.value.name == name


def test_an_entry_point_adds_a_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "elsewhere", OUTSIDE)
    assert registry.find("elsewhere") is OUTSIDE
    assert "elsewhere" in registry.available()


@pytest.mark.parametrize(("name", "spec"), [("elsewhere", "not a spec"), ("other", OUTSIDE)])
def test_a_wrong_spec_is_told(monkeypatch: pytest.MonkeyPatch, name: str, spec: object) -> None:
    install(monkeypatch, name, spec)
    with pytest.raises(BrokenConnector, match=name):
        registry.find(name)


def test_an_outside_connector_does_not_replace_one_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "memory", OUTSIDE)
    assert registry.find("memory").factory.startswith("connectors.memory.")
