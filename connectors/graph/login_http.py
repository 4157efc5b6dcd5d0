"""The HTTP that MSAL uses: bounded in time and size, and honest about what is no answer of a login service.

MSAL would log what it cannot read, and replays what it takes for an error of a user; so it gets neither.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import httpx
import msgspec

from connectors.api.errors import Unavailable
from connectors.api.settings import SettingError
from connectors.graph.settings import GraphSettings
from connectors.transport.messages import shown
from connectors.transport.options import TransportOptions
from connectors.transport.origins import Origin
from connectors.transport.redaction import excerpt

MAX_OCTETS: Final = 1024 * 1024
WITHIN_S: Final = 20.0
"""Longest time that one request may take as a whole."""

_CONNECT_S: Final = 10.0
_ATTEMPTS: Final = 2


class LoginResponse:
    """A reply in the shape that MSAL reads: a JSON object with a status below 500."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = headers

    def raise_for_status(self) -> None:
        """Raise if it is an error; MSAL asks for this where it has no use for one."""
        if self.status_code >= 400:
            raise Unavailable(f"Microsoft's login was answered {self.status_code}")


class LoginHttp:
    """What MSAL calls `http_client`. It blocks, so it is for threads; one at a time.

    `transport` replaces the network in tests. An authority on the own machine may be without TLS, which MSAL does not
    know of: it is told `https`, and asks by `http`.

    Raises:
        Unavailable: `ca_file` cannot be read.
    """

    def __init__(self, settings: GraphSettings, transport: httpx.BaseTransport | None = None) -> None:
        options = TransportOptions(ca_file=settings.ca_file, verify=settings.verify)
        silence_s = min(settings.timeout_s, WITHIN_S)
        self._timeouts = {
            "connect": min(silence_s, _CONNECT_S),
            "read": silence_s,
            "write": silence_s,
            "pool": silence_s,
        }
        self._headers = {"User-Agent": options.user_agent, "Accept-Encoding": "identity"}
        self._plain = plain_origin(settings.authority)
        # Not by a client of httpx, which would log each request as if it were worth a line.
        try:
            self._transport = transport or httpx.HTTPTransport(verify=options.ssl_context(), trust_env=False)
        except SettingError as exc:
            raise Unavailable(str(exc)) from exc

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str | bytes | None] | str | None = None,
        headers: Mapping[str, str] | None = None,
        **_ignored: object,
    ) -> LoginResponse:
        """POST a form; it is not repeated, as a code can be used once.

        Raises:
            Unavailable: the login service cannot be reached, or failed.
        """
        if not isinstance(data, str):
            # MSAL leaves it to whoever sends to leave out what is None.
            data = urlencode({name: value for name, value in (data or {}).items() if value is not None})
        fields = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("POST", url, params, fields, data.encode("utf-8"))

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_ignored: object,
    ) -> LoginResponse:
        """GET a document.

        Raises:
            Unavailable: the login service cannot be reached, or failed.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._send("GET", url, params, headers or {})
            except Unavailable:
                continue
        return self._send("GET", url, params, headers or {})

    def close(self) -> None:
        """End all connections."""
        self._transport.close()

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        content: bytes | None = None,
    ) -> LoginResponse:
        what = f"{method} {shown(url)}"
        until = time.monotonic() + WITHIN_S
        body = bytearray()
        try:
            request = httpx.Request(
                method,
                self._real(url),
                params=params,
                headers={**self._headers, **headers},
                content=content,
                extensions={"timeout": self._timeouts},
            )
            response = self._transport.handle_request(request)
            try:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_OCTETS or time.monotonic() > until:
                        raise Unavailable(f"{what} gave a reply that is too long, or took too long")
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Unavailable(f"{what}: {type(exc).__name__}: {excerpt(str(exc).encode())}") from exc
        return self._checked(what, response, bytes(body))

    def _checked(self, what: str, response: httpx.Response, body: bytes) -> LoginResponse:
        """Return the reply if it is one of a login service.

        Raises:
            Unavailable: it is not, or says that it may be later.
        """
        status = response.status_code
        if status == 429 or status >= 500:
            raise Unavailable(f"{what} was answered {status}")
        try:
            msgspec.json.decode(body, type=dict[str, object])
            text = body.decode("utf-8")
        except (msgspec.MsgspecError, ValueError):
            # Not chained, and not shown: it may hold a token.
            raise Unavailable(
                f"{what} was answered {status} by what is no login service; is authority right?"
            ) from None
        if self._plain is not None:
            text = text.replace(self._plain, _with_tls(self._plain))
        return LoginResponse(status, text, dict(response.headers))

    def _real(self, url: str) -> str:
        """Return where to ask for what MSAL takes for an address with TLS."""
        if self._plain is not None and url.startswith(_with_tls(self._plain)):
            return self._plain + url[len(_with_tls(self._plain)) :]
        return url


def plain_origin(authority: str) -> str | None:
    """Return the origin of an authority without TLS, as a prefix of its address; None for any other."""
    origin = Origin.of(authority)
    if origin.scheme == "https":
        return None
    scheme, _, rest = authority.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _with_tls(origin: str) -> str:
    return "https" + origin[origin.index("://") :]
