from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from bench import report
from bench.goals import Goal, Result, Unit, Verdict

RESULTS = {
    "10,000 messages": [
        Result("NOOP", Unit.MILLISECONDS, Goal(1.0, 0.6), 0.02, 0.03),
        Result("memory & more", Unit.KILOBYTES, Goal(20, 8, is_absolute=True), 500.0, 12.0),
        Result("SORT DATE", Unit.MILLISECONDS, Goal(0.8, 0.5), None, None, "BAD <Unknown> command"),
    ]
}


@pytest.mark.parametrize(
    ("goal", "dovecot", "gateway", "verdict"),
    [
        (Goal(1.0, 0.5), 10.0, 5.0, Verdict.STRETCH),
        (Goal(1.0, 0.5), 10.0, 10.0, Verdict.MET),
        (Goal(1.0, 0.5), 10.0, 10.1, Verdict.MISSED),
        (Goal(20, 8, is_absolute=True), 0.0, 8.0, Verdict.STRETCH),
        (Goal(20, 8, is_absolute=True), 0.0, 21.0, Verdict.MISSED),
        (Goal(1.0, 0.5), None, None, Verdict.FAILED),
        (Goal(1.0, 0.5), 0.0, 1.0, Verdict.FAILED),
    ],
)
def test_a_figure_is_held_against_its_goal(
    goal: Goal, dovecot: float | None, gateway: float | None, verdict: Verdict
) -> None:
    assert Result("x", Unit.MILLISECONDS, goal, dovecot, gateway).verdict is verdict


def test_a_row_tells_both_figures_and_what_failed() -> None:
    rows = [report.row(result) for result in RESULTS["10,000 messages"]]
    assert rows[0].split() == ["NOOP", "0.020", "0.030", "1.50", "1", "missed"]
    assert rows[1].endswith("20 KB met")
    assert rows[2].endswith("failed: BAD <Unknown> command")


def test_programs_get_everything() -> None:
    rows = json.loads(report.as_json(RESULTS))["set_ups"]["10,000 messages"]
    assert [row["verdict"] for row in rows] == ["missed", "met", "failed"]
    assert rows[0]["ratio"] == pytest.approx(1.5)


def test_the_picture_is_well_formed_and_names_every_scenario() -> None:
    picture = ElementTree.fromstring(report.as_svg(RESULTS))
    said = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    for result in RESULTS["10,000 messages"]:
        assert result.name in said
    assert "failed: BAD <Unknown> command" in said
