from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.credentials import FixedCredential
from gateway.app.backends import available, build_connector, check_settings, find_connector
from gateway.errors import OperatorError


def test_the_connectors_of_the_package_are_available() -> None:
    assert {"imap", "maildir", "memory"} <= {spec.name for spec in available()}


def test_an_unknown_connector_is_named_with_the_known() -> None:
    with pytest.raises(OperatorError) as caught:
        find_connector("nosuch", key="accounts[work].connector", source="gateway.toml")
    text = caught.value.operator_text
    assert text.startswith("gateway.toml: accounts[work].connector: there is no connector 'nosuch'; there are: ")
    assert "maildir" in text


def test_settings_are_converted_and_filled_in() -> None:
    checked = check_settings(find_connector("memory", key="x"), {"uids": "yes"}, key="x")
    assert checked["uids"] is True
    assert checked["layout"] == "folders"


def test_an_unknown_setting_lists_the_known_and_a_wrong_one_does_not() -> None:
    spec = find_connector("memory", key="x")
    with pytest.raises(OperatorError, match=r"^x.nosuch: is not a setting of connector 'memory'; it has: layout, "):
        check_settings(spec, {"nosuch": 1}, key="x")
    with pytest.raises(OperatorError, match=r"^x.uids: must be true or false$"):
        check_settings(spec, {"uids": 7}, key="x")


def test_a_setting_that_turns_out_wrong_when_it_is_used_is_the_operators(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_text("nonsense")
    spec = find_connector("imap", key="x")
    with pytest.raises(OperatorError, match=r"^x.ca_file: cannot be read: "):
        build_connector(spec, {"host": "h", "ca_file": str(authorities)}, FixedCredential(None), key="x")
