"""Holding a backend that composes messages anew at each reading to the octets that clients were told of.

Sizes, structures and sections of a UID never change (RFC 9051 section 2.3.1.1), so the first copy that is served of a
message is recorded by its hash before anybody gets it. As long as the cache has it, it is served again; read from the
backend again, it is served only if it still has that hash, and else the message gets a new UID. What a client appended
is kept for good and never read from the backend.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.api import errors
from gateway.store import contents
from gateway.store.body_folder import StoredBody
from gateway.store.contents import Renewed
from gateway.store.database import Transaction
from gateway.store.errors import is_fault
from gateway.sync.context import AccountContext

log = logging.getLogger(__name__)


class OctetsDiffer(errors.NotFound):
    """The message that was asked for is no more: its ref names other octets now, under a new UID."""


class KeptInstead(Exception):
    """Octets of the message were kept meanwhile, and only those are its."""


class _Verdict(enum.Enum):
    """What is to become of octets that were read from the backend."""

    SERVED = "served"
    KEPT_INSTEAD = "kept instead"
    RENEWED = "renewed"


@dataclass(frozen=True, slots=True)
class _Claim:
    """Octets that wait to be served."""

    message_id: int
    digest: bytes
    verdict: asyncio.Future[_Verdict]


class FirstCopies:
    """Decides about the octets of one account's messages, in few transactions: what comes up during one commit goes
    into the next."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._claims: list[_Claim] = []
        self._deciding: asyncio.Task[None] | None = None

    @property
    def are_needed(self) -> bool:
        """Whether the backend's octets vary at all."""
        return self._context.account.capabilities.bodies_vary

    async def kept_among(self, message_ids: Iterable[int]) -> set[int]:
        """Return those of the messages whose octets are kept for good."""
        if not self.are_needed:
            return set()
        ids = list(message_ids)
        return set(await self._context.store.read_bulk(lambda tx: contents.kept_ids(tx, ids)))

    async def open_kept(self, message_id: int) -> StoredBody | None:
        """Open octets that are kept for good; None if there are none.

        Raises:
            Unavailable: they cannot be read now.
        """
        if not self.are_needed:
            return None
        found = await self._context.store.read(lambda tx: contents.kept_ids(tx, [message_id]))
        return self._open(found[message_id]) if message_id in found else None

    def _open(self, kept_id: int) -> StoredBody | None:
        try:
            return self._context.cache.kept.open_kept(self._context.account_id, kept_id)
        except OSError as error:
            raise errors.Unavailable(f"kept octets {kept_id} cannot be read: {error}") from error

    async def claim(self, message_id: int, digest: bytes) -> None:
        """Ask whether octets with this SHA-256 may be served as the message, before anybody is given them.

        Raises:
            OctetsDiffer: others were served; the message has got a new UID, and what was asked for is gone.
            KeptInstead: look for kept octets again.
            Unavailable: it cannot be recorded now.
        """
        claim = _Claim(message_id, digest, asyncio.get_running_loop().create_future())
        self._claims.append(claim)
        if self._deciding is None or self._deciding.done():
            self._deciding = asyncio.get_running_loop().create_task(self._decide_all())
        match await claim.verdict:
            case _Verdict.RENEWED:
                raise OctetsDiffer(f"message {message_id} has other octets than were served")
            case _Verdict.KEPT_INSTEAD:
                raise KeptInstead
            case _Verdict.SERVED:
                return

    async def close(self) -> None:
        """Wait for what is being recorded."""
        if self._deciding is not None:
            await asyncio.gather(self._deciding, return_exceptions=True)

    async def _decide_all(self) -> None:
        while self._claims:
            claims, self._claims = self._claims, []
            try:
                verdicts, renewed = await self._decide(claims)
            except Exception as error:
                text = "the hashes of %d messages could not be stored: %s"
                log.error(text, len(claims), error, exc_info=is_fault(error))
                for claim in claims:
                    _tell(claim, errors.Unavailable(f"the store cannot be written: {error!r}"))
                continue
            for old, new in renewed.items():
                account = self._context.account.name
                log.info("account %s: message %d has other octets now, so it is %d", account, old, new.message_id)
            self._context.changed(*{mailbox_id for new in renewed.values() for mailbox_id in new.uids})
            for claim in claims:
                _tell(claim, verdicts.get(claim.message_id, _Verdict.SERVED))

    async def _decide(self, claims: Sequence[_Claim]) -> tuple[dict[int, _Verdict], dict[int, Renewed]]:
        async def body(tx: Transaction) -> tuple[dict[int, _Verdict], dict[int, Renewed]]:
            others = await contents.claim(tx, {claim.message_id: claim.digest for claim in claims})
            if not others:
                return {}, {}
            kept = await contents.kept_ids(tx, others)
            verdicts = dict.fromkeys(others, _Verdict.RENEWED)
            for message_id, kept_id in kept.items():
                if self._is_there(kept_id):
                    verdicts[message_id] = _Verdict.KEPT_INSTEAD
            lost = [message_id for message_id, verdict in verdicts.items() if verdict is _Verdict.RENEWED]
            return verdicts, await contents.renew(tx, lost)

        return await self._context.store.write(body)

    def _is_there(self, kept_id: int) -> bool:
        body = self._open(kept_id)
        if body is not None:
            body.close()
        return body is not None


def _tell(claim: _Claim, verdict: _Verdict | errors.ConnectorError) -> None:
    if claim.verdict.done():
        return
    if isinstance(verdict, _Verdict):
        claim.verdict.set_result(verdict)
    else:
        claim.verdict.set_exception(verdict)
        # Whoever waited may have gone.
        claim.verdict.exception()
