from __future__ import annotations

import pytest

from gateway.config import Config, check_account_name, section_models, split_address


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:143", ("127.0.0.1", 143)),
        ("*:1", ("", 1)),
        ("[::]:993", ("::", 993)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses_split(bind: str, address: tuple[str, int]) -> None:
    assert split_address(bind) == address


@pytest.mark.parametrize("bind", ["", "143", "host:", "host:x", "host:65536", "::1:143", "[x]:143", "host:١"])
def test_malformed_addresses_are_refused(bind: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_address(bind)


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "a*", "50%", "a\\b", 'a"b', "a\nb", "Inbox"])
def test_names_that_break_mailbox_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must not"):
        check_account_name(name)


def test_other_account_names_are_kept() -> None:
    assert check_account_name("Büro & Co. (alt)") == "Büro & Co. (alt)"


def test_sections_are_found_with_their_kind() -> None:
    kinds = {name: is_list for name, _, is_list in section_models(Config)}
    assert kinds["listeners"]
    assert kinds["accounts"]
    assert not kinds["tls"]
    assert not kinds["store"]
