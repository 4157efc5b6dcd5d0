"""The settings of a Gmail account, checked."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.api.given import address_of, file_of, text_of
from connectors.api.settings import SettingError, SettingValue

_TOPIC = re.compile(r"projects/[^/\s]+/topics/[^/\s]+")
_SUBSCRIPTION = re.compile(r"projects/[^/\s]+/subscriptions/[^/\s]+")
_USER = re.compile(r"me|[^\s/@]+@[^\s/@]+")


class AppendBy(enum.Enum):
    """Which method stores a message that a mail client hands over."""

    INSERT = "insert"
    IMPORT = "import"


class ExpungeTo(enum.Enum):
    """What becomes of a message that leaves the last mailbox it is in."""

    ARCHIVE = "archive"
    TRASH = "trash"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class GmailSettings:
    """What an operator has set.

    Addresses have no slash at the end. `prefix` is the path of the mailbox below which the system mailboxes are, not
    empty. `cost_overrides` maps ids of methods, without `gmail.users.`, to units. `topic` and `subscription` are both
    set or both None; without them there is no push.
    """

    api_root: str = "https://gmail.googleapis.com"
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    auth_uri: str = "https://accounts.google.com/o/oauth2/v2/auth"
    user: str = "me"
    prefix: tuple[str, ...] = ("[Gmail]",)
    categories: bool = False
    units_per_minute: float = 6000.0
    costs: str = "2026"
    cost_overrides: str = ""
    batch_size: int = 50
    max_concurrent: int = 8
    append: AppendBy = AppendBy.INSERT
    expunge: ExpungeTo = ExpungeTo.ARCHIVE
    auto_expunge: bool = False
    topic: str | None = None
    subscription: str | None = None
    pubsub_root: str = "https://pubsub.googleapis.com"
    poll_interval_s: float = 60.0
    timeout_s: float = 60.0
    ca_file: str | None = None
    verify: bool = True


def parse_settings(settings: Mapping[str, SettingValue]) -> GmailSettings:
    """Build the settings from checked values.

    Raises:
        SettingError: an address, `user`, `prefix`, `topic` or `subscription` cannot be, one of the latter two is
            missing, or there is no `ca_file`.
    """
    topic = _name(settings, "topic", _TOPIC, "projects/P/topics/T")
    subscription = _name(settings, "subscription", _SUBSCRIPTION, "projects/P/subscriptions/S")
    if topic is not None and subscription is None:
        raise SettingError("subscription", "is required together with topic")
    if subscription is not None and topic is None:
        raise SettingError("topic", "is required together with subscription")
    standard = GmailSettings()
    return GmailSettings(
        api_root=_address(settings, "api_root", standard.api_root),
        token_uri=_address(settings, "token_uri", standard.token_uri),
        auth_uri=_address(settings, "auth_uri", standard.auth_uri),
        user=_user(settings),
        prefix=_prefix(settings),
        categories=settings.get("categories", False) is True,
        units_per_minute=float(settings.get("units_per_minute", standard.units_per_minute)),
        costs=str(settings.get("costs", standard.costs)),
        cost_overrides=text_of(settings, "cost_overrides") or "",
        batch_size=int(settings.get("batch_size", standard.batch_size)),
        max_concurrent=int(settings.get("max_concurrent", standard.max_concurrent)),
        append=AppendBy(settings.get("append", "insert")),
        expunge=ExpungeTo(settings.get("expunge", "archive")),
        auto_expunge=settings.get("auto_expunge", False) is True,
        topic=topic,
        subscription=subscription,
        pubsub_root=_address(settings, "pubsub_root", standard.pubsub_root),
        poll_interval_s=float(settings.get("poll_interval_s", standard.poll_interval_s)),
        timeout_s=float(settings.get("timeout_s", standard.timeout_s)),
        ca_file=file_of(settings, "ca_file"),
        verify=settings.get("verify", True) is not False,
    )


def _name(settings: Mapping[str, SettingValue], key: str, pattern: re.Pattern[str], example: str) -> str | None:
    text = text_of(settings, key)
    if text is not None and not pattern.fullmatch(text):
        raise SettingError(key, f"must look like {example}")
    return text


def _address(settings: Mapping[str, SettingValue], key: str, default: str) -> str:
    return (address_of(settings, key, default) or default).rstrip("/")


def _user(settings: Mapping[str, SettingValue]) -> str:
    user = text_of(settings, "user") or "me"
    if not _USER.fullmatch(user):
        raise SettingError("user", "must be an address such as alex@example.org, or me")
    return user


def _prefix(settings: Mapping[str, SettingValue]) -> tuple[str, ...]:
    parts = tuple((text_of(settings, "prefix") or "[Gmail]").split("/"))
    if not all(part.strip() for part in parts):
        raise SettingError("prefix", "must be the name of a mailbox, such as [Gmail]")
    if parts[0].upper() == "INBOX":
        raise SettingError("prefix", "must not be INBOX, nor below it")
    return parts
