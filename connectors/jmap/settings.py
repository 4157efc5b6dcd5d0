"""The settings of an account at a JMAP server, checked."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.api.given import address_of, file_of, text_of
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
    url = address_of(settings, "url", "https://jmap.example.com/session")
    domain = text_of(settings, "domain")
    if url is None and domain is None:
        raise SettingError("url", "is required, or domain instead")
    if url is not None and domain is not None:
        raise SettingError("domain", "does not go together with url")
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise SettingError("domain", "must be a domain name such as example.com")
    return JmapSettings(
        url=url,
        domain=domain,
        ca_file=file_of(settings, "ca_file"),
        verify=settings.get("verify", True) is not False,
        timeout_s=float(settings.get("timeout_s", 60.0)),
        poll_interval_s=float(settings.get("poll_interval_s", 60.0)),
        push=PushKind(settings.get("push", "auto")),
        max_concurrent=int(settings.get("max_concurrent", 4)),
        allowed_hosts=_hosts(text_of(settings, "allowed_hosts")),
        account_id=text_of(settings, "account_id"),
        expunge=ExpungeTo(settings.get("expunge", "trash")),
    )


def _hosts(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for host in hosts:
        if not _HOST_PATTERN.fullmatch(host):
            raise SettingError("allowed_hosts", f"{host!r} is no name of a host, nor such a name behind '*.'")
    return hosts
