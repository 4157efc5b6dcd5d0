"""The login at Exchange's IMAP server, kept for a while, and what its refusals mean to an operator."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from connectors.api.credentials import BearerCredential, CredentialSource
from connectors.api.errors import (
    AuthExpired,
    ConnectorError,
    Denied,
    OverQuota,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
)
from connectors.graph import imap_wire
from connectors.graph.imap_connection import ImapConnection, Letter, Lost
from connectors.graph.imap_wire import Malformed, Status
from connectors.graph.mime import Buffer
from connectors.graph.sending import transport_options
from connectors.graph.settings import GraphSettings
from connectors.graph.tokens import ImapTokenGiver
from connectors.transport.retry_after import MAX_RETRY_AFTER_S

IDLE_S: Final = 60.0
"""After so long without a message the connection is closed."""

_RETRY_S: Final = 60.0
_NO_ENTRY: Final = "Exchange does not let messages in by IMAP; its administrator can find the reason in the log."
_SWITCHED_OFF: Final = (
    "IMAP may be switched off for this mailbox or the whole organisation (Set-CASMailbox -ImapEnabled $true), the user "
    "may have no right to the mailbox, or the application lacks IMAP.AccessAsUser.All, or for one that acts by itself "
    "IMAP.AccessAsApp and a service principal in Exchange with FullAccess to the mailbox"
)
_NOT_CONNECTED: Final = "not connected"
"""Exchange says OK to the login of whoever has no mailbox there by IMAP, and this to whatever comes next, with BAD."""

_UNAVAILABLE: Final = "server unavailable"
"""With a number behind it, and no code: one of Exchange's own servers could not be reached."""

_BACKOFF: Final = re.compile(r"backoff time: (\d{1,12}) milliseconds", re.IGNORECASE)
"""`Request is throttled. Suggested Backoff Time: 299961 milliseconds`, with NO or BAD."""

_TOO_LARGE: Final = re.compile(r"too (?:big|large)|maximum.{0,40} size|size.{0,40} exceed|exceed.{0,40} size")

_BY_CODE: Final[dict[str, type[ConnectorError]]] = {
    "OVERQUOTA": OverQuota,
    "TOOBIG": TooLarge,
    "NOPERM": Denied,
    "READ-ONLY": Denied,
    "CONTACTADMIN": Denied,
    "AUTHORIZATIONFAILED": Denied,
    "UNAVAILABLE": Unavailable,
    "INUSE": Unavailable,
    "SERVERBUG": Unavailable,
}


class UnknownMailbox(Rejected):
    """The server has no mailbox of that name."""


class ImapSession:
    """One connection at a time, opened when it is needed. What goes wrong is told in the errors of the contract."""

    def __init__(self, settings: GraphSettings, credentials: CredentialSource) -> None:
        """Prepare a session; nothing is sent.

        Raises:
            SettingError: `ca_file` cannot be read.
        """
        self._settings = settings
        self._credentials = credentials.imap() if isinstance(credentials, ImapTokenGiver) else None
        self._context = transport_options(settings).ssl_context()
        self._connection: ImapConnection | None = None
        self._delimiter: str | None = None
        self._using = asyncio.Lock()
        self._idling: asyncio.TimerHandle | None = None

    async def append(
        self, path: tuple[str, ...], flags: frozenset[str], received: datetime, buffer: Buffer
    ) -> int | None:
        """Store a message in the mailbox of that path with these system flags; return its UID if that is told.

        Raises:
            Lost: the connection failed. If `is_sent`, the message may be stored.
            UnknownMailbox, ConnectorError: it is not stored.
        """
        async with self._connected() as connection:
            limit = imap_wire.append_limit(connection.capabilities)
            if limit is not None and len(buffer) > limit:
                raise TooLarge(f"a message of {len(buffer)} octets, and {connection.where} takes {limit}")
            try:
                name = imap_wire.mailbox_name(path, self._delimiter)
            except ValueError as exc:
                raise Rejected(f"append = imap: {exc}") from exc
            status = await connection.append(Letter(name, flags, received, buffer))
            if status.word != "OK":
                raise refusal(f"APPEND at {connection.where}", status)
            return status.appended_uid

    async def close(self) -> None:
        """Log out, and cut off what is under way. Never raises; the session may be used again."""
        self._stop_idling()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._using.locked():
            connection.drop()
        else:
            await connection.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ImapConnection]:
        async with self._using:
            self._stop_idling()
            connection = await self._kept() or await self._log_in()
            self._connection = connection
            try:
                yield connection
            finally:
                if connection.is_closed:
                    self._connection = None
                else:
                    self._idling = asyncio.get_running_loop().call_later(IDLE_S, self._drop)

    async def _kept(self) -> ImapConnection | None:
        """Return the connection of before if the server still listens."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed:
            return None
        try:
            if (await connection.run(b"NOOP")).status.word == "OK":
                return connection
        except Lost:
            return None
        connection.drop()
        return None

    async def _log_in(self) -> ImapConnection:
        """Connect and log in; a token that is refused is exchanged for a new one, once."""
        credential = await self._credential()
        connection, status = await self._try(credential)
        if status.word != "OK":
            connection.drop()
            assert self._credentials is not None, "there was a credential"
            await self._credentials.refused(credential)
            fresh = await self._credential()
            if fresh != credential:
                connection, status = await self._try(fresh)
        if status.word != "OK":
            connection.drop()
            raise login_refusal(f"login as {credential.username} at {connection.where}", status)
        try:
            self._delimiter = await self._ask_delimiter(connection)
        except BaseException:
            connection.drop()
            raise
        return connection

    async def _try(self, credential: BearerCredential) -> tuple[ImapConnection, Status]:
        settings = self._settings
        connection = await ImapConnection.connect(
            settings.imap_host, settings.imap_port, self._context, settings.timeout_s
        )
        try:
            if "AUTH=XOAUTH2" not in connection.capabilities:
                raise Denied(f"{connection.where} takes no tokens: it offers no AUTH=XOAUTH2", client_text=_NO_ENTRY)
            return connection, await connection.authenticate(credential)
        except ValueError as exc:
            connection.drop()
            raise Denied(f"login at {connection.where}: {exc}", client_text=_NO_ENTRY) from exc
        except BaseException:
            connection.drop()
            raise

    async def _ask_delimiter(self, connection: ImapConnection) -> str | None:
        answer = await connection.run(b'LIST "" ""')
        if answer.status.word != "OK":
            raise refusal(f"LIST at {connection.where}", answer.status)
        for each in answer.untagged:
            if each.word == "LIST":
                try:
                    return imap_wire.read_delimiter(each.rest)
                except Malformed as exc:
                    raise Lost(f"{connection.where} sends {exc}") from exc
        raise Lost(f"{connection.where} does not say how mailboxes are named")

    async def _credential(self) -> BearerCredential:
        """Return the token for IMAP.

        An account without one is not to seem in need of a new login, as Graph serves it well: so it is `Denied`.
        """
        try:
            credential = await self._credentials.get() if self._credentials is not None else None
        except AuthExpired as exc:
            raise Denied(f"append = imap: {exc.operator_text}", client_text=_NO_ENTRY) from exc
        if not isinstance(credential, BearerCredential):
            raise Denied(
                "append = imap: the account has no token for IMAP (imap_access_token, and mailbox as an address)",
                client_text=_NO_ENTRY,
            )
        return credential

    def _stop_idling(self) -> None:
        if self._idling is not None:
            self._idling.cancel()
            self._idling = None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.drop()
            self._connection = None


def login_refusal(what: str, status: Status) -> ConnectorError:
    """Return the error for a login that Exchange has refused."""
    text = status.text.lower()
    if status.code in ("UNAVAILABLE", "INUSE", "SERVERBUG") or _UNAVAILABLE in text:
        return Unavailable(f"{what}: {status.shown}")
    if "too many" in text or "throttl" in text or status.code == "LIMIT":
        return _throttled(f"{what}: {status.shown}", status)
    return Denied(f"{what}: {status.shown}: {_SWITCHED_OFF}", client_text=_NO_ENTRY)


def refusal(what: str, status: Status) -> ConnectorError:
    """Return the error for NO or BAD to a command after the login (RFC 5530, RFC 7889, RFC 9208, and Exchange)."""
    text = status.text.lower()
    said = f"{what}: {status.shown}"
    if _NOT_CONNECTED in text:
        return Denied(f"{said}: {_SWITCHED_OFF}", client_text=_NO_ENTRY)
    if _TOO_LARGE.search(text):
        return TooLarge(said)
    if "throttl" in text:
        return _throttled(said, status)
    if _UNAVAILABLE in text:
        return Unavailable(said)
    if status.word == "BAD":
        return Rejected(said)
    if status.code in ("TRYCREATE", "NONEXISTENT"):
        return UnknownMailbox(said)
    if status.code == "LIMIT" or "too many" in text:
        return _throttled(said, status)
    return _BY_CODE.get(status.code, Rejected)(said)


def _throttled(said: str, status: Status) -> RateLimited:
    told = _BACKOFF.search(status.text)
    retry_s = min(int(told[1]) / 1000, MAX_RETRY_AFTER_S) if told is not None else _RETRY_S
    return RateLimited(said, retry_after_s=retry_s)
