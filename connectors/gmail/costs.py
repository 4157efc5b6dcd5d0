"""What calls of the Gmail API cost, in quota units.

Source: Google, "Usage limits" of the Gmail API, in two editions. Projects that used the API before May 2026 pay by the
older one and have 15,000 units per minute and user; later ones pay by the newer one and have 6,000. Neither is built in
further than as a preset: an operator names the one of the project, and may put other numbers into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from connectors.api.settings import SettingError

PRESETS: Final = ("2026", "2025")

_PREFIX: Final = "gmail.users."
_MAX_UNITS: Final = 10_000

_BOTH: Final[Mapping[str, int]] = MappingProxyType(
    {
        "drafts.create": 10,
        "drafts.delete": 10,
        "drafts.list": 5,
        "drafts.send": 100,
        "drafts.update": 15,
        "getProfile": 1,
        "history.list": 2,
        "labels.create": 5,
        "labels.delete": 5,
        "labels.get": 1,
        "labels.list": 1,
        "labels.patch": 5,
        "labels.update": 5,
        "messages.batchDelete": 50,
        "messages.batchModify": 50,
        "messages.delete": 10,
        "messages.import": 25,
        "messages.insert": 25,
        "messages.list": 5,
        "messages.modify": 5,
        "messages.send": 100,
        "messages.untrash": 5,
        "settings.getImap": 1,
        "stop": 50,
        "watch": 100,
    }
)
_OF_2025: Final[Mapping[str, int]] = MappingProxyType({"drafts.get": 5, "messages.get": 5, "messages.trash": 5})
_OF_2026: Final[Mapping[str, int]] = MappingProxyType({"drafts.get": 20, "messages.get": 20, "messages.trash": 20})


def cost_table(preset: str, overrides: str = "") -> Mapping[str, int]:
    """Return units by method id (`gmail.users.messages.get`): those of a preset, with an operator's numbers in it.

    `preset` is one of PRESETS. `overrides` is of the form `messages.get=5, watch=0`; the ids may also be given in full.

    Raises:
        SettingError: `costs` or `cost_overrides` is not of that form, or names a method that is not called.
    """
    if preset not in PRESETS:
        raise SettingError("costs", f"must be one of {', '.join(PRESETS)}")
    table = {**_BOTH, **(_OF_2025 if preset == "2025" else _OF_2026)}
    for item in overrides.split(","):
        if item.strip():
            name, units = _override(item, table)
            table[name] = units
    return MappingProxyType({f"{_PREFIX}{name}": units for name, units in table.items()})


def _override(item: str, known: Mapping[str, int]) -> tuple[str, int]:
    text, equals, number = (part.strip() for part in item.partition("="))
    name = text.removeprefix(_PREFIX)
    if not equals or not number.isascii() or not number.isdecimal() or int(number) > _MAX_UNITS:
        raise SettingError(
            "cost_overrides", f"{item.strip()!r} is not of the form METHOD=UNITS, such as messages.get=5"
        )
    if name not in known:
        raise SettingError("cost_overrides", f"{text!r} is not a method that is called; there are {', '.join(known)}")
    return name, int(number)
