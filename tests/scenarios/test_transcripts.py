"""Every transcript, over every backend, by sequence numbers and by UIDs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path

import pytest

from connectors.memory.backend import Layout
from gateway.imap.settings import ImapSettings
from tests.scenarios.outside import Outside, OutsideMaildir, OutsideMemory
from tests.scenarios.outside_cyrus import OutsideCyrus
from tests.scenarios.outside_gmail import outside_gmail
from tests.scenarios.outside_graph import outside_graph
from tests.scenarios.outside_jmap import outside_jmap
from tests.scenarios.player import Player
from tests.scenarios.script import Numbering, Script, read_script
from tests.scenarios.serving import serving
from tests.servers.cyrus import Cyrus, cyrus

__all__ = ["cyrus"]

TRANSCRIPTS = Path(__file__).with_name("transcripts")
BACKENDS = (
    "memory",
    "memory-uids",
    "memory-labels",
    "memory-whole",
    "memory-varying",
    "maildir",
    "jmap",
    "gmail",
    "graph",
    "cyrus",
)


BOTH_NUMBERINGS = ("memory", "memory-uids", "maildir")
"""Over the others a transcript is played in one numbering, in this one or that, and in both with the long tests."""


def _performances() -> Iterator[object]:
    for place, path in enumerate(sorted(TRANSCRIPTS.glob("*.txt"))):
        script = read_script(path)
        for number, backend in enumerate(filter(script.is_for, BACKENDS)):
            chosen = script.numberings[(place + number) % len(script.numberings)]
            for numbering in script.numberings:
                name = f"{script.name}-{backend}-{numbering.name.lower()}"
                is_long = backend not in BOTH_NUMBERINGS and numbering is not chosen
                marks = [pytest.mark.long] if is_long else []
                yield pytest.param(script, backend, numbering, id=name, marks=marks)


@pytest.mark.parametrize(("script", "backend", "numbering"), list(_performances()))
async def test_transcript(
    script: Script, backend: str, numbering: Numbering, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with (
        _backend(backend, tmp_path / "mail", request) as outside,
        serving(tmp_path, outside, _settings(script)) as served,
    ):
        await Player(script, served, outside, numbering).play()
        assert await served.problems() == []


@asynccontextmanager
async def _backend(name: str, root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Outside]:
    match name:
        case "memory":
            yield OutsideMemory()
        case "memory-uids":
            yield OutsideMemory(has_uids=True)
        case "memory-labels":
            yield OutsideMemory(Layout.LABELS)
        case "memory-whole":
            yield OutsideMemory(Layout.LABELS, is_whole=True)
        case "memory-varying":
            yield OutsideMemory(Layout.ITEMS, varies=True)
        case "maildir":
            yield OutsideMaildir(root)
        case "jmap":
            async with outside_jmap() as outside:
                yield outside
        case "gmail":
            async with outside_gmail() as outside_api:
                yield outside_api
        case "graph":
            async with outside_graph() as outside_graph_api:
                yield outside_graph_api
        case "cyrus":
            server: Cyrus = request.getfixturevalue("cyrus")
            at_cyrus = OutsideCyrus(server)
            yield at_cyrus
            at_cyrus.close()
        case _:
            raise ValueError(f"no backend {name!r}")


def _settings(script: Script) -> ImapSettings:
    settings = ImapSettings()
    known = {field.name for field in fields(settings)}
    for name, value in script.settings:
        assert name in known, name
        settings = replace(settings, **{name: type(getattr(settings, name))(value)})
    return settings
