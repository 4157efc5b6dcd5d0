"""The search index, as the configuration has it: beside the database, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.app.storage import database_path
from gateway.config import Config
from gateway.errors import OperatorError
from gateway.store.search_index import IndexUnavailable, SearchIndex, delete_index

log = logging.getLogger(__name__)


def search_index_path(config: Config) -> Path:
    """Return the file of the search index."""
    return database_path(config).with_suffix(".search")


@asynccontextmanager
async def opened_search_index(config: Config) -> AsyncIterator[SearchIndex | None]:
    """Open the index for as long as the context lasts; None where there is to be none, or where it cannot be had.

    It holds the texts of mail as they are, so there is none where the cache is sealed; one that is there is deleted.

    Raises:
        OperatorError: it cannot be deleted.
    """
    path = search_index_path(config)
    if not config.search.index or config.cache.seal:
        try:
            await asyncio.to_thread(delete_index, path)
        except OSError as exc:
            raise OperatorError(f"{path} cannot be removed: {exc.strerror or exc}", key="search.index") from exc
        yield None
        return
    try:
        index = await SearchIndex.open(path)
    except IndexUnavailable as exc:
        log.warning("searches go without an index: %s", exc)
        yield None
        return
    try:
        yield index
    finally:
        await index.close()
