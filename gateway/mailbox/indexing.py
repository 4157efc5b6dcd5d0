"""The search index of all accounts of the process, each filled by an indexer of its own."""

from __future__ import annotations

import asyncio
import logging

from gateway.store import accounts, indexable, object_ids
from gateway.store.database import Store, Transaction
from gateway.store.search_index import IndexUnavailable, SearchIndex
from gateway.sync.engine import AccountEngine
from gateway.sync.indexer import Indexer

log = logging.getLogger(__name__)


class Indexing:
    """Attaches running accounts to the index. Without an index every method does nothing."""

    def __init__(self, index: SearchIndex | None, store: Store, *, is_eager: bool) -> None:
        """`is_eager`: what is known of messages is put in before anybody searches."""
        self._index = index
        self._store = store
        self._is_eager = is_eager
        self._indexers: dict[int, Indexer] = {}
        self._is_started = False

    async def start(self) -> None:
        """Drop from the index what does not belong to the accounts there are. Call it before any account works.

        A second call does nothing: messages may have come meanwhile.
        """
        if self._index is None or self._is_started:
            return
        self._is_started = True
        tags, last_message_id = await self._store.read(_identity)
        try:
            await self._index.keep_accounts(tags, last_message_id)
        except IndexUnavailable as error:
            log.warning("the search index is made anew: %s", error)
            await self._index.start_anew()

    async def attach(self, engine: AccountEngine) -> None:
        """Have an account searched by the index, and filled into it."""
        if self._index is None:
            return
        context = engine.context
        naming = await self._store.read(lambda tx: object_ids.naming_of(tx, context.account_id))
        context.search = self._index.account(context.account_id, naming.tag)
        indexer = Indexer(context, engine.bodies, context.search, is_eager=self._is_eager)
        context.on_learned = indexer.learned
        self._indexers[context.account_id] = indexer
        indexer.start()

    async def detach(self, account_id: int) -> None:
        """End the work for an account; does nothing if it is not attached."""
        indexer = self._indexers.pop(account_id, None)
        if indexer is not None:
            await indexer.stop()

    async def close(self) -> None:
        """End the work for every account."""
        await asyncio.gather(*(self.detach(account_id) for account_id in list(self._indexers)))


async def _identity(tx: Transaction) -> tuple[dict[int, str], int]:
    rows = await accounts.all_accounts(tx)
    tags = {row.id: (await object_ids.naming_of(tx, row.id)).tag for row in rows}
    return tags, await indexable.last_message_id(tx)
