from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.jmap.cli import main, options_of, parser
from tests.fakes.jmap.options import EventSourceMode, FakeOptions, Quirk, UrlStyle

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def started(*words: str) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """Run the stand-in as a process; yields it and its first line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.jmap", *words, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async with started("--messages", "40", "--user", "bo", "--max-objects", "16") as (process, ready):
        async with httpx.AsyncClient(auth=(ready["user"], ready["password"])) as http:
            session = (await http.get(ready["session"])).raise_for_status().json()
            assert session["username"] == "bo"
            assert session["capabilities"]["urn:ietf:params:jmap:core"]["maxObjectsInGet"] == 16
            stats = (await http.get(httpx.URL(ready["session"]).join("/_fake/stats"))).json()
            assert stats["objects"]["emails"] == ready["messages"] == 40
            # A stream that is open does not keep it from stopping.
            url = session["eventSourceUrl"].format(types="*", closeafter="no", ping="0")
            async with http.stream("GET", url):
                process.send_signal(number)
                assert await process.wait() == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""


def test_a_port_that_is_taken_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == f"cannot listen at port {port}: Address already in use\n"


@pytest.mark.parametrize("words", [["--messages", "-1"], ["--mailboxes", "0"], ["--quirk", "odd"], ["--push", "odd"]])
def test_wrong_values_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_options_follow_from_the_command_line() -> None:
    words = "--push dies --websocket --max-objects 16 --max-calls 4 --query-clamp 10 --changes-clamp 11 --urls relative"
    words += (
        " --quirk endless-changes --quirk import-repairs --redirects 2 --quota-octets 99 --max-mailboxes-per-email 1"
    )
    words += " --delay-ms 20"
    options = options_of(parser().parse_args(words.split()))
    assert options.event_source is EventSourceMode.DIES
    assert (options.max_objects_in_get, options.max_objects_in_set, options.max_calls_in_request) == (16, 16, 4)
    assert (options.query_clamp, options.changes_clamp, options.redirects) == (10, 11, 2)
    assert (options.quota_octets, options.max_mailboxes_per_email, options.websocket) == (99, 1, True)
    assert options.delay_s == 0.02
    assert options.urls is UrlStyle.RELATIVE
    assert options.quirks == {Quirk.ENDLESS_CHANGES, Quirk.IMPORT_REPAIRS}


def test_without_words_the_defaults_hold() -> None:
    options, defaults = options_of(parser().parse_args([])), FakeOptions()
    assert options.users == defaults.users[:1]
    assert (options.max_objects_in_get, options.event_source) == (defaults.max_objects_in_get, defaults.event_source)


def test_help_names_every_option_and_quirk() -> None:
    text = parser().format_help()
    assert {quirk.value for quirk in Quirk if f"\n  {quirk.value}\n" not in text} == set()
    assert "/_fake/control" in text
