"""A configuration in a temporary folder, to be varied by tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config

# Cheap, as tests hash many: the parameters of a real one cost tenths of seconds.
CHEAP_HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$REr/XyXa6ecLkbvBiSeKsQ"


class Configurations:
    """Makes configurations whose store and cache are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, **sections: Any) -> Config:
        document = {
            "store": {"url": f"sqlite:///{self.folder}/gateway.db"},
            "cache": {"directory": str(self.folder / "cache")},
            "listeners": [{"protocol": "imap", "bind": "127.0.0.1:0"}],
        }
        return Config.model_validate(document | sections)


@pytest.fixture
def configurations(tmp_path: Path) -> Configurations:
    return Configurations(tmp_path)
