"""The settings of a Microsoft account, checked."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from connectors.api.given import address_of, file_of, text_of
from connectors.api.settings import SettingError, SettingValue
from connectors.graph.cloud import ADDRESSES, Addresses, Cloud

OWN_MAILBOX: Final = "me"
"""The `mailbox` of whoever has logged in."""

IMAP_PORT: Final = 993
"""Of IMAP under TLS from the first octet (RFC 8314)."""

_MAILBOX: Final = re.compile(r"[^\s/\\\x00-\x1f\x7f]+")
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_LABELS: Final = ("Important", "Work", "Personal", "To Do", "Later")


class AppendBy(enum.Enum):
    """How a message that is no draft is stored."""

    REBUILD = "rebuild"
    DRAFT = "draft"
    REFUSE = "refuse"
    IMAP = "imap"


class ExpungeTo(enum.Enum):
    """What becomes of a message that is expunged."""

    TRASH = "trash"
    DELETE = "delete"
    PERMANENT = "permanent"


class ListenAddress(NamedTuple):
    """Where to listen: an IP address and a port, 1..65535."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """What an operator has set.

    Addresses have no slash at the end; `api_root` holds the version, `authority` may hold a tenant. `mailbox` is "me",
    an address or an id; for IMAP it is no id. `labels` are the categories of `$label1`, `$label2` and so on, at most
    five, none twice. `imap_host` and `imap_port` are those of Exchange's IMAP server, with TLS from the first octet.
    `notification_url` and `notification_listen` are both set or neither is.
    """

    cloud: Cloud = Cloud.GLOBAL
    api_root: str = ADDRESSES[Cloud.GLOBAL].api_root
    authority: str = ADDRESSES[Cloud.GLOBAL].authority
    mailbox: str = OWN_MAILBOX
    max_concurrent: int = 4
    requests_per_10_minutes: int = 10_000
    append: AppendBy = AppendBy.REBUILD
    imap_host: str = ADDRESSES[Cloud.GLOBAL].imap_host
    imap_port: int = IMAP_PORT
    expunge: ExpungeTo = ExpungeTo.TRASH
    labels: tuple[str, ...] = _LABELS
    hidden: bool = False
    poll_interval_s: float = 60.0
    notification_url: str | None = None
    notification_listen: ListenAddress | None = None
    timeout_s: float = 60.0
    ca_file: str | None = None
    verify: bool = True

    @property
    def addresses(self) -> Addresses:
        """The addresses of the cloud itself."""
        return ADDRESSES[self.cloud]

    @property
    def is_own_mailbox(self) -> bool:
        """Whether it is the mailbox of whoever has logged in."""
        return self.mailbox == OWN_MAILBOX

    @property
    def mailbox_path(self) -> str:
        """The path of the mailbox below `api_root`: `/me` or `/users/...`."""
        return "/me" if self.is_own_mailbox else f"/users/{quote(self.mailbox, safe='@')}"


def parse_settings(settings: Mapping[str, SettingValue]) -> GraphSettings:
    """Build the settings from checked values.

    Raises:
        SettingError: an address, `imap_host`, `mailbox` or `labels` cannot be, there is no `ca_file`, the cloud has no
            such `expunge`, or one of the two settings for notifications is without the other.
    """
    cloud = Cloud(settings.get("cloud", "global"))
    expunge = ExpungeTo(settings.get("expunge", "trash"))
    if expunge is ExpungeTo.PERMANENT and cloud is not Cloud.GLOBAL:
        raise SettingError("expunge", "permanent is not to be had in a national cloud; use delete")
    append = AppendBy(settings.get("append", "rebuild"))
    standard = GraphSettings()
    url, listen = _notification_url(settings), _listen(settings)
    if (url is None) is not (listen is None):
        given, missing = ("notification_url", "notification_listen")[:: 1 if listen is None else -1]
        raise SettingError(missing, f"is required with {given}")
    return GraphSettings(
        cloud=cloud,
        api_root=_api_root(settings, cloud),
        authority=_address(settings, "authority", ADDRESSES[cloud].authority),
        mailbox=_mailbox(settings, append),
        max_concurrent=int(settings.get("max_concurrent", standard.max_concurrent)),
        requests_per_10_minutes=int(settings.get("requests_per_10_minutes", standard.requests_per_10_minutes)),
        append=append,
        imap_host=_host(settings, ADDRESSES[cloud].imap_host),
        imap_port=int(settings.get("imap_port", IMAP_PORT)),
        expunge=expunge,
        labels=_labels(settings),
        hidden=settings.get("hidden", False) is True,
        poll_interval_s=float(settings.get("poll_interval_s", standard.poll_interval_s)),
        notification_url=url,
        notification_listen=listen,
        timeout_s=float(settings.get("timeout_s", standard.timeout_s)),
        ca_file=file_of(settings, "ca_file"),
        verify=settings.get("verify", True) is not False,
    )


def _api_root(settings: Mapping[str, SettingValue], cloud: Cloud) -> str:
    standard = ADDRESSES[cloud].api_root
    address = _address(settings, "api_root", standard)
    # Without it Graph answers that it does not know the version `me`, which helps nobody.
    if not urlsplit(address).path.strip("/"):
        raise SettingError("api_root", f"must hold the version, as {standard} does")
    return address


def _address(settings: Mapping[str, SettingValue], key: str, default: str) -> str:
    address = address_of(settings, key, default) or default
    if "?" in address or "#" in address:
        raise SettingError(key, f"must be an address such as {default}")
    return address.rstrip("/")


def _notification_url(settings: Mapping[str, SettingValue]) -> str | None:
    url = address_of(settings, "notification_url", "https://mail.example.org/graph")
    if url is None:
        return None
    parts = urlsplit(url)
    # Graph itself takes https only; without it is for a stand-in on the same machine.
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise SettingError("notification_url", "must begin with https://, as Graph takes no other")
    if parts.fragment:
        raise SettingError("notification_url", "must not have a #")
    return url


def _listen(settings: Mapping[str, SettingValue]) -> ListenAddress | None:
    text = text_of(settings, "notification_listen")
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = ""
    if not address or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise SettingError("notification_listen", "must be an IP address and a port, such as 127.0.0.1:8085")
    return ListenAddress(address, int(port))


def _host(settings: Mapping[str, SettingValue], default: str) -> str:
    host = text_of(settings, "imap_host") or default
    if not _HOST.fullmatch(host):
        raise SettingError("imap_host", f"must be the name of a server such as {default}")
    return host


def _mailbox(settings: Mapping[str, SettingValue], append: AppendBy) -> str:
    mailbox = text_of(settings, "mailbox") or OWN_MAILBOX
    if not _MAILBOX.fullmatch(mailbox) or mailbox in (".", ".."):
        raise SettingError("mailbox", "must be an address such as alex@example.org, an id, or me")
    if mailbox.lower() == OWN_MAILBOX:
        return OWN_MAILBOX
    if append is AppendBy.IMAP and "@" not in mailbox:
        raise SettingError("mailbox", "must be an address such as alex@example.org for append = imap, not an id")
    return mailbox


def _labels(settings: Mapping[str, SettingValue]) -> tuple[str, ...]:
    text = settings.get("labels")
    if text is None:
        return _LABELS
    labels = tuple(label.strip() for label in str(text).split(",")) if str(text).strip() else ()
    if len(labels) > len(_LABELS) or not all(labels):
        raise SettingError("labels", "must be at most five names with commas between")
    # Categories compare without regard to case.
    if len({label.casefold() for label in labels}) != len(labels):
        raise SettingError("labels", "must not name a category twice")
    return labels
