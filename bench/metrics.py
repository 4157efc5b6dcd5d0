"""What the gateway says of itself: how late its event loop was."""

from __future__ import annotations

import math
import re
import urllib.request

_WORST = re.compile(r"^imap_gateway_loop_delay_worst_seconds ([0-9.]+)$", re.MULTILINE)
_BUCKET = re.compile(r'^imap_gateway_loop_delay_seconds_bucket\{le="([^"]+)"\} ([0-9]+)$', re.MULTILINE)
_TIMEOUT_S = 60.0


class LoopDelays:
    """Reads the metrics of one process."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._before: dict[float, int] = {}

    def worst_ms(self) -> float:
        """Return the longest delay since the process started, in milliseconds."""
        found = _WORST.search(self._page())
        if found is None:
            raise RuntimeError("the gateway does not tell how late its event loop was")
        return float(found[1]) * 1000

    def since_last_ms(self) -> float:
        """Return what the delays since the last call were at most, in milliseconds, rounded up to the next class."""
        now = {float(bound): int(count) for bound, count in _BUCKET.findall(self._page())}
        total = now.get(math.inf, 0) - self._before.get(math.inf, 0)
        below = [bound for bound, count in now.items() if count - self._before.get(bound, 0) == total]
        self._before = now
        return min(below, default=math.inf) * 1000 if total else 0.0

    def _page(self) -> str:
        with urllib.request.urlopen(self._url, timeout=_TIMEOUT_S) as answer:
            page: bytes = answer.read()
        return page.decode("ascii")
