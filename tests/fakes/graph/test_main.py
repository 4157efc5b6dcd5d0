"""The stand-in as a process of its own, and its doors for tests."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.graph.client import Client, mail
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import Quirks

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "tests.fakes.graph"]


def test_it_tells_where_it_is_and_stops_on_sigterm(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    arguments = ["--messages", "30", "--folders", "3", "--quirk", "mime_varies", "--token-file", str(token_file)]
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            headers = {"Authorization": f"Bearer {token_file.read_text()}"}
            folders = httpx.get(f"{ready['api_root']}/me/mailFolders", headers=headers).json()["value"]
            assert sum(each["totalItemCount"] for each in folders) == 30
            form = {"grant_type": "refresh_token", "client_id": ready["client_id"]}
            form |= {"refresh_token": ready["refresh_token"], "scope": "https://graph.microsoft.com/Mail.ReadWrite"}
            assert "access_token" in httpx.post(f"{ready['authority']}/oauth2/v2.0/token", data=form).json()
            stats = httpx.get(ready["api_root"].removesuffix("/v1.0") + "/_fake/stats").json()
            assert (stats["messages"], stats["requests"], stats["violations"]) == (30, {"folders.list": 1}, [])
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_help_names_every_option_and_quirk() -> None:
    done = subprocess.run([*COMMAND, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    for word in ("--port", "--messages", "--folders", "--tls", "--quirk", "/_fake/control", *Quirks.names()):
        assert word in done.stdout


async def _control(graph: Client, action: str, **arguments: Any) -> Any:
    response = await graph.http.post("http://graph.test/_fake/control", json={"action": action, **arguments})
    assert response.status_code == 200, response.text
    return response.json()["result"]


async def test_mail_is_changed_from_outside(fake: FakeGraph, graph: Client) -> None:
    message_id = await _control(graph, "deliver", raw=mail("x").decode(), received="2026-01-01T00:00:00+00:00")
    await _control(graph, "mark", message_id=message_id, is_read=True, categories=["a"], verb=102)
    await _control(graph, "move_there_and_back", message_id=message_id, folder="archive")
    await _control(graph, "quirk", name="conflict_every", value=1)
    assert await _control(graph, "ids_in", folder="inbox") == [message_id]
    assert fake.message(message_id).is_read
    assert fake.quirks.conflict_every == 1
    await _control(graph, "seed_folders", shares={"archive": 3, "A/B": 2})
    assert (len(fake.ids_in("archive")), len(fake.ids_in("A/B"))) == (3, 2)
    await _control(graph, "fail_next", operation="folders.list", status=503)
    assert (await graph.call("GET", "/mailFolders")).status_code == 503
    await _control(graph, "delete", message_id=message_id)
    assert await _control(graph, "ids_in", folder="inbox") == []


async def test_unknown_actions_are_answered_with_the_known_ones(graph: Client) -> None:
    response = await graph.http.post("http://graph.test/_fake/control", json={"action": "bogus"})
    assert response.status_code == 400
    assert "expire_delta_tokens" in response.json()["error"]


def test_a_hundred_thousand_messages_are_made_when_they_are_read() -> None:
    fake = FakeGraph()
    fake.seed_folders({"inbox": 5000})
    made = [fake.mailbox.messages[number].content for number in (1, 4500)]
    assert made[0].envelope.message_id != made[1].envelope.message_id
    for content in made:
        assert content.mime is not None
        assert content.envelope.message_id.encode() in content.mime()
