"""Where a credential may go: origins (RFC 6454), and patterns of them as an operator writes them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80}
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class MalformedUrl(ValueError):
    """Not an absolute http or https address, or one with a user name in it. Its text does not show the address."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (lower case, ASCII) and port of an address."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of an absolute http or https address.

        Raises:
            MalformedUrl: it is none, or it holds a user name, a password, a space or a control character.
        """
        if _SPACE_OR_CONTROL.search(url):
            raise MalformedUrl("an address with a space or a control character")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            if parts.scheme not in _PORTS or not host or "\\" in url:
                raise MalformedUrl("not an http or https address")
            if "@" in parts.netloc:
                raise MalformedUrl("an address with a user name in it")
            return cls(parts.scheme, _ascii(host), _PORTS[parts.scheme] if port is None else port)
        except MalformedUrl:
            raise
        except ValueError as exc:
            raise MalformedUrl("a malformed address") from exc

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_private(self) -> bool:
        """Whether nobody between here and there can read along: TLS, or the same machine."""
        return self.scheme == "https" or self.is_loopback

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


@dataclass(frozen=True, slots=True)
class OriginPattern:
    """The origins that one entry of a list of allowed hosts stands for.

    `https://api.example.com:8443` is that origin, and so is `http://...`, by which the operator accepts that
    everybody between can read along. `api.example.com` is https on port 443, `api.example.com:8443` on another port,
    `*.example.com` every host below that one (not itself). Of the own machine both https and http are meant.
    """

    scheme: str | None
    host: str
    port: int | None
    is_wildcard: bool = False

    @classmethod
    def parse(cls, text: str) -> OriginPattern:
        """Read an entry.

        Raises:
            MalformedUrl: it is none of the forms.
        """
        if "://" in text:
            origin = Origin.of(text)
            return cls(origin.scheme, origin.host, origin.port)
        is_wildcard = text.startswith("*.")
        rest = text[2:] if is_wildcard else text
        origin = Origin.of(f"https://{rest}")
        if "*" in rest or "/" in rest or "?" in rest or "#" in rest:
            raise MalformedUrl("not a host name")
        if is_wildcard and "." not in origin.host:
            raise MalformedUrl("a wildcard over a whole top-level domain")
        has_port = rest.rpartition(":")[2].isdigit() and not rest.endswith("]")
        return cls(None, origin.host, origin.port if has_port else None, is_wildcard)

    def matches(self, origin: Origin) -> bool:
        if self.scheme is None and not origin.is_private:
            return False
        if self.scheme is not None and self.scheme != origin.scheme:
            return False
        if self.port is None:
            if origin.port != _PORTS[origin.scheme] and not origin.is_loopback:
                return False
        elif self.port != origin.port:
            return False
        return origin.host.endswith(f".{self.host}") if self.is_wildcard else origin.host == self.host


def _ascii(host: str) -> str:
    host = host.lower().rstrip(".")
    if not host:
        raise MalformedUrl("an address without a host")
    return host if host.isascii() else host.encode("idna").decode("ascii")
