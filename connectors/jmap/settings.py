"""The settings of an account at a JMAP server, checked."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from connectors.api.settings import SettingError, SettingValue

_DOMAIN = re.compile(r"[^\s/:@.]+(\.[^\s/:@.]+)*\.?")
_HOST_PATTERN = re.compile(r"(\*\.)?[^\s/:@*]+")


class PushKind(enum.Enum):
    """How to learn of changes at once."""

    AUTO = "auto"
    EVENT_SOURCE = "eventsource"
    WEB_SOCKET = "websocket"
    OFF = "off"


class ExpungeTo(enum.Enum):
    """Where a message goes that leaves the last mailbox it is in."""

    TRASH = "trash"
    ARCHIVE = "archive"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class JmapSettings:
    """Exactly one of `url` and `domain` is set.

    `allowed_hosts` are lower-case names of hosts, or `*.` and a name for every host below it, that get the credentials
    besides the host of `url` or `domain`; None leaves it to the session document which those are. `account_id` of None
    is the login's primary account for mail.
    """

    url: str | None = None
    domain: str | None = None
    ca_file: str | None = None
    verify: bool = True
    timeout_s: float = 60.0
    poll_interval_s: float = 60.0
    push: PushKind = PushKind.AUTO
    max_concurrent: int = 4
    allowed_hosts: tuple[str, ...] | None = None
    account_id: str | None = None
    expunge: ExpungeTo = ExpungeTo.TRASH


def parse_settings(settings: Mapping[str, SettingValue]) -> JmapSettings:
    """Build the settings from checked values.

    Raises:
        SettingError: neither or both of `url` and `domain` are given, one of them or of `allowed_hosts` cannot be, or
            `ca_file` cannot be read.
    """
    url, domain = _text(settings, "url"), _text(settings, "domain")
    if url is None and domain is None:
        raise SettingError("url", "is required, or domain instead")
    if url is not None and domain is not None:
        raise SettingError("domain", "does not go together with url")
    _check_url(url)
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise SettingError("domain", "must be a domain name such as example.com")
    ca_file = _text(settings, "ca_file")
    if ca_file is not None and not Path(ca_file).is_file():
        raise SettingError("ca_file", f"there is no file {ca_file}")
    return JmapSettings(
        url=url,
        domain=domain,
        ca_file=ca_file,
        verify=settings.get("verify", True) is not False,
        timeout_s=float(settings.get("timeout_s", 60.0)),
        poll_interval_s=float(settings.get("poll_interval_s", 60.0)),
        push=PushKind(settings.get("push", "auto")),
        max_concurrent=int(settings.get("max_concurrent", 4)),
        allowed_hosts=_hosts(_text(settings, "allowed_hosts")),
        account_id=_text(settings, "account_id"),
        expunge=ExpungeTo(settings.get("expunge", "trash")),
    )


def _text(settings: Mapping[str, SettingValue], key: str) -> str | None:
    """Return the text, or None if it is left out or blank."""
    return str(settings.get(key, "")).strip() or None


def _check_url(url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good = False
    if not is_good:
        raise SettingError("url", "must be an address such as https://jmap.example.com/session")
    if parts.username is not None or parts.password is not None:
        raise SettingError("url", "must not hold a user name or password: they are credentials")


def _hosts(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for host in hosts:
        if not _HOST_PATTERN.fullmatch(host):
            raise SettingError("allowed_hosts", f"{host!r} is no name of a host, nor such a name behind '*.'")
    return hosts
