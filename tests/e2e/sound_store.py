"""Asking the gateway's own check whether a store is sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def assert_sound(directory: Path) -> None:
    """See that `store check` finds nothing wrong with the store of a gateway that does not run."""
    command = [sys.executable, "-m", "gateway", "store", "check", "--config", str(directory / "gateway.toml")]
    check = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, check=False)
    assert (check.returncode, check.stdout.strip().rpartition(": ")[2]) == (0, "no problem found"), check
