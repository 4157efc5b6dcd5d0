"""Why a login was not let in, or a secret not opened.

GatewayError
|- AuthFailed       login or password is wrong; nothing says which
|- Throttled        too many failures; the password was not even looked at
`- OperatorError
   `- VaultError    a key is missing or wrong, or a sealed value was altered
"""

from __future__ import annotations

from gateway.errors import GatewayError, OperatorError


class AuthFailed(GatewayError):
    """Login or password is wrong. The texts tell an unknown login from a wrong password to nobody."""

    def __init__(self) -> None:
        super().__init__("Login or password is wrong.")


class Throttled(GatewayError):
    """Too many failed logins; try again after `retry_after_s` seconds (float, above 0)."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Too many failed logins; try again later.")
        self.retry_after_s = retry_after_s


class VaultError(OperatorError):
    """A key is missing or wrong, or a sealed value was altered."""
