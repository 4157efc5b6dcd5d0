"""The memory connector does what every connector must do, in each of its shapes."""

from __future__ import annotations

import pytest

from connectors.api.connector import Connector
from connectors.api.types import MessageRef
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.connector import connect
from tests.conformance.rig import Ability, Path, Rig
from tests.conformance.suite import ConnectorSuite


class MemoryRig(Rig):
    """A memory backend with pages so small that every test turns one over."""

    def __init__(
        self,
        layout: Layout,
        *,
        has_uids: bool = False,
        is_sparse: bool = False,
        is_whole: bool = False,
        has_gmail_ids: bool = False,
        varies: bool = False,
    ) -> None:
        self.backend = MemoryBackend(
            layout,
            has_uids=has_uids,
            is_sparse=is_sparse,
            lists_account=is_whole,
            reports_tree=is_whole,
            has_gmail_ids=has_gmail_ids,
            has_outlines=not has_gmail_ids,
            has_exact_headers=not varies,
            bodies_vary=varies,
            page_size=4,
        )
        if layout is Layout.LABELS:
            self.abilities = frozenset(Ability) - {Ability.KEYWORDS}

    def connector(self) -> Connector:
        return connect(self.backend)

    async def deliver(self, path: Path, data: bytes) -> None:
        self.backend.deliver(path, data)

    async def set_flags(self, path: Path, message_id: str, flags: frozenset[str]) -> None:
        self.backend.set_flags(path, self._ref(path, message_id), flags)

    async def remove(self, path: Path, message_id: str) -> None:
        self.backend.remove(path, self._ref(path, message_id))

    async def create_mailbox(self, path: Path) -> None:
        self.backend.create_mailbox(path)

    async def delete_mailbox(self, path: Path) -> None:
        self.backend.delete_mailbox(path)

    async def expire_cursors(self, path: Path) -> None:
        if self.backend.has_uids:
            self.backend.invalidate_uidvalidity(path)
        else:
            self.backend.journal.expire_cursors()

    def _ref(self, path: Path, message_id: str) -> MessageRef:
        messages = self.backend.mailbox(path).messages
        return next(ref for ref, message in messages.items() if message_id.encode() in message.data)


class TestFolders(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(Layout.FOLDERS)


class TestFoldersWithUids(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(Layout.FOLDERS, has_uids=True)


class TestItems(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(Layout.ITEMS)


class TestItemsWhoseBodiesVary(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(Layout.ITEMS, varies=True)


class TestLabels(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(Layout.LABELS, is_sparse=True)


class TestWholeLabels(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(Layout.LABELS, is_whole=True)


class TestLikeGmail(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(Layout.LABELS, is_sparse=True, is_whole=True, has_gmail_ids=True)
