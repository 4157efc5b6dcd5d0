"""A setting is taken in its kind and within its bounds, or refused in one clause."""

from __future__ import annotations

import math

import pytest

from connectors.api.settings import Setting, SettingError, SettingValue

PORT = Setting("port", int, "", minimum=1, maximum=65535)
WAIT = Setting("wait_s", float, "", minimum=0.1)
NAME = Setting("name", str, "", choices=("a", "b"))
IS_ON = Setting("is_on", bool, "")


@pytest.mark.parametrize(
    ("setting", "given", "taken"),
    [
        (PORT, 993, 993),
        (PORT, "993", 993),
        (PORT, 993.0, 993),
        (WAIT, 2, 2.0),
        (WAIT, "0.5", 0.5),
        (NAME, "a", "a"),
        (IS_ON, True, True),
        (IS_ON, "No", False),
    ],
)
def test_values_and_their_texts_are_taken(setting: Setting, given: object, taken: SettingValue) -> None:
    converted = setting.convert(given)
    assert converted == taken
    assert type(converted) is setting.kind


@pytest.mark.parametrize(
    ("setting", "given", "reason"),
    [
        (PORT, "many", "must be a whole number"),
        (PORT, 1.5, "must be a whole number"),
        (PORT, math.inf, "must be a whole number"),
        (PORT, True, "must be a whole number"),
        (PORT, [993], "must be a whole number"),
        (PORT, 0, "must be at least 1"),
        (PORT, 65536, "must be at most 65535"),
        (WAIT, "soon", "must be a number"),
        (WAIT, math.nan, "must be a number"),
        (WAIT, "inf", "must be a number"),
        (WAIT, 0, "must be at least 0.1"),
        (NAME, 1, "must be a string"),
        (NAME, "c", "must be one of a, b"),
        (IS_ON, 1, "must be true or false"),
        (IS_ON, "on", "must be true or false"),
    ],
)
def test_what_does_not_fit_is_refused(setting: Setting, given: object, reason: str) -> None:
    with pytest.raises(SettingError) as caught:
        setting.convert(given)
    assert (caught.value.key, caught.value.reason) == (setting.key, reason)
