"""What a soak came to, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.soak.figures import Figures, Minute, percentiles
from bench.soak.vitals import Life

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is reported. `half_moved` are copies of which a MOVE that was cut short left the original."""

    settings: Mapping[str, float | int | bool | str]
    minutes: Sequence[Minute]
    lives: Sequence[Life]
    figures: Figures
    restarts: int
    kills: int
    messages: int
    copies: int
    held: int
    half_moved: Sequence[str]
    tracebacks: int

    @property
    def has_failed(self) -> bool:
        return bool(self.figures.violations) or self.tracebacks > 0


def as_json(outcome: Outcome) -> str:
    """Return everything but the single times."""
    figures = outcome.figures
    return json.dumps(
        {
            "settings": dict(outcome.settings),
            "has_failed": outcome.has_failed,
            "violations": figures.violations,
            "half_moved": list(outcome.half_moved),
            "tracebacks": outcome.tracebacks,
            "backend_restarts": outcome.restarts,
            "gateway_kills": outcome.kills,
            "messages_stored": outcome.messages,
            "copies_told_of": outcome.copies,
            "messages_held": outcome.held,
            "commands": {kind: _times(times) for kind, times in sorted(figures.times_ms.items())},
            "errors": dict(figures.errors.most_common()),
            "errors_in_calm": dict(figures.errors_in_calm.most_common()),
            "minutes": [asdict(minute) for minute in outcome.minutes],
            "gateway_lives": [life.figures() for life in outcome.lives],
        },
        indent=2,
    )


def as_text(outcome: Outcome) -> str:
    """Return tables."""
    figures = outcome.figures
    settings = ", ".join(f"{name} {value}" for name, value in outcome.settings.items())
    lines = [
        "",
        f"Soak: {settings}",
        f"The backend was restarted {outcome.restarts} times, the gateway killed {outcome.kills} times.",
        f"Stored: {outcome.messages} messages, {outcome.copies} copies in all, of which {outcome.held} are there now.",
        "",
        f"{'command':14} {'count':>8} {'p50 ms':>10} {'p99 ms':>10} {'most ms':>10}",
    ]
    for kind, times in sorted(figures.times_ms.items()):
        p50, p99 = percentiles(times)
        lines.append(f"{kind:14} {len(times):8} {p50:10.2f} {p99:10.2f} {max(times):10.2f}")
    lines += ["", f"{'error':100} {'count':>6} {'in calm':>8}"]
    lines += [
        f"{kind[:100]:100} {count:6} {figures.errors_in_calm[kind]:8}" for kind, count in figures.errors.most_common()
    ]
    lines += ["", f"{'gateway':>8} {'seconds':>8} {'RSS start':>10} {'median':>8} {'end':>8} {'files':>12}  memory"]
    lines += [_life(life) for life in outcome.lives]
    lines += _listed("copies whose MOVE was cut short, and that are in both places", outcome.half_moved)
    lines += _listed("violations", figures.violations)
    lines += [
        "",
        f"{outcome.tracebacks} tracebacks in the gateway's log.",
        "FAILED" if outcome.has_failed else "PASSED",
    ]
    return "\n".join(lines)


def _times(times: list[float]) -> dict[str, float]:
    p50, p99 = percentiles(times)
    return {"count": len(times), "p50_ms": round(p50, 3), "p99_ms": round(p99, 3), "most_ms": round(max(times), 3)}


def _life(life: Life) -> str:
    if not life.samples:
        return f"{life.pid:8} not looked at"
    memory = sorted(sample.rss_mb for sample in life.samples)
    files = [sample.open_files for sample in life.samples]
    seconds = life.samples[-1].at_s - life.samples[0].at_s
    return (
        f"{life.pid:8} {seconds:8.0f} {life.samples[0].rss_mb:7.1f} MB {memory[len(memory) // 2]:8.1f} "
        f"{life.samples[-1].rss_mb:8.1f} {files[0]:5} to {max(files):4}  {'flat' if life.is_flat else 'GROWS'}"
    )


def _listed(title: str, rows: Sequence[str]) -> list[str]:
    more = [f"  and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    return ["", f"{len(rows)} {title}", *(f"  {row}" for row in rows[:_SHOWN]), *more]
