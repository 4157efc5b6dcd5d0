"""A client reduced to what IMAP makes it believe: it knows only what it was told, and believes all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.mailbox.view import View
from gateway.store.flags import FlagSet
from gateway.sync.flag_writer import FlagAction
from gateway.wire.commands import StoreAction

ACTIONS = {
    StoreAction.REPLACE: FlagAction.REPLACE,
    StoreAction.ADD: FlagAction.ADD,
    StoreAction.REMOVE: FlagAction.REMOVE,
}


def flags_in(rendered: bytes) -> FlagSet:
    """Read a rendered flag list; \\Recent is left out."""
    return FlagSet.of(rendered[1:-1].decode().split())


@dataclass(frozen=True)
class Memory:
    """What a client keeps of a mailbox while it is away."""

    name: str
    uidvalidity: int
    modseq: int
    flags: dict[int, FlagSet]


class SimulatedClient:
    """Selects a mailbox and applies exactly what `catch_up` tells."""

    def __init__(self, name: str, view: View) -> None:
        self.name = name
        self.view = view
        self.uids = list(view.uids)
        self.flags: dict[int, FlagSet] = {}
        self._read(self.uids)

    def _read(self, uids: Sequence[int]) -> None:
        for row in self.view.flag_rows(uids):
            self.flags[row.uid] = flags_in(row.flags)

    def take(self, *, allow_expunge: bool) -> None:
        """Be told what is new, and check that this leads to what the view takes for granted."""
        told = self.view.catch_up(allow_expunge=allow_expunge)
        assert allow_expunge or not told.expunged
        for number, uid in told.expunged:
            assert self.uids.pop(number - 1) == uid
            del self.flags[uid]
        if told.exists is not None:
            assert told.exists > len(self.uids)
            new = list(self.view.uids)[len(self.uids) :]
            assert not self.uids or new[0] > self.uids[-1]
            self.uids.extend(new)
            assert len(self.uids) == told.exists
            self._read(new)
        for row in told.flagged:
            assert self.uids[row.sequence_number - 1] == row.uid
            self.flags[row.uid] = flags_in(row.flags)
        assert self.uids == list(self.view.uids)
        assert self.uids == sorted(set(self.uids))

    def stored(self, uids: Sequence[int], action: StoreAction, names: Sequence[str], *, is_silent: bool) -> None:
        """Be told the outcome of a STORE; of a silent one only that it was done."""
        if not is_silent:
            self._read(uids)
            return
        for uid in uids:
            self.flags[uid] = ACTIONS[action].apply(self.flags[uid], names)

    def shown(self) -> dict[int, FlagSet]:
        """Return the flags that a FETCH would show now."""
        return {row.uid: flags_in(row.flags) for row in self.view.flag_rows(self.view.uids)}

    def fall_asleep(self) -> Memory:
        """Leave, keeping the mailbox as it was told and the HIGHESTMODSEQ that goes with it."""
        return Memory(self.name, self.view.uidvalidity, self.view.highestmodseq, dict(self.flags))


async def resynchronised(memory: Memory, view: View) -> dict[int, FlagSet]:
    """Return what a client that slept comes to know by QRESYNC (RFC 7162 section 3.2.5)."""
    flags = dict(memory.flags)
    vanished = await view.vanished_since(memory.modseq, None)
    for low, high in vanished.ranges:
        for uid in [uid for uid in flags if low <= uid <= high]:
            del flags[uid]
    for row in view.flag_rows(view.changed_since(memory.modseq)):
        flags[row.uid] = flags_in(row.flags)
    return flags
