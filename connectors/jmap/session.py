"""The session with a JMAP server: where everything is, what it allows, and reading that anew when it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from connectors.api.errors import AuthExpired, ConnectorError, Denied, NotFound, Rejected
from connectors.jmap.discovery import Discovery, FoundSession
from connectors.jmap.structs import (
    CORE,
    MAIL,
    WEBSOCKET,
    CoreCapability,
    MailCapability,
    Session,
    WebSocketCapability,
    core_capability,
    mail_capability,
    websocket_capability,
)
from connectors.jmap.trust import Trust
from connectors.jmap.urls import expand, expand_event_source, resolve, resolve_websocket
from connectors.transport.clock import Clock

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 3600.0
"""How long at least to leave between two readings of the session, and how far that grows while they bring nothing."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The absolute URLs of the server. Those of push are None where there is none, or none that may be used."""

    api: str
    _download: str
    _upload: str
    _event_source: str | None
    websocket: WebSocketCapability | None

    @property
    def host(self) -> str:
        """The host and port of the API, for messages to the operator."""
        return urlsplit(self.api).netloc.rpartition("@")[2]

    def download(self, account_id: str, blob_id: str, name: str, type: str) -> str:
        """Return where to get a blob (RFC 8620 section 6.2)."""
        return expand(self._download, {"accountId": account_id, "blobId": blob_id, "name": name, "type": type})

    def upload(self, account_id: str) -> str:
        """Return where to put a blob (RFC 8620 section 6.1)."""
        return expand(self._upload, {"accountId": account_id})

    def event_source(self, types: tuple[str, ...], *, closes_after_state: bool, ping_s: int) -> str | None:
        """Return where to listen for changes of the types (RFC 8620 section 7.3)."""
        if self._event_source is None:
            return None
        closeafter = "state" if closes_after_state else "no"
        return expand_event_source(
            self._event_source, {"types": ",".join(types), "closeafter": closeafter, "ping": str(ping_s)}
        )


@dataclass(frozen=True, slots=True)
class SessionView:
    """What the session document says for the account in use."""

    url: str
    session: Session
    endpoints: Endpoints
    account_id: str
    core: CoreCapability
    mail: MailCapability

    def has(self, capability: str) -> bool:
        """Tell whether the server offers the capability, and for this account."""
        account = self.session.accounts.get(self.account_id)
        return (
            capability in self.session.capabilities
            and account is not None
            and (capability in account.account_capabilities or capability in (CORE, WEBSOCKET))
        )


class SessionKeeper:
    """Holds the session of one account and reads it anew when the server says that it has changed.

    Servers differ in what they call the state of a session: Cyrus 3.6 always says "0", others give another in replies
    than in the document. So a state in replies leads to one reading, and readings that bring nothing become rare.
    """

    def __init__(self, discovery: Discovery, trust: Trust, account_id: str | None, clock: Clock) -> None:
        self._discovery = discovery
        self._trust = trust
        self._wanted_account = account_id
        self._clock = clock
        self._lock = asyncio.Lock()
        self._view: SessionView | None = None
        self._reported: str | None = None
        self._is_stale = False
        self._pause_s = FIRST_PAUSE_S
        self._read_at = 0.0

    @property
    def view(self) -> SessionView:
        """The session as it was last read. `open` must have succeeded."""
        if self._view is None:
            raise RuntimeError("the session has not been opened")
        return self._view

    async def open(self) -> SessionView:
        """Find and read the session.

        Raises:
            AuthExpired, RateLimited, Unavailable.
            Denied: the login has no such mail account.
            Rejected: a server is involved that gets no credentials, or it is not clear which account is meant.
        """
        async with self._lock:
            found = await self._discovery.find()
            account_id = choose_account(found.session, self._wanted_account)
            self._take(found, account_id)
            self._pause_s = FIRST_PAUSE_S
            self._reported = None
            return self.view

    def note(self, state: str | None) -> None:
        """Take note of the `sessionState` of a reply (RFC 8620 section 3.4)."""
        if state is not None and state not in (self.view.session.state, self._reported):
            self._reported = state
            self._is_stale = True

    def suspect(self) -> None:
        """Take note that something in the session proved wrong: an address, or the account."""
        self._is_stale = True

    async def settle(self) -> SessionView:
        """Return the session, read anew if that is due; if that fails, as it was.

        Raises:
            AuthExpired: the credentials are refused.
        """
        if self._is_due and not self._lock.locked():
            async with self._lock:
                await self._reread()
        return self.view

    @property
    def _is_due(self) -> bool:
        return self._is_stale and self._clock.monotonic() - self._read_at >= self._pause_s

    async def _reread(self) -> None:
        before, rested_s = self.view, self._clock.monotonic() - self._read_at
        # It stays stale until it has been read: whoever reads it may be cancelled.
        self._read_at = self._clock.monotonic()
        try:
            found = await self._read(before.url)
            self._take(found, _still_chosen(found.session, before.account_id))
        except AuthExpired:
            raise
        except ConnectorError as exc:
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
            _log.warning("the JMAP session could not be read again: %s", exc.operator_text)
            return
        if _substance(self.view) != _substance(before) or rested_s > 2 * LONGEST_PAUSE_S:
            self._pause_s = FIRST_PAUSE_S
        else:
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    async def _read(self, url: str) -> FoundSession:
        try:
            return await self._discovery.read(url)
        except (NotFound, Rejected):
            return await self._discovery.find()

    def _take(self, found: FoundSession, account_id: str) -> None:
        account = found.session.accounts.get(account_id)
        details = account.account_capabilities.get(MAIL) if account is not None else None
        self._view = SessionView(
            url=found.url,
            session=found.session,
            endpoints=find_endpoints(found, self._trust),
            account_id=account_id,
            core=core_capability(found.session.capabilities.get(CORE)),
            mail=mail_capability(details),
        )
        self._is_stale = False
        self._read_at = self._clock.monotonic()


def find_endpoints(found: FoundSession, trust: Trust) -> Endpoints:
    """Resolve the URLs of the session document, and admit their servers.

    Raises:
        Rejected: one that is needed leads to a server that gets no credentials.
    """
    session = found.session
    api, download, upload = (
        _admitted(resolve(found.url, url), trust) for url in (session.api_url, session.download_url, session.upload_url)
    )
    event_source = resolve(found.url, session.event_source_url) if session.event_source_url else None
    websocket = websocket_capability(session.capabilities.get(WEBSOCKET))
    if websocket is not None:
        websocket = WebSocketCapability(resolve_websocket(found.url, websocket.url), websocket.supports_push)
    return Endpoints(
        api=api,
        _download=download,
        _upload=upload,
        _event_source=event_source if event_source is not None and _is_admissible(event_source, trust) else None,
        websocket=websocket if websocket is not None and _is_admissible(websocket.url, trust) else None,
    )


def choose_account(session: Session, wanted: str | None) -> str:
    """Return the id of the account to use: the one the operator names, else the login's primary account for mail.

    `primaryAccounts` may name what is not there (RFC 8620 section 2 lets it be empty too); then the only account with
    mail is taken, or the only personal one of them.

    Raises:
        Denied: there is no such account, or none with mail.
        Rejected: several accounts have mail, and the operator has not said which is meant.
    """
    with_mail = {key: account for key, account in session.accounts.items() if MAIL in account.account_capabilities}
    if wanted is not None:
        if wanted not in with_mail:
            raise Denied(f"the login has no JMAP mail account {wanted!r}; {_listed(with_mail)}")
        return wanted
    primary = session.primary_accounts.get(MAIL)
    if primary is not None and primary in with_mail:
        return primary
    personal = [key for key, account in with_mail.items() if account.is_personal]
    for candidates in (list(with_mail), personal):
        if len(candidates) == 1:
            return candidates[0]
    if not with_mail:
        raise Denied("the login has no JMAP account with mail")
    raise Rejected(f"the login has several JMAP accounts with mail: set account_id; {_listed(with_mail)}")


def _substance(view: SessionView) -> object:
    """Return what it matters to have read: the state alone may differ each time."""
    return view.url, msgspec.structs.replace(view.session, state=None)


def _still_chosen(session: Session, account_id: str) -> str:
    """Stay with the account: another one would be other mail. Its calls fail if it is gone."""
    if account_id not in session.accounts:
        _log.warning("the JMAP session does not name account %s any more", account_id)
    return account_id


def _listed(accounts: Iterable[str]) -> str:
    return f"there are: {', '.join(sorted(accounts)[:20]) or 'none'}"


def _admitted(url: str, trust: Trust) -> str:
    trust.admit(url.replace("{", "").replace("}", ""))
    return url


def _is_admissible(url: str, trust: Trust) -> bool:
    try:
        _admitted(url, trust)
    except Rejected as exc:
        _log.warning("push from the JMAP server is not used: %s", exc.operator_text)
        return False
    return True
