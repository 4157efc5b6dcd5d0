"""The real server, with what each way to log in needs."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from connectors.api.credentials import Secret
from gateway.auth.jwt_tokens import Expectations, JwtChecker
from gateway.auth.named_users import NamedUsers
from gateway.auth.passwords import hash_password
from gateway.auth.provider_keys import ProviderKeys
from gateway.auth.scram_users import ScramUsers, keep_keys
from gateway.auth.vault import Vault
from gateway.clock import SystemClock
from gateway.imap.listener import Protocol
from gateway.imap.settings import ImapSettings
from gateway.store import users
from gateway.store.database import Store, Transaction
from gateway.tls import ServerTls, write_self_signed
from tests.gateway.auth.provider import AUDIENCE, ISSUER, Provider
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, Served, cheap_hasher, serving

VAULT = Vault([Secret(b"k" * 32)])


def make_scram(store: Store) -> ScramUsers:
    return ScramUsers(store, VAULT)


async def give_keys(served: Served) -> None:
    """Set the user's password anew, with keys."""

    async def body(tx: Transaction) -> None:
        user = await users.user_by_login(tx, LOGIN)
        assert user is not None
        hashed = hash_password(PASSWORD, cheap_hasher())
        await users.set_password_hash(tx, user.id, hashed)
        await keep_keys(tx, VAULT, user.id, hashed, PASSWORD)

    await served.store.write(body)


@asynccontextmanager
async def with_keys(
    folder: Path, tls: ServerTls | None = None, protocol: Protocol = Protocol.IMAP, settings: ImapSettings | None = None
) -> AsyncIterator[Served]:
    async with serving(folder, OutsideMemory(), settings, tls=tls, protocol=protocol, make_scram=make_scram) as served:
        await give_keys(served)
        yield served


def trusting(tmp_path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))


class Authority:
    """A certificate authority of clients, whose certificates the server asks for."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        path = folder / "client-ca.pem"
        self._ca.cert_pem.write_to_path(str(path))
        write_self_signed(folder / "cert.pem", folder / "key.pem")
        self.server = ServerTls(folder / "cert.pem", folder / "key.pem", client_ca=path)

    def client(self, *addresses: str, name: str | None = None, ca: trustme.CA | None = None) -> ssl.SSLContext:
        """Return the context of a client that shows a certificate."""
        context = trusting(self._folder)
        (ca or self._ca).issue_cert(*addresses, common_name=name).configure_cert(context)
        return context

    def write_client(self, path: Path, name: str) -> None:
        """Write a client's certificate and key into one file, PEM."""
        self._ca.issue_cert(common_name=name).private_key_and_cert_chain_pem.write_to_path(str(path))


@asynccontextmanager
async def with_certificates(folder: Path, authority: Authority, protocol: Protocol) -> AsyncIterator[Served]:
    async with serving(
        folder, OutsideMemory(), tls=authority.server, protocol=protocol, make_named=NamedUsers
    ) as served:
        yield served


@asynccontextmanager
async def with_tokens(folder: Path, provider: Provider, settings: ImapSettings | None = None) -> AsyncIterator[Served]:
    keys = ProviderKeys(ISSUER, None, provider.client, SystemClock())
    checker = JwtChecker(Expectations(ISSUER, AUDIENCE, "email"), keys)
    async with serving(folder, OutsideMemory(), settings, make_named=NamedUsers, tokens=checker) as served:
        yield served
