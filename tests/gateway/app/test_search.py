from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.search import opened_search_index, search_index_path
from gateway.config import CacheConfig, Config, SearchConfig, StoreConfig
from gateway.errors import OperatorError


def config(folder: Path, *, index: bool = True, seal: bool = False) -> Config:
    return Config(
        store=StoreConfig(url=f"sqlite:///{folder}/gateway.db"),
        cache=CacheConfig(directory=folder / "cache", seal=seal),
        search=SearchConfig(index=index),
    )


def files(folder: Path) -> list[Path]:
    return list(folder.glob("gateway.search*"))


async def test_the_index_lies_beside_the_database(tmp_path: Path) -> None:
    async with opened_search_index(config(tmp_path)) as index:
        assert index is not None
    assert search_index_path(config(tmp_path)) == tmp_path / "gateway.search"
    assert (tmp_path / "gateway.search").exists()


@pytest.mark.parametrize(("index", "seal"), [(False, False), (True, True)])
async def test_no_text_lies_in_the_clear_where_none_is_wanted(tmp_path: Path, index: bool, seal: bool) -> None:
    async with opened_search_index(config(tmp_path)):
        pass
    async with opened_search_index(config(tmp_path, index=index, seal=seal)) as opened:
        assert opened is None
    assert files(tmp_path) == []


async def test_an_index_that_cannot_be_opened_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "gateway.search").mkdir()
    async with opened_search_index(config(tmp_path)) as index:
        assert index is None


async def test_an_index_that_cannot_be_deleted_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "gateway.search").mkdir()
    with pytest.raises(OperatorError, match=r"search\.index"):
        async with opened_search_index(config(tmp_path, index=False)):
            pass
