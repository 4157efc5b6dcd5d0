"""An identity provider that behaves as it is told, over ASGI."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ISSUER = "https://id.example.org/realms/mail"
AUDIENCE = "imap-gateway"
KEYS_PATH = "/realms/mail/keys"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Provider:
    """Signs tokens and tells its public keys. `requests` are the paths it was asked for.

    `is_down`: it answers 503. `body`: what it answers for its keys instead of them. `issuer`: what it calls itself.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.is_down = False
        self.body: bytes | None = None
        self.issuer = ISSUER
        self.keys_url = f"https://id.example.org{KEYS_PATH}"
        self._keys: dict[str, tuple[PrivateKey, str]] = {}
        self.rotate("k1")
        routes = [
            Route("/realms/mail/.well-known/openid-configuration", self._describe),
            Route(KEYS_PATH, self._tell_keys),
        ]
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)))

    def rotate(self, key_id: str, algorithm: str = "ES256", *, keep: bool = False) -> None:
        """Sign with another key from now on; those before are forgotten."""
        made: PrivateKey
        match algorithm[:2]:
            case "RS" | "PS":
                made = rsa.generate_private_key(65537, 2048)
            case "Ed":
                made = ed25519.Ed25519PrivateKey.generate()
            case _:
                made = ec.generate_private_key(ec.SECP256R1())
        if not keep:
            self._keys.clear()
        self._keys[key_id] = made, algorithm

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a good token, some of them changed; those that are None are left out.

        A `timedelta` stands for the moment that is so far from now.
        """
        claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": timedelta(minutes=10), "email": "alex"} | changed
        return {name: _moment(value) for name, value in claims.items() if value is not None}

    def token(self, *, key_id: str | None = None, headers: dict[str, Any] | None = None, **changed: Any) -> str:
        """Return a token signed with the newest key."""
        name, (key, algorithm) = list(self._keys.items())[-1]
        kid = {"kid": key_id or name}
        return jwt.encode(self.claims(**changed), key, algorithm, headers=kid if headers is None else headers)

    def public_jwks(self) -> list[dict[str, Any]]:
        keys = []
        for name, (key, algorithm) in self._keys.items():
            jwk: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
            keys.append(jwk | {"kid": name, "use": "sig", "alg": algorithm})
        return keys

    async def _describe(self, request: Request) -> Response:
        self.requests.append("configuration")
        if self.is_down:
            return Response(status_code=503)
        return JSONResponse({"issuer": self.issuer, "jwks_uri": self.keys_url})

    async def _tell_keys(self, request: Request) -> Response:
        self.requests.append("keys")
        if self.is_down:
            return Response(status_code=503)
        if self.body is not None:
            return Response(self.body)
        return JSONResponse({"keys": self.public_jwks()})


def _moment(value: Any) -> Any:
    return time.time() + value.total_seconds() if isinstance(value, timedelta) else value
