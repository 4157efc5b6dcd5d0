from __future__ import annotations

import pytest

from connectors.api.settings import SettingError
from connectors.gmail.costs import PRESETS, cost_table
from connectors.gmail.methods import METHODS
from tests.fakes.gmail.quota import costs


@pytest.mark.parametrize("preset", PRESETS)
def test_every_method_of_the_mailbox_has_its_cost(preset: str) -> None:
    table, published = cost_table(preset), costs(preset)
    for method in METHODS:
        if method.id.startswith("gmail."):
            assert table[method.id] == published[method.id], method.id


def test_the_tables_differ_in_what_a_message_costs() -> None:
    assert [cost_table(preset)["gmail.users.messages.get"] for preset in ("2026", "2025")] == [20, 5]


def test_an_operator_may_put_other_numbers_into_it() -> None:
    table = cost_table("2026", " messages.get=7, gmail.users.watch = 0 ,")
    assert (table["gmail.users.messages.get"], table["gmail.users.watch"]) == (7, 0)
    assert table["gmail.users.messages.list"] == 5
    assert cost_table("2026")["gmail.users.messages.get"] == 20


@pytest.mark.parametrize(
    "overrides",
    [
        "messages.get",
        "messages.get=",
        "messages.get=-1",
        "messages.get=x",
        "messages.get=1.5",
        "=5",
        "messages.fly=5",
        "messages.get=10001",
        "messages.get=²",
    ],
)
def test_what_cannot_be_read_names_the_setting(overrides: str) -> None:
    with pytest.raises(SettingError, match="cost_overrides"):
        cost_table("2026", overrides)


def test_an_unknown_table_names_the_setting() -> None:
    with pytest.raises(SettingError, match="costs: must be one of 2026, 2025"):
        cost_table("2024")
