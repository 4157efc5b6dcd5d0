from __future__ import annotations

from bench.metrics import LoopDelays
from gateway.app.loop_delay import LoopDelayProbe
from gateway.metrics import Metrics


class Told(LoopDelays):
    """Reads a probe in this process."""

    def __init__(self, probe: LoopDelayProbe) -> None:
        super().__init__(0)
        self._metrics = Metrics()
        self._metrics.add(probe.histogram, probe.worst)

    def _page(self) -> str:
        return self._metrics.render().decode("ascii")


def test_delays_are_told_since_the_last_time() -> None:
    probe = LoopDelayProbe()
    delays = Told(probe)
    assert delays.since_last_ms() == 0
    probe.note(0.0005, 1.0)
    probe.note(0.045, 2.0)
    assert delays.since_last_ms() == 50
    probe.note(0.0015, 3.0)
    assert delays.since_last_ms() == 2
    assert delays.since_last_ms() == 0
    assert delays.worst_ms() == 45
