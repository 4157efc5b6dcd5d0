"""The session document and the URLs in it (RFC 8620 section 2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.capabilities import CORE, MAIL, QUOTA, SUBMISSION, WEBSOCKET, core, has_quota, mail, submission
from tests.fakes.jmap.options import FakeOptions, FakeUser, Quirk, UrlStyle

WELL_KNOWN_PATH = "/.well-known/jmap"
SESSION_PATH = "/jmap/session"
SHORT_PATH = "/jmap/"
API_PATH = "/jmap/api/"
UPLOAD_PATH = "/jmap/upload/"
DOWNLOAD_PATH = "/jmap/download/"
EVENTS_PATH = "/jmap/events/"
WEBSOCKET_PATH = "/jmap/ws/"


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the server listens: at `port`, and at `other_port` for the URLs that are on another host."""

    port: int
    other_port: int
    is_tls: bool = False

    @property
    def primary(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://localhost:{self.other_port}"

    @property
    def blobs(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.other_port}"


def session_document(
    options: FakeOptions, origins: Origins, user: FakeUser, accounts: Iterable[Account], state: str
) -> dict[str, object]:
    """Return what a GET of the session gives to this user."""
    match options.urls:
        case UrlStyle.RELATIVE:
            api = blobs = ""
        case UrlStyle.OTHER_HOST:
            api, blobs = origins.api, origins.blobs
        case UrlStyle.ABSOLUTE:
            api = blobs = origins.primary
    events = "" if options.has(Quirk.BARE_EVENT_SOURCE_URL) else "?types={types}&closeafter={closeafter}&ping={ping}"
    capabilities: dict[str, object] = {CORE: core(options), MAIL: {}, SUBMISSION: {}}
    of_account: dict[str, object] = {MAIL: mail(options), SUBMISSION: submission()}
    if has_quota(options):
        capabilities[QUOTA] = {}
        of_account[QUOTA] = {}
    if options.websocket:
        scheme = "wss" if origins.is_tls else "ws"
        host = (api or origins.primary).partition("://")[2]
        capabilities[WEBSOCKET] = {"url": f"{scheme}://{host}{WEBSOCKET_PATH}", "supportsPush": True}
    own = user.accounts[0]
    listed = list(accounts)
    primary = next(account.id for account in listed if account.name == own)
    return {
        "capabilities": capabilities,
        "accounts": {
            account.id: {
                "name": account.name,
                "isPersonal": account.name == own,
                "isReadOnly": account.is_read_only,
                "accountCapabilities": of_account,
            }
            for account in listed
        },
        "primaryAccounts": dict.fromkeys(of_account, primary),
        "username": user.name,
        "apiUrl": api + API_PATH,
        "downloadUrl": f"{blobs}{DOWNLOAD_PATH}{{accountId}}/{{blobId}}/{{name}}?type={{type}}",
        "uploadUrl": f"{blobs}{UPLOAD_PATH}{{accountId}}/",
        "eventSourceUrl": api + EVENTS_PATH + events,
        "state": state,
    }
