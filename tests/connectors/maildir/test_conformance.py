"""The Maildir connector does what every connector must do, in both layouts."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path as FilePath

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential
from connectors.api.types import SYSTEM_FLAGS
from connectors.maildir import SPEC
from tests.conformance.rig import Ability, Path, Rig
from tests.conformance.suite import ConnectorSuite

LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}


class MaildirRig(Rig):
    """A Maildir in a temporary directory; from outside it is changed by plain file operations."""

    abilities = frozenset(Ability) - {Ability.EXPIRING_CURSORS}

    def __init__(self, root: FilePath, layout: str) -> None:
        self.root = root
        self.layout = layout
        self._numbers = count()
        self.connector_settings = {"path": str(root), "layout": layout, "fsync": False}

    def connector(self) -> Connector:
        return SPEC.build(self.connector_settings, FixedCredential(None))

    async def deliver(self, path: Path, data: bytes) -> None:
        number = next(self._numbers)
        name = f"{1_600_000_000 + number}.{number}.mx.example"
        temporary = self.folder(path) / "tmp" / name
        # As a deliverer on Unix writes it: with bare LF.
        temporary.write_bytes(data.replace(b"\r\n", b"\n"))
        temporary.rename(self.folder(path) / "new" / name)

    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        assert flags <= SYSTEM_FLAGS
        file = self.find(path, message_id)
        letters = "".join(sorted(LETTERS[flag] for flag in flags))
        file.rename(self.folder(path) / "cur" / f"{file.name.partition(':')[0]}:2,{letters}")

    async def remove(self, path: Path, message_id: str) -> None:
        self.find(path, message_id).unlink()

    async def create_mailbox(self, path: Path) -> None:
        for part in ("tmp", "new", "cur"):
            (self.folder(path) / part).mkdir(parents=True)

    async def delete_mailbox(self, path: Path) -> None:
        shutil.rmtree(self.folder(path))

    def folder(self, path: Path) -> FilePath:
        if path == ("INBOX",):
            return self.root
        return self.root / (os.path.join(*path) if self.layout == "fs" else "." + ".".join(path))

    def find(self, path: Path, message_id: str) -> FilePath:
        files = [*(self.folder(path) / "new").iterdir(), *(self.folder(path) / "cur").iterdir()]
        return next(file for file in files if message_id.encode() in file.read_bytes())


class TestMaildirPlusPlus(ConnectorSuite):
    @pytest.fixture
    def rig(self, tmp_path: FilePath) -> Rig:
        return MaildirRig(tmp_path / "Maildir", "maildir++")


class TestFoldersInFolders(ConnectorSuite):
    @pytest.fixture
    def rig(self, tmp_path: FilePath) -> Rig:
        return MaildirRig(tmp_path / "Maildir", "fs")
