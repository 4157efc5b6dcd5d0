"""The stand-in as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "tests.fakes.gmail"]


def test_it_tells_where_it_is_and_stops_on_sigterm(tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    arguments = ["--messages", "30", "--labels", "2", "--units-per-minute", "0", "--key-file", str(key_file)]
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            form = {"grant_type": "refresh_token"} | {
                name: ready[name] for name in ("client_id", "client_secret", "refresh_token")
            }
            token = httpx.post(ready["token_uri"], data=form).json()["access_token"]
            found = httpx.get(
                f"{ready['api_root']}/gmail/v1/users/me/profile", headers={"Authorization": f"Bearer {token}"}
            ).json()
            assert found["messagesTotal"] == 30
            assert json.loads(key_file.read_text())["token_uri"] == ready["token_uri"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_help_names_every_option() -> None:
    done = subprocess.run([*COMMAND, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    for option in (
        "--port",
        "--messages",
        "--labels",
        "--units-per-minute",
        "--costs",
        "--max-concurrent",
        "--key-file",
    ):
        assert option in done.stdout
    assert "/_fake/control" in done.stdout
