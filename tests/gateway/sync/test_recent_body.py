"""The large message that was read last is kept for a while."""

from __future__ import annotations

from pathlib import Path

from connectors.api.credentials import FixedCredential
from connectors.maildir import SPEC
from gateway.sync.bodies import IN_MEMORY_OCTETS
from gateway.sync.open_body import MappedBody, MemoryBody
from gateway.sync.recent_body import RecentBody
from tests.gateway.sync.test_bodies import wanted
from tests.stack import running_stack


async def test_the_last_message_is_kept_until_it_is_let_go() -> None:
    recent = RecentBody()
    assert recent.open(1) is None
    recent.keep(1, lambda: MemoryBody(b"one"))
    body = recent.open(1)
    assert body is not None
    assert await body.read(0, 9) == b"one"
    assert recent.open(2) is None
    recent.keep(2, lambda: MemoryBody(b"two"))
    assert recent.open(1) is None
    assert recent._timer is not None
    when = recent._timer.when()
    assert recent.open(2) is not None
    assert recent._timer.when() >= when
    recent.close()
    assert recent.open(2) is None
    recent.close()


async def test_a_large_message_of_a_maildir_is_converted_once(tmp_path: Path) -> None:
    root = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (root / name).mkdir(parents=True)
    stored = b"Subject: large\n\n" + b"0123456789abcde\n" * (IN_MEMORY_OCTETS // 16)
    file = root / "cur" / "1600000001.a:2,S"
    file.write_bytes(stored)
    settings: dict[str, object] = {"path": str(root)}
    async with running_stack(tmp_path, make_connector=lambda _: SPEC.build(settings, FixedCredential(None))) as stack:
        await stack.start_account("work", "alex", "maildir", settings)
        await stack.open()
        row, (item,) = await wanted(stack)
        bodies = stack.engine().bodies
        first = await bodies.open(row, item.message_id, item.ref)
        second = await bodies.open(row, item.message_id, item.ref)
        assert isinstance(first, MappedBody)
        assert isinstance(second, MappedBody)
        assert second.buffer() is first.buffer()
        served = stored.replace(b"\n", b"\r\n")
        assert await second.read(0, len(served)) == served
        assert await second.read(100_000, 5) == served[100_000:100_005]
