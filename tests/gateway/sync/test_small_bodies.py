"""Small messages at hand are read together, and what is not in order is left to be read alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.api.credentials import FixedCredential
from connectors.maildir import SPEC
from gateway.store.body_file import BodyKey
from gateway.sync import small_bodies
from tests.gateway.sync.test_bodies import opened, wanted
from tests.stack import Stack, message, running_stack


async def test_cached_messages_are_read_without_the_backend(stack: Stack) -> None:
    await opened(stack, 20)
    row, items = await wanted(stack)
    engine = stack.engine()
    small, ids = engine.bodies.small, [item.message_id for item in items]
    assert await small.read(row, ids) == {}
    for item in items:
        await engine.bodies.learn(row, item.message_id, item.ref)
    calls = dict(stack.backends["work"].faults.calls)
    assert await small.read(row, ids) == {key: message(number) for number, key in enumerate(ids)}
    engine.context.cache.discard(BodyKey(engine.context.account_id, ids[3]))
    assert (await small.read(row, ids)).keys() == {*ids} - {ids[3]}
    assert await small.read(row, []) == {}
    assert stack.backends["work"].faults.calls == calls


async def test_what_waits_for_the_disk_is_read_in_a_thread(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await opened(stack, 20)
    row, items = await wanted(stack)
    engine = stack.engine()
    for item in items:
        await engine.bodies.learn(row, item.message_id, item.ref)
    ids = [item.message_id for item in items]
    loop, on_loop = asyncio.get_running_loop(), []
    read_small = engine.context.cache.read_small

    def noted(account_id: int, message_id: int, at_most: int) -> bytes | None:
        try:
            on_loop.append(asyncio.get_running_loop() is loop)
        except RuntimeError:
            on_loop.append(False)
        return read_small(account_id, message_id, at_most)

    monkeypatch.setattr(engine.context.cache, "read_small", noted)
    waits = [True]

    class Wait:
        def __init__(self, longest_s: float) -> None:
            self.longest_s = longest_s

        def is_long(self) -> bool:
            return waits[0] and self.longest_s < 1 and len(on_loop) >= 8

    monkeypatch.setattr(small_bodies, "DiskWait", Wait)
    for is_waiting, where in (
        (True, [True] * 8 + [False] * 12),
        (True, [False] * 20),
        (False, [True] * 20),
        (False, [True] * 20),
    ):
        waits[0] = is_waiting
        on_loop.clear()
        assert await engine.bodies.small.read(row, ids) == {key: message(number) for number, key in enumerate(ids)}
        assert on_loop == where


async def test_messages_of_a_maildir_are_read_from_their_files(tmp_path: Path) -> None:
    root = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (root / name).mkdir(parents=True)
    for number in range(5):
        (root / "cur" / f"160000000{number}.a:2,S").write_bytes(message(number).replace(b"\r\n", b"\n"))
    spec_settings: dict[str, object] = {"path": str(root)}
    async with running_stack(
        tmp_path, make_connector=lambda _: SPEC.build(spec_settings, FixedCredential(None))
    ) as stack:
        await stack.start_account("work", "alex", "maildir", spec_settings)
        await stack.open()
        row, items = await wanted(stack)
        small, ids = stack.engine().bodies.small, [item.message_id for item in items]
        assert await small.read(row, ids) == {key: message(number) for number, key in enumerate(ids)}
        (root / "cur" / "1600000001.a:2,S").rename(root / "cur" / "1600000001.a:2,RS")
        (root / "cur" / "1600000002.a:2,S").unlink()
        (root / "cur" / "1600000003.a:2,S").unlink()
        (root / "cur" / "1600000003.a:2,S").mkdir()
        # What is wrong with one of them is told to whoever asks for it.
        assert await small.read(row, [ids[0], ids[1], ids[2]]) == {ids[0]: message(0), ids[1]: message(1)}
        assert await small.read(row, [ids[3]]) == {}
        assert await small.read(row, [ids[4]]) == {ids[4]: message(4)}
