"""The settings of a Microsoft account, checked."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from connectors.api.settings import SettingError, SettingValue
from connectors.graph.cloud import ADDRESSES, Addresses, Cloud

OWN_MAILBOX: Final = "me"
"""The `mailbox` of whoever has logged in."""

_MAILBOX: Final = re.compile(r"[^\s/\\\x00-\x1f\x7f]+")
_LABELS: Final = ("Important", "Work", "Personal", "To Do", "Later")


class AppendBy(enum.Enum):
    """How a message that is no draft is stored."""

    REBUILD = "rebuild"
    DRAFT = "draft"
    REFUSE = "refuse"


class ExpungeTo(enum.Enum):
    """What becomes of a message that is expunged."""

    TRASH = "trash"
    DELETE = "delete"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """What an operator has set.

    Addresses have no slash at the end; `api_root` holds the version, `authority` may hold a tenant. `mailbox` is "me",
    an address or an id. `labels` are the categories of `$label1`, `$label2` and so on, at most five, none twice.
    """

    cloud: Cloud = Cloud.GLOBAL
    api_root: str = ADDRESSES[Cloud.GLOBAL].api_root
    authority: str = ADDRESSES[Cloud.GLOBAL].authority
    mailbox: str = OWN_MAILBOX
    max_concurrent: int = 4
    requests_per_10_minutes: int = 10_000
    append: AppendBy = AppendBy.REBUILD
    expunge: ExpungeTo = ExpungeTo.TRASH
    labels: tuple[str, ...] = _LABELS
    hidden: bool = False
    poll_interval_s: float = 60.0
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
        SettingError: an address, `mailbox` or `labels` cannot be, there is no `ca_file`, or the cloud has no such
            `expunge`.
    """
    cloud = Cloud(settings.get("cloud", "global"))
    expunge = ExpungeTo(settings.get("expunge", "trash"))
    if expunge is ExpungeTo.PERMANENT and cloud is not Cloud.GLOBAL:
        raise SettingError("expunge", "permanent is not to be had in a national cloud; use delete")
    ca_file = _text(settings, "ca_file")
    if ca_file is not None and not Path(ca_file).is_file():
        raise SettingError("ca_file", f"there is no file {ca_file}")
    standard = GraphSettings()
    return GraphSettings(
        cloud=cloud,
        api_root=_address(settings, "api_root", ADDRESSES[cloud].api_root),
        authority=_address(settings, "authority", ADDRESSES[cloud].authority),
        mailbox=_mailbox(settings),
        max_concurrent=int(settings.get("max_concurrent", standard.max_concurrent)),
        requests_per_10_minutes=int(settings.get("requests_per_10_minutes", standard.requests_per_10_minutes)),
        append=AppendBy(settings.get("append", "rebuild")),
        expunge=expunge,
        labels=_labels(settings),
        hidden=settings.get("hidden", False) is True,
        poll_interval_s=float(settings.get("poll_interval_s", standard.poll_interval_s)),
        timeout_s=float(settings.get("timeout_s", standard.timeout_s)),
        ca_file=ca_file,
        verify=settings.get("verify", True) is not False,
    )


def _text(settings: Mapping[str, SettingValue], key: str) -> str | None:
    """Return the text, or None if it is left out or blank."""
    return str(settings.get(key, "")).strip() or None


def _address(settings: Mapping[str, SettingValue], key: str, default: str) -> str:
    text = (_text(settings, key) or default).rstrip("/")
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good = False
    if not is_good or "?" in text or "#" in text:
        raise SettingError(key, f"must be an address such as {default}")
    if parts.username is not None or parts.password is not None:
        raise SettingError(key, "must not hold a user name or password: they are credentials")
    return text


def _mailbox(settings: Mapping[str, SettingValue]) -> str:
    mailbox = _text(settings, "mailbox") or OWN_MAILBOX
    if not _MAILBOX.fullmatch(mailbox) or mailbox in (".", ".."):
        raise SettingError("mailbox", "must be an address such as alex@example.org, an id, or me")
    return OWN_MAILBOX if mailbox.lower() == OWN_MAILBOX else mailbox


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
