"""Memory and open files of the gateway, looked at every few seconds, for each of its lives."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

_WARM_UP = 0.25
"""The part of a life in which caches fill, and after which memory should not grow any more."""

_FLAT_GROWTH = 1.15
_FLAT_SLACK_MB = 8.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: seconds since the start of the soak, resident memory, open file descriptors."""

    at_s: float
    rss_mb: float
    open_files: int


@dataclass(slots=True)
class Life:
    """One process of the gateway, from its start to its end."""

    pid: int
    samples: list[Sample] = field(default_factory=list)

    def look(self, at_s: float) -> Sample | None:
        """Take a sample; None if the process has ended."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
            open_files = sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
        except OSError:
            return None
        rss = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), None)
        if rss is None:
            return None
        self.samples.append(Sample(at_s, int(rss) / 1024, open_files))
        return self.samples[-1]

    @property
    def is_flat(self) -> bool:
        """Whether the last quarter of the life used no more than the second one, give or take some."""
        grown = self._grown()
        return grown is None or grown[1] <= grown[0] * _FLAT_GROWTH + _FLAT_SLACK_MB

    def _grown(self) -> tuple[float, float] | None:
        count = len(self.samples)
        if count < 8:
            return None
        quarter = int(count * _WARM_UP)
        early = self.samples[quarter : 2 * quarter]
        late = self.samples[-quarter:]
        return tuple_of_medians(early, late)

    def figures(self) -> dict[str, object]:
        """Return what a report says of this life."""
        memory = [sample.rss_mb for sample in self.samples]
        files = [sample.open_files for sample in self.samples]
        if not memory:
            return {"pid": self.pid, "samples": 0}
        return {
            "pid": self.pid,
            "samples": len(memory),
            "seconds": round(self.samples[-1].at_s - self.samples[0].at_s, 1),
            "rss_mb": {
                "start": round(memory[0], 1),
                "median": round(statistics.median(memory), 1),
                "end": round(memory[-1], 1),
                "most": round(max(memory), 1),
            },
            "open_files": {"start": files[0], "median": statistics.median(files), "end": files[-1], "most": max(files)},
            "is_flat": self.is_flat,
        }


def tuple_of_medians(early: list[Sample], late: list[Sample]) -> tuple[float, float]:
    """Return the median memory of two stretches of time."""
    return statistics.median(one.rss_mb for one in early), statistics.median(one.rss_mb for one in late)
