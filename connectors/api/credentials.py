"""How a connector gets at what it logs in with, without ever keeping or printing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Secret(Generic[T]):
    """A value that must not be printed: `repr`, `str` and formatting give `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself; call it only where it is sent or compared."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class PasswordCredential:
    """A user name and its password."""

    username: str
    password: Secret[str]


@dataclass(frozen=True, slots=True)
class BearerCredential:
    """A user name and an OAuth 2.0 access token."""

    username: str
    token: Secret[str]


Credential = PasswordCredential | BearerCredential


class CredentialSource(Protocol):
    """Hands out the credential to use now."""

    async def get(self) -> Credential | None:
        """Return a credential believed good, refreshing it if need be; None if the backend needs none.

        Raises:
            AuthExpired: a person must log in again.
            Unavailable: the issuer of tokens cannot be reached.
        """

    async def refused(self, credential: Credential) -> None:
        """Take note that the backend refused it, so that the next `get` does not hand out the same token."""


@dataclass(frozen=True, slots=True)
class FixedCredential:
    """A source that always gives the same credential."""

    credential: Credential | None

    async def get(self) -> Credential | None:
        return self.credential

    async def refused(self, credential: Credential) -> None:
        return None
