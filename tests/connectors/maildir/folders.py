"""Folders with files in them, for tests."""

from __future__ import annotations

import os
from pathlib import Path

from connectors.api.types import BytesContent, MessageRef
from connectors.maildir.disk import Disk
from connectors.maildir.filename import UniqueNames
from connectors.maildir.folder import Folder


def make_folder(path: Path) -> Folder:
    for part in ("tmp", "new", "cur"):
        (path / part).mkdir(parents=True)
    return Folder(str(path), Disk(is_synced=False), UniqueNames())


def put(path: Path, name: str, data: bytes = b"Subject: x\n\nbody\n") -> Path:
    (path / name).write_bytes(data)
    return path / name


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path / "cur"))


def bytes_of(folder: Folder, ref: MessageRef) -> bytes:
    opened = folder.open(ref)
    assert isinstance(opened, BytesContent)
    return opened.data
