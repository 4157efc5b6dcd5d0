"""The settings of an account at an IMAP server, checked."""

from __future__ import annotations

import enum
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from connectors.api.spec import SettingError, SettingValue


class Tls(enum.Enum):
    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class Auth(enum.Enum):
    AUTO = "auto"
    LOGIN = "login"
    PLAIN = "plain"
    XOAUTH2 = "xoauth2"
    OAUTHBEARER = "oauthbearer"


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """`ssl_context` is None exactly if `tls` is NONE. `exclude` are patterns over the path joined by `/`."""

    host: str
    port: int
    tls: Tls
    ssl_context: ssl.SSLContext | None
    auth: Auth = Auth.AUTO
    max_connections: int = 8
    timeout_s: float = 60.0
    poll_interval_s: float = 60.0
    exclude: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        """The server as shown to the operator."""
        return f"{self.host}:{self.port}"

    @property
    def watch_limit(self) -> int:
        """How many connections may wait for news: half of all, so that work always finds one; none if there is one."""
        return self.max_connections // 2

    def excludes(self, path: tuple[str, ...]) -> bool:
        """Tell whether the mailbox is left out; INBOX never is, and what is below an excluded one is excluded too."""
        if path == ("INBOX",):
            return False
        names = ["/".join(path[:depth]) for depth in range(1, len(path) + 1)]
        return any(fnmatchcase(name, pattern) for pattern in self.exclude for name in names)


def parse_settings(settings: Mapping[str, SettingValue]) -> ImapSettings:
    """Build the settings from checked values.

    Raises:
        SettingError: `ca_file` cannot be read.
    """
    tls = Tls(settings.get("tls", "implicit"))
    port = settings.get("port", 993 if tls is Tls.IMPLICIT else 143)
    patterns = str(settings.get("exclude", "")).split(",")
    return ImapSettings(
        host=str(settings["host"]),
        port=int(port),
        tls=tls,
        ssl_context=None if tls is Tls.NONE else _ssl_context(settings),
        auth=Auth(settings.get("auth", "auto")),
        max_connections=int(settings.get("max_connections", 8)),
        timeout_s=float(settings.get("timeout_s", 60.0)),
        poll_interval_s=float(settings.get("poll_interval_s", 60.0)),
        exclude=tuple(pattern.strip() for pattern in patterns if pattern.strip()),
    )


def _ssl_context(settings: Mapping[str, SettingValue]) -> ssl.SSLContext:
    ca_file = settings.get("ca_file")
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as exc:
        raise SettingError("ca_file", f"cannot be read: {exc}") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.get("verify", True) is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
