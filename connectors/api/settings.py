"""One setting of an account: which values it takes, and how to read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SettingValue = str | int | float | bool

_KINDS: Mapping[type[SettingValue], str] = {str: "a string", int: "a whole number", float: "a number"}


class SettingError(Exception):
    """A setting is missing, unknown or has a wrong value. `key` names it; `reason` is one clause for the operator."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of an account's `settings`.

    `kind` is str, int, float or bool; text (from `--set key=value`) is converted. `default` of None with
    `is_required` false leaves the key out. `choices`, `minimum` and `maximum` bound the value where given.
    """

    key: str
    kind: type[SettingValue]
    help: str
    default: SettingValue | None = None
    is_required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def convert(self, value: object) -> SettingValue:
        """Return the value in its kind.

        Raises:
            SettingError: it does not fit.
        """
        converted = self._to_kind(value)
        if self.choices and converted not in self.choices:
            raise SettingError(self.key, f"must be one of {', '.join(self.choices)}")
        if isinstance(converted, (int, float)) and not isinstance(converted, bool):
            if self.minimum is not None and converted < self.minimum:
                raise SettingError(self.key, f"must be at least {self.minimum:g}")
            if self.maximum is not None and converted > self.maximum:
                raise SettingError(self.key, f"must be at most {self.maximum:g}")
        return converted

    def _to_kind(self, value: object) -> SettingValue:
        if self.kind is bool:
            if isinstance(value, bool):
                return value
            if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
                return value.lower() in ("true", "yes")
            raise SettingError(self.key, "must be true or false")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise SettingError(self.key, f"must be {_KINDS[self.kind]}")
        if self.kind is str and not isinstance(value, str):
            raise SettingError(self.key, f"must be {_KINDS[self.kind]}")
        try:
            converted = self.kind(value)
        except (ValueError, OverflowError):
            raise SettingError(self.key, f"must be {_KINDS[self.kind]}") from None
        # TOML has inf and nan, which would pass every bound or none.
        if isinstance(converted, float) and not math.isfinite(converted):
            raise SettingError(self.key, f"must be {_KINDS[self.kind]}")
        if isinstance(value, float) and converted != value:
            raise SettingError(self.key, f"must be {_KINDS[self.kind]}")
        return converted
