"""The player notices what it is there to notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.outside import OutsideMemory
from tests.scenarios.player import Mismatch, Player
from tests.scenarios.script import Numbering, read_script
from tests.scenarios.serving import serving

BEGINNING = "MAIL: INBOX 1 2\nCLIENTS: 1\nC1: a1 SELECT INBOX\nS1* a1 OK <any>\n"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param("C1: a2 NOOP\nS1: a2 BAD <any>", id="another answer"),
        pytest.param("C1: a2 FETCH 1:2 UID\nS1: * 1 FETCH (UID {u:1})\nS1: a2 OK <any>", id="one line too many"),
        pytest.param("C1: a2 FETCH 1:2 UID\nS1: * 1 FETCH (UID {u:1})", id="lines that nobody read"),
        pytest.param("OUTSIDE: deliver INBOX 3\nC1: a2 NOOP\nS1: a2 OK <any>", id="news that nobody expected"),
        pytest.param("C1: a2 NOOP\nS1~ a2 OK <any>\nS1~ a2 OK <any>\nC1: a3 LOGOUT", id="a line of a group missing"),
        pytest.param("C1: a2 FETCH 1:2 UID\nS1: * 1 FETCH (UID {x})\nS1: * 2 FETCH (UID {x})", id="another word"),
        pytest.param("CLOSED: 1\nC1: a2 NOOP", id="still open"),
    ],
)
async def test_what_does_not_fit_is_a_mismatch(tmp_path: Path, steps: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.scenarios.line_client.PATIENCE_S", 0.3)
    path = tmp_path / "wrong.txt"
    path.write_text(BEGINNING + steps)
    outside = OutsideMemory()
    async with serving(tmp_path, outside) as served:
        with pytest.raises(Mismatch):
            await Player(read_script(path), served, outside, Numbering.SEQUENCE).play()


@pytest.mark.parametrize("line", ["C1 a1 NOOP", "S1+ a1 OK", "C1~ a1 NOOP", "SAY: hello", "C1[x]: a1 NOOP"])
def test_a_line_that_makes_no_sense_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "odd.txt"
    path.write_text(line)
    with pytest.raises(ValueError, match=r"odd\.txt:1"):
        read_script(path)
