"""The settings of a Microsoft account, checked."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from connectors.api.given import address_of, file_of, text_of
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
        ca_file=file_of(settings, "ca_file"),
        verify=settings.get("verify", True) is not False,
    )


def _address(settings: Mapping[str, SettingValue], key: str, default: str) -> str:
    address = address_of(settings, key, default) or default
    if "?" in address or "#" in address:
        raise SettingError(key, f"must be an address such as {default}")
    return address.rstrip("/")


def _mailbox(settings: Mapping[str, SettingValue]) -> str:
    mailbox = text_of(settings, "mailbox") or OWN_MAILBOX
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
