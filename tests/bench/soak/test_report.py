from __future__ import annotations

import json

from bench.soak import report
from bench.soak.figures import Figures
from bench.soak.report import Outcome
from bench.soak.vitals import Life, Sample


def outcome(*violations: str, tracebacks: int = 0) -> Outcome:
    said: list[str] = []
    figures = Figures(lambda: True, said.append)
    for number in range(1, 101):
        figures.took("FETCH", number / 1000)
    figures.failed("APPEND: NO [UNAVAILABLE] down")
    for text in violations:
        figures.violated(text)
    assert len(said) == 1 + len(violations)
    minute = figures.minute(1, copies=9, rss_mb=90.0, open_files=40)
    lives = [Life(17, [Sample(0.0, 90.0, 40)])]
    return Outcome({"minutes": 1}, [minute], lives, figures, 2, 1, 9, 10, 8, [], tracebacks)


def test_a_clean_run_has_passed() -> None:
    clean = outcome()
    text = report.as_text(clean)
    assert text.endswith("PASSED")
    assert "2 times" in text
    values = json.loads(report.as_json(clean))
    assert values["has_failed"] is False
    assert values["commands"]["FETCH"]["count"] == 100
    assert values["commands"]["FETCH"]["p50_ms"] == 50.5
    assert values["errors_in_calm"] == {"APPEND: NO [UNAVAILABLE] down": 1}
    assert values["minutes"][0]["p99_ms"] > 99
    assert values["gateway_lives"][0]["rss_mb"]["median"] == 90.0


def test_a_violation_or_a_traceback_fails_it() -> None:
    for failed in (outcome("INBOX: <1@x> is lost"), outcome(tracebacks=1)):
        assert report.as_text(failed).endswith("FAILED")
        assert json.loads(report.as_json(failed))["has_failed"] is True
    assert "<1@x> is lost" in report.as_text(outcome("INBOX: <1@x> is lost"))


def test_a_minute_counts_what_came_since_the_last_one() -> None:
    figures = Figures(lambda: False, lambda _: None)
    figures.took("NOOP", 0.002)
    figures.failed("connection ended")
    first = figures.minute(1, copies=0, rss_mb=0, open_files=0)
    second = figures.minute(2, copies=0, rss_mb=0, open_files=0)
    assert (first.commands, first.p50_ms, first.errors, first.errors_in_calm) == (1, 2.0, 1, 0)
    assert (second.commands, second.p50_ms, second.errors) == (0, 0.0, 0)
    assert str(first).startswith("minute   1       1 commands")
