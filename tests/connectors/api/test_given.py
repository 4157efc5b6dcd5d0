from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.given import address_of, file_of, text_of
from connectors.api.settings import SettingError

EXAMPLE = "https://api.example.com"


@pytest.mark.parametrize(("given", "text"), [({}, None), ({"a": "  "}, None), ({"a": " x "}, "x"), ({"a": 1}, "1")])
def test_blank_text_is_none(given: dict[str, str | int], text: str | None) -> None:
    assert text_of(given, "a") == text


@pytest.mark.parametrize("address", [EXAMPLE, "http://127.0.0.1:8080/x/", "https://[::1]:1/?a=b"])
def test_an_address_is_taken(address: str) -> None:
    assert address_of({"a": f" {address} "}, "a", EXAMPLE) == address


def test_no_address_is_none() -> None:
    assert address_of({"b": EXAMPLE}, "a", EXAMPLE) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("api.example.com", f"must be an address such as {EXAMPLE}"),
        ("ftp://api.example.com", f"must be an address such as {EXAMPLE}"),
        ("https://", f"must be an address such as {EXAMPLE}"),
        ("https://a:0", f"must be an address such as {EXAMPLE}"),
        ("https://a:b", f"must be an address such as {EXAMPLE}"),
        ("https://[::1", f"must be an address such as {EXAMPLE}"),
        ("https://alex@api.example.com", "must not hold a user name or password: they are credentials"),
        ("https://:secret@api.example.com", "must not hold a user name or password: they are credentials"),
    ],
)
def test_what_is_no_address_is_refused(address: str, reason: str) -> None:
    with pytest.raises(SettingError) as refused:
        address_of({"a": address}, "a", EXAMPLE)
    assert (refused.value.key, refused.value.reason) == ("a", reason)


def test_a_file_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(SettingError, match="there is no file"):
        file_of({"a": str(path)}, "a")
    path.write_text("x")
    assert file_of({"a": str(path)}, "a") == str(path)
    assert file_of({}, "a") is None
