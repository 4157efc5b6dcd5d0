"""What the process measures of itself, in the text format that Prometheus reads (exposition format 0.0.4).

Names begin with `imap_gateway_` and end in their unit; durations are seconds, sizes octets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(Protocol):
    """Something with a name that can be written down."""

    name: str

    def lines(self) -> Iterator[str]: ...


class Gauge:
    """A number that goes up and down, asked for when it is read."""

    def __init__(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        self.name = name
        self._meaning = meaning
        self._read = read

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self._meaning}"
        yield f"# TYPE {self.name} gauge"
        yield f"{self.name} {_number(self._read())}"


class Histogram:
    """How often a measured value was how large. `bounds` are the upper ends of its classes, ascending."""

    def __init__(self, name: str, meaning: str, bounds: Sequence[float]) -> None:
        self.name = name
        self._meaning = meaning
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self._meaning}"
        yield f"# TYPE {self.name} histogram"
        total = 0
        for bound, count in zip((*map(_number, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{le="{bound}"}} {total}'
        yield f"{self.name}_sum {_number(self._sum)}"
        yield f"{self.name}_count {total}"


class Metrics:
    """All metrics of a process, in the order they were added."""

    def __init__(self) -> None:
        self._metrics: list[Metric] = []

    def add(self, *metrics: Metric) -> None:
        """Show these from now on.

        Raises:
            ValueError: there is one of that name.
        """
        for metric in metrics:
            if any(known.name == metric.name for known in self._metrics):
                raise ValueError(f"metric {metric.name} is there already")
            self._metrics.append(metric)

    def render(self) -> bytes:
        """Return everything as it is now."""
        return "".join(f"{line}\n" for metric in self._metrics for line in metric.lines()).encode("ascii")


def _number(value: float) -> str:
    """Write a number without an exponent or needless digits."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
