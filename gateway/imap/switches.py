"""Which capabilities the operator has switched on or off, for everybody, for an account or for a client."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Exemption:
    """Capabilities, in capitals, that are not offered where all that is set here fits.

    `client` is a pattern with `*` and `?` for the name that the client gives by ID (RFC 2971), without regard to case.
    `account` is the name of an account: a session is concerned if it is one of the user's.
    """

    disabled: frozenset[str]
    client: str | None = None
    login: str | None = None
    account: str | None = None

    def fits(self, client: str | None, login: str | None, accounts: Collection[str]) -> bool:
        """Tell whether it concerns a session; None is what is not known (yet)."""
        if self.client is not None and (client is None or not fnmatchcase(client.lower(), self.client.lower())):
            return False
        if self.login is not None and login != self.login:
            return False
        return self.account is None or self.account in accounts


@dataclass(frozen=True, slots=True)
class Switches:
    """Names of capabilities in capitals: those added to what is offered unasked, and those taken away."""

    added: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    exemptions: tuple[Exemption, ...] = ()

    def disabled_for(self, client: str | None, login: str | None, accounts: Collection[str]) -> frozenset[str]:
        """Return what is not offered to a session."""
        fitting = (one.disabled for one in self.exemptions if one.fits(client, login, accounts))
        return self.disabled.union(*fitting)
