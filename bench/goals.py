"""What the gateway is meant to reach, and whether it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Unit(Enum):
    """What a scenario measures."""

    MILLISECONDS = "ms"
    KILOBYTES = "KB"


@dataclass(frozen=True, slots=True)
class Goal:
    """An upper bound, and a lower one to aim for: times Dovecot's figure, or absolute in the scenario's unit."""

    bound: float
    stretch: float
    is_absolute: bool = False


class Verdict(Enum):
    """How a figure stands to its goal."""

    STRETCH = "stretch"
    MET = "met"
    MISSED = "missed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario in one set-up. Figures are medians, per operation; None where a server failed, and `failure` why.

    `loop_delay_ms` is what the delays of the gateway's event loop were at most meanwhile, where that is known.
    """

    name: str
    unit: Unit
    goal: Goal
    dovecot: float | None
    gateway: float | None
    failure: str = ""
    loop_delay_ms: float | None = None

    @property
    def ratio(self) -> float | None:
        if self.dovecot is None or self.gateway is None or self.dovecot <= 0:
            return None
        return self.gateway / self.dovecot

    @property
    def verdict(self) -> Verdict:
        reached = self.gateway if self.goal.is_absolute else self.ratio
        if reached is None:
            return Verdict.FAILED
        if reached <= self.goal.stretch:
            return Verdict.STRETCH
        return Verdict.MET if reached <= self.goal.bound else Verdict.MISSED
