"""The results as text, as JSON, and as a picture."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from bench.goals import Result, Verdict

Results = Mapping[str, Sequence[Result]]
"""By title of the set-up, in the order they were run."""

_COLOURS = {
    Verdict.STRETCH: "#1a7f37",
    Verdict.MET: "#57ab5a",
    Verdict.MISSED: "#d4760a",
    Verdict.FAILED: "#b62324",
}
LATE_MS = 50.0
"""A row tells how late the gateway's event loop was if it was later than this."""

_ROW = 22
_LABEL = 290
_WIDTH = 900
_SCALE_END = 3.0
"""Bars end at so many times the goal; beyond it they are cut off, and the number tells."""


def header() -> str:
    """Return the line above the rows of the text."""
    return f"{'scenario':38} {'Dovecot':>11} {'gateway':>11} {'ratio':>7} {'goal':>9} {'':8}"


def row(result: Result) -> str:
    """Return one line of the text."""
    if result.failure:
        return f"{result.name:38} failed: {result.failure}"
    ratio = f"{result.ratio:7.2f}" if result.ratio is not None else f"{'':7}"
    delay = result.loop_delay_ms
    return (
        f"{result.name:38} {_figure(result.dovecot):>11} {_figure(result.gateway):>11} {ratio} {_goal(result):>9} "
        f"{result.verdict.value:8}" + (f" loop late by {delay:g} ms" if delay is not None and delay > LATE_MS else "")
    ).rstrip()


def as_json(results: Results) -> str:
    """Return everything that was measured, for programs."""
    return json.dumps(
        {
            "machine": {"system": platform.platform(), "python": platform.python_version()},
            "set_ups": {
                title: [
                    {
                        "scenario": result.name,
                        "unit": result.unit.value,
                        "dovecot": result.dovecot,
                        "gateway": result.gateway,
                        "ratio": result.ratio,
                        "goal": result.goal.bound,
                        "stretch": result.goal.stretch,
                        "goal_is_absolute": result.goal.is_absolute,
                        "verdict": result.verdict.value,
                        "failure": result.failure,
                        "loop_delay_ms": result.loop_delay_ms,
                    }
                    for result in group
                ]
                for title, group in results.items()
            },
        },
        indent=2,
    )


def as_svg(results: Results) -> str:
    """Return a picture: a bar for each scenario, as long as its figure is to its goal."""
    lines = list(_drawn(results))
    height = sum(len(group) + 2 for group in results.values()) * _ROW + _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(lines)
        + "\n</svg>\n"
    )


def _drawn(results: Results) -> Iterator[str]:
    top = _ROW
    room = _WIDTH - _LABEL - 180
    for title, group in results.items():
        yield f'<text x="8" y="{top + 15}" font-size="15" font-weight="bold">{escape(title)}</text>'
        top += _ROW
        end = top + len(group) * _ROW
        goal_at = _LABEL + room / _SCALE_END
        ends = f'x1="{goal_at:.0f}" y1="{top}" x2="{goal_at:.0f}" y2="{end}"'
        yield f'<line {ends} stroke="#444" stroke-dasharray="3 3"/>'
        yield f'<text x="{goal_at + 4:.0f}" y="{top - 4}" fill="#444">goal</text>'
        for result in group:
            yield from _bar(result, top, room)
            top += _ROW
        top += _ROW


def _bar(result: Result, top: int, room: float) -> Iterator[str]:
    yield f'<text x="8" y="{top + 15}">{escape(result.name)}</text>'
    reached = result.gateway if result.goal.is_absolute else result.ratio
    colour = _COLOURS[result.verdict]
    if reached is None:
        yield f'<text x="{_LABEL}" y="{top + 15}" fill="{colour}">failed: {escape(result.failure[:80])}</text>'
        return
    share = min(reached / result.goal.bound, _SCALE_END) / _SCALE_END
    yield f'<rect x="{_LABEL}" y="{top + 3}" width="{max(1.0, share * room):.0f}" height="{_ROW - 6}" fill="{colour}"/>'
    said = f"{_figure(reached)} {result.unit.value}" if result.goal.is_absolute else f"{reached:.2f} of Dovecot's time"
    yield f'<text x="{_LABEL + share * room + 6:.0f}" y="{top + 15}">{said}</text>'


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _goal(result: Result) -> str:
    return f"{result.goal.bound:g} {result.unit.value}" if result.goal.is_absolute else f"{result.goal.bound:g}"
