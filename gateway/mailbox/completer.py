"""Reading what the skeleton of a mailbox lacks, when a client asks for it: headers, structures, sizes and dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.api.types import MessageRef
from gateway.mailbox.columns import UNKNOWN, Entry
from gateway.store import messages, outlines
from gateway.store.database import Transaction
from gateway.sync.bodies import Wanted

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be at hand besides UID, flags and mod-sequence.

    `object_ids` are EMAILID and THREADID, `gmail_ids` X-GM-MSGID and X-GM-THRID, `labels` X-GM-LABELS. `preview` is the
    preview where it is at hand; with `makes_previews`, messages are read to have it.
    """

    date: bool = False
    size: bool = False
    envelope: bool = False
    structure: bool = False
    header: bool = False
    body: bool = False
    object_ids: bool = False
    gmail_ids: bool = False
    labels: bool = False
    preview: bool = False
    makes_previews: bool = False

    @property
    def outline(self) -> bool:
        return self.envelope or self.structure or self.header


class Completer:
    """Sees to it that messages of one open mailbox have what is needed of them."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._store = engine.context.store

    async def refs(self, entries: Sequence[Entry]) -> dict[int, str]:
        """Return the backend's ids by message id."""
        ids = [entry.message_id for entry in entries]
        return await self._store.read_bulk(lambda tx: messages.refs_by_ids(tx, ids))

    async def complete(self, entries: Sequence[Entry], needs: Needs) -> bool:
        """Read into the store and the columns what is needed and not known; return whether the columns were looked at.

        What the backend does not know either stays unknown. At most some hundred entries at a time.

        Raises:
            ConnectorError: the backend cannot give it now.
        """
        sizeless = [entry for entry in entries if entry.size == UNKNOWN]
        dateless = [entry for entry in entries if entry.internal_date == UNKNOWN]
        if needs.makes_previews:
            await self._have_previews(entries)
        if needs.size and sizeless:
            # Only the whole message tells its exact size where the listing does not; it tells the rest too.
            await self._hydrate(sizeless, structure=True)
        if needs.outline:
            ids = [entry.message_id for entry in entries]
            lacking = await self._store.read_bulk(lambda tx: self._lacking(tx, ids, needs))
            await self._hydrate(
                [entry for entry in entries if entry.message_id in lacking],
                structure=needs.structure,
                header=needs.header,
            )
        if needs.date and dateless:
            await self._hydrate(dateless, date=True)
        incomplete = [entry for entry in entries if UNKNOWN in (entry.internal_date, entry.size)]
        if incomplete and needs != Needs():
            await self._learn(incomplete)
            return True
        return False

    async def _have_previews(self, entries: Sequence[Entry]) -> None:
        ids = [entry.message_id for entry in entries]
        known = await self._store.read_bulk(lambda tx: outlines.previews(tx, ids))
        lacking = [entry for entry in entries if entry.message_id not in known]
        if lacking:
            await self._engine.hydrator.previews(self._mailbox.row, await self._wanted(lacking))

    async def _lacking(self, tx: Transaction, ids: list[int], needs: Needs) -> set[int]:
        have = set(ids)
        if needs.structure:
            have &= (await outlines.structures(tx, ids)).keys()
        if needs.header:
            have &= await outlines.with_header_block(tx, ids)
        if not needs.structure and not needs.header:
            have &= (await outlines.envelopes(tx, ids)).keys()
        return set(ids) - have

    async def _hydrate(
        self, entries: Sequence[Entry], *, structure: bool = False, header: bool = False, date: bool = False
    ) -> None:
        if not entries:
            return
        wanted = await self._wanted(entries)
        await self._engine.hydrator.outlines(self._mailbox.row, wanted, structure=structure, header=header, date=date)

    async def _wanted(self, entries: Sequence[Entry]) -> list[Wanted]:
        refs = await self.refs(entries)
        return [
            Wanted(entry.message_id, MessageRef(refs[entry.message_id]))
            for entry in entries
            if entry.message_id in refs
        ]

    async def _learn(self, entries: Sequence[Entry]) -> None:
        ids = [entry.message_id for entry in entries]
        known = await self._store.read_bulk(lambda tx: messages.message_rows(tx, ids))
        for entry in entries:
            row = known.get(entry.message_id)
            if row is None:
                continue
            if row.size is not None and row.size_is_exact:
                self._mailbox.learned_size(entry.uid, row.size)
            if row.internal_date is not None:
                self._mailbox.learned_date(entry.uid, row.internal_date, row.internal_zone or 0)
