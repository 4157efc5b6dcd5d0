"""Every transcript, over every backend, by sequence numbers and by UIDs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from gateway.imap.settings import ImapSettings
from tests.scenarios.outside import Outside, OutsideMaildir, OutsideMemory
from tests.scenarios.player import Player
from tests.scenarios.script import Numbering, Script, read_script
from tests.scenarios.serving import serving

TRANSCRIPTS = Path(__file__).with_name("transcripts")
BACKENDS = ("memory", "memory-uids", "maildir")


def _performances() -> Iterator[object]:
    for path in sorted(TRANSCRIPTS.glob("*.txt")):
        script = read_script(path)
        for backend in [script.only_backend] if script.only_backend else BACKENDS:
            for numbering in script.numberings:
                name = f"{script.name}-{backend}-{numbering.name.lower()}"
                yield pytest.param(script, backend, numbering, id=name)


@pytest.mark.parametrize(("script", "backend", "numbering"), list(_performances()))
async def test_transcript(script: Script, backend: str, numbering: Numbering, tmp_path: Path) -> None:
    outside = _make(backend, tmp_path / "mail")
    async with serving(tmp_path, outside, _settings(script)) as served:
        await Player(script, served, outside, numbering).play()
        assert await served.problems() == []


def _make(backend: str, root: Path) -> Outside:
    match backend:
        case "memory":
            return OutsideMemory()
        case "memory-uids":
            return OutsideMemory(has_uids=True)
        case "maildir":
            return OutsideMaildir(root)
    raise ValueError(f"no backend {backend!r}")


def _settings(script: Script) -> ImapSettings:
    settings = ImapSettings()
    known = {field.name for field in fields(settings)}
    for name, value in script.settings:
        assert name in known, name
        settings = replace(settings, **{name: type(getattr(settings, name))(value)})
    return settings
