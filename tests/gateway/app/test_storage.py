from __future__ import annotations

import pytest

from gateway.app.storage import database_path, has_key, kept_bodies, key_path, open_vault, opened_store
from gateway.auth.errors import VaultError
from gateway.errors import OperatorError
from gateway.store.kept_bodies import KeptBodies
from gateway.store.users import add_user, list_users
from tests.gateway.app.conftest import Configurations


def test_the_key_is_beside_the_database_unless_named(configurations: Configurations) -> None:
    folder = configurations.folder
    assert database_path(configurations.make()) == folder / "gateway.db"
    assert key_path(configurations.make()) == folder / "gateway.key"
    assert key_path(configurations.make(secrets={"key_file": str(folder / "other")})) == folder / "other"


def test_a_key_file_is_made_once(configurations: Configurations) -> None:
    config = configurations.make()
    sealed = open_vault(config).seal(b"plain", b"context")
    assert open_vault(config).open(sealed, b"context") == b"plain"


def test_a_key_comes_from_the_environment(configurations: Configurations, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configurations.make(secrets={"key_env": "TEST_GATEWAY_KEY"})
    with pytest.raises(OperatorError, match=r"secrets.key_env: the environment variable TEST_GATEWAY_KEY is not set"):
        open_vault(config)
    monkeypatch.setenv("TEST_GATEWAY_KEY", "00" * 32)
    sealed = open_vault(config).seal(b"plain", b"context")
    assert open_vault(config).open(sealed, b"context") == b"plain"
    assert not key_path(config).exists()
    monkeypatch.setenv("TEST_GATEWAY_KEY", "short")
    with pytest.raises(VaultError, match=r"environment variable TEST_GATEWAY_KEY: line 1 is no key"):
        open_vault(config)


def test_a_key_file_that_cannot_be_looked_for_is_not_made(configurations: Configurations) -> None:
    config = configurations.make(secrets={"key_file": str(configurations.folder / ("x" * 300))})
    for attempt in (open_vault, has_key):
        with pytest.raises(VaultError, match=r"x: cannot be read: File name too long"):
            attempt(config)


async def test_the_store_is_closed_after_use(configurations: Configurations) -> None:
    config = configurations.make()
    async with opened_store(config) as store:
        await store.write(lambda tx: add_user(tx, "alice"))
    async with opened_store(config) as again:
        assert [user.login for user in await again.read(list_users)] == ["alice"]
    with pytest.raises(OperatorError, match=r"."):
        await store.read(list_users)


def _keep(kept: KeptBodies, data: bytes) -> None:
    writer = kept.writer_of(1, 1)
    writer.write(data)
    writer.commit(is_durable=True)


def _kept(kept: KeptBodies) -> bytes:
    body = kept.open_kept(1, 1)
    assert body is not None
    with body:
        return body.read(0, body.size)


def test_kept_octets_are_beside_the_database_and_outlive_a_change_of_the_key(configurations: Configurations) -> None:
    config = configurations.make(cache={"directory": str(configurations.folder / "cache"), "seal": True})
    _keep(kept_bodies(config, open_vault(config)), b"appended")
    folder = configurations.folder / "gateway.bodies"
    assert not any(b"appended" in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    old = key_path(config).read_text("ascii")
    key_path(config).write_text(f"{'11' * 32}\n{old}", "ascii")
    assert _kept(kept_bodies(config, open_vault(config))) == b"appended"
    key_path(config).write_text(f"{'11' * 32}\n", "ascii")
    assert _kept(kept_bodies(config, open_vault(config))) == b"appended"
    plain = configurations.make(cache={"directory": str(configurations.folder / "cache"), "seal": False})
    assert _kept(kept_bodies(plain, open_vault(plain))) == b"appended"


def test_a_key_of_kept_octets_that_cannot_be_opened_is_told(configurations: Configurations) -> None:
    config = configurations.make(cache={"directory": str(configurations.folder / "cache"), "seal": True})
    kept_bodies(config, open_vault(config))
    key_path(config).write_text(f"{'11' * 32}\n", "ascii")
    with pytest.raises(VaultError, match="not among the keys"):
        kept_bodies(config, open_vault(config))
