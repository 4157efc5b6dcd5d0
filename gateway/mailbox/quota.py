"""How full accounts are, as their backends tell (RFC 9208)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cachetools import TTLCache

from connectors.api import errors
from connectors.api.abilities import Quota, QuotaInfo
from gateway.clock import Clock
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox.user_mail import UserMail
from gateway.sync.engine import AccountEngine
from gateway.wire.quota import Resource, ResourceUse

KEPT_S = 60.0
"""How long an answer of the backend is good: clients ask at every login and after every APPEND."""

_STORAGE_UNIT = 1024


@dataclass(frozen=True, slots=True)
class QuotaRoot:
    """A quota root of an account. `uses` are the resources that have a limit, possibly none."""

    name: str
    uses: tuple[ResourceUse, ...]


class Quotas:
    """The quota roots of all accounts of the process; what a backend has told is kept for a minute."""

    def __init__(self, clock: Clock) -> None:
        self._known: TTLCache[int, tuple[QuotaInfo, ...]] = TTLCache(4096, KEPT_S, timer=clock.monotonic)

    async def of_mailbox(self, user: UserMail, name: str) -> list[QuotaRoot]:
        """Return the roots that limit a mailbox: those of its account. None at all where the backend tells of none.

        It need not exist: then those that would limit it (RFC 9208 section 4.1.2).

        Raises:
            MailError: no account can have a mailbox of that name, or the backend cannot be asked now.
        """
        tree = await user.tree()
        place = tree.find(name) or tree.place(name)
        if place is None:
            raise MailError(ErrorKind.NOT_FOUND, "There is no such mailbox.")
        account_id = place.account_id
        return [root for engine_id, root in await self._roots(user) if engine_id == account_id]

    async def root(self, user: UserMail, name: str) -> QuotaRoot | None:
        """Return the root of that name.

        Raises:
            MailError: a backend cannot be asked now.
        """
        return next((root for _, root in await self._roots(user) if root.name == name), None)

    async def _roots(self, user: UserMail) -> list[tuple[int, QuotaRoot]]:
        """Return every root of the user with its account's id; names are told apart by the account's prefix."""
        tree = await user.tree()
        found = []
        for engine in user.running_engines():
            account_id = engine.context.account.id
            prefix = tree.prefix_of(account_id)
            found += [(account_id, _root(prefix, info)) for info in await self._ask(engine)]
        return found

    async def _ask(self, engine: AccountEngine) -> Sequence[QuotaInfo]:
        account = engine.context.account
        known = self._known.get(account.id)
        if known is not None or not isinstance(account.connector, Quota):
            return known or ()
        try:
            connector = await account.open()
            assert isinstance(connector, Quota), "the same one, open"
            told = self._known[account.id] = tuple(await connector.quota())
        except errors.ConnectorError as error:
            raise from_connector(error) from error
        return told


def _root(prefix: str, info: QuotaInfo) -> QuotaRoot:
    uses = []
    if info.limit_octets is not None:
        # A started unit is used, but no unit is granted that is not there in full.
        used = -(-info.used_octets // _STORAGE_UNIT)
        uses.append(ResourceUse(Resource.STORAGE, used, info.limit_octets // _STORAGE_UNIT))
    if info.limit_messages is not None:
        uses.append(ResourceUse(Resource.MESSAGE, info.used_messages or 0, info.limit_messages))
    return QuotaRoot(prefix + info.name, tuple(uses))
